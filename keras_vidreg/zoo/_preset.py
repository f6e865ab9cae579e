"""A preset: everything needed to build a model, fill it with weights and feed it correctly."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path
from reprlib import repr as shown

from keras_vidreg._atomic import write_json
from keras_vidreg.data import Clip
from keras_vidreg.models.record import LAYERS, LEFT_OUT

PRESET, WEIGHTS, CARD = "preset.json", "model.weights.h5", "card.md"  # the files of an entry
INNER = ("backbone", *LAYERS)  # arguments that may be dicts
LARGEST = 16 * 1024 * 1024  # bytes of a preset.json


@dataclasses.dataclass(frozen=True)
class Preset:
    """One zoo entry as plain data, stored as `preset.json`.

    Args:
        name: Name of the entry.
        builder: Name of the builder in `kv.zoo.BUILDERS`, for example `"grw_classifier"`.
        arguments: Keyword arguments of the builder, JSON values only. A `"backbone"` is itself
            a dict with a `"builder"` and its arguments.
        labels: Names of the classes, in the order of the logits.
        clip: How a video is cut, resized and scaled for this model.
        weights: File of the weights in the entry's folder, or `None` where there are none.
        sha256: SHA-256 of that file, in hexadecimal, or `None` to leave it unchecked.
        data: What it was trained on.
        license: License of the weights.
        accuracy: Measured accuracies, `{"test": 0.93}`.
        parameters: Number of trainable parameters, or `None`.
        flops: Multiply-adds for one clip, or `None`.
        logits: What the model says of a fixed clip of noise; empty where that was not recorded.

    Raises:
        ValueError: If a file does not hold such a preset; the message names the field.

    Example:
    ```python
    preset = kv.zoo.Preset.read("zoo/movinet_a0_grw_airplanes/preset.json")
    preset.clip.frames
    ```
    """

    name: str
    builder: str
    arguments: dict
    labels: tuple[str, ...]
    clip: Clip
    weights: str | None = None
    sha256: str | None = None
    data: str = ""
    license: str = ""
    accuracy: dict[str, float] = dataclasses.field(default_factory=dict)
    parameters: int | None = None
    flops: int | None = None
    logits: tuple[float, ...] = ()

    def __post_init__(self):
        for field, kind in {
            "name": str, "builder": str, "arguments": dict, "clip": Clip, "data": str,
            "license": str, "accuracy": dict,
        }.items():  # fmt: skip
            value = getattr(self, field)
            if not isinstance(value, kind):
                raise ValueError(
                    f"Preset field `{field}` must be a {kind.__name__}. Received: {shown(value)}"
                )
        labels = self.labels
        if isinstance(labels, str) or not labels or not all(isinstance(x, str) for x in labels):
            raise ValueError(
                f"Preset field `labels` must be a list of names. Received: {shown(labels)}"
            )
        object.__setattr__(self, "labels", tuple(labels))
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("Preset field `labels` has the same name twice.")
        if self.weights is not None and Path(self.weights).name != self.weights:
            raise ValueError(
                "Preset field `weights` must be a file name in the preset's own folder. "
                f"Received: {shown(self.weights)}"
            )
        _check_arguments(self.arguments)
        for field in ("parameters", "flops"):
            value = getattr(self, field)
            if value is not None and (not _is_number(value) or value <= 0):
                raise ValueError(
                    f"Preset field `{field}` must be above 0. Received: {shown(value)}"
                )
        if not all(map(_is_number, self.accuracy.values())):
            raise ValueError(
                "Preset field `accuracy` must hold finite numbers. "
                f"Received: {shown(self.accuracy)}"
            )
        logits = self.logits
        if not isinstance(logits, list | tuple) or not all(map(_is_number, logits)):
            raise ValueError("Preset field `logits` must be a list of finite numbers.")
        if logits and len(logits) != len(self.labels):
            raise ValueError(
                "Preset field `logits` must have one number for every label. "
                f"Received: {len(logits)} for {len(self.labels)} labels"
            )
        object.__setattr__(self, "logits", tuple(logits))

    def to_dict(self) -> dict:
        """The preset as a dict of JSON values."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        lists = {"labels": list(self.labels), "logits": list(self.logits)}
        return {**values, **lists, "clip": self.clip.to_dict()}

    @classmethod
    def from_dict(cls, values: dict) -> "Preset":
        """The preset from such a dict; fields that are unknown or missing are errors."""
        if not isinstance(values, dict):
            raise ValueError(f"A preset must be a JSON object. Received: {type(values).__name__}")
        fields = dataclasses.fields(cls)
        required = {
            f.name
            for f in fields
            if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        }
        missing = sorted(required - set(values))
        unknown = sorted(set(values) - {f.name for f in fields})
        if missing or unknown:
            raise ValueError(
                f"A preset has missing fields {missing} and unknown fields "
                f"{[field[:80] for field in unknown[:8]]}."
            )
        try:
            clip = Clip.from_dict(values["clip"])
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"Preset field `clip` is not a clip: {error}") from error
        return cls(**{**values, "clip": clip})

    @classmethod
    def read(cls, path: str | Path) -> "Preset":
        """Read a `preset.json`."""
        path = Path(path)
        try:
            if path.stat().st_size > LARGEST:
                raise ValueError(f"it has more than {LARGEST} bytes")
            return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except RecursionError:
            raise ValueError(f"Cannot use the preset file {path}: it is nested too deep") from None
        except (ValueError, OSError) as error:
            raise ValueError(f"Cannot use the preset file {path}: {error}") from error

    def write(self, path: str | Path) -> None:
        """Write a `preset.json`, whole or not at all."""
        write_json(path, self.to_dict())

    def check(self, weights: Path) -> Path:
        """The file of the weights, which must have the SHA-256 that is stated here, if any is."""
        if self.sha256 is not None and (found := sha256(weights)) != self.sha256:
            raise ValueError(
                f"The weights {weights} are damaged or not the ones that the preset describes: "
                f"SHA-256 {found}, expected {self.sha256}. Fetch the file again."
            )
        return weights


def sha256(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_arguments(arguments):
    """Builders are given plain values only: a dict elsewhere could name any class of Keras."""
    for name, value in arguments.items():
        if name in LEFT_OUT:  # "imagenet" would be fetched, a path read
            raise ValueError(f"Preset field `arguments` must not hold `{name}`.")
        if name in INNER and isinstance(value, dict):
            _check_arguments(value)
        elif not _is_plain(value):
            raise ValueError(
                "Preset field `arguments` must hold plain values. "
                f"Received: {name[:80]}={shown(value)}"
            )


def _is_plain(value):
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | bool) or _is_number(value)


def _is_number(value):
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)
