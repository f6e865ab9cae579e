"""Files of other programs: what is written there is read, whatever the format."""

import argparse
import collections
import datetime
import json
import pathlib
import pickle
import sys
import types
import zipfile

import foreign_files as write
import numpy as np
import pytest
import recipe
from once import once

from keras_vidreg.checkpoints.files import (
    Checkpoint,
    Global,
    InertObject,
    find_state,
    read_state_dict,
)
from keras_vidreg.checkpoints.files.tensorflow_checkpoint import find_prefix

pytestmark = once
GOLDEN = pathlib.Path(__file__).parent / "golden"


def same(found, expected):
    """Equal keys, types, shapes and bits."""
    assert list(found) == list(expected)
    for key, value in expected.items():
        assert found[key].dtype == value.dtype and found[key].shape == value.shape, key
        assert found[key].tobytes() == np.asarray(value).tobytes(), key


@pytest.fixture(params=["zip", "stream"])
def save(request, tmp_path):
    """`torch.save` in one of its two formats; gives the path of the file."""
    torch = pytest.importorskip("torch")

    def save(value):
        path = tmp_path / "saved.bin"
        torch.save(value, path, _use_new_zipfile_serialization=request.param == "zip")
        return path

    return save


def test_types_views_and_shared_storages_of_torch(save):
    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 7
    complex_ = torch.complex(base, -base)
    tensors = {
        "base": base,
        "shared": base,
        "transposed": base.permute(2, 0, 1),
        "part": base[1, :, 1:3],
        "parameter": torch.nn.Parameter(base + 1),
        "expanded_axis": base[:1].expand(1, 3, 4),
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 3),
        "complex": complex_.resolve_conj(),
        "bool": base > 1,
        **{
            kind: (base * 5).to(getattr(torch, kind))
            for kind in ("float64", "float16", "int64", "int32", "int16", "int8", "uint8")
        },
    }
    tensors["parameter"].note = "kept by another way to store parameters"
    expected = {key: value.detach().numpy() for key, value in tensors.items()}
    brain = base.to(torch.bfloat16)
    found = read_state_dict(save({**tensors, "bfloat16": brain, "epoch": 3}))
    same(found.arrays, {**expected, "bfloat16": brain.float().numpy()})
    assert found.extras == {"epoch": 3} and found.entry is None
    assert np.shares_memory(found.arrays["base"], found.arrays["transposed"])


def test_state_dict_with_buffers_and_an_optimizer(save):
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Conv3d(2, 3, 1), torch.nn.BatchNorm3d(3))
    network(torch.ones(2, 2, 1, 2, 2))
    group = {"lr": 0.1, "momentum": 0.9, "params": [0, 1]}
    momentum = {0: {"momentum_buffer": torch.ones(3, 2, 1, 1, 1)}}
    expected = {key: value.numpy() for key, value in network.state_dict().items()}
    saved = {
        "epoch": 7,
        "model_state": network.state_dict(),
        "optimizer_state": {"state": momentum, "param_groups": [group]},
        "cfg": "TRAIN:\n  ENABLE: true\n",
    }
    found = read_state_dict(save(saved))
    same(found.arrays, expected)
    assert "1.num_batches_tracked" in found.arrays and found.entry == "model_state"
    assert set(found.extras) == {"epoch", "optimizer_state", "cfg"}
    assert found.extras["optimizer_state"]["param_groups"] == [group]
    assert found.extras["optimizer_state"]["state"][0]["momentum_buffer"].shape == (3, 2, 1, 1, 1)


def test_objects_in_a_torch_file_become_inert(save):
    torch = pytest.importorskip("torch")
    when = datetime.datetime(2024, 5, 1)
    extras = {
        "arguments": argparse.Namespace(lr=0.1, layers=[1, 2]),
        "counter": collections.Counter("abb"),
        "default": collections.defaultdict(list, a=[1]),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
        "path": pathlib.PurePosixPath("a/b"),
        "set": {1, 2},
        "frozen": frozenset("x"),
        "size": torch.Size([2, 3]),
        "time": when,
        "numpy": [np.float64(0.5), np.arange(3), np.asfortranarray(np.eye(2, 3))],
        "bytes": b"\x00\xff",
        "complex": 1 - 2j,
        "range": range(3),
    }
    got = read_state_dict(save({"state_dict": {"w": torch.ones(1)}, **extras})).extras
    assert got["arguments"].kind == Global("argparse", "Namespace")
    assert got["arguments"].lr == 0.1 and got["arguments"].layers == [1, 2]
    assert got["counter"] == {"a": 1, "b": 2} and got["default"] == {"a": [1]}
    assert got["dtype"] == Global("torch", "float16")
    assert got["device"].arguments == ("cpu",) and got["path"].arguments[0] == "a"
    assert got["time"].arguments[0] == when.__reduce__()[1][0]
    for key in ("set", "frozen", "bytes", "complex"):
        assert got[key] == extras[key]
    assert got["size"] == (2, 3) and got["range"].arguments == (0, 3, 1)
    assert got["numpy"][0] == 0.5
    np.testing.assert_array_equal(got["numpy"][1], [0, 1, 2])
    np.testing.assert_array_equal(got["numpy"][2], np.eye(2, 3))


