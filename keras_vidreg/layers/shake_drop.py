"""Layer that disturbs a residual branch at random, forward and backward by different factors."""

import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

import keras
from keras import ops

from keras_vidreg._arguments import check_choice, check_number, received
from keras_vidreg.layers._channels_last import ChannelsLast

Level = Literal["batch", "sample", "channel", "pixel"]


@keras.saving.register_keras_serializable(package="keras_vidreg")
class ShakeDrop(ChannelsLast):
    """Scales a residual branch by a random factor, and its gradient by another, in training.

    ```
    forward    y     = (b + alpha - b * alpha) * x
    backward   dL/dx = (b + beta  - b * beta)  * dL/dy
    inference  y     = E[b + alpha - b * alpha] * x = (1 - rate + rate * E[alpha]) * x
    ```

    with `b ~ Bernoulli(1 - rate)`, and `alpha` and `beta` uniform in their ranges. The layer stands
    at the end of a branch, before it is added to its shortcut. As in the paper `b` is one number
    per layer and step, and `level` says which elements have an `alpha` and a `beta` of their own.
    All frames of a clip share them at every level, also at `"pixel"`, where a number belongs to a
    place and a channel of the feature map: a clip is disturbed as a whole and does not flicker.

    The rivals of Random Mean Scaling in table 2 of its paper are settings of this layer:

    | name       | alpha | beta     | level     |
    |------------|-------|----------|-----------|
    | RandomDrop | 0     | 0        | `"batch"` |
    | ShakeDrop  | 0     | (0, 0.5) | `"pixel"` |

    Args:
        rate: Float from 0 to 1, the probability that the branch is disturbed in a step. The paper
            lets it grow in a line with depth: `rate * block / blocks` for blocks 1, 2, … Defaults
            to `0.5`.
        alpha: Forward factor: `(low, high)`, or one number. Defaults to `(-1, 1)`.
        beta: Backward factor: `(low, high)`, or one number. Defaults to `(0, 1)`.
        level: `"batch"` (one draw for all), `"sample"` (one per clip), `"channel"` (one per clip
            and channel) or `"pixel"` (one per clip, row, column and channel). Defaults to
            `"pixel"`.
        seed: Integer, for reproducible draws. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, ..., C)`, any rank from 2; `(B, T, H, W, C)` is a batch of clips.

    Output shape:
        That of the input.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> branch = np.ones((4, 8, 7, 7, 16))
    >>> y = kv.layers.ShakeDrop(0.5, alpha=0, beta=(0, 0.5), seed=0)(branch, training=True)

    Reference:
        Yamada, Iwamura, Akiba and Kise, "ShakeDrop Regularization for Deep Residual Learning", IEEE
        Access 2019, arXiv:1802.02375, equation 6 and section 4; Kim, Cha, Wee, Bae and Kim,
        "Regularization on Spatio-Temporally Smoothed Feature for Action Recognition", CVPR 2020,
        table 2.
    """

    def __init__(
        self,
        rate: float = 0.5,
        alpha: float | Sequence[float] = (-1.0, 1.0),
        beta: float | Sequence[float] = (0.0, 1.0),
        level: Level = "pixel",
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.rate = check_number("rate", rate, "from 0 to 1", lambda value: 0 <= value <= 1)
        self.alpha = _range("alpha", alpha)
        self.beta = _range("beta", beta)
        self.level = check_choice("level", level, get_args(Level))
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs, training=False):
        if self.rate == 0:
            return inputs
        if not training:
            expected = 1 - self.rate + self.rate * sum(self.alpha) / 2
            return inputs if expected == 1 else inputs * ops.cast(expected, inputs.dtype)
        undisturbed = self._uniform(()) >= self.rate  # b
        shape = self._draws(ops.shape(inputs))
        forward, backward = (
            ops.cast(ops.where(undisturbed, 1.0, self._uniform(shape, *limits)), inputs.dtype)
            for limits in (self.alpha, self.beta)
        )
        # The difference has no gradient: the value is forward * x, the gradient backward.
        return backward * inputs + ops.stop_gradient((forward - backward) * inputs)

    def _uniform(self, shape, low=0.0, high=1.0):
        return keras.random.uniform(shape, low, high, "float32", self.seed_generator)

    def _draws(self, shape):
        """Shape of the draws for an input of this shape: 1 where they are shared."""
        rank = len(shape)
        own = {
            "batch": (),
            "sample": (0,),
            "channel": (0, rank - 1),
            "pixel": [axis for axis in range(rank) if not (rank == 5 and axis == 1)],
        }[self.level]
        return tuple(shape[axis] if axis in own else 1 for axis in range(rank))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "alpha": self.alpha,
            "beta": self.beta,
            "level": self.level,
            "seed": self.seed,
        }


def _range(name, value):
    limits = tuple(value) if isinstance(value, Sequence) else (value, value)
    try:
        low, high = (check_number(name, limit, "", math.isfinite) for limit in limits)
    except ValueError:
        low, high = 1.0, 0.0
    if not low <= high:
        raise ValueError(
            f"`{name}` must be a number or (low, high), low <= high. {received(name, value)}"
        )
    return low, high
