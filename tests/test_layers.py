"""What every layer of the package must do, and what each small one computes."""

import inspect
import itertools
import warnings
from functools import partial

import keras
import numpy as np
import pytest
from keras import ops

from keras_vidreg import layers

VIDEO = np.random.default_rng(0).random((2, 5, 6, 7, 4)).astype("float32")
PATHS = VIDEO.mean(axis=(2, 3))  # (B, T, C)
PAIR = [VIDEO, 2 * VIDEO]
LABELED = [VIDEO, np.eye(2, dtype="float32")]
# One entry or more for each public layer: how it is made, and what it is fed.
CASES = [
    (layers.CausalCumulativeMean, {}, PATHS),
    (layers.Conv3D, {"filters": 3, "kernel_size": 3, "padding": "symmetric"}, VIDEO),
    (layers.DepthwiseConv3D, {"kernel_size": 3, "strides": (1, 2, 2), "padding": "causal"}, VIDEO),
    (layers.GRWSmoothing, {"window": 5, "weight": 0.3}, PATHS),
    (layers.GaussianFilter, {"size": 3, "sigma": 0.8}, VIDEO),
    (layers.MeanFilter, {"size": (1, 3, 5)}, VIDEO),
    (layers.PerFrame, {"layer": partial(keras.layers.Conv2D, 3, 3, 2, "same")}, VIDEO),
    (layers.PerFrame, {"layer": partial(keras.layers.GlobalAveragePooling2D)}, VIDEO),
    (layers.RandomMeanScaling, {"mean": 0.9}, VIDEO),
    (layers.ReZero, {}, PAIR),
    (layers.SelfGating, {}, VIDEO),
    (layers.ShakeDrop, {"rate": 0.5}, VIDEO),
    (layers.SpatialAveragePooling, {"pool_size": 3}, VIDEO),
    (layers.SpatialMaxPooling, {"pool_size": 3, "padding": "symmetric"}, VIDEO),
    (layers.SqueezeExcite3D, {"width": 8}, VIDEO),
    (layers.SqueezeExcite3D, {"width": 8, "causal": True, "position": True}, VIDEO),
    (layers.StochasticDepth, {"rate": 0.5}, VIDEO),
    (layers.SubsampleFrames, {"rate": 2}, VIDEO),
    (layers.TemporalAveragePooling, {"size": 2}, VIDEO),
    (layers.TemporalPosition, {"learned_scale": True}, PATHS),
    (layers.TemporalShift, {"fraction": 0.25}, VIDEO),
    (layers.TemporalShift, {"fraction": 0.5, "causal": True}, PATHS),
    (layers.VideoCutMix, {}, LABELED),
    (layers.VideoMixUp, {}, LABELED),
]
IDS = [f"{layer.__name__}-{i}" for i, (layer, *_) in enumerate(CASES)]
every_layer = pytest.mark.parametrize(("layer", "arguments", "x"), CASES, ids=IDS)
FRAMES_DIFFER = {"Conv3D", "DepthwiseConv3D", "TemporalShift", "TemporalPosition"}
ANY_AXES = {"CausalCumulativeMean", "ReZero", "StochasticDepth", "SubsampleFrames"} | {
    "TemporalAveragePooling",
    "TemporalPosition",
}


def make(layer, arguments):
    """A layer of its own for each test, and an inner one where it takes one."""
    return layer(**{k: v() if isinstance(v, partial) else v for k, v in arguments.items()})


def arrays(x):
    return [np.asarray(ops.convert_to_numpy(ops.cast(y, "float32"))) for y in keras.tree.flatten(x)]


def shapes(x):
    return keras.tree.map_structure(lambda y: tuple(y.shape), x)


def model_of(layer, x, shape=lambda y: y.shape[1:]):
    inputs = keras.tree.map_structure(lambda y: keras.Input(shape(y)), x)
    return keras.Model(inputs, layer(inputs))


def test_all_layers_are_here():
    assert {layer.__name__ for layer, *_ in CASES} == set(layers.__all__)


