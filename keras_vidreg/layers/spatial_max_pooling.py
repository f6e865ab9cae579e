"""Max pooling of every frame."""

import keras

from keras_vidreg.ops import spatial_max_pool
from keras_vidreg.ops.padding import padded_sizes, padding_rule


@keras.saving.register_keras_serializable(package="keras_vidreg")
class SpatialMaxPooling(keras.layers.Layer):
    """Maximum over windows of each frame; what lies outside of the frame does not count.

    Args:
        pool_size: rows and columns of a window. Defaults to 3.
        strides: rows and columns between windows. Defaults to 2.
        padding: where the first window lies: `"same"` (TensorFlow's rule: what is odd goes to the
            end) or `"symmetric"` (PyTorch's: `(pool_size - 1) // 2` on both sides). Defaults to
            `"same"`.

    Input shape: `(B, T, H, W, C)`. Output shape: `(B, T, H', W', C)`.

    Raises:
        ValueError: if an argument is out of range.

    Example:

    >>> SpatialMaxPooling(3, strides=2)(np.ones((2, 8, 32, 32, 3), "float32")).shape
    (2, 8, 16, 16, 3)
    """

    def __init__(self, pool_size=3, strides=2, padding="same", **kwargs):
        super().__init__(**kwargs)
        if min(pool_size, strides) < 1:
            raise ValueError(
                "`pool_size` and `strides` must be positive. "
                f"Received: pool_size={pool_size}, strides={strides}"
            )
        if padding not in ("same", "symmetric"):
            raise ValueError(
                f'`padding` must be "same" or "symmetric". Received: padding={padding!r}'
            )
        self.pool_size = pool_size
        self.strides = strides
        self.padding = padding
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def call(self, inputs):
        pairs = padding_rule(self.padding, (1, self.pool_size, self.pool_size))[1:]
        return spatial_max_pool(inputs, self.pool_size, self.strides, pairs)

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = input_shape
        window, strides = (1, self.pool_size, self.pool_size), (1, self.strides, self.strides)
        return (batch, *padded_sizes(sizes, self.padding, window, strides), channels)

    def get_config(self):
        return {
            **super().get_config(),
            "pool_size": self.pool_size,
            "strides": self.strides,
            "padding": self.padding,
        }
