"""Residual connection with a learned gain."""

import keras


@keras.saving.register_keras_serializable(package="keras_vidreg")
class ReZero(keras.layers.Layer):
    """Add a branch to its shortcut, scaled by one learned number that starts at zero.

    `y = shortcut + alpha * branch`

    Input: a pair `(shortcut, branch)` of equal shapes. Output: a tensor of that shape.

    Example:

    >>> ReZero()([np.ones((1, 2), "float32"), np.ones((1, 2), "float32")])
    array([[1., 1.]], dtype=float32)

    Reference: Bachlechner et al., "ReZero is All You Need", UAI 2021, equation 1.
    """

    def build(self, input_shape):
        self.alpha = self.add_weight(name="alpha", shape=(), initializer="zeros")

    def call(self, inputs):
        shortcut, branch = inputs
        return shortcut + self.alpha * branch

    def compute_output_shape(self, input_shape):
        return input_shape[0]
