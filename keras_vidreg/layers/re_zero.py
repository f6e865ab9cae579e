"""Residual connection with a learned gain."""

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_vidreg")
class ReZero(keras.layers.Layer):
    """Adds a branch to its shortcut, scaled by one learned number that starts at zero.

    `y = shortcut + alpha * branch`

    Args:
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Pair `(shortcut, branch)` of equal shapes.

    Output shape:
        That of the shortcut.

    Example:

    >>> kv.layers.ReZero()([np.ones((1, 2)), np.ones((1, 2))])
    array([[1., 1.]], dtype=float32)

    Reference:
        Bachlechner et al., "ReZero is All You Need", UAI 2021, equation 1.
    """

    def __init__(self, **kwargs: Any):
        super().__init__(**kwargs)

    def build(self, input_shape):
        self.alpha = self.add_weight(name="alpha", shape=(), initializer="zeros")

    def call(self, inputs):
        shortcut, branch = inputs
        return shortcut + self.alpha * branch

    def compute_output_shape(self, input_shape):
        return input_shape[0]
