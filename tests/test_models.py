"""Models as their users meet them: any length and size, labels, backbone, saving, classifying."""

import keras
import numpy as np
import pytest

import keras_vidreg as kv
from keras_vidreg.models.movinet import ARCHITECTURES, multiple_of_8


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
    model = kv.models.movinet(variant, causal=bool(causal))
    assert model.output_shape == (None, 600)
    assert model.backbone.output_shape[-1] == ARCHITECTURES[variant].head
    assert model.clip.frames in (50, 80, 120)
    scales = [w for w in model.weights if w.path.endswith("position/scale")]
    assert bool(scales) == (bool(causal) and variant in ("a3", "a4", "a5"))


def test_rounding_of_channels():
    assert [multiple_of_8(n) for n in (6, 10, 12, 20, 28, 46)] == [8, 16, 16, 24, 32, 48]


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
