"""Depthwise convolution over time, height and width."""

import keras
from keras import ops

from keras_vidreg.ops import depthwise_conv3d
from keras_vidreg.ops.padding import check_padding, padded_sizes, padding_rule


@keras.saving.register_keras_serializable(package="keras_vidreg")
class DepthwiseConv3D(keras.layers.Layer):
    """Convolve each channel of a video with its own 3D kernels.

    `y[t, h, w, c * M + m] = sum_ijk x[t + i, h + j, w + k, c] * kernel[i, j, k, c, m] + bias`

    The computation is picked per backend and never changes the result.

    Args:
        kernel_size: int or three ints (time, height, width).
        strides: int or three ints. Defaults to 1.
        padding: `"valid"`, `"same"` (TensorFlow's rule: what is odd goes to the end),
            `"symmetric"` (PyTorch's: `(k - 1) // 2` zeros on both sides) or `"causal"` (`"same"` in
            space; all of the padding in front of the first frame in time). Defaults to `"valid"`.
        depth_multiplier: kernels per channel, M. Defaults to 1.
        data_format: `None` or `"channels_last"`.
        dilation_rate: int or three ints. Defaults to 1. Strides and dilation exclude each other.
        activation: applied to the result. Defaults to none.
        use_bias: whether to add a bias per output channel. Defaults to True.
        depthwise_initializer, bias_initializer, depthwise_regularizer, bias_regularizer,
            activity_regularizer, depthwise_constraint, bias_constraint: as in
            `keras.layers.DepthwiseConv2D`.

    Input shape: `(B, T, H, W, C)`. Output shape: `(B, T', H', W', C * M)`.

    Raises:
        ValueError: for an unknown padding, sizes below one, or strides together with dilation.

    Example:

    >>> x = np.ones((2, 8, 32, 32, 16), "float32")
    >>> DepthwiseConv3D((5, 3, 3), strides=(1, 2, 2), padding="causal")(x).shape
    (2, 8, 16, 16, 16)
    """

    def __init__(
        self,
        kernel_size,
        strides=1,
        padding="valid",
        depth_multiplier=1,
        data_format=None,
        dilation_rate=1,
        activation=None,
        use_bias=True,
        depthwise_initializer="glorot_uniform",
        bias_initializer="zeros",
        depthwise_regularizer=None,
        bias_regularizer=None,
        depthwise_constraint=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.kernel_size = _three("kernel_size", kernel_size)
        self.strides = _three("strides", strides)
        self.dilation_rate = _three("dilation_rate", dilation_rate)
        self.padding = padding
        self.depth_multiplier = depth_multiplier
        self.data_format = data_format or "channels_last"
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.depthwise_initializer = keras.initializers.get(depthwise_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.depthwise_regularizer = keras.regularizers.get(depthwise_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.depthwise_constraint = keras.constraints.get(depthwise_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.input_spec = keras.layers.InputSpec(ndim=5)
        check_padding(padding)
        if self.data_format != "channels_last":
            raise ValueError(
                "`data_format` must be 'channels_last': move the channels to the last axis with "
                f"`keras.ops.moveaxis(x, 1, -1)`. Received: data_format={data_format!r}"
            )
        if not isinstance(depth_multiplier, int) or depth_multiplier < 1:
            raise ValueError(
                "`depth_multiplier` must be a positive integer. "
                f"Received: depth_multiplier={depth_multiplier!r}"
            )
        if max(self.strides) > 1 and max(self.dilation_rate) > 1:
            raise ValueError(
                "`strides` above 1 cannot be combined with `dilation_rate` above 1. "
                f"Received: strides={self.strides}, dilation_rate={self.dilation_rate}"
            )

    def build(self, input_shape):
        channels = input_shape[-1]
        if channels is None:
            raise ValueError(
                "The number of channels, the last axis of the input, must be known. "
                f"Received: input_shape={input_shape}"
            )
        self.input_spec = keras.layers.InputSpec(ndim=5, axes={-1: channels})
        self.kernel = self.add_weight(
            name="kernel",
            shape=(*self.kernel_size, channels, self.depth_multiplier),
            initializer=self.depthwise_initializer,
            regularizer=self.depthwise_regularizer,
            constraint=self.depthwise_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(channels * self.depth_multiplier,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs):
        x = depthwise_conv3d(
            inputs,
            ops.convert_to_tensor(self.kernel, self.compute_dtype),
            self.strides,
            padding_rule(self.padding, self.kernel_size, self.dilation_rate),
            self.dilation_rate,
        )
        if self.bias is not None:
            x = x + ops.convert_to_tensor(self.bias, self.compute_dtype)
        return self.activation(x)

    def compute_output_shape(self, input_shape):
        batch, *sizes, channels = input_shape
        sizes = padded_sizes(
            sizes, self.padding, self.kernel_size, self.strides, self.dilation_rate
        )
        return (batch, *sizes, channels * self.depth_multiplier)

    def get_config(self):
        serialize = {
            "activation": keras.activations.serialize,
            "depthwise_initializer": keras.initializers.serialize,
            "bias_initializer": keras.initializers.serialize,
            "depthwise_regularizer": keras.regularizers.serialize,
            "bias_regularizer": keras.regularizers.serialize,
            "depthwise_constraint": keras.constraints.serialize,
            "bias_constraint": keras.constraints.serialize,
        }
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
            "depth_multiplier": self.depth_multiplier,
            "data_format": self.data_format,
            "dilation_rate": self.dilation_rate,
            "use_bias": self.use_bias,
            **{name: to_config(getattr(self, name)) for name, to_config in serialize.items()},
        }


def _three(name, value):
    sizes = (value,) * 3 if isinstance(value, int) else tuple(value)
    if len(sizes) != 3 or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise ValueError(
            f"`{name}` must be a positive integer or three of them (time, height, width). "
            f"Received: {name}={value!r}"
        )
    return sizes
