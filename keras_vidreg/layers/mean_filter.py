"""Mean over a neighborhood in space, or in time and space."""

import keras

from keras_vidreg.layers._low_pass_filter import LowPassFilter


@keras.saving.register_keras_serializable(package="keras_vidreg")
class MeanFilter(LowPassFilter):
    """Replaces every value by the mean of its neighborhood, separately per channel.

    `y[t, h, w] = mean of x[t + i, h + j, w + k] over |i|, |j|, |k| <= size // 2`

    The mean is over what lies inside of the video, so a constant feature passes unchanged.

    Args:
        size: Odd integer, the positions along every axis, or one for each axis. Defaults to `3`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, H, W, C)` or `(B, T, H, W, C)`.

    Output shape:
        That of the input.

    Raises:
        ValueError: If `size` is even or does not fit the rank of the input.

    Example:

    >>> kv.layers.MeanFilter(3)(np.ones((2, 8, 14, 14, 64))).shape
    (2, 8, 14, 14, 64)

    Reference:
        Kim, Cha, Wee, Bae and Kim, "Regularization on Spatio-Temporally Smoothed Feature for Action
        Recognition", CVPR 2020 (the spatio-temporal mean).
    """

    def weight(self, distance: int) -> float:
        return 1.0
