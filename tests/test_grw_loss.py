"""GRW smoothing loss: against brute force, against recorded values, and at its extremes."""

import functools
import itertools
import json
import math
import pathlib
import zlib

import keras
import numpy as np
import pytest
from gradients import value_and_gradient
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_vidreg.losses import grw_smoothing, grw_smoothing_loss

GOLDEN = pathlib.Path(__file__).parent / "golden" / "grw_loss_T3_T6.json"
FEW = settings(derandomize=True, max_examples=8, deadline=None)


def brute_force(z, window, alpha, orders=None):
    """The definition, in float64, order by order."""
    z = np.asarray(z, "float64").reshape(-1, window, z.shape[-1])
    orders = orders or [(0, *p) for p in itertools.permutations(range(1, window))]
    energy = np.stack([np.sum(np.diff(z[:, o], 2, axis=1) ** 2, (1, 2)) for o in map(list, orders)])
    logits = -energy / 2
    top = logits.max(0)
    order_term = top + np.log(np.exp(logits - top).sum(0)) - logits[0]
    velocity = 0.5 * np.sum(np.diff(z, axis=1) ** 2, axis=(1, 2))
    return np.mean(order_term + alpha * velocity)


@functools.lru_cache
def compiled_on_jax(args, kwargs):
    import jax

    # Compiling takes most of the time of these tests.
    fast = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}

    def loss_of(x):
        return grw_smoothing_loss(x, *args, **dict(kwargs))

    return jax.jit(jax.value_and_grad(loss_of), compiler_options=fast)


def loss_and_gradient(z, *args, **kwargs):
    def loss_of(x):
        return grw_smoothing_loss(x, *args, **kwargs)

    if keras.backend.backend() == "jax":
        loss, gradient = compiled_on_jax(args, tuple(kwargs.items()))(z)
        return float(loss), ops.convert_to_numpy(gradient)
    return value_and_gradient(loss_of, z)


def value(*args, **kwargs):
    return float(grw_smoothing_loss(*args, **kwargs))


def walk(shape, seed=0, step=0.4):
    return np.cumsum(step * np.random.default_rng(seed).standard_normal(shape), 1).astype("float32")


@pytest.fixture
def dynamic(monkeypatch):
    """Sum by dynamic programming also where the orders could be listed."""

    def switch():
        monkeypatch.setattr(grw_smoothing, "MAX_LISTED_WINDOW", 3)
        compiled_on_jax.cache_clear()

    yield switch
    compiled_on_jax.cache_clear()


@pytest.mark.parametrize("window", [3, 4, 5, 6])
def test_golden_values_and_gradients(window):
    golden = json.loads(GOLDEN.read_text())
    rtol, atol = golden["tolerance"]["relative"], golden["tolerance"]["absolute"]
    cases = [case for case in golden["cases"] if case["T"] == window]
    assert len(cases) == 28
    if keras.backend.backend() == "jax":  # one compilation for each shape and alpha
        cases = [case for case in cases if case["alpha"] == 0.5]
    for case in cases:
        rng = np.random.default_rng(zlib.crc32(case["name"].encode()))
        z = rng.standard_normal((case["B"], case["T"], case["K"]))
        if case["kind"] == "noise":
            z = z / np.sqrt(case["K"])
        elif case["kind"] == "walk":
            z = np.cumsum(0.3 * z, axis=1)
        loss, gradient = loss_and_gradient(z.astype("float32"), window, case["alpha"])
        np.testing.assert_allclose(loss, case["loss_float64"], rtol, atol, err_msg=case["name"])
        norm = np.linalg.norm(gradient.astype("float64"))
        np.testing.assert_allclose(norm, case["grad_norm"], rtol, atol, err_msg=case["name"])
        count = len(case["grad_first"])
        found = np.concatenate([gradient.ravel()[:count], gradient.ravel()[-count:]])
        wanted = case["grad_first"] + case["grad_last"]
        limit = atol + rtol * case["grad_norm"]
        np.testing.assert_allclose(found, wanted, rtol, limit, err_msg=case["name"])


