"""Max pooling of every frame."""

from typing import Any, Literal

import keras

from keras_vidreg._arguments import check_choice
from keras_vidreg.layers._spatial_pooling import SpatialPooling
from keras_vidreg.ops import spatial_max_pool
from keras_vidreg.ops.padding import padding_rule


@keras.saving.register_keras_serializable(package="keras_vidreg")
class SpatialMaxPooling(SpatialPooling):
    """Takes the maximum over windows of each frame; what lies outside of it does not count.

    Args:
        pool_size: Integer, rows and columns of a window. Defaults to `3`.
        strides: Integer, rows and columns between windows. Defaults to `2`.
        padding: Where the first window lies: `"same"` (TensorFlow's rule: what is odd goes to the
            end) or `"symmetric"` (PyTorch's: `(pool_size - 1) // 2` on both sides). Defaults to
            `"same"`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, T, H, W, C)`.

    Output shape:
        `(B, T, H', W', C)`.

    Raises:
        ValueError: If an argument is out of range.

    Example:

    >>> kv.layers.SpatialMaxPooling(3, strides=2)(np.ones((2, 8, 32, 32, 3))).shape
    (2, 8, 16, 16, 3)
    """

    def __init__(
        self,
        pool_size: int = 3,
        strides: int = 2,
        padding: Literal["same", "symmetric"] = "same",
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, **kwargs)
        self.padding = check_choice("padding", padding, ("same", "symmetric"))

    def call(self, inputs):
        pairs = padding_rule(self.padding, (1, self.pool_size, self.pool_size))[1:]
        return spatial_max_pool(inputs, self.pool_size, self.strides, pairs)

    def get_config(self):
        return {**super().get_config(), "padding": self.padding}
