"""A preset: everything needed to build a model, fill it with weights and feed it correctly."""

import dataclasses
import hashlib
import json
import math
from pathlib import Path

from keras_vidreg._atomic import write_json
from keras_vidreg._text import shown
from keras_vidreg.models.description import Description

PRESET, WEIGHTS, CARD = "preset.json", "model.weights.h5", "card.md"  # the files of an entry
LARGEST = 16 * 1024 * 1024  # bytes of a preset.json


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset(Description):
    """One zoo entry as plain data, stored as `preset.json`: a `Description`, and facts.

    Args:
        builder, arguments, labels, clip: As in `kv.models.Description`.
        name: Name of the entry.
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

    >>> kv.zoo.preset("movinet_a0_grw_airplanes").clip.frames
    15
    """

    name: str
    weights: str | None = None
    sha256: str | None = None
    data: str = ""
    license: str = ""
    accuracy: dict[str, float] = dataclasses.field(default_factory=dict)
    parameters: int | None = None
    flops: int | None = None
    logits: tuple[float, ...] = ()

    def __post_init__(self):
        super().__post_init__()
        for field, kind in {"name": str, "data": str, "license": str, "accuracy": dict}.items():
            value = getattr(self, field)
            if not isinstance(value, kind):
                raise ValueError(
                    f"Preset field `{field}` must be a {kind.__name__}. Received: {shown(value)}"
                )
        for field in ("weights", "sha256"):
            value = getattr(self, field)
            if value is not None and not isinstance(value, str):
                raise ValueError(
                    f"Preset field `{field}` must be a str or null. Received: {shown(value)}"
                )
        if self.weights is not None and Path(self.weights).name != self.weights:
            raise ValueError(
                "Preset field `weights` must be a file name in the preset's own folder. "
                f"Received: {shown(self.weights)}"
            )
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


def _is_number(value):
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)
