"""What a convolution over time adds up: the frames that each of its taps meets."""

import keras
from keras import ops

from keras_vidreg.ops.padding import any_padding


def sum_over_time(steps, stride, padding, dilation):
    """`y[t] = sum_i steps[i][t * stride + i * dilation - before]`, zero outside of the clip."""
    if len(steps) == 1 and stride == 1:
        return steps[0]
    return sum(met_by_tap(y, i, len(steps), stride, padding, dilation) for i, y in enumerate(steps))


def met_by_tap(x, i, taps, stride, padding, dilation=1):
    """The frames `t * stride + i * dilation - before` of `x`, zero outside of the clip."""
    count = (ops.shape(x)[1] + sum(padding) - (taps - 1) * dilation - 1) // stride + 1
    x = ops.pad(x, [(0, 0), padding, (0, 0), (0, 0), (0, 0)]) if any_padding([padding]) else x
    start, span = i * dilation, (count - 1) * stride + 1
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        x = tf.slice(x, (0, start, 0, 0, 0), (-1, span, -1, -1, -1))  # its gradient is a pad: fast
        return x if stride == 1 else x[:, ::stride]
    return x[:, start : start + span : stride]