def test_an_inert_object_has_the_attributes_and_nothing_else():
    record = InertObject(Global("some.module", "Settings"))
    record.state = ({"width": 3, "__len__": 5}, {"slot": 4})
    assert (record.width, record.slot) == (3, 4) and "3 attributes" in repr(record)
    for absent in ("depth", "__len__", "__array__"):
        with pytest.raises(AttributeError, match=absent):
            getattr(record, absent)
    with pytest.raises(TypeError):
        record()


def test_objects_may_refer_to_each_other(tmp_path):
    path = tmp_path / "cycle.pt"
    parent = write.name("some.place", "Parent") + b")\x81q\1}" + write.plain("child")
    child = write.name("some.place", "Child") + b")\x81}" + write.plain("parent") + b"h\1sb"
    graph = parent + child + b"sb"
    write.write_torch_zip(path, write.state(write.tensor(0, (6,), (1,)) + b"sU\x01g" + graph))
    found = read_state_dict(path).extras["g"]
    assert found.child.parent is found


class ListOfSettings(list):
    pass


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_pickle_of_numpy_arrays(tmp_path, protocol):
    arrays = {
        "big_endian": np.arange(3, dtype=">f4"),
        "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "bool": np.array([[True, False]]),
    }
    kept = ListOfSettings([1, 2])
    kept.note = [kept.__class__]
    path = tmp_path / "caffe2.pkl"
    path.write_bytes(pickle.dumps({"blobs": arrays, "kept": kept}, protocol))
    found = read_state_dict(path)
    expected = {key: value.astype(value.dtype.newbyteorder("=")) for key, value in arrays.items()}
    same(found.arrays, expected)
    assert found.entry == "blobs" and found.extras["kept"].items == [1, 2]
    assert found.extras["kept"].note == [Global(__name__, "ListOfSettings")]


def test_big_endian_torch_zip(tmp_path):
    path = tmp_path / "big.pt"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x/data.pkl", write.state(write.tensor(1, (2, 2), (1, 2))))
        file.writestr("x/byteorder", b"big")
        file.writestr("x/data/0", np.arange(6, dtype=">f4").tobytes())
    same(read_state_dict(path).arrays, {"w": np.array([[1, 3], [2, 4]], "f4")})


def test_safetensors(tmp_path):
    arrays = {
        "w": np.arange(6, dtype="f4").reshape(2, 3),
        "steps": np.array(7, "i8"),
        "mask": np.array([True, False]),
        "empty": np.zeros((0, 4), "f8"),
    }
    brain = np.array(1.5, "f4")
    path = tmp_path / "no_suffix"
    upper = (brain.reshape(1).view("u4") >> 16).astype("u2").reshape(())
    path.write_bytes(write.safetensors({**arrays, "brain": upper}, {"format": "pt"}))
    found = read_state_dict(path)
    same(dict(sorted(found.arrays.items())), dict(sorted({**arrays, "brain": brain}.items())))
    assert found.extras == {"format": "pt"}


@pytest.mark.parametrize("savez", [np.savez, np.savez_compressed])
def test_npz(tmp_path, savez):
    arrays = {"a/b": np.asfortranarray(np.eye(2, 3)), "n": np.array(3), "zeros": np.zeros(9999)}
    savez(tmp_path / "weights.npz", **arrays)
    found = read_state_dict(tmp_path / "weights.npz")
    same(found.arrays, arrays)


def test_tensorflow_checkpoint(tmp_path):
    tf = pytest.importorskip("tensorflow")
    values = {
        "kernel": np.arange(6, dtype="f4").reshape(2, 3),
        "scale": np.array(0.25, "f8"),
        "steps": np.array([1, -2], "i8"),
        "half": np.array([0.5], "f2"),
        "mask": np.array([True, False]),
        # many long names make an index of several blocks, with shared beginnings
        **{f"layer_with_weights-{i}": np.full(2, i, "f4") for i in range(100)},
    }
    module = tf.Module()
    module.parts = {key: tf.Variable(value) for key, value in values.items()}
    module.brain = tf.Variable([1.5, -2], dtype=tf.bfloat16)
    prefix = tf.train.Checkpoint(model=module, text=tf.Variable("a")).save(tmp_path / "ckpt")
    reader = tf.train.load_checkpoint(prefix)
    suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
    expected = {
        key.removesuffix(suffix): reader.get_tensor(key)
        for key in sorted(reader.get_variable_to_shape_map())
        if key not in ("_CHECKPOINTABLE_OBJECT_GRAPH", f"text{suffix}")
    }
    expected = {key: np.asarray(value) for key, value in expected.items()}
    expected["model/brain"] = expected["model/brain"].astype("f4")
    assert len(expected) == len(values) + 2  # and `save_counter`
    for path in (tmp_path, pathlib.Path(prefix), pathlib.Path(f"{prefix}.index")):
        assert find_prefix(path) == pathlib.Path(prefix)
    found = read_state_dict(tmp_path)
    same(found.arrays, expected)
    assert found.extras == {"unread": ("_CHECKPOINTABLE_OBJECT_GRAPH", "text")}