@FEW
@given(
    window=st.integers(3, 6),
    windows=st.sampled_from([1, 3]),
    features=st.sampled_from([1, 6]),
    alpha=st.sampled_from([0.0, 0.5, 2.0]),
    step=st.sampled_from([1e-3, 0.3, 3.0]),
    seed=st.integers(0, 99),
)
def test_equals_brute_force(window, windows, features, alpha, step, seed):
    z = walk((2, windows * window, features), seed, step)
    np.testing.assert_allclose(
        value(z, window, alpha), brute_force(z, window, alpha), rtol=2e-5, atol=1e-6
    )


@FEW
@given(window=st.sampled_from([3, 5, 7]), seed=st.integers(0, 99))
def test_order_term_ignores_translation_and_rotation(window, seed):
    rng = np.random.default_rng(seed)
    z = walk((2, window, 5), seed)
    rotation = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    moved = (z @ rotation + 3 * rng.standard_normal(5)).astype("float32")
    np.testing.assert_allclose(value(moved, window), value(z, window), rtol=1e-4, atol=1e-5)


@FEW
@given(window=st.sampled_from([3, 6]), seed=st.integers(0, 99))
def test_order_term_is_positive_and_frame_order_matters(window, seed):
    line = np.linspace(0, 3 * window, window, dtype="float32")[None, :, None]
    order = np.random.default_rng(seed).permutation(window)
    if list(order) in (sorted(order), sorted(order, reverse=True)):
        order = np.roll(order, 1)
    assert 0 <= value(line, window, 0.0) < 1e-3 < value(line[:, order], window, 0.0)


def test_mean_over_windows_that_do_not_mix():
    z = walk((2, 15, 4))
    parts = [value(z[b : b + 1, t : t + 5], 5) for b in range(2) for t in (0, 5, 10)]
    np.testing.assert_allclose(value(z, 5), np.mean(parts), rtol=1e-5)
    assert abs(value(z[:, ::-1], 5) - value(z, 5)) > 1e-3  # only the first frame is fixed


@pytest.mark.parametrize("window", [5, 7, 8])
def test_dynamic_programming_equals_listing(window, dynamic):
    z = walk((1, 2 * window, 6))
    listed, listed_gradient = loss_and_gradient(z, window, 0.0)
    dynamic()
    loss, gradient = loss_and_gradient(z, window, 0.0)
    assert loss != 0
    np.testing.assert_allclose(loss, listed, rtol=1e-5)
    np.testing.assert_allclose(gradient, listed_gradient, rtol=1e-4, atol=1e-5)


def test_dynamic_programming_keeps_the_digits_of_a_small_loss(dynamic):
    line = np.linspace(0, 6, 5, dtype="float32")[None, :, None]
    expected = brute_force(line, 5, 0.0)
    assert 1e-7 < expected < 1e-4
    np.testing.assert_allclose(value(line, 5, 0.0), expected, rtol=2e-5, atol=0)
    dynamic()
    np.testing.assert_allclose(value(line, 5, 0.0), expected, rtol=2e-5, atol=0)


def test_nine_frames_equal_brute_force():
    z = walk((1, 9, 3))
    loss, _ = loss_and_gradient(z, 9)
    np.testing.assert_allclose(loss, brute_force(z, 9, 0.5), rtol=2e-5)


def test_twelve_frames_count_every_order():
    loss, gradient = loss_and_gradient(np.ones((1, 12, 3), "float32"), 12)
    np.testing.assert_allclose(loss, math.log(math.factorial(11)), rtol=1e-6)
    assert not gradient.any()


def test_all_orders_as_a_number_equal_all():
    z = walk((2, 6, 4))
    assert value(z, 6, permutations=120) == value(z, 6, permutations=10**9) == value(z, 6)
    flat = 0 * z
    assert value(flat, 6, permutations=119) < value(flat, 6)


