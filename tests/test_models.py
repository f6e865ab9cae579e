"""Models as their users meet them: any length and size, labels, backbone, saving, classifying."""

import concurrent.futures

import keras
import numpy as np
import pytest

import keras_vidreg as kv
from keras_vidreg._keras import no_values
from keras_vidreg.models._movinet import ARCHITECTURES, multiple_of_8

pytestmark = pytest.mark.usefixtures("numpy_initializer")


def small(labels=("yes", "no"), backbone=None, **options):
    """A classifier on one convolution, which compiles in no time."""
    if backbone is None:
        inputs = keras.Input((None, None, None, 3))
        conv = kv.layers.PerFrame(keras.layers.Conv2D(8, 3, strides=4, name="conv"), name="conv")
        backbone = keras.Model(inputs, conv(inputs), name="conv")
        options.setdefault("clip", kv.data.Clip(frames=8, fps=5, size=32))
    head = {"window": 4, "embed_dim": 16, "depth": 1, "heads": 2, "mlp_dim": 32}
    return kv.models.grw_classifier(backbone, labels=labels, **{**head, **options})


@pytest.mark.parametrize("variant, causal", [(v, c) for v in ARCHITECTURES for c in (0, 1)])
def test_every_variant_builds(variant, causal):
    with no_values():
        model = kv.models.movinet(variant, causal=bool(causal))
    assert model.output_shape == (None, 600)
    assert model.backbone.output_shape[-1] == ARCHITECTURES[variant].head
    assert model.clip.frames in (50, 80, 120)
    scales = [w for w in model.weights if w.path.endswith("position/scale")]
    assert bool(scales) == (bool(causal) and variant in ("a3", "a4", "a5"))


def test_rounding_of_channels():
    assert [multiple_of_8(n) for n in (6, 10, 12, 20, 28, 46)] == [8, 16, 16, 24, 32, 48]


def momenta(model):
    norms = [x for x in model.layers if isinstance(x, keras.layers.BatchNormalization)]
    return {norm.momentum for norm in norms}


@pytest.mark.parametrize(
    "make, default",
    [
        (lambda **k: kv.models.movinet("a0", **k), 0.99),
        (lambda **k: kv.models.movinet("a0", causal=True, **k), 0.99),
        (lambda **k: kv.models.frame_cnn(**k), 0.999),
        (lambda **k: kv.models.slowonly(18, width=4, **k), 0.9),
        (lambda **k: kv.models.slowfast(50, width=8, **k), 0.9),
        (lambda **k: kv.models.csn(50, width=4, **k), 0.9),
        (lambda **k: kv.models.r3d(18, width=4, **k), 0.9),
        (lambda **k: kv.models.resnet3d_rs(50, width=4, **k), 0.9),
        (lambda **k: kv.models.resnet_cifar(8, **k), 0.9),
    ],
)
def test_momentum_of_every_normalization(make, default):
    with no_values():
        assert momenta(make()) == {default}
        assert momenta(make(norm_momentum=0.75)) == {0.75}


def test_drop_path_of_movinet_grows_in_a_line():
    with no_values():
        model = kv.models.movinet("a0", drop_path=0.3)
        drops = [x for x in model.layers if isinstance(x, kv.layers.StochasticDepth)]
        np.testing.assert_allclose([x.rate for x in drops], 0.3 * np.arange(1, 16) / 15)
        for drop in drops:
            rezero = model.get_layer(drop.name.replace("drop", "rezero"))
            assert rezero.input[1] is drop.output
        assert len(kv.models.movinet("a0").layers) == len(model.layers) - 15


def test_drop_path_of_the_head_on_both_parts_of_every_layer():
    model = small(drop_path=0.2, depth=2)
    drops = [x for x in model.layers if isinstance(x, kv.layers.StochasticDepth)]
    assert [x.name for x in drops] == [
        "attention0_drop", "mlp0_drop", "attention1_drop", "mlp1_drop",
    ]  # fmt: skip
    for drop in drops:
        assert drop.rate == 0.2
        assert model.get_layer(drop.name.replace("drop", "add")).input[1] is drop.output


