"""RandomMeanScaling and its filters: against their formulae, in every kind of model."""

import functools
import itertools
import math

import hypothesis
import keras
import numpy as np
import pytest
from gradients import value_and_gradient
from hypothesis import strategies as st
from keras import ops

from keras_vidreg.layers import GaussianFilter, MeanFilter, RandomMeanScaling

SHAPES = [(3, 6, 7, 2), (3, 4, 5, 6, 2)]


def features(shape=(64, 3, 4, 5, 2), seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def run(layer, x, **arguments):
    return ops.convert_to_numpy(layer(ops.convert_to_tensor(x), **arguments))


def neighbourhood_mean(x, size, weight):
    """The definition, one neighbour after the other."""
    sizes = (size,) * (x.ndim - 2) if isinstance(size, int) else size
    total, weights = np.zeros(x.shape), np.zeros(x.shape[1:-1])[..., None]
    for offset in itertools.product(*(range(-(n // 2), n // 2 + 1) for n in sizes)):
        if any(abs(o) >= n for o, n in zip(offset, x.shape[1:-1], strict=True)):
            continue
        pairs = list(zip(offset, x.shape[1:-1], strict=True))
        here = tuple(slice(max(0, -o), n - max(0, o)) for o, n in pairs)
        there = tuple(slice(max(0, o), n - max(0, -o)) for o, n in pairs)
        w = math.prod(weight(o) for o in offset)
        total[:, *here] += w * x[:, *there]
        weights[here] += w
    return total / weights


def gains(x, y, part):
    """The factor of every clip by which `part` was scaled, and what that leaves unexplained."""
    axes = tuple(range(1, x.ndim))
    excess = ((y - x) * part).sum(axes) / (part**2).sum(axes)
    scaled = x + excess.reshape(-1, *(1,) * (x.ndim - 1)) * part
    return 1 + excess, np.abs(y - scaled).max()


@pytest.mark.parametrize("shape", [*SHAPES, (2, 1, 5, 5, 1), (1, 9, 2, 1, 3)])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_mean_filter(shape, size):
    x = features(shape)
    expected = neighbourhood_mean(x, size, lambda offset: 1)
    np.testing.assert_allclose(run(MeanFilter(size), x), expected, atol=2e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("size", "sigma"), [(3, 0.4), (5, 1.3)])
def test_gaussian_filter(shape, size, sigma):
    x = features(shape)
    expected = neighbourhood_mean(x, size, lambda o: math.exp(-(o**2) / (2 * sigma**2)))
    np.testing.assert_allclose(run(GaussianFilter(size, sigma), x), expected, atol=2e-6)


def test_one_size_per_axis():
    x = features((2, 4, 5, 6, 3))
    expected = neighbourhood_mean(x, (1, 3, 5), lambda offset: 1)
    np.testing.assert_allclose(run(MeanFilter((1, 3, 5)), x), expected, atol=2e-6)


@hypothesis.settings(max_examples=20, deadline=None)
@hypothesis.given(
    size=st.sampled_from([1, 3, 5]),
    sigma=st.floats(0.2, 3.0),
    constant=st.floats(-10, 10, width=32),
    shape=st.sampled_from(SHAPES),
)
def test_a_constant_passes_unchanged(size, sigma, constant, shape):
    x = np.full(shape, constant, "float32")
    for layer in (MeanFilter(size), GaussianFilter(size, sigma)):
        np.testing.assert_allclose(run(layer, x), x, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layer", [MeanFilter(3), GaussianFilter(3, 0.8)])
def test_gradient_is_the_transpose(shape, layer):
    """`<filter(x), y> = <x, gradient of that product at y>` for any x and y."""
    x, y = features(shape, seed=1), features(shape, seed=2)
    _, gradient = value_and_gradient(lambda t: ops.sum(ops.multiply(layer(t), y)), x)
    np.testing.assert_allclose((x * gradient).sum(), (run(layer, x) * y).sum(), rtol=1e-4)
    columns = features(shape, seed=3)
    np.testing.assert_allclose(
        (columns * gradient).sum(), (run(layer, columns) * y).sum(), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"size": 2}, "size=2"), ({"size": 0}, "size=0"), ({"size": (3, 3)}, r"\(3, 3\)")],
)
def test_filter_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        MeanFilter(**arguments)(features())


def test_filter_refuses_other_ranks_and_sigmas():
    with pytest.raises(ValueError, match=r"\(B, T, H, W, C\)"):
        MeanFilter()(np.ones((2, 3, 4), "float32"))
    with pytest.raises(ValueError, match="sigma=0"):
        GaussianFilter(sigma=0)


@pytest.mark.parametrize("shape", [(64, 6, 5, 2), (64, 3, 4, 5, 2)])
@pytest.mark.parametrize("component", ["mean", "residual", "input"])
@pytest.mark.parametrize("low_pass", ["mean", "gaussian"])
def test_scales_one_part_by_one_number_per_clip(shape, component, low_pass):
    x = features(shape)
    layer = RandomMeanScaling(component=component, low_pass=low_pass, size=3, sigma=0.6, seed=1)
    low = run(MeanFilter(3) if low_pass == "mean" else GaussianFilter(3, 0.6), x)
    part = {"mean": low, "residual": x - low, "input": x}[component]
    drawn, rest = gains(x, run(layer, x, training=True), part)
    assert rest < 1e-5
    assert drawn.std() > 0.3  # every clip has its own


@pytest.mark.parametrize(
    ("arguments", "mean", "stddev"),
    [
        ({}, 1.0, 0.5),
        ({"mean": 0.5, "stddev": 0.2}, 0.5, 0.2),
        ({"distribution": "uniform"}, 1.0, 0.5),
        ({"distribution": "uniform", "low": 0.5, "high": 2.5}, 1.5, 2 / math.sqrt(12)),
    ],
)
def test_statistics_of_the_gain(arguments, mean, stddev):
    n = 20_000
    x = features((n, 1, 1, 1))
    drawn = (run(RandomMeanScaling(seed=3, **arguments), x, training=True) / x).ravel()
    assert abs(drawn.mean() - mean) < 5 * stddev / math.sqrt(n)
    assert abs(drawn.std() - stddev) < 5 * stddev / math.sqrt(n)
    if "distribution" in arguments:
        width = math.sqrt(3) * stddev
        assert mean - width - 1e-4 <= drawn.min() < mean - 0.99 * width
        assert mean + 0.99 * width < drawn.max() <= mean + width + 1e-4
    else:  # tails that no uniform distribution has, and their share
        assert abs((np.abs(drawn - mean) > 2 * stddev).mean() - 0.0455) < 0.01


def test_draws_are_reproducible_and_differ_between_layers_and_calls():
    x = features((8, 2, 3, 3, 1))
    first, again, other = (RandomMeanScaling(seed=seed) for seed in (1, 1, 2))
    y = run(first, x, training=True)
    np.testing.assert_array_equal(y, run(again, x, training=True))
    assert np.abs(y - run(first, x, training=True)).max() > 1e-3
    assert np.abs(y - run(other, x, training=True)).max() > 1e-3
    unseeded = [run(RandomMeanScaling(), x, training=True) for _ in range(2)]
    assert np.abs(unseeded[0] - unseeded[1]).max() > 1e-3


def test_identity_at_inference_when_the_expected_gain_is_one():
    x = ops.convert_to_tensor(features())
    for layer in (
        RandomMeanScaling(),
        RandomMeanScaling(distribution="uniform", low=0, high=2),
        RandomMeanScaling(component="residual", stddev=0.1),
    ):
        assert layer(x) is x
        assert layer(x, training=False) is x


def test_expected_gain_at_inference_otherwise():
    x = features()
    low = run(MeanFilter(3), x)
    y = run(RandomMeanScaling(mean=0.8), x)
    np.testing.assert_allclose(y, x - 0.2 * low, atol=1e-6)
    y = run(RandomMeanScaling(distribution="uniform", low=1, high=2), x)
    np.testing.assert_allclose(y, x + 0.5 * low, atol=1e-6)


def test_stddev_zero_only_applies_the_mean():
    x = features()
    np.testing.assert_array_equal(run(RandomMeanScaling(stddev=0), x, training=True), x)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stddev": -1}, "stddev=-1"),
        ({"distribution": "cauchy"}, "cauchy"),
        ({"low_pass": "median"}, "median"),
        ({"component": "high"}, "high"),
        ({"low": 0.5}, "high=None"),
        ({"low": 0, "high": 2}, "normal"),
        ({"distribution": "uniform", "low": 2, "high": 1}, "low=2"),
        ({"size": 4}, "size=4"),
        ({"low_pass": "gaussian", "sigma": -1}, "sigma=-1"),
    ],
)
def test_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        RandomMeanScaling(**arguments)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.regularizer = RandomMeanScaling(seed=0)
        self.head = keras.layers.Dense(1)

    def call(self, x, training=False):
        x = self.regularizer(x, training=training)
        return self.head(ops.mean(x, axis=(1, 2, 3)))


def sequential():
    pool = keras.layers.GlobalAveragePooling3D()
    return keras.Sequential([RandomMeanScaling(seed=0), pool, keras.layers.Dense(1)])


def functional(size=None):
    inputs = keras.Input((size, size, size, 2))
    x = keras.layers.GlobalAveragePooling3D()(RandomMeanScaling(seed=0)(inputs))
    return keras.Model(inputs, keras.layers.Dense(1)(x))


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("make", [sequential, functional, Subclassed])
def test_trains_in_every_kind_of_model(make, jit):
    if jit and keras.backend.backend() == "torch":
        pytest.skip("torch.compile needs a C++ compiler")
    x, y = features((8, 4, 4, 4, 2)), np.arange(8, dtype="float32")
    model = make()
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=jit)
    losses = [float(model.train_on_batch(x, y)) for _ in range(3)]
    # nothing is learned, so only the draws tell the steps apart
    assert np.isfinite(losses).all() and len(set(losses)) == 3
    assert float(model.test_on_batch(x, y)) == float(model.test_on_batch(x, y))


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_half_precision(policy):
    keras.config.set_dtype_policy(policy)
    x = features((16, 4, 5, 5, 3))
    y = RandomMeanScaling(seed=1)(ops.convert_to_tensor(x), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == policy.removeprefix("mixed_")
    keras.config.set_dtype_policy("float32")
    expected = run(RandomMeanScaling(seed=1), x, training=True)
    np.testing.assert_allclose(ops.convert_to_numpy(ops.cast(y, "float32")), expected, atol=0.05)
    own = RandomMeanScaling(seed=1, dtype=policy)(ops.convert_to_tensor(x), training=True)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(ops.cast(own, "float32")), ops.convert_to_numpy(ops.cast(y, "float32"))
    )


def test_saved_with_a_model(tmp_path):
    inputs = keras.Input((None, 6, 6, 2))
    layer = RandomMeanScaling(0.7, 0.3, "uniform", "gaussian", (1, 3, 5), 0.9, "residual", 5)
    model = keras.Model(inputs, layer(inputs))
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    assert copy.layers[-1].filter.size == (1, 3, 5)
    assert copy.layers[-1].get_config() == layer.get_config()
    x = features((2, 4, 6, 6, 2))
    np.testing.assert_array_equal(copy.predict_on_batch(x), model.predict_on_batch(x))


def test_a_partial_is_a_factory():
    factory = functools.partial(RandomMeanScaling, stddev=0.2)
    assert factory(name="here").name == "here"
    assert factory().stddev == 0.2
