"""Average pooling over time."""

from typing import Any

import keras
from keras import ops

from keras_vidreg._arguments import check_integer


@keras.saving.register_keras_serializable(package="keras_vidreg")
class TemporalAveragePooling(keras.layers.Layer):
    """Averages each run of `size` frames; a last run that is shorter is averaged over its frames.

    `y[i] = mean(x[i * size : (i + 1) * size])`

    Args:
        size: Integer, the frames in a run.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, T, ...)`.

    Output shape:
        `(B, ceil(T / size), ...)`.

    Raises:
        ValueError: If `size` is not a positive integer.

    Example:

    >>> kv.layers.TemporalAveragePooling(2)(np.array([[1.0, 3.0, 5.0]]))
    array([[2., 5.]], dtype=float32)
    """

    def __init__(self, size: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = check_integer("size", size, 1)

    def call(self, inputs):
        _, time, *rest = ops.shape(inputs)
        count = -(-time // self.size)
        missing = count * self.size - time
        x = ops.pad(inputs, [(0, 0), (0, missing), *((0, 0) for _ in rest)])
        x = ops.reshape(x, (-1, count, self.size, *rest))  # (B, T / size, size, ...)
        frames = ops.minimum(time - ops.arange(count, dtype="int32") * self.size, self.size)
        frames = ops.reshape(ops.cast(frames, x.dtype), (count, *(1 for _ in rest)))
        return ops.sum(x, axis=2) / frames

    def compute_output_shape(self, input_shape):
        batch, time, *rest = input_shape
        return (batch, None if time is None else -(-time // self.size), *rest)

    def get_config(self):
        return {**super().get_config(), "size": self.size}
