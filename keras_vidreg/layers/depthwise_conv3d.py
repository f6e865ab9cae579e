"""Depthwise convolution over time, height and width."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import keras
from keras import ops

from keras_vidreg._arguments import check_flag, check_integer, check_sizes
from keras_vidreg.layers._channels_last import ChannelsLast, check_channels_last
from keras_vidreg.ops import depthwise_conv3d
from keras_vidreg.ops.padding import Padding, check_padding, padded_sizes, padding_rule


@keras.saving.register_keras_serializable(package="keras_vidreg")
class DepthwiseConv3D(ChannelsLast):
    """Convolves each channel of a video with its own 3D kernels.

    `y[t, h, w, c * M + m] = sum_ijk x[t + i, h + j, w + k, c] * kernel[i, j, k, c, m] + bias`

    The computation is picked per backend and never changes the result.

    Args:
        kernel_size: Integer or three (time, height, width).
        strides: Integer or three. Defaults to `1`.
        padding: `"valid"` (none), `"same"` (TensorFlow's rule: what is odd goes to the end),
            `"symmetric"` (PyTorch's: `(k - 1) // 2` zeros on both sides) or `"causal"` (`"same"` in
            space; all of the padding in front of the first frame in time). Defaults to `"valid"`.
        depth_multiplier: Integer, kernels per channel, M. Defaults to `1`.
        data_format: `None` or `"channels_last"`, which are the same whatever `keras.json` says.
        dilation_rate: Integer or three. Strides and dilation exclude each other. Defaults to `1`.
        activation: Activation of the result. Defaults to `None`.
        use_bias: Whether to add a bias per output channel. Defaults to `True`.
        depthwise_initializer: Initializer of the kernel. Defaults to `"glorot_uniform"`.
        bias_initializer: Initializer of the bias. Defaults to `"zeros"`.
        depthwise_regularizer: Regularizer of the kernel. Defaults to `None`.
        bias_regularizer: Regularizer of the bias. Defaults to `None`.
        depthwise_constraint: Constraint on the kernel. Defaults to `None`.
        bias_constraint: Constraint on the bias. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, T, H, W, C)`.

    Output shape:
        `(B, T', H', W', C * M)`.

    Raises:
        ValueError: If an argument is out of range, or strides come together with dilation.

    Example:

    >>> x = np.ones((2, 8, 32, 32, 16))
    >>> kv.layers.DepthwiseConv3D((5, 3, 3), strides=(1, 2, 2), padding="causal")(x).shape
    (2, 8, 16, 16, 16)
    """

    def __init__(
        self,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: Padding = "valid",
        depth_multiplier: int = 1,
        data_format: Literal["channels_last"] | None = None,
        dilation_rate: int | Sequence[int] = 1,
        activation: str | Callable | None = None,
        use_bias: bool = True,
        depthwise_initializer: str | keras.Initializer = "glorot_uniform",
        bias_initializer: str | keras.Initializer = "zeros",
        depthwise_regularizer: str | keras.Regularizer | None = None,
        bias_regularizer: str | keras.Regularizer | None = None,
        depthwise_constraint: str | Callable | None = None,
        bias_constraint: str | Callable | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.kernel_size = check_sizes("kernel_size", kernel_size)
        self.strides = check_sizes("strides", strides)
        self.dilation_rate = check_sizes("dilation_rate", dilation_rate)
        self.padding = padding
        self.depth_multiplier = check_integer("depth_multiplier", depth_multiplier, 1)
        self.activation = keras.activations.get(activation)
        self.use_bias = check_flag("use_bias", use_bias)
        self.depthwise_initializer = keras.initializers.get(depthwise_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.depthwise_regularizer = keras.regularizers.get(depthwise_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.depthwise_constraint = keras.constraints.get(depthwise_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.input_spec = keras.layers.InputSpec(ndim=5)
        check_padding(padding)
        check_channels_last(data_format)
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
