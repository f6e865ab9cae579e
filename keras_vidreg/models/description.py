"""What a model is, as plain values: a builder, its arguments, labels and a clip."""

import contextlib
import dataclasses
import functools
import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import keras

from keras_vidreg import layers
from keras_vidreg._text import printable, shown
from keras_vidreg.data import Clip

BUILDERS: dict[str, Callable] = {}
LAYERS = ("regularizer", "drop")  # arguments that make layers
ELSEWHERE = ("labels", "clip", "weights")  # fields of their own, or loaded into the model


@dataclasses.dataclass(frozen=True)
class Description:
    """How to build a `VideoClassifier`: what `get_config`, presets and recipes hold.

    Args:
        builder: String. Name in `kv.models.BUILDERS`, for example `"movinet"`.
        arguments: Dict. Keyword arguments of the builder, JSON values only. A `"backbone"` is
            itself a dict with a `"builder"` and its arguments; a `"regularizer"` or `"drop"` is
            `{"layer": name, **arguments}` of a layer of this package.
        labels: Names of the classes, or their number.
        clip: `Clip` that the model is fed with.

    Raises:
        ValueError: If a field is none of that; the message names it.

    Example:

    >>> clip = kv.data.Clip(frames=8, fps=5, size=64, resize=72)
    >>> kv.models.Description("movinet", {"variant": "a0"}, 3, clip).build().labels
    ('0', '1', '2')
    """

    builder: str
    arguments: dict[str, Any]
    labels: tuple[str, ...]
    clip: Clip

    def __post_init__(self):
        for field, kind in {"builder": str, "arguments": dict, "clip": Clip}.items():
            value = getattr(self, field)
            if not isinstance(value, kind):
                raise ValueError(
                    f"`{field}` of a model must be a {kind.__name__}. Received: {shown(value)}"
                )
        _check_arguments(self.arguments)
        object.__setattr__(self, "labels", label_names(self.labels))

    def build(self):
        """The model, with random weights.

        Raises:
            ValueError: If there is no such builder or layer, or an argument does not suit it.
        """
        if self.builder not in BUILDERS:
            raise ValueError(
                f"There is no builder {shown(self.builder)}; there are {sorted(BUILDERS)}."
            )
        builder, arguments = BUILDERS[self.builder], dict(self.arguments)
        if unknown := sorted(set(arguments) - set(inspect.signature(builder).parameters)):
            raise ValueError(f"{self.builder} has no argument {shown(unknown[0])}.")
        if isinstance(arguments.get("backbone"), dict):
            inner = dict(arguments["backbone"])
            arguments["backbone"] = Description(
                inner.pop("builder", None), inner, labels=1, clip=self.clip
            ).build()
        for role in LAYERS:
            if arguments.get(role) is not None:
                arguments[role] = layer_factory(role, arguments[role])
        try:
            model = builder(**arguments, labels=self.labels, clip=self.clip)
        except TypeError as error:
            raise ValueError(f"{self.builder} cannot be built so: {error}") from error
        if model.description is None:  # a builder without `@described`
            model.described_by(self)
        return model

    @property
    def network(self) -> tuple[str, dict[str, Any]]:
        """Builder and arguments of the backbone at the bottom of it, or of the model itself."""
        builder, arguments = self.builder, self.arguments
        while isinstance(arguments.get("backbone"), dict):
            arguments = dict(arguments["backbone"])
            builder = arguments.pop("builder")
        return builder, arguments

    def to_dict(self) -> dict[str, Any]:
        """All fields as a dict of JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        lists = {name: list(value) for name, value in values.items() if isinstance(value, tuple)}
        return {**values, **lists, "clip": self.clip.to_dict()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The same from such a dict; fields that are unknown or missing are errors."""
        if not isinstance(values, dict):
            raise ValueError(f"A model is described by a JSON object. Received: {shown(values)}")
        fields = {field.name: field for field in dataclasses.fields(cls)}
        none = dataclasses.MISSING
        required = {n for n, f in fields.items() if f.default is f.default_factory is none}
        missing, unknown = sorted(required - set(values)), sorted(set(values) - set(fields))
        if missing or unknown:
            raise ValueError(
                f"A model's description has missing fields {missing} and unknown fields "
                f"{[printable(name[:80]) for name in unknown[:8]]}."
            )
        labels = values["labels"]
        if not isinstance(labels, list | tuple) or not all(isinstance(x, str) for x in labels):
            raise ValueError(f"`labels` must be a list of names. Received: {shown(labels)}")
        try:
            clip = Clip.from_dict(values["clip"])
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"`clip` is not a clip: {error}") from error
        return cls(**{**values, "clip": clip})


