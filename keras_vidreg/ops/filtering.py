"""Separable low-pass filters."""

import math

import keras
import numpy as np
from keras import ops

from keras_vidreg.ops.depthwise import depthwise_conv3d


def low_pass(x, taps):
    """A separable filter along every axis of `x` but the first and the last.

    Args:
        x: `(B, ..., C)`.
        taps: for every axis between, an odd number of weights. At the borders, where some of them
            fall outside, the others are scaled so that they sum to one.

    Returns:
        A tensor of the shape of `x`.
    """
    if keras.backend.backend() == "jax":
        return _low_pass_shifted(x, taps)
    for axis, weights in enumerate(taps, start=1):
        shape = ops.shape(x)
        matrix = ops.cast(_band(shape[axis], weights), x.dtype)
        y = ops.reshape(x, (math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])))
        x = ops.reshape(ops.matmul(matrix, y), shape)
    return x


def _band(length, weights):
    """The filter along one axis as a matrix: a product is faster than shifts, also backwards."""
    reach = len(weights) // 2
    position = ops.arange(length, dtype="int32")
    offset = position[None, :] - position[:, None]  # (length, length)
    inside = ops.abs(offset) <= reach
    weights = ops.convert_to_tensor(weights, "float32")
    matrix = ops.where(inside, ops.take(weights, ops.clip(offset + reach, 0, 2 * reach)), 0.0)
    return matrix / ops.sum(matrix, axis=1, keepdims=True)


def _low_pass_shifted(x, taps):
    """The same as one depthwise convolution, which XLA fuses into a single loop."""
    spatial = x.shape[1:-1]
    weight = inside = np.ones((1,) * len(taps), "float32")
    for axis, weights in enumerate(taps):
        shape = [1] * len(taps)
        shape[axis] = -1
        weight = weight * np.reshape(np.float32(weights), shape)
        sums = np.convolve(np.ones(spatial[axis], "float32"), weights, "full")
        reach = len(weights) // 2
        inside = inside * sums[reach : reach + spatial[axis]].reshape(shape)
    lead = (1,) * (3 - len(taps))  # an image is a video of one frame
    kernel = np.broadcast_to(weight[..., None, None], (*weight.shape, x.shape[-1], 1))
    y = depthwise_conv3d(
        ops.reshape(ops.cast(x, "float32"), (-1, *lead, *spatial, x.shape[-1])),
        ops.convert_to_tensor(kernel.reshape(*lead, *kernel.shape)),
        (1, 1, 1),
        ((0, 0),) * len(lead) + tuple((len(w) // 2,) * 2 for w in taps),
        (1, 1, 1),
    )
    y = ops.reshape(y, (-1, *spatial, x.shape[-1])) / inside[..., None]
    return ops.cast(y, x.dtype)
