"""Ported synthetic weights against the outputs of the implementations they were written for."""

import json
import pathlib
import re

import keras
import numpy as np
import pytest
import recipe

import keras_vidreg as kv

GOLDEN = pathlib.Path(__file__).parent / "golden"
LAYOUTS = {  # of a fixture's name, the first pattern that it has in it
    "mmaction": "mmaction2",
    "csn": "mmaction2",
    "ptv": "pytorchvideo",
    "slow": "slowfast",
    "resnet3d_rs": "model_garden",
    "tf_movinet": "model_garden",
    "movinet": "movinet_pytorch",
    "grw": "grw_smoothing",
}
FIXTURES = sorted(path.stem for path in GOLDEN.glob("*.npz"))


def build(facts):
    """The model of ours that a fixture describes."""
    made = facts["build"]
    if facts["family"] == "grw":
        variant, kind = made["backbone"][:2], made["backbone"][2]
        sizes = made["transformer_params"]
        return kv.models.grw_classifier(
            kv.models.movinet(variant, causal=kind == "s"),
            window=made["T"],
            embed_dim=sizes["embed_dim"],
            depth=sizes["depth"],
            heads=sizes["num_heads"],
            mlp_dim=sizes["mlp_dim"],
            labels=sizes["num_classes"],
        )
    if facts["family"].startswith("resnet3d"):
        name, labels = facts["name"], made["num_classes"]
        depth = int(re.search(r"\d+", name.removeprefix("resnet3d"))[0])
        if "csn" in name:
            interaction = "preserved" if name.startswith("ip") else "reduced"
            return kv.models.csn(depth, interaction=interaction, labels=labels)
        builder = re.match("resnet3d_rs|slowfast|slowonly", name)[0]
        return getattr(kv.models, builder)(depth, labels=labels)
    variant = made.get("model_id") or made["config"][-2:].lower()
    return kv.models.movinet(variant, causal=made["causal"], labels=made["num_classes"])


def layout_of(name):
    return next(layout for part, layout in LAYOUTS.items() if part in name)


def golden_state(facts):
    state = recipe.fill_state(facts["state"], gain=facts["gain"])
    assert recipe.state_digest(state) == facts["state_sha256"]
    return state


@pytest.fixture(params=FIXTURES)
def fixture(request):
    facts = json.loads((GOLDEN / f"{request.param}.json").read_text())
    return facts, np.load(GOLDEN / f"{request.param}.npz")


def test_golden(fixture):
    facts, outputs = fixture
    model = build(facts)
    kv.zoo.port_weights(model, golden_state(facts), layout_of(facts["name"]))
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == facts["parameters"]
    if facts["family"] == "grw":
        z = model.get_layer("grw_smoothing").output
        network = keras.Model(model.inputs, [model.outputs[0], z])
    else:
        network = model
    for name, entry in facts["inputs"].items():
        if "same_as" in entry:  # the logits after a chunk are those of the clip up to its end
            continue
        shape = entry["shape_bthwc"]
        video = recipe.video(*shape[:4], seed=entry["seed"])
        got = network.predict_on_batch(video)
        wanted = entry["output"]
        if facts["family"] == "tf_movinet_stream":
            # the gate that published weights were made with; only one clip has these numbers
            if name != "clip":
                continue
            wanted = "logits_clip_gate02"
        elif facts["family"] == "resnet3d" and isinstance(wanted, list):
            wanted = wanted[0]  # the logits; the others are probabilities
        pairs = zip(wanted, got, strict=True) if isinstance(wanted, list) else [(wanted, got)]
        for key, value in pairs:
            close(value, outputs[key], facts["tolerance"]["relative"], f"{name}: {key}")


def close(value, expected, relative, what):
    error = np.abs(np.reshape(value, expected.shape) - expected).max() / np.abs(expected).max()
    assert error <= relative, f"{what}: relative error {error:.2e}, allowed {relative:.0e}"


def test_causal_model_gives_the_stream_s_logits():
    """Nothing looks ahead: the first frames of a clip give what streaming gave after them."""
    facts = json.loads((GOLDEN / "movinet_a0_stream.json").read_text())
    outputs = np.load(GOLDEN / "movinet_a0_stream.npz")
    model = build(facts)
    kv.zoo.port_weights(model, golden_state(facts), "movinet_pytorch")
    entry = facts["inputs"]["clip"]
    video = recipe.video(*entry["shape_bthwc"][:4], seed=entry["seed"])
    for name in ("frames", "chunks"):
        ends = np.cumsum(facts["inputs"][name]["chunks"])
        chunk = len(ends) // 2
        close(
            model.predict_on_batch(video[:, : ends[chunk]]),
            outputs[f"logits_{name}"][:, chunk],
            facts["tolerance"]["relative"],
            name,
        )