@pytest.mark.parametrize(("window", "count"), [(5, 7), (5, 20), (10, 300), (40, 50)])
def test_sampled_orders_are_different_and_fixed_by_the_seed(window, count):
    flat = np.zeros((1, window, 2), "float32")
    np.testing.assert_allclose(value(flat, window, permutations=count), math.log(count), rtol=1e-6)
    z = walk((1, window, 3), step=0.1)
    first = value(z, window, permutations=count, seed=1)
    assert first == value(z, window, permutations=count, seed=1)
    assert first != value(z, window, permutations=count, seed=2)
    # Different orders give different energies, so that equal columns are equal orders.
    table = grw_smoothing._order_table(window, count, 1)
    assert len(np.unique(table.T, axis=0)) == count - 1
    assert np.any(table, axis=0).all()  # the identity is not among the others


def test_sampled_loss_equals_brute_force_over_the_same_orders():
    z = walk((1, 5, 3))
    everything = [(0, *p) for p in itertools.permutations(range(1, 5))]
    assert [tuple(grw_smoothing._unrank(r, 5)) for r in range(24)] == everything
    full, table = (grw_smoothing._order_table(5, count, 3) for count in (24, 6))
    drawn = [1 + np.flatnonzero((column == full.T).all(1))[0] for column in table.T]
    expected = brute_force(z, 5, 0.5, [everything[i] for i in (0, *drawn)])
    np.testing.assert_allclose(value(z, 5, permutations=6, seed=3), expected, rtol=1e-5)


@pytest.mark.parametrize("window", [5, 9])
@pytest.mark.parametrize("scale", [0.0, 1e-20, 1e4, 1e15])
def test_loss_and_gradient_are_finite(window, scale):
    z = np.random.default_rng(0).standard_normal((2, window, 64))
    loss, gradient = loss_and_gradient((scale * z).astype("float32"), window)
    assert np.isfinite(loss)
    assert np.isfinite(gradient).all()
    if scale < 1:
        np.testing.assert_allclose(loss, math.log(math.factorial(window - 1)), rtol=1e-6)
    else:
        assert np.abs(gradient).max() > scale


@pytest.mark.parametrize("window", [6, 9])
def test_identical_frames_far_from_the_origin(window):
    z = np.full((1, window, 16), 1e4 / 3, "float32")
    loss, gradient = loss_and_gradient(z, window)
    np.testing.assert_allclose(loss, math.log(math.factorial(window - 1)), rtol=1e-6)
    assert not gradient.any()


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_float32_inside(dtype):
    z = ops.cast(walk((2, 5, 4)), dtype)
    loss = grw_smoothing_loss(z, 5)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    assert float(loss) == value(ops.cast(z, "float32"), 5)


@pytest.mark.parametrize(
    ("shape", "arguments", "words"),
    [
        ((2, 10), {"window": 5}, ["z", "(2, 10)"]),
        ((2, 11, 3), {"window": 5}, ["11", "5"]),
        ((2, 0, 3), {"window": 5}, ["0", "5"]),
        ((2, 10, 3), {"window": 2}, ["window", "2"]),
        ((2, 10, 3), {"window": 5.0}, ["window", "5.0"]),
        ((2, 10, 3), {"window": 5, "alpha": -1.0}, ["alpha", "-1.0"]),
        ((2, 10, 3), {"window": 5, "alpha": float("nan")}, ["alpha", "nan"]),
        ((2, 13, 3), {"window": 13}, ["permutations=1000", "13", "12"]),
        ((2, 10, 3), {"window": 5, "permutations": 1}, ["permutations", "1"]),
        ((2, 10, 3), {"window": 5, "permutations": 7.5}, ["permutations", "7.5"]),
        ((2, 10, 3), {"window": 5, "permutations": "some"}, ["permutations", "some"]),
        ((2, 10, 3), {"window": 5, "permutations": None}, ["permutations", "None"]),
    ],
)
def test_errors_name_the_argument(shape, arguments, words):
    with pytest.raises(ValueError) as error:
        grw_smoothing_loss(np.zeros(shape, "float32"), **arguments)
    for word in words:
        assert word in str(error.value)
