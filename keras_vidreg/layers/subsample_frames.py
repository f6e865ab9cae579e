"""Fewer frames of a video."""

from typing import Any

import keras
from keras import ops

from keras_vidreg._arguments import check_flag, check_integer
from keras_vidreg.ops import take_frames


@keras.saving.register_keras_serializable(package="keras_vidreg")
class SubsampleFrames(keras.layers.Layer):
    """Keeps `ceil(T / rate)` of the `T` frames of a clip.

    `y[i] = x[i * (T - 1) // (n - 1)]` with `n = ceil(T / rate)`: from the first frame to the last
    one, as even as it goes. With `to_end=False` every `rate`-th frame, `y[i] = x[i * rate]`.

    Args:
        rate: Integer, how many frames there are for one that is kept.
        to_end: Whether the last frame is kept. Defaults to `True`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, T, ...)`.

    Output shape:
        `(B, ceil(T / rate), ...)`.

    Raises:
        ValueError: If `rate` is not a positive integer.

    Example:

    >>> kv.layers.SubsampleFrames(4)(np.arange(32.0)[None])
    array([[ 0.,  4.,  8., 13., 17., 22., 26., 31.]], dtype=float32)
    """

    def __init__(self, rate: int, to_end: bool = True, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = check_integer("rate", rate, 1)
        self.to_end = check_flag("to_end", to_end)

    def call(self, inputs):
        time = ops.shape(inputs)[1]
        count = -(-time // self.rate)
        position = ops.arange(count, dtype="int32")
        if self.to_end:
            intervals = ops.maximum(count - 1, 1)
            position = position * (time - 1) // intervals
        else:
            position = position * self.rate
        return take_frames(inputs, position)

    def compute_output_shape(self, input_shape):
        batch, time, *rest = input_shape
        return (batch, None if time is None else -(-time // self.rate), *rest)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "to_end": self.to_end}
