"""What a model was built from, as plain values: builder and arguments."""

import dataclasses
import functools
import inspect
import numbers

import keras

from keras_vidreg import layers

LAYERS = ("regularizer", "drop")  # arguments that make layers
LEFT_OUT = ("labels", "clip", "weights")  # the model itself, or its weights, say these


@dataclasses.dataclass(frozen=True)
class Record:
    """How to build a model again.

    Args:
        builder: its name in `kv.zoo.BUILDERS`.
        arguments: its keyword arguments as JSON values, without labels and clip.
        problem: what cannot be built again, in words; empty if everything can.
        origin: the zoo entry, folder or address whose weights the model was given, if any.
    """

    builder: str
    arguments: dict
    problem: str = ""
    origin: str | None = None


def recorded(builder):
    """A builder whose models know how they were built."""
    signature = inspect.signature(builder)

    @functools.wraps(builder)
    def build(*args, **kwargs):
        model = builder(*args, **kwargs)
        model._record = record(builder.__name__, signature.bind(*args, **kwargs).arguments)
        return model

    return build


def record(builder, arguments):
    """The `Record` of a call; arguments that are no plain values become its problem."""
    plain, problem = {}, ""
    for name, value in arguments.items():
        if name in LEFT_OUT:
            continue
        try:
            plain[name] = _plain(value, name)
        except TypeError as error:
            problem = f"`{name}` of {builder} was {error}"
    inner = getattr(arguments.get("backbone"), "_record", None)
    return Record(builder, plain, problem, inner and inner.origin)


def _plain(value, role=None):
    """A value as JSON can hold it; `TypeError`, saying what it is, where it cannot."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Number):
        return value.item() if hasattr(value, "item") else value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if role in LAYERS:
        return _layer(value)
    if role == "backbone":
        return _backbone(value)
    raise TypeError(f"{value!r}, which JSON cannot hold")


def _layer(factory):
    """`functools.partial(ShakeDrop, level="batch")` as `{"layer": "ShakeDrop", ...}`."""
    partial = isinstance(factory, functools.partial) and not factory.args
    kind, settings = (factory.func, factory.keywords) if partial else (factory, {})
    name = getattr(kind, "__name__", None)
    if name not in layers.__all__ or getattr(layers, name) is not kind:
        raise TypeError(f"{factory!r}, not a layer of keras_vidreg or a `functools.partial` of one")
    return {"layer": name, **_plain(settings)}


def _backbone(model):
    inner = getattr(model, "_record", None)
    if inner is None:
        kind = "a model" if isinstance(model, keras.Model) else f"a {type(model).__name__}"
        raise TypeError(f"{kind} that does not know how it was built")
    if inner.problem:
        raise TypeError(f"a model where {inner.problem}")
    return {"builder": inner.builder, **inner.arguments}
