"""Convolution over time, height and width, as a sum of convolutions of frames."""

import keras
from keras import ops

from keras_vidreg.ops.padding import any_padding, pad_pairs
from keras_vidreg.ops.time_taps import met_by_tap


def conv3d(x, kernel, strides, padding):
    """Convolve `(B, T, H, W, C)` with a kernel `(kt, kh, kw, C, filters)`.

    `strides` and `padding` are those of `depthwise_conv3d`. 2D convolutions of folded axes do the
    work: XLA's 3D convolution is 2 to 20 times slower on a CPU, most of all its gradient. Only
    PyTorch's is faster than their sum, where it has strides.
    """
    kt, kh, kw, channels, filters = kernel.shape
    if (kt, kh, kw) == (1, 1, 1):
        st, sh, sw = strides
        return ops.matmul(x[:, ::st, ::sh, ::sw] if max(strides) > 1 else x, kernel[0, 0, 0])
    padding = pad_pairs(x, kernel.shape, strides, padding)
    if keras.backend.backend() == "torch" and kt > 1 and max(strides) > 1:
        return _conv(x, kernel, strides, padding)
    _, time, height, width, _ = ops.shape(x)
    if (kh, kw) == (1, 1) and strides[1:] == (1, 1):
        x = ops.reshape(x, (-1, time, height * width, channels))  # (B, T, H * W, C)
        y = _conv(x, kernel[:, 0], (strides[0], 1), (padding[0], (0, 0)))
        return ops.reshape(y, (-1, ops.shape(y)[1], height, width, filters))
    total = 0
    for i in range(kt):
        view = met_by_tap(x, i, kt, strides[0], padding[0])
        frames = ops.reshape(view, (-1, height, width, channels))  # (B * T', H, W, C)
        total = total + _conv(frames, kernel[i], strides[1:], padding[1:])
    return ops.reshape(total, (-1, ops.shape(view)[1], *ops.shape(total)[1:]))


def _conv(x, kernel, strides, padding):
    """The backend's own convolution, in two or three dimensions."""
    rank = len(strides)
    if keras.backend.backend() == "torch":
        axes = tuple(range(rank))  # the ONNX exporter takes no negative ones
        x = x.permute(0, rank + 1, *(axis + 1 for axis in axes))  # views
        kernel = kernel.permute(rank + 1, rank, *axes)
        y = torch_conv(x, kernel, strides, padding, (1,) * rank, 1)
        return y.permute(0, *(axis + 2 for axis in axes), 1)
    if keras.backend.backend() == "jax":
        import jax

        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=layout)
    x = ops.pad(x, [(0, 0), *padding, (0, 0)]) if any_padding(padding) else x
    return ops.conv(x, kernel, strides, "valid")


def torch_conv(x, weight, strides, padding, dilation, groups):
    """A native convolution of a channels-first view, in two or three dimensions.

    Native padding is symmetric. Where `before < after`, the input gets the difference; where
    `before > after` (causal), the surplus outputs are computed and cut off. (Padding the kernel
    instead copies less, but ONNX wants kernels that are constant.)
    """
    import torch.nn.functional as F

    rest = [max(after - before, 0) for before, after in padding]
    keep = tuple(
        slice((size + sum(pair) - (k - 1) * d - 1) // s + 1)
        for size, pair, k, s, d in zip(
            x.shape[2:], padding, weight.shape[2:], strides, dilation, strict=True
        )
    )
    if any(rest):
        x = F.pad(x, [n for after in reversed(rest) for n in (0, after)])
    convolve = F.conv2d if x.ndim == 4 else F.conv3d
    y = convolve(x, weight, None, strides, [before for before, _ in padding], dilation, groups)
    return y[(slice(None), slice(None), *keep)]
