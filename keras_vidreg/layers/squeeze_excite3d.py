"""Squeeze-and-excitation for video, over the whole clip or causal."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_vidreg._arguments import check_flag, check_integer
from keras_vidreg.layers._gating import Gating
from keras_vidreg.layers.causal_cumulative_mean import CausalCumulativeMean
from keras_vidreg.layers.temporal_position import TemporalPosition


@keras.saving.register_keras_serializable(package="keras_vidreg")
def linear_gate(x):
    """`clip(0.2 x + 0.5, 0, 1)`: the gate that the published streaming weights were made with."""
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)


@keras.saving.register_keras_serializable(package="keras_vidreg")
class SqueezeExcite3D(Gating):
    """Scales every channel by a number between 0 and 1 that is computed from pooled features.

    `y = x * gate(W2 activation(W1 s + b1) + b2)`

    where `s` is the mean over time, height and width, one gate per clip. If `causal`, `s[t]` is the
    mean over all frames up to `t` next to the mean of frame `t` alone, one gate per frame.

    Args:
        width: Integer, the number of hidden units.
        causal: Whether frame `t` may only depend on frames up to `t`. Defaults to `False`.
        activation: Activation of the hidden units. Defaults to `"swish"`.
        gate: Activation of the output, to numbers from 0 to 1. Defaults to `"sigmoid"`.
        position: Whether to add a positional encoding with a learned scale to `s`; causal only.
            Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, T, H, W, C)`.

    Output shape:
        That of the input.

    Raises:
        ValueError: If `width` is not a positive integer, or if `position` is asked for without
            `causal`.

    Example:

    >>> kv.layers.SqueezeExcite3D(8, causal=True)(np.ones((1, 4, 6, 6, 16))).shape
    (1, 4, 6, 6, 16)

    Reference:
        Kondratyuk et al., "MoViNets: Mobile Video Networks for Efficient Video Recognition", CVPR
        2021, section 3.2.
    """

    dense = ("reduce", "expand")

    def __init__(
        self,
        width: int,
        causal: bool = False,
        activation: str | Callable = "swish",
        gate: str | Callable = "sigmoid",
        position: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.width = check_integer("width", width, 1)
        self.causal = check_flag("causal", causal)
        if check_flag("position", position) and not causal:
            raise ValueError(
                "`position` needs per-frame features: pass causal=True too. "
                f"Received: position={position}, causal={causal}"
            )
        self.activation = keras.activations.get(activation)
        self.gate = keras.activations.get(gate)
        self.position = TemporalPosition(learned_scale=True, name="position") if position else None
        self.cumulative_mean = CausalCumulativeMean(name="cumulative_mean") if causal else None
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def build(self, input_shape):
        batch, time, *_, channels = input_shape
        dtype = self.dtype_policy
        self.reduce = keras.layers.Dense(self.width, self.activation, name="reduce", dtype=dtype)
        self.expand = keras.layers.Dense(channels, self.gate, name="expand", dtype=dtype)
        pooled = (batch, time, 2 * channels if self.causal else channels)
        if self.cumulative_mean is not None:
            self.cumulative_mean.build((batch, time, channels))
        if self.position is not None:
            self.position.build(pooled)
        self.reduce.build(pooled)
        self.expand.build((batch, time, self.width))

    def call(self, inputs):
        if self.cumulative_mean is not None:
            frame = ops.mean(inputs, axis=(2, 3))  # (B, T, C)
            pooled = ops.concatenate([self.cumulative_mean(frame), frame], axis=-1)  # (B, T, 2 C)
        else:
            pooled = ops.mean(inputs, axis=(1, 2, 3))[:, None]  # (B, 1, C)
        if self.position is not None:
            pooled = self.position(pooled)
        gates = self.expand(self.reduce(pooled))  # (B, T or 1, C)
        return inputs * gates[:, :, None, None]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "width": self.width,
            "causal": self.causal,
            "activation": keras.activations.serialize(self.activation),
            "gate": keras.activations.serialize(self.gate),
            "position": self.position is not None,
        }
