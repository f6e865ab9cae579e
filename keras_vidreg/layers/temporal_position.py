"""Sinusoidal encoding of a frame's index."""

from typing import Any

import keras
from keras import ops

from keras_vidreg._arguments import check_flag


@keras.saving.register_keras_serializable(package="keras_vidreg")
class TemporalPosition(keras.layers.Layer):
    """Adds a sinusoidal encoding of the frame index to per-frame features.

    `y[t] = x[t] + s * [sin(t * w_0), sin(t * w_1), ..., cos(t * w_0), cos(t * w_1), ...]`

    with `C / 2` frequencies `w_i = 10000 ** -e_i`, the exponents `e_i` evenly spaced from 0 to 1.

    Args:
        endpoint: Whether the last exponent is 1 (simple ViT) or one step before it (the original
            Transformer, MoViNet). Defaults to `False`.
        learned_scale: Whether `s` is a weight that starts at zero (ReZero) instead of 1. Defaults
            to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, T, C)` with an even `C`, of at least 4 with `endpoint`.

    Output shape:
        That of the input.

    Example:

    >>> kv.layers.TemporalPosition()(np.zeros((1, 2, 4))).shape
    (1, 2, 4)

    Reference:
        Vaswani et al., "Attention Is All You Need", NeurIPS 2017, section 3.5; Kondratyuk et al.,
        "MoViNets", CVPR 2021, section 3.2.
    """

    def __init__(self, endpoint: bool = False, learned_scale: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.endpoint = check_flag("endpoint", endpoint)
        self.learned_scale = check_flag("learned_scale", learned_scale)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels is None or channels % 2 or channels < (4 if self.endpoint else 2):
            raise ValueError(
                "The number of channels must be even, half of them hold sines, half cosines, and "
                f"at least 4 with an endpoint. Received: input_shape={input_shape}"
            )
        self.scale = None
        if self.learned_scale:
            self.scale = self.add_weight(name="scale", shape=(), initializer="zeros")

    def call(self, inputs):
        half = inputs.shape[-1] // 2
        exponent = ops.arange(half, dtype="float32") / (half - 1 if self.endpoint else half)
        time = ops.arange(ops.shape(inputs)[1], dtype="float32")
        angle = time[:, None] * ops.power(10000.0, -exponent)  # (T, C / 2)
        encoding = ops.concatenate([ops.sin(angle), ops.cos(angle)], axis=-1)  # (T, C)
        if self.scale is not None:
            encoding = encoding * self.scale
        return inputs + ops.cast(encoding, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "endpoint": self.endpoint,
            "learned_scale": self.learned_scale,
        }
