"""What this package uses of Keras beyond its public interface."""

import keras
from keras import ops


def flat_layers(layer: keras.Layer) -> list[keras.Layer]:
    """A layer and all layers inside it, at any depth, each once."""
    return list(dict.fromkeys(layer._flatten_layers()))


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
