"""Regularizers for a model that exists already."""

import inspect
import re
import warnings
from collections.abc import Callable

import keras

from keras_vidreg._keras import flat_layers
from keras_vidreg.models.description import global_policy
from keras_vidreg.models.insert import (
    inner_graph,
    insert_layers,
    layer_paths,
    listed,
    with_own_seed,
)


def add_regularizer(
    model: keras.Model,
    layer_factory: Callable[..., keras.Layer],
    before: type | tuple[type, ...] = keras.layers.BatchNormalization,
    where: str | None = None,
) -> keras.Model:
    """A copy of a model with a regularizer in front of every layer of a kind.

    `x -> layer(x)` becomes `x -> layer(regularizer(x))`. The copy has all weights and random states
    of the model and shares none with it; it is not compiled. Layers keep their names, and a
    regularizer is called `<name of the layer>_regularizer`. If a layer is called several times,
    its regularizer is called in front of each.

    The model may be Functional, Sequential or a `VideoClassifier`, of any number of inputs and
    outputs, and may hold other models. Functional models of a class with a constructor of its own
    (such as the backbones of KerasCV) become plain Functional ones. Layers that other layers hold
    in their code stay as they are, with a warning if they are of the kind.

    Args:
        model: The model.
        layer_factory: Gives a new layer at each call: a layer class, a `functools.partial` of one,
            or a function. It is called as `layer_factory(name=...)` if it takes a name. Of layers
            with the same integer `seed`, the second gets `seed + 1`, the third `seed + 2`, so
            that they draw different numbers. While it makes a layer, the global dtype policy is
            that of the layer behind.
        before: Class of the layers to put it in front of, or a tuple of classes. Defaults to batch
            normalization.
        where: Regular expression, searched in the paths of the layers: the name, or `"outer/inner"`
            in a model within the model. Defaults to all.

    Returns:
        A model of the same inputs and outputs.

    Raises:
        ValueError: If no layer is found, or the model is no graph of layers.

    Example:

    >>> model = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3))
    >>> model = kv.training.add_regularizer(
    ...     model, kv.layers.RandomMeanScaling, where="conv[45]_block._3_bn")
    >>> model.get_layer("conv5_block3_3_bn_regularizer").stddev
    0.5
    """
    layers = layer_paths(model)
    found: dict[str, keras.Layer] = {
        path: layer for path, layer in layers if isinstance(layer, before)
    }
    chosen = {
        layer: path for path, layer in found.items() if where is None or re.search(where, path)
    }
    kinds = _kinds(before)
    if not chosen:
        raise ValueError(_nothing_found(kinds, where, found, layers))
    front, products = {}, []
    taken = {_folder(path) + layer.name for path, layer in layers}
    for number, (layer, path) in enumerate(chosen.items()):
        folder = _folder(path)
        name = _free(f"{layer.name}_regularizer", taken, folder)
        quantized = layer.quantization_mode is not None
        with global_policy(None if quantized else layer.dtype_policy):
            made = layer_factory(name=name) if _takes_name(layer_factory) else layer_factory()
            if not isinstance(made, keras.Layer) or made in products:
                raise ValueError(
                    f"`layer_factory` must give a new layer at each call. Received: {made!r}"
                )
            products.append(made)
            front[layer] = _fit_in(made, name, number, folder + made.name in taken)
        taken.add(folder + front[layer].name)
    for path in _out_of_reach(layers, before):
        if where is None or re.search(where, path):
            warnings.warn(
                f"`{path}` and perhaps others of {kinds} have no regularizer in front: they are "
                "called by the code of the layer that holds them",
                stacklevel=2,
            )
            break
    return insert_layers(model, front)


def _fit_in(made, name, number, is_taken):
    """A layer as it was made, or one like it of another name or seed where it needs that."""
    made = with_own_seed(made, number)
    return type(made).from_config({**made.get_config(), "name": name}) if is_taken else made


def _takes_name(factory):
    parameters = inspect.signature(factory).parameters.values()
    return any(p.name == "name" or p.kind is p.VAR_KEYWORD for p in parameters)


def _free(name, taken, folder):
    """`name`, with a number behind it if another layer of the same model is called so."""
    number, free = 0, name
    while folder + free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _folder(path):
    """The path of the model that a layer lies in, with a slash at its end; "" for the outermost."""
    return path[: path.rfind("/") + 1]


def _kinds(before):
    classes = before if isinstance(before, tuple) else (before,)
    return " or ".join(kind.__name__ for kind in classes)


def _out_of_reach(layers, before):
    """Paths of layers of the kind that are called by another layer, not by the graph."""
    for path, layer in layers:
        if inner_graph(layer) is None:
            for inner in flat_layers(layer)[1:]:
                if isinstance(inner, before):
                    yield f"{path}/{inner.name}"


def _nothing_found(kinds, where, found, layers):
    if found:
        text = f"No layer of {kinds} has a path that matches `where={where!r}`"
        return f"{text}. There are: {listed(found)}"
    others = sorted({type(layer).__name__ for _, layer in layers})
    text = f"The model has no layer of {kinds} that its graph calls: give other classes"
    return f"{text}. There are: {listed(others)}"
