"""Self-gating: every channel is weighted by what all channels hold on average."""

from typing import Any

import keras
from keras import ops

from keras_vidreg.layers._gating import Gating


@keras.saving.register_keras_serializable(package="keras_vidreg")
class SelfGating(Gating):
    """Scales every channel by a number between 0 and 1 that is computed from the clip's mean.

    `y = x * sigmoid(W mean(x) + b)`, where the mean is over time, height and width.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, T, H, W, C)`.

    Output shape:
        That of the input.

    Example:

    >>> kv.layers.SelfGating()(np.ones((1, 4, 6, 6, 16))).shape
    (1, 4, 6, 6, 16)

    Reference:
        Xie et al., "Rethinking Spatiotemporal Feature Learning: Speed-Accuracy Trade-offs in Video
        Classification", ECCV 2018, section 4.4.
    """

    dense = ("gate",)

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def build(self, input_shape):
        options = {"dtype": self.dtype_policy, "name": "gate"}
        self.gate = keras.layers.Dense(input_shape[-1], "sigmoid", **options)
        self.gate.build((input_shape[0], input_shape[-1]))

    def call(self, inputs):
        gates = self.gate(ops.mean(inputs, axis=(1, 2, 3)))  # (B, C)
        return inputs * gates[:, None, None, None]

    def compute_output_shape(self, input_shape):
        return input_shape
