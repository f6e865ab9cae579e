"""What this package uses of Keras beyond its public interface."""

import contextlib
from collections.abc import Iterator

import keras
from keras import ops
from keras.src.backend.common import global_state


def flat_layers(layer: keras.Layer) -> list[keras.Layer]:
    """A layer and all layers inside it, at any depth, each once."""
    return list(dict.fromkeys(layer._flatten_layers()))


def run_graph(model: keras.Model, inputs, operation_fn):
    """Pass symbolic inputs through a graph; `operation_fn(operation)` is called in its place."""
    return model._run_through_graph(inputs, operation_fn=operation_fn)


class MarksOutputs:
    """Symbolic outputs of such a model's graph know it: `tensor.classifier`.

    They are all that `keras.models.clone_model` gives the constructor of a copy.
    """

    def _run_through_graph(self, *args, **kwargs):
        outputs = super()._run_through_graph(*args, **kwargs)
        if isinstance(outputs, keras.KerasTensor):
            outputs.classifier = self
        return outputs


def copy_lambda(layer: keras.layers.Lambda) -> keras.layers.Lambda:
    """A copy with the same function, which its config does not keep."""
    common = keras.layers.Layer.get_config(layer)
    return keras.layers.Lambda(
        layer.function, layer._output_shape, layer.mask, layer.arguments, **common
    )


@contextlib.contextmanager
def no_values() -> Iterator[None]:
    """Variables that are made in here have no values, and Keras does not remember to draw them."""
    waiting = "uninitialized_variables"
    before = list(global_state.get_global_attribute(waiting, ()))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(waiting, before)


def track_variables(model: keras.Model) -> None:
    """Track what was built in a `StatelessScope` as after any other build.

    On PyTorch, `state_dict()`, `to()` and `double()` know only what is tracked.
    """
    for layer in flat_layers(model):
        layer._post_build()


def initialize_by(variable: keras.Variable, initializer) -> None:
    """Give a variable of a `StatelessScope` the function that makes its first value at the end."""
    variable._initializer = initializer


def steps_taken(model: keras.Model) -> int | None:
    """Number of steps of the model's optimizer; None if it was not compiled."""
    optimizer = getattr(model, "optimizer", None)
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    return optimizer and int(ops.convert_to_numpy(optimizer.iterations))


def trained_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """The batch normalizations of a model that are not frozen."""
    norms = (x for x in flat_layers(model) if isinstance(x, keras.layers.BatchNormalization))
    return [layer for layer in norms if layer.trainable]


def nearest_operation(tensor, wanted):
    """The nearest operation before a symbolic tensor for which `wanted(operation)`, or None."""
    tensors, seen = [tensor], set()
    for tensor in tensors:  # grows while it is read: breadth first
        operation, node, _ = getattr(tensor, "_keras_history", (None, 0, 0))
        if operation is None or id(operation) in seen:
            continue
        if wanted(operation):
            return operation
        seen.add(id(operation))
        tensors += operation._inbound_nodes[node].input_tensors
    return None


def moving_averages(optimizer: keras.optimizers.Optimizer) -> dict:
    """`{key of a weight: its moving average}` of an optimizer that keeps them.

    Raises:
        AttributeError: If it keeps none.
    """
    averages = optimizer._model_variables_moving_average if optimizer.built else []
    keys = map(optimizer._var_key, optimizer._trainable_variables if averages else [])
    return dict(zip(keys, averages, strict=True))
