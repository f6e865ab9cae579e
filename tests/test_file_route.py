"""Every layout through a file as it is published: the arrays are the state dict's, bit for bit.

`test_port.py` takes these arrays on to the reference's logits; here that is done for one network of
each kind of file.
"""

import json
import pathlib

import foreign_files as write
import keras
import numpy as np
import pytest
import recipe
from once import once
from test_convert import check_logits, published_file
from test_port import build, layout_of

import keras_vidreg as kv
from keras_vidreg.checkpoints.files import read_state_dict
from keras_vidreg.checkpoints.layouts import LAYOUTS
from keras_vidreg.checkpoints.layouts.slowfast_caffe2 import from_caffe2
from keras_vidreg.checkpoints.port import canonical_arrays

GOLDEN = pathlib.Path(__file__).parent / "golden"


def golden(name):
    facts = json.loads((GOLDEN / f"{name}.json").read_text())
    return facts, recipe.fill_state(facts["state"], gain=facts["gain"])


def skeleton(make):
    """A model whose weights have no values."""
    with keras.StatelessScope(initialize_variables=False):
        return make()


def torch_file(path, facts, state):
    """The file of PyTorchVideo, MMAction2 or PySlowFast."""
    torch = pytest.importorskip("torch")
    tensors = {key: torch.from_numpy(np.asarray(value)) for key, value in state.items()}
    member = "state_dict" if layout_of(facts["name"]) == "mmaction2" else "model_state"
    torch.save({member: tensors, "optimizer": {"state": {0: torch.ones(2)}}, "epoch": 3}, path)
    return path


def tensorflow_archive(path, facts, state):
    """The Model Garden's: a folder with a checkpoint, in a `.tar.gz`."""
    tf = pytest.importorskip("tensorflow")
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    values = {f"{row[4]}{suffix}": state[row[0]] for row in facts["state"]}
    slot = f"{facts['state'][0][4]}/.OPTIMIZER_SLOT/optimizer/average{suffix}"
    more = {slot: np.zeros(3, "f4"), f"optimizer/learning_rate{suffix}": np.ones((), "f4")}
    tensors = {**values, **more}
    tf.raw_ops.SaveV2(
        prefix=str(path.with_name("ckpt")),
        tensor_names=list(tensors),
        shape_and_slices=[""] * len(tensors),
        tensors=list(tensors.values()),
    )
    files = [path.with_name(f"ckpt.{end}") for end in ("index", "data-00000-of-00001")]
    members = ((f"movinet/{file.name}", file.read_bytes()) for file in files)
    return write.tar_gz(path, *members, level=0)


def caffe2_names(two_pathways):
    """What Caffe2 called the weights of a network of 50 layers."""
    convs, norms = [], []
    for pathway in ("", "t_") if two_pathways else ("",):
        convs.append(f"{pathway}conv1")
        norms.append(f"{pathway}res_conv1_bn")
        for stage, blocks in ((2, 3), (3, 4), (4, 6), (5, 3)):
            units = [(block, f"2{letter}") for block in range(blocks) for letter in "abc"]
            for block, branch in [(0, "1"), *units]:
                convs.append(f"{pathway}res{stage}_{block}_branch{branch}")
                norms.append(f"{convs[-1]}_bn")
    for place in ("pool1", *(f"res{at}_branch2c_bn" for at in ("2_2", "3_3", "4_5"))):
        if two_pathways:
            convs.append(f"t_{place}_subsample")
            norms.append(f"{convs[-1]}_bn")
    leaves = [f"{norm}_{leaf}" for norm in norms for leaf in ("s", "b", "rm", "riv")]
    return [*(f"{conv}_w" for conv in convs), *leaves, "pred_w", "pred_b"]