@pytest.mark.parametrize("change", ["missing", "left over", "unfit"])
def test_what_does_not_fit_is_listed_and_nothing_changes(change):
    facts = json.loads((GOLDEN / "movinet_a0_base.json").read_text())
    state = golden_state(facts)
    model = build(facts)
    before = [w.numpy() for w in model.weights]
    if change == "missing":
        del state["conv7.conv_1.conv3d.weight"]
    elif change == "left over":
        state["conv8.weight"] = np.zeros(3)
    else:
        state["conv7.conv_1.norm.bias"] = np.zeros(7, "float32")
    with pytest.raises(ValueError, match=change) as caught:
        kv.zoo.port_weights(model, state, "movinet_pytorch")
    assert "conv7" in str(caught.value) or "conv8" in str(caught.value)
    for old, new in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(old, new.numpy())


@pytest.mark.parametrize(
    "make, layout, path, key",
    [
        (
            lambda: kv.models.slowfast(101), "pytorchvideo",
            "fast_res4_block22_conv2/kernel",
            "blocks.3.multipathway_blocks.1.res_blocks.22.branch2.conv_b.weight",
        ),
        (
            lambda: kv.models.slowfast(101), "pytorchvideo", "lateral_res4_norm/moving_variance",
            "blocks.3.multipathway_fusion.norm.running_var",
        ),
        (lambda: kv.models.slowfast(50), "pytorchvideo", "logits/bias", "blocks.6.proj.bias"),
        (
            lambda: kv.models.csn(101, interaction="reduced"), "pytorchvideo",
            "res3_block0_skip_norm/gamma", "blocks.2.res_blocks.0.branch1_norm.weight",
        ),
        (
            lambda: kv.models.csn(152, interaction="reduced"), "mmaction2",
            "res4_block35_conv2/kernel", "backbone.layer3.35.conv2.0.conv.weight",
        ),
        (
            lambda: kv.models.slowfast(50, lateral_norm=False, to_end=False), "mmaction2",
            "lateral_stem_conv/kernel", "backbone.slow_path.conv1_lateral.conv.weight",
        ),
        (
            lambda: kv.models.slowfast(50), "mmaction2",
            "fast_res5_block0_skip_norm/beta", "backbone.fast_path.layer4.0.downsample.bn.bias",
        ),
        (
            lambda: kv.models.slowfast(50, alpha=8), "slowfast",
            "lateral_res3_conv/kernel", "s3_fuse.conv_f2s.weight",
        ),
        (
            lambda: kv.models.resnet3d_rs(101), "model_garden",
            "res5_block0_skip_conv/kernel", "bottleneck_block3d_30/conv3d/kernel",
        ),
    ],
)  # fmt: skip
def test_keys_of_networks_without_a_fixture(make, layout, path, key):
    """Facts of the implementations; all keys of a model differ."""
    with keras.StatelessScope(initialize_variables=False):  # weights without values
        model = make()
    layout = kv.checkpoints.layouts.LAYOUTS[layout]
    keys = {weight.path: layout.key(weight.path, model) for weight in model.weights}
    assert keys[path] == key
    assert len(set(keys.values())) == len(keys)


def test_epsilon_of_the_implementation_is_made_up_for():
    """PyTorchVideo's CSN adds 1e-5 to the variance, our layers 1e-3."""
    model = kv.models.csn(50, interaction="reduced", labels=2, width=4)
    layout = kv.checkpoints.layouts.LAYOUTS["pytorchvideo"]
    state = {}
    for weight in model.weights:
        shape = tuple(weight.shape)
        if weight.path.endswith("kernel"):  # outputs and inputs first
            size, (inputs, outputs) = shape[:-2], shape[-2:]
            shape = (inputs, 1, *size) if outputs == 1 else (outputs, inputs, *size)
        state[layout.key(weight.path, model)] = np.full(shape, 0.25, "float32")
    kv.zoo.port_weights(model, state, "pytorchvideo")
    norm = model.get_layer("res4_block0_norm2")
    np.testing.assert_allclose(norm.moving_variance.numpy() + norm.epsilon, 0.25 + 1e-5, 1e-6)
    np.testing.assert_array_equal(norm.moving_mean.numpy(), 0.25)


def test_features_of_mmaction2_s_slowfast_change_places():
    layout = kv.checkpoints.layouts.LAYOUTS["mmaction2"]
    arrays = layout.prepare(
        {
            "backbone.fast_path.layer4.0.downsample.conv.weight": np.zeros((2, 1, 1, 1, 1)),
            "cls_head.fc_cls.weight": np.array([[0, 1, 2, 3, 4, 5]]),  # 0 and 1 are the fast ones
        },
        None,
    )
    np.testing.assert_array_equal(arrays["cls_head.fc_cls.weight"], [[2, 3, 4, 5, 0, 1]])


def test_layout_of_other_models():
    model = kv.models.slowonly(18, labels=2, width=4)
    for layout in ("movinet_pytorch", "grw_smoothing"):
        with pytest.raises(ValueError, match="missing"):
            kv.zoo.port_weights(model, {}, layout)
    with pytest.raises(ValueError, match="no place.*stem_conv/conv"):
        kv.zoo.port_weights(kv.models.movinet(labels=2), {}, "slowfast")


def test_unknown_layout():
    with pytest.raises(ValueError, match="movinet_pytorch"):
        kv.zoo.port_weights(kv.models.movinet(labels=2), {}, "caffe")
