"""StochasticDepth and ShakeDrop: what they draw, what they do forward and backward."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_vidreg.layers import ShakeDrop, StochasticDepth

BACKEND = keras.backend.backend()
LAYERS = {
    "stochastic_depth": lambda **k: StochasticDepth(0.4, **k),
    "shake_drop": lambda **k: ShakeDrop(0.8, level="sample", **k),
}


def video(shape=(20, 2, 5, 6, 7), seed=0):
    return (1 + np.random.default_rng(seed).random(shape)).astype("float32")


def numpy(x):
    return ops.convert_to_numpy(ops.cast(x, "float32"))


def factors(layer, x, training=True):
    """What one call multiplies its input by, and its gradient by."""
    x = np.asarray(x)
    if BACKEND == "jax":
        import jax

        layer.build(x.shape)
        state = [v.value for v in layer.non_trainable_variables]

        def call(x):
            y, after = layer.stateless_call([], state, x, training=training)
            return y, after

        y, pull, after = jax.vjp(call, x, has_aux=True)
        (dx,) = pull(jax.numpy.ones_like(y))
        for variable, value in zip(layer.non_trainable_variables, after, strict=True):
            variable.assign(value)
    elif BACKEND == "torch":
        import torch

        x = torch.tensor(x, requires_grad=True)
        y = layer(x, training=training)
        (dx,) = torch.autograd.grad(y.sum(), x)
    else:
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
        dx = tape.gradient(y, x)
    return numpy(y) / numpy(x), numpy(dx)


def assert_shared(array, axes):
    first = array[tuple(slice(1) if axis in axes else slice(None) for axis in range(array.ndim))]
    np.testing.assert_allclose(array, np.broadcast_to(first, array.shape), rtol=1e-4, atol=1e-5)
    assert len(np.unique(np.round(first, 6))) > 0.98 * first.size, "all others draw their own"


@pytest.mark.parametrize("shape", [(200, 3), (200, 2, 3), (200, 2, 2, 2, 3)])
def test_stochastic_depth_drops_whole_clips(shape):
    forward, backward = factors(StochasticDepth(0.3, seed=1), video(shape))
    np.testing.assert_allclose(forward, backward, rtol=1e-5)
    clips = forward.reshape(200, -1)
    np.testing.assert_allclose(clips, np.broadcast_to(clips[:, :1], clips.shape), rtol=1e-5)
    kept = clips[:, 0] > 0
    np.testing.assert_allclose(clips[:, 0], kept / 0.7, rtol=1e-5)
    assert abs(kept.mean() - 0.7) < 0.1  # three standard deviations


@pytest.mark.parametrize(
    ("level", "shared"),
    [
        ("batch", (0, 1, 2, 3, 4)),
        ("sample", (1, 2, 3, 4)),
        ("channel", (1, 2, 3)),
        ("pixel", (1,)),
    ],
)
def test_shake_drop_levels(level, shared):
    forward, backward = factors(ShakeDrop(1.0, level=level, seed=3), video())
    assert_shared(forward, shared)
    assert_shared(backward, shared)
    assert np.abs(forward - backward).max() > 0.1, "the two are drawn apart"
    assert forward.min() >= -1.0001 and forward.max() <= 1.0001
    assert backward.min() >= 0 and backward.max() <= 1


@pytest.mark.parametrize("shape", [(3, 5, 6, 7), (3, 7)])
def test_shake_drop_per_pixel_of_images_and_vectors(shape):
    forward, _ = factors(ShakeDrop(1.0, seed=3), video(shape))
    assert_shared(forward, ())


def test_shake_drop_is_exact_forward_and_backward():
    x = video()
    layer = ShakeDrop(1.0, alpha=(-0.75, -0.75), beta=(0.3, 0.3))
    forward, backward = factors(layer, x)
    np.testing.assert_allclose(forward, -0.75, rtol=1e-5)
    np.testing.assert_allclose(backward, 0.3, rtol=1e-6)
    forward, backward = factors(layer, x, training=False)
    np.testing.assert_allclose(forward, -0.75, rtol=1e-5)
    np.testing.assert_allclose(backward, -0.75, rtol=1e-5)


def test_shake_drop_draws_are_uniform_and_independent():
    layer = ShakeDrop(1.0, alpha=(-1, 2), beta=(0.5, 1), seed=0)
    forward, backward = (f.ravel() for f in factors(layer, video()))
    tenths = np.linspace(0.1, 0.9, 9)
    np.testing.assert_allclose(np.quantile(forward, tenths), -1 + 3 * tenths, atol=0.08)
    np.testing.assert_allclose(np.quantile(backward, tenths), 0.5 + 0.5 * tenths, atol=0.014)
    assert abs(np.corrcoef(forward, backward)[0, 1]) < 0.05


def test_shake_drop_disturbs_a_whole_batch_or_nothing():
    layer, x = ShakeDrop(0.3, seed=2), video((2, 1, 2, 2, 3))
    disturbed = []
    for _ in range(100):
        forward, backward = factors(layer, x)
        undisturbed = (forward == 1, backward == 1)
        assert np.all(undisturbed) or not np.any(undisturbed)
        disturbed.append(not np.all(undisturbed))
    assert abs(np.mean(disturbed) - 0.3) < 0.14  # three standard deviations


@pytest.mark.parametrize(
    ("arguments", "factor"),
    [
        ({"rate": 0.4}, 0.6),
        ({"rate": 0.4, "alpha": (0, 1)}, 0.8),
        ({"rate": 0.4, "alpha": (0, 2)}, 1),
    ],
)
def test_shake_drop_at_inference_is_its_mean(arguments, factor):
    layer = ShakeDrop(**arguments, level="pixel", seed=0)
    x = video()
    np.testing.assert_allclose(numpy(layer(x)) / x, factor, rtol=1e-6)
    mean = np.mean([numpy(layer(x, training=True)) / x for _ in range(100)])
    rate, (low, high) = layer.rate, layer.alpha
    spread = np.sqrt(rate * (1 - rate)) * abs(1 - (low + high) / 2)  # what b adds
    assert abs(mean - factor) < 0.3 * spread + 0.01


def test_inference_and_rate_zero_pass_the_input():
    x = ops.convert_to_tensor(video())
    for layer in (StochasticDepth(0.4), ShakeDrop(0.5, alpha=(0, 2)), ShakeDrop(0.0)):
        assert layer(x, training=False) is x
    for layer in (StochasticDepth(0.0), ShakeDrop(0.0)):
        assert layer(x, training=True) is x


@pytest.mark.parametrize("name", LAYERS)
def test_seeds(name):
    x = video()
    layers = [LAYERS[name](seed=seed) for seed in (5, 5, 6, None, None)]
    runs = [[numpy(layer(x, training=True)) for _ in range(4)] for layer in layers]
    np.testing.assert_array_equal(runs[0], runs[1])
    for i, j in ((0, 2), (0, 3), (3, 4)):
        assert (np.array(runs[i]) != np.array(runs[j])).any()
    assert (runs[0][0] != runs[0][1]).any() or (runs[0][0] != runs[0][2]).any()


@pytest.mark.parametrize("name", LAYERS)
def test_config_round_trip(name):
    layer = LAYERS[name](seed=3, name="branch")
    config = keras.saving.serialize_keras_object(layer)
    assert config["registered_name"] == f"keras_vidreg>{type(layer).__name__}"
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == layer.get_config()
    x = video()
    np.testing.assert_array_equal(numpy(again(x, training=True)), numpy(layer(x, training=True)))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", LAYERS)
def test_half_precision(name, policy):
    keras.config.set_dtype_policy(policy)
    x = video()
    for training in (True, False):
        y = LAYERS[name](seed=1)(x, training=training)
        assert keras.backend.standardize_dtype(y.dtype) == policy[6:]
        keras.config.set_dtype_policy("float32")
        expected = numpy(LAYERS[name](seed=1)(x, training=training))
        keras.config.set_dtype_policy(policy)
        np.testing.assert_allclose(numpy(y), expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("name", LAYERS)
def test_residual_branch_trains_compiled_and_is_saved(name, tmp_path):
    inputs = keras.Input((None, 4, 4, 3))
    branch = keras.layers.Dense(3, name="branch")(inputs)
    x = keras.layers.Add()([inputs, LAYERS[name](seed=0)(branch)])
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling3D()(x))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", jit_compile=BACKEND != "torch")
    before = model.get_layer("branch").get_weights()[0]
    x, y = video((6, 2, 4, 4, 3)), np.zeros((6, 2), "float32")
    losses = {model.evaluate(x, y, verbose=0) for _ in range(2)}
    assert len(losses) == 1, "nothing is drawn at inference"
    model.fit(x, y, batch_size=3, verbose=0)
    after = model.get_layer("branch").get_weights()[0]
    assert np.isfinite(after).all() and (before != after).any()
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(copy.predict_on_batch(x), model.predict_on_batch(x), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StochasticDepth(1.0), ["rate", "1.0"]),
        (lambda: StochasticDepth(-0.1), ["rate", "-0.1"]),
        (lambda: ShakeDrop(1.5), ["rate", "1.5"]),
        (lambda: ShakeDrop(level="image"), ["level", "image", "sample"]),
        (lambda: ShakeDrop(alpha=(1, -1)), ["alpha", "(1, -1)"]),
        (lambda: ShakeDrop(beta=(0, 1, 2)), ["beta", "(0, 1, 2)"]),
    ],
)
def test_errors_name_the_argument(make, words):
    with pytest.raises(ValueError) as error:
        make()
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("beta", "level", "backward"), [(0, "batch", {0.0, 1.0}), ((0, 0.5), "pixel", None)]
)
def test_settings_of_table_2(beta, level, backward):
    """RandomDrop and ShakeDrop as Random Mean Scaling is compared with them."""
    layer = ShakeDrop(0.5, alpha=0, beta=beta, level=level, seed=1)
    draws = [factors(layer, video()) for _ in range(12)]
    assert {x for y, _ in draws for x in np.unique(y)} == {0.0, 1.0}
    for y, dx in draws:
        if backward is not None or y.max() == 1:
            np.testing.assert_array_equal(dx, y)
        else:
            assert dx.min() >= 0 and dx.max() <= 0.5 and len(np.unique(dx)) > 100
