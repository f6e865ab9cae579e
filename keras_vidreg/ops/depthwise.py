"""Depthwise convolution, one way for each backend.

A stock grouped `Conv3D` is correct as well, but two orders of magnitude slower on the CPUs of
TensorFlow and JAX.
"""

import functools

import keras
from keras import ops

from keras_vidreg.ops.convolution import torch_conv
from keras_vidreg.ops.padding import any_padding, pad_pairs
from keras_vidreg.ops.shifted import depthwise_shifted, shifted_input_gradient, shifted_views
from keras_vidreg.ops.time_taps import met_by_tap, sum_over_time


def depthwise_conv3d(x, kernel, strides, padding, dilation):
    """Convolve every channel of `x` with its own kernels.

    Args:
        x: `(B, T, H, W, C)`.
        kernel: `(kt, kh, kw, C, M)`, the same dtype as `x`.
        strides, dilation: three ints each, for time, height and width.
        padding: three `(before, after)` pairs of zero frames, rows and columns. A pair may be the
            string `"same"`, TensorFlow's rule, where what is odd goes to the end.

    Returns:
        `(B, T', H', W', C * M)`, output channel `c * M + m` comes from input channel `c`.
    """
    padding = pad_pairs(x, kernel.shape, strides, padding, dilation)
    lower = _DEPTHWISE.get(keras.backend.backend(), depthwise_shifted)
    return lower(x, kernel, strides, padding, dilation)


def _depthwise_jax(x, kernel, strides, padding, dilation):
    return _jax_depthwise_function()(x, kernel, strides, padding, dilation)


@functools.cache
def _jax_depthwise_function():
    """The shifted form with gradients of its own.

    Left to itself, JAX writes the gradient of the input as a scatter per tap, and that of the
    kernel as one reduction per tap, each of which reads the whole input again.
    """
    import jax

    @functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
    def depthwise(x, kernel, strides, padding, dilation):
        return depthwise_shifted(x, kernel, strides, padding, dilation)

    def forward(x, kernel, strides, padding, dilation):
        return depthwise(x, kernel, strides, padding, dilation), (x, kernel)

    def backward(strides, padding, dilation, saved, cotangent):
        x, kernel = saved
        dx = shifted_input_gradient(cotangent, kernel, x.shape, strides, padding, dilation)
        if kernel.shape[-1] > 1:
            x = ops.repeat(x, kernel.shape[-1], axis=-1)
        views = shifted_views(x, kernel.shape[:3], strides, padding, dilation)
        products = tuple(view.astype("float32") * cotangent for view in views)
        zeros = (jax.numpy.float32(0),) * len(products)
        sums = jax.lax.reduce(products, zeros, _add_pairwise, (0, 1, 2, 3))  # all taps in one pass
        return dx, jax.numpy.stack(sums).reshape(kernel.shape).astype(kernel.dtype)

    depthwise.defvjp(forward, backward)
    return depthwise


def _add_pairwise(a, b):
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _depthwise_torch(x, kernel, strides, padding, dilation):
    """Native convolutions on permuted views of the channels-last tensor, without a copy.

    Folding frames into the batch, or space into one axis, lets a 2D kernel do the work: its
    gradient is several times faster than the 3D one's. Where no gradient is wanted, one 3D
    convolution is the fastest.
    """
    import torch

    kt, kh, kw, channels, multiplier = kernel.shape
    batch, time, height, width, _ = x.shape
    weight = kernel.permute(3, 4, 0, 1, 2).reshape(channels * multiplier, 1, kt, kh, kw)
    in_time = kt > 1 or strides[0] > 1
    in_space = (kh, kw) != (1, 1) or strides[1:] != (1, 1)
    if in_time and not in_space:
        y = torch_conv(
            x.reshape(batch, time, height * width, channels).permute(0, 3, 1, 2),
            weight[..., 0],
            (strides[0], 1),
            (padding[0], (0, 0)),
            (dilation[0], 1),
            channels,
        )  # (B, C * M, T', H * W)
        return y.permute(0, 2, 3, 1).reshape(batch, -1, height, width, channels * multiplier)
    if in_time and not torch.is_grad_enabled():
        y = torch_conv(x.permute(0, 4, 1, 2, 3), weight, strides, padding, dilation, channels)
        return y.permute(0, 2, 3, 4, 1)
    frames = x.reshape(-1, height, width, channels).permute(0, 3, 1, 2)  # (B * T, C, H, W)
    steps = []
    for i in range(kt):
        y = torch_conv(frames, weight[:, :, i], strides[1:], padding[1:], dilation[1:], channels)
        y = y.permute(0, 2, 3, 1)
        steps.append(y.reshape(batch, time, *y.shape[1:]))
    return sum_over_time(steps, strides[0], padding[0], dilation[0])


def _depthwise_tensorflow(x, kernel, strides, padding, dilation):
    """One 2D convolution of all frames for each of the kernel's time steps, shifted and added."""
    import tensorflow as tf

    kt, kh, kw, channels, multiplier = kernel.shape
    shape = tf.shape(x)
    spatial = padding[1:]
    if (kh, kw) == (1, 1) and strides[1:] == (1, 1):
        if multiplier > 1:
            x = tf.repeat(x, multiplier, axis=-1)
        taps = tf.reshape(kernel, (kt, channels * multiplier))
        views = (met_by_tap(x, i, kt, strides[0], padding[0], dilation[0]) for i in range(kt))
        return tf.add_n([view * taps[i] for i, view in enumerate(views)])

    frames = tf.reshape(x, (-1, shape[2], shape[3], channels))  # (B * T, H, W, C)
    frames = tf.pad(frames, [(0, 0), *spatial, (0, 0)]) if any_padding(spatial) else frames
    stride = strides[1] if strides[1] == strides[2] else 1  # the 2D kernel has one stride only
    steps = []
    for i in range(kt):
        y = tf.nn.depthwise_conv2d(
            frames, kernel[i], (1, stride, stride, 1), "VALID", dilations=dilation[1:]
        )
        if stride != strides[1] or stride != strides[2]:
            y = y[:, :: strides[1], :: strides[2]]
        size = tf.shape(y)
        steps.append(tf.reshape(y, (-1, shape[1], size[1], size[2], channels * multiplier)))
    return sum_over_time(steps, strides[0], padding[0], dilation[0])


_DEPTHWISE = {
    "jax": _depthwise_jax,
    "torch": _depthwise_torch,
    "tensorflow": _depthwise_tensorflow,
}
