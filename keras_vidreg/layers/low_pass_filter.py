"""What the low-pass filters share: a separable filter whose weights sum to one everywhere."""

import keras

from keras_vidreg.ops import low_pass


class LowPassFilter(keras.layers.Layer):
    """Weighted mean over the neighbourhood of every position, the same size out as in.

    A subclass says what a neighbour weighs (`weight`). The filter is applied along each axis in
    turn. Where a neighbourhood reaches over the border, the weights of what lies inside are scaled
    to sum to one, so a constant feature passes unchanged.

    Args:
        size: odd number of positions along every axis, or one number per axis.
        **kwargs: arguments of `keras.layers.Layer`.
    """

    def __init__(self, size=3, **kwargs):
        super().__init__(**kwargs)
        self.size = size if isinstance(size, int) else tuple(size)
        for n in (size,) if isinstance(size, int) else tuple(size):
            if not isinstance(n, int) or n < 1 or n % 2 == 0:
                raise ValueError(
                    "`size` must be a positive odd integer, or one for every axis but batch and "
                    f"channels. Received: size={size!r}"
                )
        self.supports_masking = True

    def weight(self, distance):
        """Weight, up to a factor, of a neighbour at an integer distance."""
        raise NotImplementedError

    def build(self, input_shape):
        self._taps(len(input_shape))

    def call(self, inputs):
        return low_pass(inputs, self._taps(len(inputs.shape)))

    def _taps(self, rank):
        """The weights along each axis between batch and channels."""
        if rank not in (4, 5):
            raise ValueError(
                f"`{self.name}` takes images (B, H, W, C) or videos (B, T, H, W, C). "
                f"Received: an input with {rank} axes"
            )
        sizes = (self.size,) * (rank - 2) if isinstance(self.size, int) else self.size
        if len(sizes) != rank - 2:
            raise ValueError(
                f"`size` must be an integer or have one for each of the {rank - 2} axes between "
                f"batch and channels. Received: size={self.size}"
            )
        return [[self.weight(i) for i in range(-(n // 2), n // 2 + 1)] for n in sizes]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "size": self.size}
