"""What the low-pass filters share: a separable filter whose weights sum to one everywhere."""

from collections.abc import Sequence
from typing import Any

from keras_vidreg._arguments import check_integer, received
from keras_vidreg.layers._channels_last import ChannelsLast
from keras_vidreg.ops import low_pass


class LowPassFilter(ChannelsLast):
    """Weighted mean over the neighborhood of every position, the same size out as in.

    A subclass says what a neighbor weighs (`weight`). The filter is applied along each axis in
    turn. Where a neighborhood reaches over the border, the weights of what lies inside are scaled
    to sum to one, so a constant feature passes unchanged.
    """

    follows_keras_json = True

    def __init__(self, size: int | Sequence[int] = 3, **kwargs: Any):
        super().__init__(**kwargs)
        self.size = tuple(size) if isinstance(size, Sequence) else size
        for n in self.size if isinstance(self.size, tuple) else (self.size,):
            if check_integer("size", n, 1) % 2 == 0:
                raise ValueError(f"`size` must be odd. {received('size', size)}")
        self.supports_masking = True

    def weight(self, distance: int) -> float:
        """Weight, up to a factor, of a neighbor at an integer distance."""
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
        sizes = self.size if isinstance(self.size, tuple) else (self.size,) * (rank - 2)
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
