"""Some of the frames of a video."""

import keras
from keras import ops


def take_frames(x, positions):
    """The frames `positions`, a vector of integers, of `(B, T, ...)`."""
    if keras.backend.backend() == "torch" and not isinstance(x, keras.KerasTensor):
        return x.index_select(1, positions)  # `ops.take` cannot be exported to ONNX
    return ops.take(x, positions, axis=1)
