"""Conv3D and SpatialMaxPooling against plain loops in float64, for every rule of padding."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops
from test_depthwise_conv3d import gradients

from keras_vidreg.layers import Conv3D, DepthwiseConv3D, SpatialMaxPooling


def pad_pair(padding, size, kernel, stride, axis):
    if padding == "valid":
        return 0, 0
    if padding == "symmetric":
        return ((kernel - 1) // 2,) * 2
    if padding == "causal" and axis == 0:
        return kernel - 1, 0
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def windows(x, kernel, strides, padding, fill=0.0):
    """What each tap of the kernel meets, `(tap, (B, T', H', W', C))`."""
    pads = [
        pad_pair(padding, *args, axis)
        for axis, args in enumerate(zip(x.shape[1:4], kernel, strides, strict=True))
    ]
    padded = np.pad(x.astype("float64"), [(0, 0), *pads, (0, 0)], constant_values=fill)
    counts = [(n - k) // s + 1 for n, k, s in zip(padded.shape[1:4], kernel, strides, strict=True)]
    for tap in itertools.product(*map(range, kernel)):
        yield (
            tap,
            padded[
                (
                    slice(None),
                    *(
                        slice(i, i + (n - 1) * s + 1, s)
                        for i, n, s in zip(tap, counts, strides, strict=True)
                    ),
                )
            ],
        )


def reference(x, kernel, strides, padding):
    return sum(
        view @ kernel[tap].astype("float64")
        for tap, view in windows(x, kernel.shape[:3], strides, padding)
    )


CASES = [
    # size, kernel, strides, padding
    ((3, 5, 6), (1, 1, 1), (1, 1, 1), "same"),
    ((5, 5, 6), (1, 1, 1), (2, 2, 2), "symmetric"),
    ((3, 8, 7), (1, 7, 7), (1, 2, 2), "symmetric"),
    ((4, 8, 7), (1, 3, 3), (1, 2, 2), "same"),
    ((8, 3, 4), (7, 1, 1), (4, 1, 1), "symmetric"),
    ((5, 3, 4), (3, 1, 1), (1, 1, 1), "causal"),
    ((5, 6, 7), (3, 3, 3), (1, 1, 1), "symmetric"),
    ((4, 6, 7), (3, 3, 3), (2, 2, 2), "symmetric"),
    ((5, 6, 7), (5, 3, 3), (2, 2, 2), "same"),
    ((4, 7, 6), (3, 3, 3), (1, 2, 2), "causal"),
    ((5, 6, 7), (2, 3, 2), (1, 2, 1), "valid"),
    ((4, 6, 6), (2, 2, 4), (1, 1, 1), "symmetric"),
]


@pytest.mark.parametrize("size, kernel, strides, padding", CASES)
def test_values_and_gradients(size, kernel, strides, padding):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *size, 3)).astype("float32")
    layer = Conv3D(4, kernel, strides, padding, use_bias=False)
    layer.build(x.shape)
    weights = rng.standard_normal(layer.kernel.shape).astype("float32")
    layer.kernel.assign(weights)
    y = ops.convert_to_numpy(layer(x))
    expected = reference(x, weights, strides, padding)
    assert y.shape == expected.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(y, expected, atol=1e-5 * np.abs(expected).max())

    cotangent = rng.standard_normal(y.shape).astype("float32")
    dx, dkernel = gradients(layer, x, cotangent)
    # the operation is bilinear: <cotangent, conv(x, k)> gives both gradients by substitution
    probe = rng.standard_normal(weights.shape).astype("float32")
    along_kernel = np.sum(cotangent * reference(x, probe, strides, padding))
    np.testing.assert_allclose(np.sum(dkernel * probe), along_kernel, rtol=1e-4, atol=1e-3)
    shift = rng.standard_normal(x.shape).astype("float32")
    along_x = np.sum(cotangent * reference(shift, weights, strides, padding))
    np.testing.assert_allclose(np.sum(dx * shift), along_x, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_stock_rules_are_those_of_keras(padding):
    x = np.random.default_rng(0).standard_normal((1, 5, 8, 7, 2)).astype("float32")
    stock = keras.layers.Conv3D(3, 3, 2, padding, bias_initializer="ones", activation="relu")
    expected = ops.convert_to_numpy(stock(x))
    config = {k: v for k, v in stock.get_config().items() if k not in ("name", "dtype")}
    ours = Conv3D.from_config(config)
    ours.build(x.shape)
    ours.set_weights(stock.get_weights())
    np.testing.assert_allclose(ops.convert_to_numpy(ours(x)), expected, atol=1e-5)
    copy = Conv3D.from_config(ours.get_config())
    assert copy.get_config() == ours.get_config()


def test_symmetric_depthwise():
    x = np.random.default_rng(0).standard_normal((1, 5, 8, 7, 2)).astype("float32")
    layer = DepthwiseConv3D(3, 2, "symmetric", use_bias=False)
    y = ops.convert_to_numpy(layer(x))
    kernel = ops.convert_to_numpy(layer.kernel)
    full = np.zeros((3, 3, 3, 2, 2))
    full[..., range(2), range(2)] = kernel[..., 0]
    np.testing.assert_allclose(y, reference(x, full, (2, 2, 2), "symmetric"), atol=1e-5)
    assert layer.compute_output_shape(x.shape) == y.shape


@pytest.mark.parametrize("compiled", [False, True])
def test_in_a_model_of_unknown_size(compiled):
    inputs = keras.Input((None, None, None, 2))
    x = Conv3D(3, (1, 3, 3), (1, 2, 2), "symmetric", name="space")(inputs)
    x = SpatialMaxPooling(padding="symmetric")(x)
    x = Conv3D(3, (3, 1, 1), padding="causal", name="time")(x)
    x = Conv3D(3, 3, 2, "same", name="both")(x)
    model = keras.Model(inputs, SpatialMaxPooling()(x))
    assert model.output_shape == (None, None, None, None, 3)
    model.compile("sgd", "mse", jit_compile=compiled and keras.backend.backend() != "torch")
    for size in [(5, 16, 18), (4, 21, 17)]:
        x = np.random.default_rng(1).standard_normal((1, *size, 2)).astype("float32")
        y = model.predict(x, verbose=0)
        assert y.shape == model.compute_output_shape(x.shape)
        model.train_on_batch(x, np.zeros_like(y))


@pytest.mark.parametrize("padding", ["same", "symmetric"])
@pytest.mark.parametrize("size, stride", [((6, 7), 2), ((9, 8), 2), ((5, 6), 1)])
def test_maximum_of_negative_numbers(padding, size, stride):
    x = -1 - np.random.default_rng(0).random((2, 3, *size, 2)).astype("float32")
    layer = SpatialMaxPooling(3, stride, padding)
    y = ops.convert_to_numpy(layer(x))
    parts = windows(x, (1, 3, 3), (1, stride, stride), padding, fill=-np.inf)
    expected = np.max([view for _, view in parts], axis=0)
    np.testing.assert_array_equal(y, expected.astype("float32"))
    assert layer.compute_output_shape(x.shape) == y.shape
    assert SpatialMaxPooling.from_config(layer.get_config()).get_config() == layer.get_config()


def test_gradient_of_the_maximum():
    """Every window sends its cotangent to its largest element."""
    x = np.random.default_rng(0).random((1, 2, 7, 6, 1)).astype("float32")
    layer = SpatialMaxPooling(3, 2, "symmetric")
    inputs = keras.Input((2, 7, 6, 1))
    scale = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Model(inputs, layer(scale(inputs)))
    model.compile(keras.optimizers.SGD(1.0), lambda y, z: ops.sum(y * z))
    expected = model.predict_on_batch(x)
    cotangent = np.random.default_rng(1).standard_normal(expected.shape).astype("float32")
    model.train_on_batch(x, cotangent)
    # y = w max(x), so dL/dw = sum(cotangent * max(x))
    change = 1 - scale.get_weights()[0].item()
    assert change == pytest.approx(np.sum(cotangent * expected), rel=1e-4)


def test_half_precision_stays_half():
    layer = Conv3D(2, 3, padding="symmetric", dtype="mixed_bfloat16")
    y = SpatialMaxPooling(dtype="mixed_bfloat16")(layer(np.ones((1, 3, 4, 4, 2), "float32")))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert np.isfinite(ops.convert_to_numpy(ops.cast(y, "float32"))).all()
    assert keras.backend.standardize_dtype(layer.kernel.dtype) == "float32"


@pytest.mark.parametrize(
    "make, word",
    [
        (lambda: Conv3D(2, 3, padding="full"), "padding.*full"),
        (lambda: Conv3D(2, 3, data_format="channels_first"), "data_format"),
        (lambda: Conv3D(2, 3, groups=2), "groups"),
        (lambda: Conv3D(2, 3, dilation_rate=2), "dilation_rate"),
        (lambda: SpatialMaxPooling(3, 2, "valid"), "padding"),
        (lambda: SpatialMaxPooling(0), "pool_size"),
    ],
)
def test_errors_name_the_argument(make, word):
    with pytest.raises(ValueError, match=word):
        make()


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="a native call of PyTorch")
@pytest.mark.parametrize(
    "make",
    [
        lambda: Conv3D(4, 3, 2, "same"),
        lambda: Conv3D(4, (1, 3, 3), (1, 2, 2), "same"),
        lambda: DepthwiseConv3D(3, (1, 2, 2), "same"),
    ],
)
def test_kernels_are_not_padded_at_run_time(make, monkeypatch):
    """ONNX takes convolutions with constant kernels only."""
    import torch

    seen = []
    for name in ("conv2d", "conv3d"):
        native = getattr(torch.nn.functional, name)
        monkeypatch.setattr(
            torch.nn.functional,
            name,
            lambda x, w, *rest, native=native: (seen.append(w.shape), native(x, w, *rest))[1],
        )
    make()(np.ones((1, 4, 8, 8, 4), "float32"))
    assert seen and all(set(shape[2:]) <= {1, 3} for shape in seen)