def caffe2_file(path, facts, state):
    """PySlowFast's older kind of file."""
    keys = [key for key in state if not key.endswith("num_batches_tracked")]
    names = caffe2_names("slowfast" in facts["name"])
    there = from_caffe2({name: name for name in names}, keys)
    blobs = {name: state[key] for key, name in there.items()}
    blobs["pred_w"] = blobs["pred_w"][..., None, None, None]  # a convolution
    more = {"conv1_w_momentum": np.ones(3), "lr": np.ones(()), "model_iter": np.ones(())}
    path.write_bytes(write.caffe2({**blobs, **more}))
    return path


@pytest.mark.parametrize("make, fast", [(kv.models.slowonly, False), (kv.models.slowfast, True)])
def test_every_name_of_caffe2_is_found_once(make, fast):
    model = skeleton(lambda: make(50))
    keys = [LAYOUTS["slowfast"].key(weight.path, model) for weight in model.weights]
    names = caffe2_names(fast)
    found = from_caffe2({name: name for name in names}, keys)
    assert sorted(found) == sorted(keys) and len(set(names)) == len(keys)
    facts = {  # as PySlowFast's own converter has them
        "res_conv1_bn_riv": "s1.pathway0_stem.bn.running_var",
        "res4_0_branch1_bn_s": "s4.pathway0_res0.branch1_bn.weight",
        "res5_2_branch2b_w": "s5.pathway0_res2.branch2.b.weight",
        "pred_b": "head.projection.bias",
    }
    if fast:
        facts |= {
            "t_conv1_w": "s1.pathway1_stem.conv.weight",
            "t_res3_1_branch2c_bn_rm": "s3.pathway1_res1.branch2.c_bn.running_mean",
            "t_pool1_subsample_bn_b": "s1_fuse.bn.bias",
            "t_res4_5_branch2c_bn_subsample_w": "s4_fuse.conv_f2s.weight",
        }
    assert {name: found[key] for name, key in facts.items()} == {name: name for name in facts}


@pytest.mark.parametrize(
    "name, write_file",
    [
        ("movinet_a0_stream", published_file),
        ("grw_a0s", published_file),
        pytest.param("tf_movinet_a0_stream", tensorflow_archive, marks=once),
        pytest.param("resnet3d_rs_50", tensorflow_archive, marks=once),
        ("slowonly_r50_ptv", torch_file),
        ("slowonly_r34_mmaction", torch_file),
        ("ip_csn_r50", torch_file),
        ("slowfast_r50", torch_file),
        ("slowfast_r50", caffe2_file),
    ],
)
def test_arrays_through_a_file(tmp_path, name, write_file):
    facts, state = golden(name)
    file = write_file(tmp_path / "file", facts, state)
    model = skeleton(lambda: build(facts))
    layout = LAYOUTS[layout_of(name)]
    expected = canonical_arrays(state, layout, model)
    found = canonical_arrays(read_state_dict(file).arrays, layout, model)
    assert sorted(found) == sorted(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype, key
        assert np.reshape(found[key], value.shape).tobytes() == value.tobytes(), key


@pytest.mark.parametrize(
    "entry, name, write_file",
    [
        ("movinet_a0_model_garden", "tf_movinet_a0_base", tensorflow_archive),
        ("slowonly_50_pyslowfast", "slowonly_r50", caffe2_file),
    ],
)
def test_logits_through_a_file(tmp_path, entry, name, write_file):
    """Files of PyTorch are in `test_convert.py`."""
    facts, state = golden(name)
    model = kv.zoo.load(entry, weights=write_file(tmp_path / "file", facts, state))
    check_logits(model, facts, np.load(GOLDEN / f"{name}.npz"))


@once
def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    facts, state = golden("tf_movinet_a0_base")
    file = tensorflow_archive(tmp_path / "file", facts, state)
    with pytest.raises(ValueError, match="is not a file of movinet_a1_model_garden") as caught:
        kv.zoo.load("movinet_a1_model_garden", weights=file)
    assert "missing" in str(caught.value) and "unfit" in str(caught.value)
