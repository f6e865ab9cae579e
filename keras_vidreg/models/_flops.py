"""How much a model computes, read from its graph."""

import math
from collections.abc import Callable, Sequence

import keras

from keras_vidreg._keras import run_graph
from keras_vidreg.data import Clip
from keras_vidreg.layers import DepthwiseConv3D, PerFrame, SelfGating, SqueezeExcite3D
from keras_vidreg.models.insert import has_graph


def flops(
    model: keras.Model,
    clip: Clip | Sequence | None = None,
    *,
    per_multiply_add: int = 1,
    rules: dict[type, Callable] | None = None,
) -> int:
    """Floating-point operations of one forward pass over one clip.

    As in the tables of the papers on video networks, a multiplication together with its addition
    is one operation, and only matrix products count: convolutions, dense layers, attention.
    Normalization, activations, pooling and additions do not. `per_multiply_add=2` gives what a
    processor executes. A layer that is called twice counts twice.

    Shapes are followed through the graph; nothing is computed and no weight is copied.

    Args:
        model: A Functional or Sequential model; it may hold others.
        clip: What it is fed with: a `Clip`, or the shape of an input without the batch axis (a
            list of them for several inputs). Defaults to `model.clip`, or to the model's inputs.
        per_multiply_add: Integer. Operations in a multiplication with its addition. Defaults to 1.
        rules: Dict. For layers of your own, `{class: function}`; the function takes the layer, a
            list of input shapes and the output shape, with batch axes, and returns multiply-adds.
            Defaults to none.

    Returns:
        A whole number.

    Raises:
        ValueError: If the shape of the input is not known, if the model has no graph, or if a
            layer holds matrices and there is no rule for it.

    Example:

    >>> model = kv.models.movinet("a0")
    >>> kv.models.flops(model)  # the paper: 2.71e9
    2630733808
    >>> kv.models.flops(model, clip=(8, 128, 128, 3), per_multiply_add=2)
    436496384
    """
    if not has_graph(model):
        raise ValueError(
            "`model` must be a Functional or Sequential model, whose graph is known. "
            f"Received: {type(model).__name__}"
        )
    shapes = _input_shapes(model, clip)
    if any(None in shape for shape in shapes):
        raise ValueError(
            "`clip` is needed, because the model takes inputs of any size: give a `Clip`, or a "
            f"shape without the batch axis. Received: {shapes}"
        )
    inputs = [
        keras.KerasTensor((1, *shape), dtype=x.dtype)
        for shape, x in zip(shapes, model.inputs, strict=True)
    ]
    rules = {**RULES, **(rules or {})}
    return per_multiply_add * _graph(model, inputs if len(inputs) > 1 else inputs[0], rules)


def _input_shapes(model, clip):
    """One shape without a batch axis for every input."""
    clip = clip or getattr(model, "clip", None)
    if clip is None:
        return [tuple(x.shape[1:]) for x in model.inputs]
    if isinstance(clip, Clip):
        return [clip.shape]
    return [tuple(clip)] if isinstance(clip[0], int | None) else [tuple(shape) for shape in clip]


def _graph(model, inputs, rules):
    """Multiply-adds of a model whose graph is known."""
    total = 0

    def watch(operation):
        def call(*args, **kwargs):
            nonlocal total
            outputs = operation.compute_output_spec(*args, **kwargs)
            total += _operation(operation, (args, kwargs), outputs, rules)
            return outputs

        return call

    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            inputs = watch(layer)(inputs)
    else:  # as the model's own `compute_output_spec` goes through its graph
        run_graph(model, inputs, watch)
    return total


def _operation(operation, arguments, outputs, rules):
    """Multiply-adds of one call of a layer, or of an operation such as `x @ y`."""
    if has_graph(operation):
        return _graph(operation, arguments[0][0], rules)
    tensors = [x for x in keras.tree.flatten(arguments) if hasattr(x, "shape")]
    if isinstance(operation, PerFrame | keras.layers.TimeDistributed):
        batch, time, *rest = tensors[0].shape
        frames = keras.KerasTensor((batch * time, *rest), dtype=tensors[0].dtype)
        layer = operation.layer
        return _operation(layer, ((frames,), {}), layer.compute_output_spec(frames), rules)
    inputs = [tuple(x.shape) for x in tensors]
    output = tuple(keras.tree.flatten(outputs)[0].shape)
    for kind in type(operation).__mro__:
        if kind in rules:
            return rules[kind](operation, inputs, output)
    if isinstance(operation, keras.Layer):
        matrices = [weight for weight in operation.weights if len(weight.shape) > 1]
    else:
        kind = type(operation).__name__
        if kind in OPERATIONS:
            return OPERATIONS[kind](operation, inputs, output)
        matrices = kind in UNCOUNTED_PRODUCTS
    if matrices:
        kind = type(operation).__name__
        raise ValueError(
            f"No rule says how much `{operation.name}` of class {kind} computes. Pass one: "
            f"`rules={{{kind}: lambda layer, inputs, output: multiply_adds}}`"
        )
    return 0


