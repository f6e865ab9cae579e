"""DepthwiseConv3D against a plain sum in float64, for every rule of padding."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from keras_vidreg.layers import DepthwiseConv3D


def pad_pair(padding, size, kernel, stride, dilation, axis):
    extent = (kernel - 1) * dilation
    if padding == "valid":
        return 0, 0
    if padding == "causal" and axis == 0:
        return extent, 0
    out = -(-size // stride)
    total = max((out - 1) * stride + extent + 1 - size, 0)
    return total // 2, total - total // 2


def reference(x, kernel, strides, padding, dilation):
    """Loop over taps and outputs: slow, obvious."""
    sizes, k = x.shape[1:4], kernel.shape[:3]
    pads = [
        pad_pair(padding, *args, axis)
        for axis, args in enumerate(zip(sizes, k, strides, dilation, strict=True))
    ]
    padded = np.pad(x.astype("float64"), [(0, 0), *pads, (0, 0)])
    out = [
        (n + sum(p) - (kk - 1) * d - 1) // s + 1
        for n, p, kk, d, s in zip(sizes, pads, k, dilation, strides, strict=True)
    ]
    y = np.zeros((x.shape[0], *out, *kernel.shape[3:]))
    for tap in itertools.product(*map(range, k)):
        window = [
            slice(i * d, i * d + (n - 1) * s + 1, s)
            for i, d, n, s in zip(tap, dilation, out, strides, strict=True)
        ]
        y += padded[(slice(None), *window)][..., None] * kernel[tap].astype("float64")
    return y.reshape(*y.shape[:4], -1)


CASES = [
    # size, kernel, strides, padding, multiplier, dilation
    ((4, 8, 8), (3, 3, 3), (1, 1, 1), "same", 1, (1, 1, 1)),
    ((4, 9, 7), (5, 3, 3), (1, 2, 2), "same", 1, (1, 1, 1)),
    ((3, 8, 10), (1, 5, 5), (1, 2, 2), "same", 1, (1, 1, 1)),
    ((5, 7, 8), (5, 3, 3), (1, 2, 2), "causal", 2, (1, 1, 1)),
    ((1, 6, 6), (5, 1, 1), (1, 1, 1), "causal", 1, (1, 1, 1)),
    ((2, 6, 6), (5, 3, 3), (1, 1, 1), "same", 1, (1, 1, 1)),
    ((6, 7, 9), (3, 2, 4), (1, 1, 1), "same", 1, (1, 1, 1)),
    ((6, 7, 9), (3, 3, 3), (2, 2, 2), "valid", 2, (1, 1, 1)),
    ((6, 7, 9), (2, 3, 3), (2, 1, 2), "same", 1, (1, 1, 1)),
    ((7, 6, 8), (3, 1, 1), (2, 1, 1), "causal", 1, (1, 1, 1)),
    ((7, 8, 9), (3, 3, 3), (1, 1, 1), "same", 1, (2, 1, 2)),
    ((7, 8, 9), (3, 3, 3), (1, 1, 1), "causal", 1, (2, 2, 2)),
    ((5, 6, 6), (4, 2, 2), (3, 2, 2), "same", 1, (1, 1, 1)),
]


@pytest.mark.parametrize("size, kernel, strides, padding, multiplier, dilation", CASES)
def test_values_and_gradients(size, kernel, strides, padding, multiplier, dilation):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *size, 3)).astype("float32")
    layer = DepthwiseConv3D(
        kernel, strides, padding, multiplier, dilation_rate=dilation, use_bias=False
    )
    y = ops.convert_to_numpy(layer(x))
    weights = rng.standard_normal(layer.kernel.shape).astype("float32")
    layer.kernel.assign(weights)
    y = ops.convert_to_numpy(layer(x))
    expected = reference(x, weights, strides, padding, dilation)
    assert y.shape == expected.shape == layer.compute_output_shape(x.shape)
    np.testing.assert_allclose(y, expected, atol=1e-5 * np.abs(expected).max())

    cotangent = rng.standard_normal(y.shape).astype("float32")
    dx, dkernel = gradients(layer, x, cotangent)
    # the operation is bilinear: <cotangent, conv(x, k)> gives both gradients by substitution
    probe = rng.standard_normal(weights.shape).astype("float32")
    along_kernel = np.sum(cotangent * reference(x, probe, strides, padding, dilation))
    np.testing.assert_allclose(np.sum(dkernel * probe), along_kernel, rtol=1e-4, atol=1e-3)
    shift = rng.standard_normal(x.shape).astype("float32")
    along_x = np.sum(cotangent * reference(shift, weights, strides, padding, dilation))
    np.testing.assert_allclose(np.sum(dx * shift), along_x, rtol=1e-4, atol=1e-3)


def gradients(layer, x, cotangent):
    """Gradients of `sum(cotangent * layer(x))` for the input and the kernel."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        def scalar(x, kernel):
            y, _ = layer.stateless_call([kernel], [], x)
            return (y * cotangent).sum()

        grads = jax.jit(jax.grad(scalar, (0, 1)))(x, layer.kernel.value)
    elif backend == "torch":
        import torch

        x = torch.tensor(x, requires_grad=True)
        y = layer(x)
        grads = torch.autograd.grad(y, (x, layer.kernel.value), torch.tensor(cotangent))
    else:
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
        grads = tape.gradient(y, (x, layer.kernel.value), tf.constant(cotangent))
    return [np.asarray(ops.convert_to_numpy(g)) for g in grads]


