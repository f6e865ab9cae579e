"""What poolings of frames have in common."""

from typing import Any

import keras

from keras_vidreg._arguments import check_integer
from keras_vidreg.layers._channels_last import ChannelsLast
from keras_vidreg.ops.padding import padded_sizes


class SpatialPooling(ChannelsLast):
    """Pools windows of each frame; `padding` says where the first one lies."""

    padding = "same"

    def __init__(self, pool_size: int = 3, strides: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.pool_size = check_integer("pool_size", pool_size, 1)
        self.strides = check_integer("strides", strides, 1)
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = input_shape
        window, strides = (1, self.pool_size, self.pool_size), (1, self.strides, self.strides)
        return (batch, *padded_sizes(sizes, self.padding, window, strides), channels)

    def get_config(self):
        return {**super().get_config(), "pool_size": self.pool_size, "strides": self.strides}