def described(builder: Callable) -> Callable:
    """A builder that `Description.build` finds by its name, and whose models have one."""
    signature = inspect.signature(builder)

    @functools.wraps(builder)
    def build(*args, **kwargs):
        model = builder(*args, **kwargs)
        arguments = signature.bind(*args, **kwargs).arguments
        try:
            plain = {
                name: _plain(value, name, builder.__name__)
                for name, value in arguments.items()
                if name not in ELSEWHERE
            }
            what = Description(builder.__name__, plain, model.labels, model.clip)
        except (TypeError, ValueError) as error:
            what = str(error)
        model.described_by(what, origin=getattr(arguments.get("backbone"), "origin", None))
        return model

    BUILDERS[builder.__name__] = build
    return build


@contextlib.contextmanager
def global_policy(policy: keras.DTypePolicy | None) -> Iterator[None]:
    """Layers that are made in here have this dtype policy; None leaves the global one."""
    before = keras.config.dtype_policy()
    if policy is not None:
        keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def label_names(labels: int | Iterable[str]) -> tuple[str, ...]:
    """`labels` as a tuple of names: a number n gives "0" to "n-1"."""
    if isinstance(labels, int):
        labels = range(labels)
    elif isinstance(labels, str) or not isinstance(labels, Iterable):
        raise ValueError(f"`labels` must be a number or several names. Received: {shown(labels)}")
    names = tuple(str(label) for label in labels)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"`labels` must be one or more different names. Received: {shown(names)}")
    return names


def layer_factory(role: str, settings: str | dict, known: Iterable[str] = ()) -> Callable:
    """`{"layer": "ShakeDrop", "level": "batch"}` as a function that makes such layers.

    Args:
        role: Name of the argument, for the message.
        settings: The dict, or the name alone.
        known: Names of the layers that will do. Defaults to all of this package.
    """
    known = known or layers.__all__
    plain = dict(settings) if isinstance(settings, dict) else {"layer": settings}
    name = plain.pop("layer", None)
    if not isinstance(name, str) or name not in known:
        raise ValueError(
            f'`{role}` must be {{"layer": name, **arguments}}, with a name of {", ".join(known)}. '
            f"Received: {shown(name)}"
        )
    return functools.partial(getattr(layers, name), **plain)


def _plain(value, role, builder):
    """A value as JSON can hold it; `TypeError`, saying what it is, where it cannot."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, numbers.Number):
        return value.item() if hasattr(value, "item") else value
    if isinstance(value, list | tuple):
        return [_plain(item, role, builder) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item, role, builder) for key, item in value.items()}
    if role in LAYERS:
        partial = isinstance(value, functools.partial) and not value.args
        kind, settings = (value.func, value.keywords) if partial else (value, {})
        name = getattr(kind, "__name__", None)
        if name in layers.__all__ and getattr(layers, name) is kind:
            return {"layer": name, **_plain(settings, None, builder)}
        problem = f"{value!r}, not a layer of keras_vidreg or a `functools.partial` of one"
    elif isinstance(value, keras.Model):
        inner = getattr(value, "description", None)
        if inner is not None:
            return {"builder": inner.builder, **inner.arguments}
        problem = "a model that does not know how it was built"
    else:
        problem = f"{value!r}, which JSON cannot hold"
    raise TypeError(f"`{role}` of {builder} was {problem}")


def _check_arguments(arguments):
    """Builders are given plain values only: a dict elsewhere could name any class of Keras."""
    for name, value in arguments.items():
        if name in ELSEWHERE:
            raise ValueError(f"`arguments` of a model may not hold `{name}`: {shown(value)}")
        if name in ("backbone", *LAYERS) and isinstance(value, dict):
            _check_arguments(value)
        elif not _is_plain(value):
            raise ValueError(
                f"`arguments` of a model must hold plain values. Received: {shown(name)} = "
                f"{shown(value)}"
            )


def _is_plain(value):
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | bool | int)
