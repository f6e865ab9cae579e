"""Average pooling of every frame."""

import keras

from keras_vidreg.ops import spatial_average_pool


@keras.saving.register_keras_serializable(package="keras_vidreg")
class SpatialAveragePooling(keras.layers.Layer):
    """Average over windows of each frame; what lies outside of the frame does not count.

    Padding follows TensorFlow's `"same"` rule, so the output has `ceil(H / strides)` rows. (Keras's
    own pooling counts differently on PyTorch where the padding is not symmetric.)

    Args:
        pool_size: rows and columns of a window. Defaults to 3.
        strides: rows and columns between windows. Defaults to 2.

    Input shape: `(B, T, H, W, C)`. Output shape: `(B, T, H', W', C)`.

    Example:

    >>> SpatialAveragePooling(3, strides=2)(np.ones((2, 8, 32, 32, 3), "float32")).shape
    (2, 8, 16, 16, 3)
    """

    def __init__(self, pool_size=3, strides=2, **kwargs):
        super().__init__(**kwargs)
        if min(pool_size, strides) < 1:
            raise ValueError(
                "`pool_size` and `strides` must be positive. "
                f"Received: pool_size={pool_size}, strides={strides}"
            )
        self.pool_size = pool_size
        self.strides = strides
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def call(self, inputs):
        return spatial_average_pool(inputs, self.pool_size, self.strides)

    def compute_output_shape(self, input_shape):
        batch, time, *size, channels = input_shape
        rows_and_columns = (n if n is None else -(-n // self.strides) for n in size)
        return (batch, time, *rows_and_columns, channels)

    def get_config(self):
        return {**super().get_config(), "pool_size": self.pool_size, "strides": self.strides}
