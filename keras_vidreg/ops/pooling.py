"""Maximum and average over windows of each frame."""

import functools

import keras
import numpy as np
from keras import ops

from keras_vidreg.ops.padding import pad_pairs, same_padding


def spatial_max_pool(x, size, stride, padding):
    """Maximum of `(B, T, H, W, C)` over windows of each frame; what lies outside does not count."""
    _, time, height, width, channels = ops.shape(x)
    x = ops.reshape(x, (-1, height, width, channels))  # (B * T, H, W, C)
    pairs = pad_pairs(x, (size, size), (stride, stride), padding)
    x = ops.pad(x, [(0, 0), *pairs, (0, 0)], constant_values=-np.inf)
    if keras.backend.backend() == "jax":  # XLA's gradient of a window's maximum is slow
        import jax

        for axis in (1, 2):
            span = (x.shape[axis] - size) // stride * stride + 1
            views = [jax.lax.slice_in_dim(x, i, i + span, stride, axis) for i in range(size)]
            x = functools.reduce(ops.maximum, views)
    else:
        x = ops.max_pool(x, size, stride, "valid")
    return ops.reshape(x, (-1, time, *ops.shape(x)[1:]))


def spatial_average_pool(x, size, stride):
    """Average `(B, T, H, W, C)` over windows of each frame, "same", without counting padding."""
    _, time, height, width, channels = ops.shape(x)
    frames = ops.reshape(x, (-1, height, width, channels))  # (B * T, H, W, C)
    if keras.backend.backend() == "torch":
        y = _average_pool_torch(frames, size, stride)
    else:
        y = ops.average_pool(frames, size, stride, "same")
    return ops.reshape(y, (-1, time, *ops.shape(y)[1:]))


def _average_pool_torch(frames, size, stride):
    """Keras's pooling divides by the wrong count on PyTorch where padding is not symmetric."""
    import torch
    import torch.nn.functional as F

    rows, columns = (same_padding(n, size, stride, 1, n) for n in frames.shape[1:3])
    x = frames.permute(0, 3, 1, 2)  # a view
    if rows[0] == rows[1] and columns[0] == columns[1]:
        y = F.avg_pool2d(x, size, stride, (rows[0], columns[0]), count_include_pad=False)
    else:
        padding = (*columns, *rows)
        inside = F.pad(torch.ones_like(x[:1, :1]), padding)
        y = F.avg_pool2d(F.pad(x, padding), size, stride) / F.avg_pool2d(inside, size, stride)
    return y.permute(0, 2, 3, 1)
