"""Keras's private attributes are what `keras_vidreg._keras` takes them for."""

import keras
import numpy as np

from keras_vidreg import _keras


def test_nearest_operation():
    def convolution(operation):
        return isinstance(operation, keras.layers.Conv2D)

    inputs = keras.Input((4, 4, 3))
    assert _keras.nearest_operation(inputs, convolution) is None
    assert _keras.nearest_operation(np.ones((1, 2)), convolution) is None
    conv = keras.layers.Conv2D(3, 1)
    x = keras.layers.BatchNormalization()(conv(inputs))
    x = keras.layers.Add()([x, keras.layers.ReLU()(x)])
    assert _keras.nearest_operation(x, convolution) is conv
