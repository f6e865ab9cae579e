"""Mean over the frames seen so far."""

from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_vidreg")
class CausalCumulativeMean(keras.layers.Layer):
    """Replaces each frame's features by their mean over all frames up to it.

    `y[t] = (x[0] + ... + x[t]) / (t + 1)`

    The sum is in float32 at least.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, T, C)`.

    Output shape:
        That of the input.

    Example:

    >>> kv.layers.CausalCumulativeMean()(np.array([[[1.0], [3.0], [5.0]]]))[0, :, 0]
    array([1., 2., 3.], dtype=float32)

    Reference:
        Kondratyuk et al., "MoViNets: Mobile Video Networks for Efficient Video Recognition", CVPR
        2021, section 3.2 (causal squeeze-and-excitation).
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def call(self, inputs):
        wide = keras.backend.result_type(inputs.dtype, "float32")
        count = ops.arange(1, ops.shape(inputs)[1] + 1, dtype=wide)[:, None]  # (T, 1)
        return ops.cast(ops.cumsum(ops.cast(inputs, wide), axis=1) / count, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape
