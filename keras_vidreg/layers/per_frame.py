"""A 2D layer over every frame of a video."""

from typing import Any

import keras
from keras import ops

from keras_vidreg._arguments import received
from keras_vidreg.layers._channels_last import ChannelsLast, check_channels_last


@keras.saving.register_keras_serializable(package="keras_vidreg")
class PerFrame(ChannelsLast, keras.layers.Wrapper):
    """Applies an image layer to every frame by folding time into the batch axis.

    `y[b, t] = layer(x[b, t])`, in one call of the layer instead of a loop over time.

    Args:
        layer: Layer that maps `(B, H, W, C)` to `(B, H', W', C')`, or to `(B, C')`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, T, H, W, C)`.

    Output shape:
        `(B, T, H', W', C')`, or `(B, T, C')`.

    Raises:
        ValueError: If `layer` is no layer, or has its channels first.

    Example:

    >>> pool = keras.layers.AveragePooling2D(3, 2, "same", data_format="channels_last")
    >>> kv.layers.PerFrame(pool)(np.ones((2, 8, 32, 32, 3))).shape
    (2, 8, 16, 16, 3)
    """

    def __init__(self, layer: keras.Layer, **kwargs: Any):
        if not isinstance(layer, keras.Layer):
            raise ValueError(f"`layer` must be a Keras layer. {received('layer', layer)}")
        check_channels_last(getattr(layer, "data_format", None))
        super().__init__(layer, **kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=5)

    def build(self, input_shape):
        super().build((None, *input_shape[2:]))

    def call(self, inputs):
        _, time, height, width, channels = ops.shape(inputs)
        y = self.layer(ops.reshape(inputs, (-1, height, width, channels)))  # (B * T, ...)
        return ops.reshape(y, (-1, time, *ops.shape(y)[1:]))

    def compute_output_shape(self, input_shape):
        frame = self.layer.compute_output_shape((None, *input_shape[2:]))
        return (*input_shape[:2], *frame[1:])
