"""Convolution over time, height and width."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from keras_vidreg._arguments import check_sizes
from keras_vidreg.layers._channels_last import ChannelsLast, check_channels_last
from keras_vidreg.ops import conv3d
from keras_vidreg.ops.padding import Padding, check_padding, padded_sizes, padding_rule


@keras.saving.register_keras_serializable(package="keras_vidreg")
class Conv3D(ChannelsLast, keras.layers.Conv3D):
    """`keras.layers.Conv3D` with two more rules of padding, computed in a fast way.

    `y[t, h, w, f] = sum_ijkc x[t + i, h + j, w + k, c] * kernel[i, j, k, c, f] + bias[f]`

    The computation is picked per backend and never changes the result.

    Args:
        filters: Integer, the number of output channels.
        kernel_size: Integer or three (time, height, width).
        strides: Integer or three. Defaults to `1`.
        padding: `"valid"` (none), `"same"` (TensorFlow's rule: what is odd goes to the end),
            `"symmetric"` (PyTorch's: `(k - 1) // 2` zeros on both sides) or `"causal"` (`"same"` in
            space; all of the padding in front of the first frame in time). Defaults to `"valid"`.
        **kwargs: As in `keras.layers.Conv3D`, but for `groups` and `dilation_rate`, which are 1,
            and `data_format`, which is `"channels_last"` whatever `keras.json` says.

    Input shape:
        `(B, T, H, W, C)`.

    Output shape:
        `(B, T', H', W', filters)`.

    Raises:
        ValueError: If an argument is out of range, or there are groups or dilation.

    Example:

    >>> x = np.ones((2, 8, 32, 32, 3))
    >>> kv.layers.Conv3D(16, (1, 7, 7), strides=(1, 2, 2), padding="symmetric")(x).shape
    (2, 8, 16, 16, 16)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int | Sequence[int],
        strides: int | Sequence[int] = 1,
        padding: Padding = "valid",
        **kwargs: Any,
    ):
        check_padding(padding)
        check_channels_last(kwargs.get("data_format"))
        super().__init__(
            filters,
            check_sizes("kernel_size", kernel_size),
            check_sizes("strides", strides),
            **{**kwargs, "data_format": "channels_last"},
        )
        self.padding = padding
        if self.groups > 1 or max(self.dilation_rate) > 1:
            raise ValueError(
                "`groups` and `dilation_rate` must be 1; `keras.layers.Conv3D` has them, and "
                "`DepthwiseConv3D` has one group per channel. "
                f"Received: groups={self.groups}, dilation_rate={self.dilation_rate}"
            )

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        pairs = padding_rule(self.padding, self.kernel_size)
        kernel = ops.convert_to_tensor(kernel, self.compute_dtype)
        return conv3d(inputs, kernel, self.strides, pairs)

    def compute_output_shape(self, input_shape):
        batch, *sizes, _ = input_shape
        sizes = padded_sizes(sizes, self.padding, self.kernel_size, self.strides)
        return (batch, *sizes, self.filters)