def test_smoothing_at_an_intermediate_stage(tmp_path):
    options = {"width": 4, "labels": 2, "stem": "small"}
    backbone = kv.models.slowonly(18, **options)
    model = small(backbone=backbone, smooth_at="res3", weight=0.7, window=4)
    layer = model.get_layer("res3_grw_smoothing")
    assert layer.normalize and len(layer.output.shape) == 5
    assert not any(x.name == "grw_smoothing" for x in model.layers)
    assert layer.input is not model.get_layer("res4_block0_conv1").input
    video = np.random.default_rng(0).random((2, 8, 16, 16, 3)).astype("float32")
    plain = small(backbone=backbone, weight=0.0)
    plain.set_weights(model.get_weights())
    np.testing.assert_allclose(model.predict_on_batch(video), plain.predict_on_batch(video), 1e-5)
    assert model.embed(video, per_frame=True).shape == (2, 8, 16)  # Z, not the features of res3
    np.testing.assert_allclose(model.embed(video), plain.embed(video), 1e-4)

    model(video, training=True)
    z = keras.Model(backbone.inputs[0], backbone.get_layer("res3_block1_act").output)
    z = keras.ops.convert_to_numpy(z(video, training=True)).mean((2, 3))  # (B, T, C)
    z = (z - z.mean((0, 1))) / np.sqrt(z.var((0, 1)) + 1e-5)
    loss = 0.7 * kv.losses.grw_smoothing_loss(z, 4, 0.5)
    np.testing.assert_allclose(float(model.losses[0]), float(loss), 1e-3)

    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.get_layer("res3_grw_smoothing").weight == 0.7
    np.testing.assert_allclose(copy.embed(video), model.embed(video), 1e-5)
    with pytest.raises(ValueError, match="res9.*res2_block0_conv1"):
        small(backbone=backbone, smooth_at="res9")


def test_any_length_and_size():
    model = small()
    for shape in [(1, 8, 32, 32, 3), (2, 3, 40, 56, 3)]:
        assert model.predict_on_batch(np.zeros(shape, "float32")).shape == (shape[0], 2)


def test_causal_features_do_not_look_ahead():
    features = kv.models.movinet("a0", causal=True).backbone
    for weight in features.weights:  # ReZero hides the blocks as long as it is zero
        if weight.path.endswith("alpha"):
            weight.assign(1.0)
    video = np.random.default_rng(0).random((1, 6, 32, 32, 3)).astype("float32")
    changed = video.copy()
    changed[:, 4:] = 0
    before = features.predict_on_batch(video)
    after = features.predict_on_batch(changed)
    np.testing.assert_allclose(before[:, :4], after[:, :4], atol=1e-6)
    assert np.abs(before[:, 4:] - after[:, 4:]).max() > 1e-3


def test_smoothing_is_a_loss_of_the_model_in_training_only():
    model = small(weight=0.5)
    model.compile(keras.optimizers.SGD(0.0))
    x = np.random.default_rng(0).random((2, 8, 32, 32, 3)).astype("float32")
    y = np.array([0, 1])
    silent = small(weight=0.0)
    silent.set_weights(model.get_weights())
    silent.compile(keras.optimizers.SGD(0.0))
    assert model.train_on_batch(x, y)[0] > silent.train_on_batch(x, y)[0] + 1e-4
    silent.set_weights(model.get_weights())
    assert model.test_on_batch(x, y)[0] == pytest.approx(silent.test_on_batch(x, y)[0], rel=1e-5)


def test_saved_and_loaded_again(tmp_path):
    model = small()
    video = np.random.default_rng(0).random((1, 8, 32, 32, 3)).astype("float32")
    model.compile("adamw")
    model.train_on_batch(video, np.array([1]))
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert isinstance(copy, kv.models.VideoClassifier)
    assert (copy.labels, copy.clip) == (model.labels, model.clip)
    np.testing.assert_allclose(copy.predict_on_batch(video), model.predict_on_batch(video), 1e-5)
    copy.train_on_batch(video, np.array([1]))  # loaded compiled
    assert copy.backbone.output_shape == model.backbone.output_shape


def test_backbone_shares_the_weights():
    model = kv.models.movinet("a0", labels=3)
    head = kv.models.grw_classifier(
        model, window=5, embed_dim=8, depth=1, heads=2, mlp_dim=8, labels=2
    )
    assert head.get_layer("stem_conv") is model.get_layer("stem_conv")
    assert head.clip == model.clip


def test_movinet_trains():
    model = small(backbone=kv.models.movinet("a0", causal=True))
    model.compile("adamw")
    x = np.random.default_rng(0).random((2, 8, 32, 32, 3)).astype("float32")
    before = model.get_layer("block0_layer0_rezero").alpha.numpy()
    assert np.isfinite(model.train_on_batch(x, np.array([0, 1]))[0])
    assert model.get_layer("block0_layer0_rezero").alpha.numpy() != before