def _per_output(axes):
    """Each number of the output is a sum over all axes of the kernel but the last `axes`."""
    return lambda layer, _, output: math.prod(output) * math.prod(layer.kernel.shape[:-axes])


def _transposed(layer, inputs, _):
    """Each number of the input goes to all places of the kernel, `(..., filters, channels)`."""
    return math.prod(inputs[0]) * math.prod(layer.kernel.shape[:-1])


def _separable(layer, _, output):
    kernels = math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
    return math.prod(output) // layer.filters * kernels


def _attention(layer, inputs, _):
    (batch, queries, _), (_, keys, _) = inputs[:2]  # (B, T, C) both
    per_query = _sizes(layer.query_dense, layer.output_dense)
    per_key = _sizes(layer.key_dense, layer.value_dense)
    per_pair = layer.num_heads * (
        layer.key_dense.kernel.shape[-1] + layer.value_dense.kernel.shape[-1]
    )
    return batch * (queries * per_query + keys * per_key + queries * keys * per_pair)


def _squeeze_excite(layer, inputs, _):
    batch, time, *_ = inputs[0]
    return batch * (time if layer.causal else 1) * _sizes(layer.reduce, layer.expand)


def _sizes(*layers):
    return sum(math.prod(layer.kernel.shape) for layer in layers)


def _einsum(subscripts, shapes):
    """The product of the sizes of all axes, each letter once."""
    sizes, others = {}, 1
    terms = subscripts.replace(" ", "").partition("->")[0].split(",")
    for term, shape in zip(terms, shapes, strict=True):
        front, _, back = term.partition("...")
        end = len(shape) - len(back)
        others = max(others, math.prod(shape[len(front) : end]))
        for letter, size in zip(front + back, shape[: len(front)] + shape[end:], strict=True):
            sizes[letter] = max(size, sizes.get(letter, 1))
    return others * math.prod(sizes.values())


def _nothing(*_):
    return 0


RULES = {
    keras.layers.Dense: _per_output(1),
    keras.layers.Conv1D: _per_output(1),
    keras.layers.Conv2D: _per_output(1),
    keras.layers.Conv3D: _per_output(1),
    keras.layers.DepthwiseConv1D: _per_output(2),
    keras.layers.DepthwiseConv2D: _per_output(2),
    DepthwiseConv3D: _per_output(2),
    keras.layers.SeparableConv1D: _separable,
    keras.layers.SeparableConv2D: _separable,
    keras.layers.Conv1DTranspose: _transposed,
    keras.layers.Conv2DTranspose: _transposed,
    keras.layers.Conv3DTranspose: _transposed,
    keras.layers.EinsumDense: lambda layer, inputs, _: _einsum(
        layer.equation, [inputs[0], tuple(layer.kernel.shape)]
    ),
    keras.layers.MultiHeadAttention: _attention,
    SelfGating: lambda layer, inputs, _: inputs[0][0] * _sizes(layer.gate),
    SqueezeExcite3D: _squeeze_excite,
    # matrices that are looked up or multiply number by number
    keras.layers.Embedding: _nothing,
    keras.layers.LayerNormalization: _nothing,
    keras.layers.PReLU: _nothing,
}
OPERATIONS = {  # of `keras.ops`, used in a graph
    "Matmul": lambda _, inputs, output: math.prod(output) * inputs[0][-1],
    "Einsum": lambda operation, inputs, _: _einsum(operation.subscripts, inputs),
}
UNCOUNTED_PRODUCTS = {"Conv", "ConvTranspose", "DepthwiseConv", "Dot", "SeparableConv", "Tensordot"}
