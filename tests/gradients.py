"""Gradients on every backend."""

import keras
import numpy as np
from keras import ops


def value_and_gradient(function, x):
    """What a scalar function of a tensor gives at an array, and its gradient there."""
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        value, gradient = jax.value_and_grad(function)(np.asarray(x))
    elif backend == "torch":
        x = ops.convert_to_tensor(x).requires_grad_()
        value = function(x)
        value.backward()
        value, gradient = value.detach(), x.grad
    else:
        import tensorflow as tf

        x = tf.constant(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = function(x)
        gradient = tape.gradient(value, x)
    return float(value), ops.convert_to_numpy(gradient)
