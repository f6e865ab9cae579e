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


def test_flat_layers_and_trained_norms():
    norms = [keras.layers.BatchNormalization() for _ in range(2)]
    inner = keras.Sequential([keras.Input((2,)), norms[0]])
    model = keras.Sequential([inner, norms[1]])
    assert _keras.flat_layers(model)[0] is model
    assert set(norms) < set(_keras.flat_layers(model))
    assert len(_keras.flat_layers(model)) == len(set(_keras.flat_layers(model)))
    norms[1].trainable = False
    assert _keras.trained_norms(model) == [norms[0]]


def test_initialize_by_and_track_variables():
    with keras.StatelessScope():
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        _keras.initialize_by(model.layers[0].bias, keras.initializers.Constant(3))
    assert keras.ops.convert_to_numpy(model.layers[0].bias) == 3
    _keras.track_variables(model)
    assert len(model.variables) == 2
    if keras.backend.backend() == "torch":
        assert len(model.state_dict()) == len(model.layers[0].state_dict()) == 2


def test_steps_taken():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    assert _keras.steps_taken(model) is None
    inner = keras.optimizers.SGD(0.1)
    for optimizer in (inner, keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))):
        model.compile(optimizer, "mean_squared_error")
        model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=2, verbose=0)
        assert _keras.steps_taken(model) == 2


def test_moving_averages():
    weight = keras.Variable(np.ones(3), name="w")
    optimizer = keras.optimizers.SGD(0.1, use_ema=True)
    assert _keras.moving_averages(optimizer) == {}
    optimizer.build([weight])
    (average,) = _keras.moving_averages(optimizer).values()
    assert average.shape == weight.shape and average is not weight


def test_run_graph_and_marked_outputs():
    class Marked(_keras.MarksOutputs, keras.Model):
        pass

    inputs = keras.Input((2,))
    model = Marked(inputs, keras.layers.Dense(3, name="dense")(inputs))
    seen = []

    def watch(operation):
        seen.append(operation.name)
        return operation

    outputs = _keras.run_graph(model, keras.KerasTensor((1, 2)), watch)
    assert seen == ["dense"] and outputs.shape == (1, 3) and outputs.classifier is model
    assert not hasattr(model(np.ones((1, 2))), "classifier")


def test_copy_lambda():
    offset = 3
    layer = keras.layers.Lambda(lambda x: x + offset, output_shape=(2,), name="plus")
    copy = _keras.copy_lambda(layer)
    assert copy is not layer and copy.name == "plus" and copy.function is layer.function
    assert copy.compute_output_shape((1, 2)) == (1, 2)


def test_no_values():
    with _keras.no_values():
        layer = keras.layers.Dense(3)
        layer.build((None, 2))
    assert layer.kernel.shape == (2, 3)
    with keras.StatelessScope():  # gives values to whatever waits for one
        pass
    assert layer.kernel._value is None
