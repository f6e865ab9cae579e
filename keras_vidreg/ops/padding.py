"""Rules of padding: how many zeros go in front of and behind each axis of a video."""

from typing import Literal, get_args

from keras import ops

from keras_vidreg._arguments import check_choice

Padding = Literal["valid", "same", "causal", "symmetric"]


def check_padding(padding):
    check_choice("padding", padding, get_args(Padding))


def padding_rule(padding, kernel_size, dilation=(1, 1, 1)):
    """`padding` as three (before, after) pairs; `"same"` depends on the input's size and stays."""
    if padding == "valid":
        return ((0, 0),) * 3
    if padding == "symmetric":
        return tuple(((k - 1) // 2 * d,) * 2 for k, d in zip(kernel_size, dilation, strict=True))
    history = ((kernel_size[0] - 1) * dilation[0], 0)
    return (history if padding == "causal" else "same", "same", "same")


def padded_sizes(sizes, padding, kernel_size, strides, dilation=(1, 1, 1)):
    """Frames, rows and columns after a convolution; None stays None."""
    pairs = padding_rule(padding, kernel_size, dilation)
    axes = zip(sizes, pairs, kernel_size, strides, dilation, strict=True)
    return tuple(
        None
        if size is None
        else (size - (0 if pair == "same" else (k - 1) * d - sum(pair)) - 1) // stride + 1
        for size, pair, k, stride, d in axes
    )


def pad_pairs(x, kernel_size, strides, padding, dilation=(1, 1, 1)):
    return tuple(
        same_padding(x.shape[i], kernel_size[i - 1], stride, d, ops.shape(x)[i])
        if pair == "same"
        else pair
        for i, (pair, stride, d) in enumerate(zip(padding, strides, dilation, strict=False), 1)
    )


def same_padding(size, kernel, stride, dilation, dynamic_size):
    extent = (kernel - 1) * dilation
    if stride == 1:
        total = extent  # holds for every size, so a size that is unknown while tracing is welcome
    elif size is None:
        total = ops.maximum(extent + 1 - stride + (-dynamic_size) % stride, 0)
    else:
        total = max(extent + 1 - stride + (-size) % stride, 0)
    return total // 2, total - total // 2


def any_padding(pairs):
    return any(not isinstance(n, int) or n for pair in pairs for n in pair)
