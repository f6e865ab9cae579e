"""Random Mean Scaling: in training, the low frequencies of a feature get a random gain."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import keras
from keras import ops

from keras_vidreg._arguments import check_choice, check_number
from keras_vidreg.layers._channels_last import ChannelsLast
from keras_vidreg.layers._low_pass_filter import LowPassFilter
from keras_vidreg.layers.gaussian_filter import GaussianFilter
from keras_vidreg.layers.mean_filter import MeanFilter


@keras.saving.register_keras_serializable(package="keras_vidreg")
class RandomMeanScaling(ChannelsLast):
    """Scales the low-frequency part of a feature by one random number per clip.

    ```
    training:   y = x + (a - 1) * lowpass(x),     a ~ N(mean, stddev²), one per clip and layer
    inference:  y = x + (mean - 1) * lowpass(x),  which is x itself for a mean of 1
    ```

    It belongs in front of a batch normalization inside a residual branch. `component` picks what
    is scaled instead of the low frequencies: the paper's ablation.

    Args:
        mean: Float, the expectation of the gain. Defaults to `1.0`.
        stddev: Float of at least 0, its standard deviation. Defaults to `0.5`.
        distribution: `"normal"`, or `"uniform"` between `low` and `high`. Defaults to `"normal"`.
        low_pass: `"mean"` for a `MeanFilter`, `"gaussian"` for a `GaussianFilter`. Defaults to
            `"mean"`.
        size: Odd integer, the positions that the filter spans along every axis, or one for each
            axis. Defaults to `3`.
        sigma: Float, the width of the Gaussian filter in positions. Defaults to `0.4`.
        component: `"mean"` scales `lowpass(x)`, `"residual"` scales `x - lowpass(x)`, `"input"`
            scales `x`. Defaults to `"mean"`.
        seed: Integer, for reproducible draws. Defaults to `None`, a seed of its own per layer.
        low: Float, the lower bound of the uniform distribution. Defaults to
            `mean - sqrt(3) * stddev`, which gives it this mean and standard deviation.
        high: Float, its upper bound. Defaults to `mean + sqrt(3) * stddev`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Features `(B, H, W, C)` or `(B, T, H, W, C)`.
        training: Whether to draw the gains.

    Output shape:
        That of the input.

    Raises:
        ValueError: If an argument is out of range, if the input has another rank, or if the model
            around it has its channels first.

    Example:

    >>> x = keras.layers.Conv3D(8, 3, padding="same")(keras.Input((8, 32, 32, 3)))
    >>> x = kv.layers.RandomMeanScaling(stddev=0.5)(x)
    >>> x = keras.layers.BatchNormalization()(x)

    Reference:
        Kim, Cha, Wee, Bae and Kim, "Regularization on Spatio-Temporally Smoothed Feature for Action
        Recognition", CVPR 2020 (component: table 1c).
    """

    follows_keras_json = True

    def __init__(
        self,
        mean: float = 1.0,
        stddev: float = 0.5,
        distribution: Literal["normal", "uniform"] = "normal",
        low_pass: Literal["mean", "gaussian"] = "mean",
        size: int | Sequence[int] = 3,
        sigma: float = 0.4,
        component: Literal["mean", "residual", "input"] = "mean",
        seed: int | None = None,
        low: float | None = None,
        high: float | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.mean = check_number("mean", mean, "that is finite", math.isfinite)
        self.stddev = check_number("stddev", stddev, "of at least 0", lambda value: value >= 0)
        self.distribution = check_choice("distribution", distribution, ("normal", "uniform"))
        self.low_pass = check_choice("low_pass", low_pass, ("mean", "gaussian"))
        self.component = check_choice("component", component, ("mean", "residual", "input"))
        if (low is None) != (high is None) or (low is not None and distribution != "uniform"):
            raise ValueError(
                "`low` and `high` are given together, and for the uniform distribution only. "
                f"Received: low={low!r}, high={high!r}, distribution={distribution!r}"
            )
        if low is not None and high is not None:
            high = check_number("high", high, "that is finite", math.isfinite)
            low = check_number("low", low, f"up to high={high}", lambda value: value <= high)
        self.low, self.high = low, high
        self.sigma = check_number("sigma", sigma, "above 0", lambda value: value > 0)
        self.filter: LowPassFilter = (
            MeanFilter(size, dtype=self.dtype_policy)
            if low_pass == "mean"
            else GaussianFilter(size, sigma, dtype=self.dtype_policy)
        )
        self.size = self.filter.size
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape):
        self.filter.build(input_shape)

    def call(self, inputs, training=False):
        if training:
            gain = self._draw(ops.shape(inputs)[0])  # (B,)
            gain = ops.reshape(gain, (-1, *(1,) * (len(inputs.shape) - 1)))  # (B, 1, ..., 1)
        elif self.expected_gain == 1:
            return inputs
        else:
            gain = self.expected_gain
        return inputs + ops.cast(gain - 1, inputs.dtype) * self._part(inputs)

    @property
    def expected_gain(self) -> float:
        """The gain at inference."""
        low, high = self._bounds()
        return (low + high) / 2 if self.distribution == "uniform" else self.mean

    def _bounds(self):
        if self.low is not None and self.high is not None:
            return self.low, self.high
        spread = math.sqrt(3) * self.stddev
        return self.mean - spread, self.mean + spread

    def _draw(self, count):
        draw, limits = keras.random.normal, (self.mean, self.stddev)
        if self.distribution == "uniform":
            draw, limits = keras.random.uniform, self._bounds()
        return draw((count,), *limits, "float32", self.seed_generator)

    def _part(self, x):
        if self.component == "input":
            return x
        return self.filter(x) if self.component == "mean" else x - self.filter(x)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        names = (
            *("mean", "stddev", "distribution", "low_pass", "size", "sigma", "component"),
            *("seed", "low", "high"),
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
