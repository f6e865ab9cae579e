"""Depthwise convolution as a sum of shifted copies of its input, and the gradient of that."""

import functools
import itertools

from keras import ops


def depthwise_shifted(x, kernel, strides, padding, dilation):
    """Sum over the kernel's taps of shifted copies of the input: what XLA fuses into one loop."""
    if kernel.shape[-1] > 1:
        x = ops.repeat(x, kernel.shape[-1], axis=-1)
    kernel = ops.reshape(kernel, (*kernel.shape[:3], -1))  # (kt, kh, kw, C * M)
    views = shifted_views(x, kernel.shape[:3], strides, padding, dilation)
    taps = itertools.product(*map(range, kernel.shape[:3]))
    return functools.reduce(
        lambda total, view: total + view,
        (view * kernel[tap] for view, tap in zip(views, taps, strict=True)),
    )


def shifted_views(x, kernel_size, strides, padding, dilation):
    """The part of the padded `x` that each tap of the kernel meets, in the kernel's C order.

    A strided axis is split into its phases first: a phase is read without gaps.
    """
    sizes = list(x.shape)
    widths, counts = [(0, 0)], []
    for axis, (k, s, d, (before, after)) in enumerate(
        zip(kernel_size, strides, dilation, padding, strict=True), start=1
    ):
        padded = sizes[axis] + before + after
        counts.append((padded - (k - 1) * d - 1) // s + 1)
        widths.append((before, after + (-padded) % s))
        sizes[axis] = padded + (-padded) % s
    x = ops.pad(x, [*widths, (0, 0)])
    _, time, height, width, channels = sizes
    (st, sh, sw) = strides
    # (B, T / st, st, H / sh, sh, W / sw, sw, C)
    x = ops.reshape(x, (-1, time // st, st, height // sh, sh, width // sw, sw, channels))
    for tap in itertools.product(*map(range, kernel_size)):
        steps = zip(tap, dilation, strides, strict=True)
        (t, pt), (h, ph), (w, pw) = (divmod(i * d, s) for i, d, s in steps)
        nt, nh, nw = counts
        yield x[:, t : t + nt, pt, h : h + nh, ph, w : w + nw, pw]


def shifted_input_gradient(cotangent, kernel, shape, strides, padding, dilation):
    """The transpose of `depthwise_shifted`: for each phase of the input, the taps that read it."""
    taps = kernel.shape[:3]
    weights = ops.reshape(kernel, (*taps, -1))
    sizes = shape[1:4]
    padded = [n + sum(pair) for n, pair in zip(sizes, padding, strict=True)]
    counts = [-(-n // s) for n, s in zip(padded, strides, strict=True)]
    reach = [(k - 1) * d // s for k, d, s in zip(taps, dilation, strides, strict=True)]
    margins = [
        (r, max(n - length, 0))
        for r, n, length in zip(reach, counts, cotangent.shape[1:4], strict=True)
    ]
    cotangent = ops.pad(cotangent, [(0, 0), *margins, (0, 0)])
    phases = dict.fromkeys(itertools.product(*map(range, strides)), 0)
    for tap in itertools.product(*map(range, taps)):
        steps = zip(tap, dilation, strides, strict=True)
        shifts, phase = zip(*(divmod(i * d, s) for i, d, s in steps), strict=True)
        window = tuple(
            slice(r - shift, r - shift + n)
            for r, shift, n in zip(reach, shifts, counts, strict=True)
        )
        phases[phase] = phases[phase] + cotangent[(slice(None), *window)] * weights[tap]
    zeros = ops.zeros((shape[0], *counts, weights.shape[-1]), cotangent.dtype)
    gradient = ops.stack([zeros + part for part in phases.values()])
    gradient = ops.reshape(gradient, (*strides, *zeros.shape))  # (st, sh, sw, B, t, h, w, C * M)
    gradient = ops.transpose(gradient, (3, 4, 0, 5, 1, 6, 2, 7))
    gradient = ops.reshape(
        gradient, (-1, *(n * s for n, s in zip(counts, strides, strict=True)), *kernel.shape[3:])
    )
    inside = (slice(pair[0], pair[0] + n) for n, pair in zip(sizes, padding, strict=True))
    return ops.sum(gradient[(slice(None), *inside)], axis=-1)  # over the multiplier
