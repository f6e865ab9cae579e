"""How each backend computes what Keras has no fast operation for.

This is the only room that asks which backend runs. Every function takes channels-last tensors and
gives the same result everywhere; only the way there differs.
"""

from keras_vidreg.ops.convolution import conv3d
from keras_vidreg.ops.depthwise import depthwise_conv3d
from keras_vidreg.ops.filtering import low_pass
from keras_vidreg.ops.gather import take_frames
from keras_vidreg.ops.pooling import spatial_average_pool, spatial_max_pool
from keras_vidreg.ops.random import seed_global_state

__all__ = [
    "conv3d",
    "depthwise_conv3d",
    "low_pass",
    "seed_global_state",
    "spatial_average_pool",
    "spatial_max_pool",
    "take_frames",
]