@pytest.mark.parametrize("compiled", [False, True])
def test_in_a_model_of_unknown_size(compiled):
    inputs = keras.Input((None, None, None, 4))
    conv = DepthwiseConv3D((3, 3, 3), (1, 2, 2), "same", use_bias=False, name="conv")
    outputs = conv(inputs)
    model = keras.Model(inputs, outputs)
    assert outputs.shape == (None, None, None, None, 4)
    jit = compiled and keras.backend.backend() != "torch"
    model.compile("sgd", "mse", jit_compile=jit)
    for size in [(5, 8, 8), (4, 9, 11)]:
        x = np.random.default_rng(1).standard_normal((2, *size, 4)).astype("float32")
        y = model.predict(x, verbose=0)
        kernel = ops.convert_to_numpy(model.get_layer("conv").kernel)
        expected = reference(x, kernel, (1, 2, 2), "same", (1, 1, 1))
        np.testing.assert_allclose(y, expected, atol=1e-5)
        model.train_on_batch(x, np.zeros_like(y))


def test_bias_activation_and_config():
    layer = DepthwiseConv3D(
        (3, 1, 1),
        padding="causal",
        activation="relu",
        bias_initializer="ones",
        depthwise_initializer="zeros",
        depthwise_regularizer="l2",
    )
    y = layer(np.ones((1, 2, 2, 2, 3), "float32"))
    np.testing.assert_allclose(ops.convert_to_numpy(y), 1.0)
    copy = DepthwiseConv3D.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()


def test_half_precision_stays_half():
    layer = DepthwiseConv3D((3, 3, 3), padding="same", dtype="mixed_bfloat16")
    y = layer(np.ones((1, 3, 4, 4, 2), "float32"))
    assert keras.backend.standardize_dtype(y.dtype) == "bfloat16"
    assert keras.backend.standardize_dtype(layer.kernel.dtype) == "float32"


@pytest.mark.parametrize(
    "arguments, word",
    [
        ({"kernel_size": (3, 3)}, "kernel_size"),
        ({"kernel_size": 3, "strides": 0}, "strides"),
        ({"kernel_size": 3, "padding": "full"}, "padding"),
        ({"kernel_size": 3, "data_format": "channels_first"}, "data_format"),
        ({"kernel_size": 3, "depth_multiplier": 0}, "depth_multiplier"),
        ({"kernel_size": 3, "strides": 2, "dilation_rate": 2}, "dilation_rate"),
    ],
)
def test_errors_name_the_argument(arguments, word):
    with pytest.raises(ValueError, match=word):
        DepthwiseConv3D(**arguments)
