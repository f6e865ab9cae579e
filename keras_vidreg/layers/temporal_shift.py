"""Exchange of channels between neighbouring frames."""

from typing import Any

import keras
from keras import ops

from keras_vidreg._arguments import check_flag, check_number
from keras_vidreg.layers._channels_last import ChannelsLast


@keras.saving.register_keras_serializable(package="keras_vidreg")
class TemporalShift(ChannelsLast):
    """Moves some channels by one frame, so that a layer for images sees its neighbours in time.

    With `f` channels, the given fraction of C:

    `y[t] = [x[t + 1, :f], x[t - 1, f : 2 f], x[t, 2 f :]]`

    or, if `causal`, `y[t] = [x[t - 1, :f], x[t, f:]]`. What comes from outside of the clip is zero.

    Args:
        fraction: Float above 0, the fraction of the channels, rounded down, that is moved in each
            direction: at most 1/2, or 1 if `causal`. Defaults to `0.125`.
        causal: Whether frame `t` may only depend on frames up to `t`. Defaults to `False`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, T, ..., C)`.

    Output shape:
        That of the input.

    Raises:
        ValueError: If the fraction is out of range, or less than one channel.

    Example:

    >>> kv.layers.TemporalShift(fraction=0.5)(np.array([[[1.0, 2.0], [3.0, 4.0]]]))
    array([[[3., 0.],
            [0., 2.]]], dtype=float32)

    Reference:
        Lin, Gan, Han, "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019,
        sections 3.2 and 3.4 (causal).
    """

    def __init__(self, fraction: float = 0.125, causal: bool = False, **kwargs: Any):
        super().__init__(**kwargs)
        self.causal = check_flag("causal", causal)
        most = 1 if causal else 0.5
        self.fraction = check_number(
            "fraction", fraction, f"above 0 and at most {most}", lambda value: 0 < value <= most
        )
        self.input_spec = keras.layers.InputSpec(min_ndim=3)

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels is None or int(channels * self.fraction) < 1:
            raise ValueError(
                "`fraction` of the channels, the last axis of the input, must be one or more. "
                f"Received: fraction={self.fraction}, input_shape={input_shape}"
            )

    def call(self, inputs):
        count = int(inputs.shape[-1] * self.fraction)
        first, rest = inputs[..., :count], inputs[..., count:]
        if self.causal:
            return ops.concatenate([_from_past(first), rest], axis=-1)
        second, rest = rest[..., :count], rest[..., count:]
        return ops.concatenate([_from_future(first), _from_past(second), rest], axis=-1)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "fraction": self.fraction, "causal": self.causal}


def _from_past(x):
    """`y[t] = x[t - 1]`"""
    return _pad_time(x[:, :-1], (1, 0))


def _from_future(x):
    """`y[t] = x[t + 1]`"""
    return _pad_time(x[:, 1:], (0, 1))


def _pad_time(x, pair):
    return ops.pad(x, [(0, 0), pair, *[(0, 0)] * (len(x.shape) - 2)])