def test_classify_an_array():
    model = small(labels=["cat", "dog"])
    answer = model.classify(np.zeros((8, 50, 40, 3), "uint8"), top=5)
    assert {label for label, _ in answer} == {"cat", "dog"}
    assert sum(p for _, p in answer) == pytest.approx(1)
    assert answer[0][1] >= answer[1][1]
    # floating point is fed as it is: the same as the prepared bytes
    prepared = kv.data.prepare(np.full((8, 50, 40, 3), 77, "uint8"), model.clip)
    assert model.classify(prepared) == model.classify(np.full((8, 50, 40, 3), 77, "uint8"))


@pytest.mark.parametrize("dtype", ["int64", "int8", "uint16", "int32"])
def test_integers_of_any_width_are_bytes(dtype):
    model = small()
    video = np.full((8, 40, 40, 3), 100)
    assert model.classify(video.astype(dtype)) == model.classify(video.astype("uint8"))
    np.testing.assert_array_equal(
        model.embed(video.astype(dtype)[None]), model.embed(video.astype("uint8")[None])
    )


def test_lists_of_frames_and_tensors_are_videos():
    model = small()
    frames = np.full((8, 40, 40, 3), 100, "uint8")
    expected = model.classify(frames)
    assert model.classify(list(frames)) == expected
    assert model.classify(frames.tolist()) == expected
    assert model.classify(keras.ops.convert_to_tensor(frames)) == expected


@pytest.mark.parametrize(
    "video, words",
    [
        (np.full((8, 32, 32, 3), np.nan), "finite.*NaN"),
        (np.full((8, 32, 32, 3), 256), "bytes.*256"),
        (np.full((8, 32, 32, 3), -1), "bytes.*-1"),
        (np.zeros((32, 32, 3), "uint8"), "time axis.*one frame"),
        (np.zeros((2, 8, 32, 32, 3), "uint8"), "one video.*several"),
        (np.zeros((0, 32, 32, 3), "uint8"), "none of them 0"),
        ([np.zeros((4, 4, 3)), np.zeros((5, 4, 3))], "one shape"),
        ([], "one shape"),
        (["a.mp4", "b.mp4"], "path or an array"),
        (None, "path or an array.*NoneType"),
    ],
)
def test_what_is_no_video_is_said(video, words):
    with pytest.raises(ValueError, match=words):
        small().classify(video)


@pytest.mark.parametrize("top", [-1, 0, 1.5, True, None])
def test_top_is_a_positive_integer(top):
    with pytest.raises(ValueError, match="top"):
        small().classify(np.zeros((8, 32, 32, 3), "uint8"), top=top)


def test_classified_by_several_threads():
    model = small()
    video = np.zeros((8, 32, 32, 3), "uint8")
    expected = model.classify(video)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(found == expected for found in pool.map(model.classify, [video] * 32))


@pytest.mark.parametrize(
    "make",
    [
        lambda: kv.models.grw_classifier(
            kv.models.movinet("a0", causal=True), window=4, embed_dim=8, depth=1, heads=2,
            mlp_dim=8, labels=2,
        ),
        lambda: kv.models.frame_cnn(labels=2),
        lambda: kv.models.slowonly(18, width=4, labels=2),
        lambda: kv.models.slowfast(50, width=8, labels=2),
        lambda: kv.models.resnet3d_rs(50, width=8, labels=2),
        lambda: kv.models.resnet_cifar(8, labels=2),
    ],
)  # fmt: skip
def test_models_are_channels_last_whatever_keras_json_says(make):
    before = keras.config.image_data_format()
    with no_values():
        expected = [tuple(w.shape) for w in make().weights]
        keras.config.set_image_data_format("channels_first")
        try:
            model = make()
        finally:
            keras.config.set_image_data_format(before)
    assert [tuple(w.shape) for w in model.weights] == expected
    formats = {getattr(x, "data_format", "channels_last") for x in model._flatten_layers()}
    assert formats == {"channels_last"}


def test_half_precision_model():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small()
    model.compile("adamw")
    x = np.random.default_rng(0).random((2, 8, 32, 32, 3)).astype("float32")
    assert np.isfinite(model.train_on_batch(x, np.array([0, 1]))[0])
    assert keras.backend.standardize_dtype(model.outputs[0].dtype) == "float32"


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: kv.models.movinet("b0"), "variant.*b0"),
        (lambda: kv.models.movinet(labels=["a", "a"]), "labels"),
        (lambda: kv.models.movinet(labels="cat"), "labels"),
        (lambda: small(heads=3), "heads"),
        (lambda: small().classify(np.zeros((4, 4, 3))), "shape"),
    ],
)
def test_errors_say_what_came(make, words):
    with pytest.raises(ValueError, match=words):
        make()