@every_layer
def test_layer_in_a_model(layer, arguments, x, tmp_path):
    layer = make(layer, arguments)
    model = model_of(layer, x)
    y = model.predict_on_batch(x)
    expected = layer.compute_output_shape(shapes(x))
    assert [a.shape for a in arrays(y)] == list(expected if len(arrays(y)) > 1 else [expected])
    assert type(layer).from_config(layer.get_config()).get_config() == layer.get_config()
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    for a, b in zip(arrays(copy.predict_on_batch(x)), arrays(y), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@every_layer
def test_layer_of_unknown_length_trains(layer, arguments, x):
    known = layer is layers.GRWSmoothing  # by default it must know that windows fit
    model = model_of(
        make(layer, arguments),
        x,
        lambda y: y.shape[1:] if known or y.ndim < 3 else (None, *y.shape[2:]),
    )
    y = keras.tree.flatten(model.outputs)[0]
    pooled = ops.mean(y, axis=tuple(range(1, len(y.shape) - 1)))
    model = keras.Model(model.inputs, keras.layers.Dense(1)(pooled))
    model.compile("sgd", "mse")
    assert np.isfinite(model.train_on_batch(x, np.zeros((2, 1))))


@every_layer
def test_layer_under_half_precision(layer, arguments, x):
    keras.config.set_dtype_policy("mixed_bfloat16")
    y = make(layer, arguments)(
        keras.tree.map_structure(lambda a: ops.convert_to_tensor(a, "bfloat16"), x)
    )
    first = keras.tree.flatten(y)[0]
    assert keras.backend.standardize_dtype(first.dtype) == "bfloat16"
    assert all(np.isfinite(a).all() for a in arrays(y))


@every_layer
def test_a_clip_that_stands_still_stays_still(layer, arguments, x):
    if layer.__name__ in FRAMES_DIFFER:
        pytest.skip("frames have a place in time here")
    still = keras.tree.map_structure(
        lambda a: a if a.ndim < 3 else np.repeat(a[:, :1], a.shape[1], axis=1), x
    )
    random = {"training": True} if "training" in inspect.signature(layer.call).parameters else {}
    y = arrays(make(layer, arguments)(still, **random))[0]
    np.testing.assert_allclose(y, np.broadcast_to(y[:, :1], y.shape), rtol=1e-4, atol=1e-5)


@every_layer
def test_channels_first_is_refused(layer, arguments, x):
    if layer.__name__ in ANY_AXES or keras.tree.flatten(x)[0].ndim < 4:
        pytest.skip("no axis of channels")
    graph = keras.Input(VIDEO.shape[1:])
    graph = keras.layers.MaxPooling3D(1, data_format="channels_first")(graph)
    graph = keras.layers.BatchNormalization(axis=1)(graph)
    inputs = [graph, keras.Input((2,))] if isinstance(x, list) else graph
    with pytest.raises(ValueError, match="max_pooling3d.*channels_first"):
        make(layer, arguments)(inputs)


IMAGE = keras.Input((3, 8, 8))


def test_keras_json_with_channels_first(monkeypatch):
    monkeypatch.setattr(keras.config, "image_data_format", lambda: "channels_first")
    moved = ops.moveaxis(keras.layers.Conv2D(4, 1, data_format="channels_first")(IMAGE), 1, -1)
    assert layers.RandomMeanScaling()(moved).shape == (None, 8, 8, 4)
    with pytest.raises(ValueError, match="channels_first"):
        layers.RandomMeanScaling()(IMAGE)
    x = layers.Conv3D(4, 1, data_format=None)(keras.Input(VIDEO.shape[1:]))
    x = layers.RandomMeanScaling()(keras.layers.ReLU()(x))  # the graph says more than keras.json
    assert x.shape[1:] == VIDEO.shape[1:]


@pytest.mark.parametrize(
    "make",
    [layers.SelfGating, lambda: layers.SqueezeExcite3D(8, causal=True, position=True)],
)
def test_quantized_gates_are_saved(make, tmp_path):
    model = model_of(make(), VIDEO)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of layers that have no integers
        model.quantize("int8")
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(copy.predict_on_batch(VIDEO), model.predict_on_batch(VIDEO))


NONSENSE = [float("nan"), float("inf"), -1, "3", None, [1, 2, 3, 4], True]


@every_layer
def test_arguments_that_make_no_sense(layer, arguments, x):
    checked = {"size", "sigma", "mean", "stddev", "rate", "pool_size", "strides", "window"} | {
        *("alpha", "weight", "width", "fraction", "kernel_size", "depth_multiplier"),
        *("probability", "beta"),
    }
    named = checked & set(inspect.signature(layer).parameters)
    for name, value in itertools.product(sorted(named), NONSENSE):
        if (name, value) in (("mean", -1), ("alpha", -1), ("beta", -1)) and layer in (
            layers.RandomMeanScaling,
            layers.ShakeDrop,
        ):
            continue
        with pytest.raises(ValueError, match=f"`{name}` must be.*Received: {name}="):
            layer(**{**arguments, name: value})


def test_cumulative_mean():
    expected = np.cumsum(PATHS, axis=1) / np.arange(1, 6)[:, None]
    got = ops.convert_to_numpy(layers.CausalCumulativeMean()(PATHS))
    np.testing.assert_allclose(got, expected, rtol=1e-6)


@pytest.mark.parametrize("endpoint, last", [(True, 1e-4), (False, 10000**-0.5)])
def test_temporal_position(endpoint, last):
    zeros = np.zeros((1, 3, 4), "float32")
    got = ops.convert_to_numpy(layers.TemporalPosition(endpoint=endpoint)(zeros))[0]
    time = np.arange(3.0)
    expected = [np.sin(time), np.sin(time * last), np.cos(time), np.cos(time * last)]
    np.testing.assert_allclose(got, np.transpose(expected), atol=1e-6)


def test_learned_scale_starts_at_zero():
    got = layers.TemporalPosition(learned_scale=True)(PATHS)
    np.testing.assert_array_equal(ops.convert_to_numpy(got), PATHS)


@pytest.mark.parametrize("size, stride", [(3, 2), (3, 1), (2, 2), (5, 3)])
@pytest.mark.parametrize("height, width", [(6, 6), (7, 7), (6, 7)])
def test_pooling_does_not_count_padding(size, stride, height, width):
    x = np.random.default_rng(1).random((1, 2, height, width, 3)).astype("float32")
    got = ops.convert_to_numpy(layers.SpatialAveragePooling(size, stride)(x))
    rows, columns = -(-height // stride), -(-width // stride)
    top = max((rows - 1) * stride + size - height, 0) // 2
    left = max((columns - 1) * stride + size - width, 0) // 2
    for i in range(rows):
        for j in range(columns):
            r, c = i * stride - top, j * stride - left
            window = x[:, :, max(r, 0) : r + size, max(c, 0) : c + size]
            np.testing.assert_allclose(got[:, :, i, j], window.mean(axis=(2, 3)), rtol=1e-5)


def test_rezero_starts_as_its_shortcut():
    layer = layers.ReZero()
    np.testing.assert_array_equal(ops.convert_to_numpy(layer([VIDEO, VIDEO * 2])), VIDEO)
    layer.alpha.assign(0.5)
    np.testing.assert_allclose(ops.convert_to_numpy(layer([VIDEO, VIDEO * 2])), 2 * VIDEO)


def test_squeeze_excite_scales_channels_by_numbers_up_to_one():
    y = ops.convert_to_numpy(layers.SqueezeExcite3D(4)(VIDEO))
    gates = y / VIDEO
    assert (gates > 0).all() and (gates < 1).all()
    np.testing.assert_allclose(gates, np.broadcast_to(gates[:, :1, :1, :1], gates.shape), 1e-4)


def test_position_needs_causal():
    with pytest.raises(ValueError, match="causal"):
        layers.SqueezeExcite3D(4, position=True)
