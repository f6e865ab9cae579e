"""Convolution over time, height and width."""

import keras
from keras import ops

from keras_vidreg.ops import conv3d
from keras_vidreg.ops.padding import check_padding, padded_sizes, padding_rule


@keras.saving.register_keras_serializable(package="keras_vidreg")
class Conv3D(keras.layers.Conv3D):
    """`keras.layers.Conv3D` with two more rules of padding, computed in a fast way.

    `y[t, h, w, f] = sum_ijkc x[t + i, h + j, w + k, c] * kernel[i, j, k, c, f] + bias[f]`

    The computation is picked per backend and never changes the result.

    Args:
        filters: number of output channels.
        kernel_size: int or three ints (time, height, width).
        strides: int or three ints. Defaults to 1.
        padding: `"valid"`, `"same"` (TensorFlow's rule: what is odd goes to the end),
            `"symmetric"` (PyTorch's: `(k - 1) // 2` zeros on both sides) or `"causal"` (`"same"` in
            space; all of the padding in front of the first frame in time). Defaults to `"valid"`.
        **kwargs: as in `keras.layers.Conv3D`, but for `groups` and `dilation_rate`, which are 1.

    Input shape: `(B, T, H, W, C)`. Output shape: `(B, T', H', W', filters)`.

    Raises:
        ValueError: for an unknown padding, channels that do not come last, groups or dilation.

    Example:

    >>> x = np.ones((2, 8, 32, 32, 3), "float32")
    >>> Conv3D(16, (1, 7, 7), strides=(1, 2, 2), padding="symmetric")(x).shape
    (2, 8, 16, 16, 16)
    """

    def __init__(self, filters, kernel_size, strides=1, padding="valid", **kwargs):
        check_padding(padding)
        super().__init__(filters, kernel_size, strides, **kwargs)
        self.padding = padding
        if self.data_format != "channels_last":
            raise ValueError(
                "`data_format` must be 'channels_last': move the channels to the last axis with "
                f"`keras.ops.moveaxis(x, 1, -1)`. Received: data_format={self.data_format!r}"
            )
        if self.groups > 1 or max(self.dilation_rate) > 1:
            raise ValueError(
                "`groups` and `dilation_rate` must be 1; `keras.layers.Conv3D` has them, and "
                "`DepthwiseConv3D` has one group per channel. "
                f"Received: groups={self.groups}, dilation_rate={self.dilation_rate}"
            )

    def convolution_op(self, inputs, kernel):
        pairs = padding_rule(self.padding, self.kernel_size)
        kernel = ops.convert_to_tensor(kernel, self.compute_dtype)
        return conv3d(inputs, kernel, self.strides, pairs)

    def compute_output_shape(self, input_shape):
        batch, *sizes, _ = input_shape
        sizes = padded_sizes(sizes, self.padding, self.kernel_size, self.strides)
        return (batch, *sizes, self.filters)
