"""Average pooling of every frame."""

import keras

from keras_vidreg.layers._spatial_pooling import SpatialPooling
from keras_vidreg.ops import spatial_average_pool


@keras.saving.register_keras_serializable(package="keras_vidreg")
class SpatialAveragePooling(SpatialPooling):
    """Averages over windows of each frame; what lies outside of the frame does not count.

    Padding follows TensorFlow's `"same"` rule, so the output has `ceil(H / strides)` rows. (Keras's
    own pooling counts differently on PyTorch where the padding is not symmetric.)

    Args:
        pool_size: Integer, rows and columns of a window. Defaults to `3`.
        strides: Integer, rows and columns between windows. Defaults to `2`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, T, H, W, C)`.

    Output shape:
        `(B, T, H', W', C)`.

    Raises:
        ValueError: If an argument is not a positive integer.

    Example:

    >>> kv.layers.SpatialAveragePooling(3, strides=2)(np.ones((2, 8, 32, 32, 3))).shape
    (2, 8, 16, 16, 3)
    """

    def call(self, inputs):
        return spatial_average_pool(inputs, self.pool_size, self.strides)
