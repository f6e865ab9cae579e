"""Copies of a model that have layers in front of some of its layers."""

import itertools
import re

import keras
from keras import ops

from keras_vidreg._keras import copy_lambda, flat_layers
from keras_vidreg.models.classifier import VideoClassifier


def layer_paths(model):
    """Every layer that the graph of a model calls, with its path.

    Args:
        model: a Functional or Sequential model.

    Returns:
        List of `(path, layer)`, in the order of the graph. The path is the layer's name, with the
        names of the models (and wrappers of models) around it in front: `"outer/inner"`.

    Raises:
        ValueError: if the model has no graph.
    """
    if not has_graph(model):
        raise ValueError(
            f"`model` must be a Functional or Sequential model; {type(model).__name__} runs code "
            "of its own. Turn it into one with `keras.Model(inputs, model.call(inputs))`, where "
            "`inputs` is a `keras.Input`, or put the layers into its code."
        )
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        found.append((layer.name, layer))
        inner = inner_graph(layer)
        if inner is not None:
            prefix = layer.name if inner is layer else f"{layer.name}/{inner.name}"
            found += [(f"{prefix}/{path}", below) for path, below in layer_paths(inner)]
    return found


def listed(names, most=30):
    """The first of some names, for a message."""
    names = list(names)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def inner_graph(layer):
    """The model with a graph that a layer is or wraps, or `None`."""
    model = layer.layer if isinstance(layer, keras.layers.Wrapper) else layer
    return model if has_graph(model) else None


def has_graph(layer):
    """Whether this is a model whose calls are known: Functional or Sequential."""
    if isinstance(layer, keras.Sequential):
        return type(layer).call is keras.Sequential.call
    if not (isinstance(layer, keras.Model) and hasattr(layer, "operations")):
        return False
    return type(layer).call is type(_functional(layer)).call


def insert_layers(model, front):
    """A copy of a model with new layers in front of some of its layers.

    The copy has layers, weights and random states of its own, equal to those of the model, and is
    not compiled. A layer that is called several times gets its new layer in front of every call.
    Models keep their class if they are plain Keras models, subclasses without a constructor of
    their own, or `VideoClassifier`s; of other classes they become plain Functional models.

    Args:
        model: a Functional or Sequential model; models inside of it are copied alike.
        front: `{layer of the model: new layer}`, as found by `layer_paths`.

    Returns:
        A model of the same inputs and outputs.

    Raises:
        ValueError: if a layer to put something in front of takes several tensors, or two layers
            share a weight.
    """
    copies = {}  # id: (layer, copy); a model comes before the layers in it
    new_layers = {}  # id of a copy: the layer in front of it

    def copy(layer):
        if id(layer) not in copies:
            copies[id(layer)] = (layer, None)
            copied = make_copy(layer)
            copies[id(layer)] = (layer, copied)
            if layer in front:
                new_layers[id(copied)] = front[layer]
        return copies[id(layer)][1]

    def make_copy(layer):
        if isinstance(layer, keras.Sequential) and has_graph(layer):
            return copy_sequential(layer)
        if has_graph(layer):
            graph = keras.models.clone_model(
                _functional(layer), clone_function=copy, call_function=call
            )
            return _same_class(layer, graph)
        if inner_graph(layer) is not None:
            config = layer.get_config()
            del config["layer"]
            return type(layer)(copy(layer.layer), **config)
        if type(layer) is keras.layers.Lambda:
            return copy_lambda(layer)
        return type(layer).from_config(layer.get_config())

    def copy_sequential(sequence):
        layers = [
            keras.Input(batch_shape=start.shape, dtype=start.dtype, name=start.name)
            for start in getattr(sequence, "inputs", ())  # none before it is built
        ]
        for layer in sequence.layers:
            copied = copy(layer)
            layers += [new_layers[id(copied)], copied] if id(copied) in new_layers else [copied]
        kind = type(sequence)
        kind = kind if kind.__init__ is keras.Sequential.__init__ else keras.Sequential
        return kind(layers, name=sequence.name)

    def call(layer, *args, **kwargs):
        if id(layer) in new_layers:
            first, *others = args or kwargs.values()
            if not isinstance(first, keras.KerasTensor):
                raise ValueError(
                    f"No layer can stand in front of `{layer.name}`: it takes several tensors. "
                    "Choose other layers."
                )
            first = new_layers[id(layer)](first)
            if args:
                args = (first, *others)
            else:
                kwargs = dict(zip(kwargs, (first, *others), strict=True))
        return layer(*args, **kwargs)

    copied = copy(model)
    _copy_state(copies.values())
    return copied


