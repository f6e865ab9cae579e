"""The GRWSmoothing layer: in every kind of model, compiled, saved, and at work."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_vidreg.layers.grw_smoothing import GRWSmoothing
from keras_vidreg.losses import grw_smoothing_loss

BACKEND = keras.backend.backend()


def embeddings(shape=(2, 10, 4), seed=0, dtype="float32"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def added_loss(layer, z):
    layer(z, training=True)
    assert len(layer.losses) == 1
    return float(layer.losses[0])


def functional(frames=10, **arguments):
    inputs = keras.Input((frames, 6))
    z = keras.layers.Dense(4, name="embed")(inputs)
    z = GRWSmoothing(window=5, name="grw", **arguments)(z)
    outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(z))
    return keras.Model(inputs, outputs)


def sequential(frames=10, **arguments):
    return keras.Sequential(
        [
            keras.layers.Dense(4),
            GRWSmoothing(window=5, **arguments),
            keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(3),
        ]
    )


class Subclassed(keras.Model):
    def __init__(self, **arguments):
        super().__init__()
        self.embed = keras.layers.Dense(4)
        self.grw = GRWSmoothing(window=5, **arguments)
        self.head = keras.layers.Dense(3)

    def call(self, x, training=False):
        return self.head(ops.mean(self.grw(self.embed(x), training=training), axis=1))


def subclassed(frames=10, **arguments):
    return Subclassed(**arguments)


@pytest.mark.parametrize("shape", [(2, 10, 4), (2, 10, 3, 5, 4)])
def test_passes_its_input_and_adds_its_loss_in_training_only(shape):
    layer = GRWSmoothing(window=5, alpha=0.3, weight=0.7)
    z = ops.convert_to_tensor(embeddings(shape))
    assert layer(z, training=False) is z
    assert layer.losses == []
    assert layer(z, training=True) is z
    pooled = ops.mean(z, axis=(2, 3)) if len(shape) == 5 else z
    expected = 0.7 * float(grw_smoothing_loss(pooled, 5, 0.3))
    np.testing.assert_allclose(float(layer.losses[0]), expected, rtol=1e-6)
    assert layer.compute_output_shape(shape) == shape


def test_weight_zero_adds_nothing():
    layer = GRWSmoothing(window=5, weight=0)
    layer(embeddings(), training=True)
    assert layer.losses == []


def test_normalize_makes_the_loss_independent_of_scale_and_shift():
    z = embeddings()
    expected = (z - z.mean((0, 1))) / np.sqrt(z.var((0, 1)) + 1e-5)
    loss = added_loss(GRWSmoothing(window=5, normalize=True, weight=1), z)
    np.testing.assert_allclose(loss, float(grw_smoothing_loss(expected, 5)), rtol=1e-4)
    scaled = added_loss(GRWSmoothing(window=5, normalize=True, weight=1), 50 * z + 7)
    np.testing.assert_allclose(scaled, loss, rtol=1e-3)
    assert added_loss(GRWSmoothing(window=5, weight=1), 50 * z + 7) > 100 * loss


def test_remainder():
    z = embeddings((2, 13, 4))
    dropped = added_loss(GRWSmoothing(window=5, remainder="drop"), z)
    assert dropped == added_loss(GRWSmoothing(window=5), z[:, :10])
    for training in (False, True):
        with pytest.raises(ValueError, match=r"13 frames and window=5"):
            GRWSmoothing(window=5)(z, training=training)
    with pytest.raises(ValueError, match=r"13 frames and window=5"):
        GRWSmoothing(window=5)(keras.Input((13, 4)))
    with pytest.raises(ValueError, match=r"13 frames and window=5"):
        GRWSmoothing(window=5).build((None, 13, 4))
    short = GRWSmoothing(window=5, remainder="drop")
    short(z[:, :4], training=False)
    with pytest.raises(ValueError, match=r"4 frames and window=5"):
        short(z[:, :4], training=True)


def test_a_built_layer_still_checks_new_lengths():
    layer = GRWSmoothing(window=5)
    layer(embeddings())
    with pytest.raises(ValueError, match=r"12 frames and window=5"):
        layer(embeddings((2, 12, 4)))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"window": 2}, ["window", "2"]),
        ({"window": 5, "alpha": -0.5}, ["alpha", "-0.5"]),
        ({"window": 5, "weight": -0.1}, ["weight", "-0.1"]),
        ({"window": 5, "permutations": 0}, ["permutations", "0"]),
        ({"window": 20}, ["permutations", "20"]),
        ({"window": 5, "remainder": "pad"}, ["remainder", "pad", "drop"]),
    ],
)
def test_errors_name_the_argument(arguments, words):
    with pytest.raises(ValueError) as error:
        GRWSmoothing(**arguments)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize("shape", [(2, 10), (2, 10, 4, 4)])
def test_refuses_other_ranks(shape):
    with pytest.raises(ValueError, match="batch, frames, features"):
        GRWSmoothing(window=5)(embeddings(shape))


def test_config_round_trip():
    layer = GRWSmoothing(6, 0.2, 0.3, True, 50, "drop", 7, name="smooth")
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == "keras_vidreg>GRWSmoothing"
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    z = embeddings((2, 13, 4))
    assert added_loss(again, z) == added_loss(layer, z)


def test_sampled_orders_follow_the_seed():
    z = embeddings((2, 20, 4))
    losses = [
        added_loss(GRWSmoothing(10, permutations=100, seed=seed), z) for seed in (None, 0, 1, 1)
    ]
    assert losses[0] == losses[1] != losses[2] == losses[3]


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "bfloat16", "float64"])
def test_dtype_policies(policy):
    keras.config.set_dtype_policy(policy)
    layer = GRWSmoothing(window=5)
    for dtype in ("float32", "bfloat16"):
        z = ops.cast(embeddings(), dtype)
        assert layer(z, training=True) is z
        (loss,) = layer.losses
        assert keras.backend.standardize_dtype(loss.dtype) == "float32"
        expected = 0.1 * float(grw_smoothing_loss(ops.cast(z, "float32"), 5))
        np.testing.assert_allclose(float(loss), expected, rtol=1e-6)
        assert layer(keras.Input((10, 4), dtype=dtype)).dtype == dtype


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("build", [functional, sequential, subclassed])
def test_fit_uses_the_loss(build, jit):
    if jit is {"torch": True, "jax": False}.get(BACKEND):
        pytest.skip("torch runs eagerly and JAX compiled; TensorFlow does both")
    x, y = embeddings((8, 10, 6)), np.arange(8) % 3
    losses = {}
    for weight in (0.0, 10.0):
        keras.utils.set_random_seed(1)
        model = build(weight=weight)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer="sgd", loss=loss, jit_compile=jit)
        history = model.fit(x, y, batch_size=8, epochs=1, verbose=0)
        losses[weight] = history.history["loss"][0]
        assert losses[weight] > 0
        assert model.evaluate(x, y, verbose=0) < 5  # the added loss is of training only
    assert losses[10.0] > losses[0.0] + 5


def test_dynamic_programming_and_sampling_compile():
    x = embeddings((4, 20, 6))
    for arguments in ({"window": 9}, {"window": 20, "permutations": 30}):
        inputs = keras.Input((20, 6))
        z = keras.layers.Dense(4)(inputs)
        z = GRWSmoothing(remainder="drop", **arguments)(z)
        model = keras.Model(inputs, z)
        model.compile(optimizer="sgd", loss="mse", jit_compile=BACKEND != "torch")
        before = model.layers[1].get_weights()[0]
        model.fit(x, x[..., :4], verbose=0)
        after = model.layers[1].get_weights()[0]
        assert np.isfinite(after).all()
        assert (before != after).any()


@pytest.mark.parametrize("remainder", ["error", "drop"])
def test_unknown_number_of_frames(remainder):
    model = functional(frames=None, remainder=remainder, weight=3.0)
    assert model.get_layer("grw").output.shape == (None, None, 4)
    model.compile(optimizer="sgd", loss="mse", jit_compile=BACKEND == "jax")
    losses = []
    for frames in (10, 15 if remainder == "error" else 17):
        x = embeddings((4, frames, 6))
        kernel, bias = model.get_layer("embed").get_weights()
        z = x @ kernel + bias
        whole = frames // 5 * 5
        expected = 3 * float(grw_smoothing_loss(z[:, :whole], 5))
        expected += float(np.mean(ops.convert_to_numpy(model(x)) ** 2))
        losses.append((model.train_on_batch(x, np.zeros((4, 3), "float32")), expected))
    for found, wanted in losses:
        np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.skipif(BACKEND != "tensorflow", reason="only graphs trace unknown N")
@pytest.mark.parametrize("remainder", ["error", "drop"])
def test_number_of_frames_unknown_while_tracing(remainder):
    import tensorflow as tf

    layer = GRWSmoothing(window=5, remainder=remainder, weight=1)

    @tf.function(input_signature=[tf.TensorSpec((None, None, 4))])
    def loss_of(z):
        layer(z, training=True)
        return layer.losses[-1]

    z = embeddings((2, 15, 4))
    np.testing.assert_allclose(loss_of(z), grw_smoothing_loss(z, 5), rtol=1e-6)
    if remainder == "drop":
        np.testing.assert_allclose(loss_of(z[:, :13]), grw_smoothing_loss(z[:, :10], 5), rtol=1e-6)
    else:  # 5 clips of 4 frames must not pass for 4 windows of 5
        with pytest.raises(tf.errors.InvalidArgumentError):
            loss_of(embeddings((5, 4, 4)))


@pytest.mark.parametrize("build", [functional, sequential])
def test_save_and_reload(build, tmp_path):
    model = build(weight=0.5, normalize=True, permutations=10, seed=3)
    x = embeddings((2, 10, 6))
    expected = ops.convert_to_numpy(model(x))
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(ops.convert_to_numpy(again(x)), expected, rtol=1e-6)
    model(x, training=True)
    again(x, training=True)
    found, expected = (ops.convert_to_numpy(m.losses[0]) for m in (again, model))
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_mask_passes_through():
    inputs = keras.Input((10,), dtype="int32")
    z = keras.layers.Embedding(7, 4, mask_zero=True)(inputs)
    z = GRWSmoothing(window=5)(z)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D()(z))
    x = np.array([[1, 2, 3, 0, 0, 0, 0, 0, 0, 0]])
    table = model.layers[1].get_weights()[0]
    np.testing.assert_allclose(ops.convert_to_numpy(model(x))[0], table[1:4].mean(0), rtol=1e-5)


def test_training_lowers_acceleration():
    """Same data, same start; with the loss the embeddings bend less for their speed."""
    x, y = embeddings((16, 10, 6)), np.arange(16) % 3
    x[..., :2] = np.cumsum(0.3 * x[..., :2], axis=1)  # two smooth features among four noisy ones
    bends = {}
    for weight in (0.0, 1.0):
        keras.utils.set_random_seed(0)
        model = functional(weight=weight)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(optimizer=keras.optimizers.Adam(0.02), loss=loss)
        model.fit(x, y, batch_size=16, epochs=40, verbose=0)
        kernel = model.get_layer("embed").get_weights()[0]
        z = x @ kernel
        bends[weight] = np.mean(np.diff(z, 2, axis=1) ** 2) / z.var()
    assert bends[1.0] < 0.5 * bends[0.0]


@pytest.mark.parametrize(("frames", "advice"), [(4, "Give clips of 5"), (13, "Cut the clip to 10")])
def test_advice_for_clips_can_be_followed(frames, advice):
    with pytest.raises(ValueError, match=advice):
        GRWSmoothing(5)(np.ones((2, frames, 3), "float32"))