def test_the_latest_of_several_tensorflow_checkpoints(tmp_path):
    for step in (1, 2):
        write.write_bundle(tmp_path / f"ckpt-{step}", {"w": np.full((2, 1), step, "f4")})
    with pytest.raises(ValueError, match=r"several checkpoints: \['ckpt-1', 'ckpt-2'\]"):
        find_prefix(tmp_path)
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "/elsewhere/../ckpt-2"\n')
    assert find_prefix(tmp_path) == tmp_path / "ckpt-2"


def test_which_part_is_taken_for_the_weights():
    one, two = {"w": np.ones(1)}, {"w": np.ones(2)}
    tree = {"model_state": one, "ema_weights": two, "T": 6}
    assert find_state(tree) == ("ema_weights", two)
    assert find_state(tree, prefer=("model_state",)) == ("model_state", one)
    assert find_state({"blobs": one, "epoch": 1}) == ("blobs", one)
    assert find_state({**one, "epoch": 1}) == (None, one)
    with pytest.raises(ValueError, match="2 entries with weights.*prefer.*student, teacher"):
        find_state({"student": one, "teacher": two})
    with pytest.raises(ValueError, match="list, not a dict"):
        find_state([one])


@pytest.fixture
def foreign_class(monkeypatch):
    """Classes of a module that is there while a file is written, and gone when it is read."""
    module = types.ModuleType("video_retrieval.settings")

    class TransformerParams:
        def __init__(self, **sizes):
            self.__dict__.update(sizes)

    class Backbone:
        pass

    for kind in (TransformerParams, Backbone):
        kind.__module__, kind.__qualname__ = module.__name__, kind.__name__
        setattr(module, kind.__name__, kind)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "video_retrieval", types.ModuleType("video_retrieval"))
        patch.setitem(sys.modules, module.__name__, module)
        yield module


def test_grw_snapshot_gives_the_golden_state(tmp_path, foreign_class, monkeypatch):
    torch = pytest.importorskip("torch")
    facts = json.loads((GOLDEN / "grw_a0s.json").read_text())
    state = recipe.fill_state(facts["state"], gain=facts["gain"])
    tensors = {key: torch.from_numpy(value) for key, value in state.items()}
    sizes = facts["build"]["transformer_params"]
    snapshot = {
        "model_state": collections.OrderedDict(
            (key, torch.zeros_like(v)) for key, v in tensors.items()
        ),
        "ema_weights": {
            "n_averaged": torch.tensor(9),
            **{f"module.{key}": value for key, value in tensors.items()},
        },
        "num_samples": 12345,
        "transformer_params": foreign_class.TransformerParams(**sizes),
        "backbone": foreign_class.Backbone,
        "T": facts["build"]["T"],
        "version": 10,
    }
    path = tmp_path / "a0s_grw.pt"
    torch.save(snapshot, path)
    monkeypatch.delitem(sys.modules, foreign_class.__name__)
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it would fail
    found = read_state_dict(path)
    assert isinstance(found, Checkpoint) and found.entry == "ema_weights"
    assert found.arrays["n_averaged"] == 9
    same({k[7:]: v for k, v in found.arrays.items() if k != "n_averaged"}, state)
    same(found.extras["model_state"], {key: np.zeros_like(v) for key, v in state.items()})
    params = found.extras["transformer_params"]
    assert {key: getattr(params, key) for key in sizes} == sizes
    assert params.kind == Global("video_retrieval.settings", "TransformerParams")
    assert found.extras["backbone"] == Global("video_retrieval.settings", "Backbone")
    assert [found.extras[key] for key in ("num_samples", "T", "version")] == [12345, 5, 10]
    assert read_state_dict(path, prefer="model_state").entry == "model_state"


def test_old_protocols_store_objects_in_their_own_way(tmp_path):
    base = write.name("copy_reg", "_reconstructor") + b"(" + write.name("some.place", "Thing")
    thing = base + write.name("__builtin__", "object") + b"NtR" + write.plain({"x": 1}) + b"b"
    path = tmp_path / "old.pt"
    write.write_torch_zip(path, write.state(write.tensor(0, (6,), (1,)) + b"sU\x01t" + thing))
    assert read_state_dict(path).extras["t"].x == 1
