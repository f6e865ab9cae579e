"""What is known of an entry, without fetching or building anything."""

import dataclasses

from keras_vidreg.data import Clip
from keras_vidreg.zoo.published import converted_folder
from keras_vidreg.zoo.registry import folder, is_here, preset
from keras_vidreg.zoo.sources import SOURCES
from keras_vidreg.zoo.sources.published_sizes import published_sizes

MEGABYTE = 1e6
FAMILIES = {"grw_classifier": "grw"}  # others are called as their builder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Info:
    """The facts of an entry; what is not known is `None` or empty.

    Args:
        name: Of the entry.
        family: `"grw"`, `"movinet"`, `"slowonly"` and so on.
        clip: What the model is fed with.
        classes: Number of classes.
        parameters: Number of trainable parameters.
        flops: Multiply-adds for one clip, as `kv.models.flops` counts them.
        data: What it was trained on.
        reported: Top-1 accuracy in percent, as its publisher reports it.
        reported_by: Who reports it.
        measured: Accuracies that were measured here, between 0 and 1, `{"test": 0.93}`.
        licence: Of the weights.
        size_mb: Megabytes of the file of the weights.
        here: Whether it loads without a network.
    """

    name: str
    family: str
    clip: Clip
    classes: int
    parameters: int | None
    flops: int | None
    data: str
    reported: float | None
    reported_by: str | None
    measured: dict
    licence: str | None
    size_mb: float | None
    here: bool


def info(name):
    """The facts of an entry, at once: nothing is fetched or built, unless it is on the Hub.

    Args:
        name: As `kv.zoo.load` takes it: an entry, a folder, or an address on the Hub.

    Returns:
        An `Info`.

    Raises:
        ValueError: When there is no such entry.

    Example:
    ```python
    kv.zoo.info("movinet_a2_grw").reported
    ```
    """
    return _published(SOURCES[str(name)]) if str(name) in SOURCES else _saved(name)


def _published(source):
    parameters, flops = published_sizes().get(source.name, (None, None))
    here = is_here(source.name)
    weights = converted_folder(source.name) / "model.weights.h5"
    return Info(
        name=source.name,
        family=source.family,
        clip=source.clip,
        classes=source.classes,
        parameters=parameters,
        flops=flops,
        data=source.data,
        reported=source.accuracy.get("top1"),
        reported_by=source.reported_by,
        measured={},
        licence=source.licence,
        size_mb=_megabytes(weights) if here and source.size_mb is None else source.size_mb,
        here=here,
    )


def _saved(name):
    found = preset(name)
    return Info(
        name=str(name),
        family=FAMILIES.get(found.builder, found.builder),
        clip=found.clip,
        classes=len(found.labels),
        parameters=found.parameters,
        flops=found.flops,
        data=found.data,
        reported=None,
        reported_by=None,
        measured=found.accuracy,
        licence=found.licence or None,
        size_mb=_megabytes(folder(name) / found.weights) if found.weights else None,
        here=True,
    )


def _megabytes(path):
    return round(path.stat().st_size / MEGABYTE, 1) if path.is_file() else None