def insert_behind(model, part, new_layer):
    """The same layers, with a new one behind the last layer of a stage (or a layer) of that name.

    Raises:
        ValueError: if there is no such stage.
    """
    stage = re.compile(f"{re.escape(part)}(_|$)")
    found = [layer for layer in model.layers if stage.match(layer.name)]
    if not found:
        raise ValueError(
            f"`{model.name}` has no layers of a stage {part!r}. There are: "
            + listed(layer.name for layer in model.layers)
        )

    def call(layer, *args, **kwargs):
        outputs = layer(*args, **kwargs)
        return new_layer(outputs) if layer is found[-1] else outputs

    return keras.models.clone_model(
        _functional(model), model.input, clone_function=lambda layer: layer, call_function=call
    )


def _functional(model):
    """The graph of a Functional model of any class, as a plain Functional model."""
    return keras.Model(model.input, model.output, name=model.name)


def _same_class(model, graph):
    """`graph` as a model of the class of `model`, where its constructor is known."""
    kind = type(model)
    if kind is type(graph):
        return graph
    if kind.__init__ is VideoClassifier.__init__:
        changed = kind(
            graph.inputs[0],
            graph.outputs[0],
            labels=model.labels,
            clip=model.clip,
            features=model._features,
            embeddings=model._embeddings,
            name=model.name,
        )
        changed.described_by("layers were put into it", model.origin)
        return changed
    if kind.__init__ is type(graph).__init__:
        return kind(graph.input, graph.output, name=model.name)
    return graph


def _copy_state(copies):
    owners = {}
    for old, new in copies:
        if not isinstance(old, keras.Layer):
            continue  # an operation such as `x + y`
        if inner_graph(old) is not None:
            new.trainable = old.trainable
            continue
        # Sets the layers inside as well, and those come later.
        for before, after in zip(flat_layers(old), flat_layers(new), strict=True):
            after.trainable = before.trainable
        for weight in old.weights:
            if owners.setdefault(id(weight), old) is not old:
                raise ValueError(
                    f"The layers `{owners[id(weight)].name}` and `{old.name}` share the weight "
                    f"`{weight.path}`, which a copy cannot keep. Put the new layers where the "
                    "model is built."
                )
        if old.built and not new.built:  # in a Sequential model without a known input
            new.build_from_config(old.get_build_config())
        for before, after in zip(old.variables, new.variables, strict=True):
            after.assign(ops.copy(before))  # JAX would let both have one buffer, and free it


def own_seeds(factory):
    """A factory of layers that draw different numbers: the n-th has `seed + n` if a seed is fixed.

    `None`, and a factory that is one already, stay as they are.
    """
    if factory is None or hasattr(factory, "numbers"):
        return factory

    def make(*arguments, **options):
        return with_own_seed(factory(*arguments, **options), next(make.numbers))

    make.numbers = itertools.count()
    return make


def with_own_seed(layer, number):
    """The layer, or one like it with `seed + number`: the n-th of a factory with a fixed seed."""
    seed = getattr(layer, "seed", None)
    if not number or not isinstance(seed, int):
        return layer
    return type(layer).from_config({**layer.get_config(), "seed": seed + number})
