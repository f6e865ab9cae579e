"""Gaussian-weighted mean over a neighborhood in space, or in time and space."""

import math
from collections.abc import Sequence
from typing import Any

import keras

from keras_vidreg._arguments import check_number
from keras_vidreg.layers._low_pass_filter import LowPassFilter


@keras.saving.register_keras_serializable(package="keras_vidreg")
class GaussianFilter(LowPassFilter):
    """Replaces every value by a Gaussian-weighted mean of its neighborhood, per channel.

    `y[t, h, w] = sum_ijk g(i) g(j) g(k) x[t + i, h + j, w + k]`, with `g(i)` proportional to
    `exp(-i² / (2 sigma²))` for `|i| <= size // 2`

    The weights of what lies inside of the video sum to one, so a constant feature passes unchanged.

    Args:
        size: Odd integer, the positions along every axis, or one for each axis. Defaults to `3`.
        sigma: Float above 0, the standard deviation in positions. Defaults to `0.4`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, H, W, C)` or `(B, T, H, W, C)`.

    Output shape:
        That of the input.

    Raises:
        ValueError: If `size` is even or does not fit the rank of the input, or if `sigma` is not
            positive.

    Example:

    >>> kv.layers.GaussianFilter(3, sigma=0.4)(np.ones((2, 8, 14, 14, 64))).shape
    (2, 8, 14, 14, 64)

    Reference:
        Kim, Cha, Wee, Bae and Kim, "Regularization on Spatio-Temporally Smoothed Feature for Action
        Recognition", CVPR 2020 (RMS-GF).
    """

    def __init__(self, size: int | Sequence[int] = 3, sigma: float = 0.4, **kwargs: Any):
        super().__init__(size, **kwargs)
        self.sigma = check_number("sigma", sigma, "above 0", lambda value: value > 0)

    def weight(self, distance: int) -> float:
        return math.exp(-(distance**2) / (2 * self.sigma**2))

    def get_config(self):
        return {**super().get_config(), "sigma": self.sigma}
