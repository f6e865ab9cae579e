"""Layers that pick and average frames, and self-gating."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_vidreg.layers import SelfGating, SubsampleFrames, TemporalAveragePooling


def test_frames_of_the_slow_pathway():
    y = SubsampleFrames(4)(np.arange(32.0)[None])
    np.testing.assert_array_equal(ops.convert_to_numpy(y), [[0, 4, 8, 13, 17, 22, 26, 31]])
    y = SubsampleFrames(4, to_end=False)(np.arange(32.0)[None])
    np.testing.assert_array_equal(ops.convert_to_numpy(y)[0], range(0, 32, 4))


@settings(deadline=None, max_examples=25)
@given(time=st.integers(1, 40), rate=st.integers(1, 9))
def test_picked_frames_are_spread_from_the_first_to_the_last(time, rate):
    picked = ops.convert_to_numpy(SubsampleFrames(rate)(np.arange(float(time))[None]))[0]
    assert len(picked) == -(-time // rate)
    exact = np.linspace(0, time - 1, len(picked))
    np.testing.assert_array_equal(picked, np.floor(exact + 1e-9))


@settings(deadline=None, max_examples=25)
@given(time=st.integers(1, 20), size=st.integers(1, 6))
def test_averages_of_runs(time, size):
    x = np.random.default_rng(time).standard_normal((2, time, 3)).astype("float32")
    y = ops.convert_to_numpy(TemporalAveragePooling(size)(x))
    expected = [x[:, i : i + size].mean(1) for i in range(0, time, size)]
    np.testing.assert_allclose(y, np.stack(expected, 1), atol=1e-6)


def test_gate_is_computed_from_the_mean():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5, 6)).astype("float32")
    layer = SelfGating()
    y = ops.convert_to_numpy(layer(x))
    kernel, bias = (ops.convert_to_numpy(w) for w in layer.weights)
    gates = 1 / (1 + np.exp(-(x.mean((1, 2, 3)) @ kernel + bias)))
    np.testing.assert_allclose(y, x * gates[:, None, None, None], atol=1e-5)


@pytest.mark.parametrize(
    "layer", [SubsampleFrames(3, to_end=False), TemporalAveragePooling(3), SelfGating()]
)
def test_in_a_model_of_unknown_size(layer):
    inputs = keras.Input((None, None, None, 2))
    layer = type(layer).from_config(layer.get_config())
    model = keras.Model(inputs, layer(inputs))
    for time in (4, 6):
        x = np.ones((1, time, 2, 3, 2), "float32")
        assert model.predict_on_batch(x).shape == layer.compute_output_shape(x.shape)
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize(
    "make, word", [(SubsampleFrames, "rate"), (TemporalAveragePooling, "size")]
)
def test_errors_name_the_argument(make, word):
    with pytest.raises(ValueError, match=f"{word}.*0"):
        make(0)
