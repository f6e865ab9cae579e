"""Layer that adds the Gaussian random walk smoothing loss of its input."""

from typing import Any, Literal

import keras
from keras import ops

from keras_vidreg._arguments import check_choice, check_flag, check_number
from keras_vidreg.layers._channels_last import ChannelsLast
from keras_vidreg.losses.grw_smoothing import (
    check_frames,
    check_grw_arguments,
    grw_smoothing_loss,
)


@keras.saving.register_keras_serializable(package="keras_vidreg")
class GRWSmoothing(ChannelsLast):
    r"""Passes per-frame embeddings through and, in training, adds a loss that smooths them.

    ```
    output = inputs
    loss  += weight * grw_smoothing_loss(z, window, alpha, permutations)
    ```

    where `z` is the input, averaged over space if it has any, and with `normalize=True`
    standardized over batch and time: `(z - mean) / sqrt(variance + 1e-5)` per feature. The loss
    is computed in float32 under any dtype policy. See `keras_vidreg.losses.grw_smoothing_loss`.

    Args:
        window: Integer of at least 3, frames per window.
        alpha: Float of at least 0, the weight of the velocity term. Defaults to `0.5`.
        weight: Float of at least 0, the factor of the whole loss. With 0 nothing is computed.
            Defaults to `0.1`.
        normalize: Whether to apply batch normalization without affine parameters (statistics of
            the batch) before the loss, for features inside a network, whose scale is free.
            Defaults to `False`.
        permutations: `"all"` (window up to 12), or the number of orders to sample. The sample is
            drawn once and is the same in every step. Defaults to `"all"`.
        remainder: What to do with a number of frames that is not a multiple of `window`:
            `"error"`, or `"drop"` to leave the last frames out of the loss. Defaults to
            `"error"`.
        seed: Integer that the sample of orders is drawn from. Defaults to `None`, which is 0.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Embeddings `(B, N, K)` or feature maps `(B, N, H, W, K)`. `N` may be unknown (None)
            while a model is built.
        training: Whether to add the loss.

    Output shape:
        That of the input; it is the same tensor. A mask passes through and does not change the
        loss.

    Raises:
        ValueError: If an argument is out of range, if the input has another rank, if the number
            of frames is known and not a multiple of `window` (with `remainder="error"`, in
            training and at inference), or if it is below `window` in training.

    Example:

    >>> inputs = keras.Input((10, 16))
    >>> z = keras.layers.Dense(8)(inputs)
    >>> z = kv.layers.GRWSmoothing(window=5, weight=0.1)(z)
    >>> outputs = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling1D()(z))
    >>> model = keras.Model(inputs, outputs)

    Reference:
        Goldman, Giryes and Satyanarayanan, "Smooth Regularization for Efficient Video
        Recognition", NeurIPS 2025, arXiv:2511.20928.
    """

    def __init__(
        self,
        window: int,
        alpha: float = 0.5,
        weight: float = 0.1,
        normalize: bool = False,
        permutations: Literal["all"] | int = "all",
        remainder: Literal["error", "drop"] = "error",
        seed: int | None = None,
        **kwargs: Any,
    ):
        # Without autocast a float32 input also leaves as float32 under a mixed policy.
        super().__init__(autocast=False, **kwargs)
        self.window, self.alpha, self.permutations = check_grw_arguments(
            window, alpha, permutations
        )
        self.weight = check_number("weight", weight, "of at least 0", lambda value: value >= 0)
        self.normalize = check_flag("normalize", normalize)
        self.remainder = check_choice("remainder", remainder, ("error", "drop"))
        self.seed = seed
        self.supports_masking = True

    def build(self, input_shape):
        self._check_shape(input_shape)

    def call(self, inputs, training=False):
        self._check_shape(inputs.shape)
        if training and self.weight:
            self.add_loss(self.weight * self._loss(inputs))
        return inputs

    def _loss(self, inputs):
        z = ops.cast(inputs, "float32")
        if len(z.shape) == 5:
            z = ops.mean(z, axis=(2, 3))  # (B, N, K)
        if self.normalize:
            mean, variance = ops.moments(z, axes=(0, 1), keepdims=True)
            z = (z - mean) * ops.rsqrt(variance + 1e-5)
        too_short = z.shape[1] is not None and z.shape[1] < self.window  # an error of the loss
        if self.remainder == "drop" and not too_short:
            z = z[:, : ops.shape(z)[1] // self.window * self.window]
        return grw_smoothing_loss(
            z, self.window, self.alpha, self.permutations, seed=self.seed or 0
        )

    def _check_shape(self, shape):
        if len(shape) not in (3, 5):
            raise ValueError(
                f"`{self.name}` takes (batch, frames, features) or (batch, frames, height, width, "
                f"features). Received: an input of shape {tuple(shape)}"
            )
        if self.remainder == "error":
            check_frames(shape[1], self.window)

    def compute_output_shape(self, input_shape):
        self._check_shape(input_shape)
        return input_shape

    def compute_output_spec(self, inputs, **kwargs):
        super().compute_output_spec(inputs, **kwargs)
        return keras.KerasTensor(self.compute_output_shape(inputs.shape), dtype=inputs.dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "window": self.window,
            "alpha": self.alpha,
            "weight": self.weight,
            "normalize": self.normalize,
            "permutations": self.permutations,
            "remainder": self.remainder,
            "seed": self.seed,
        }
