"""A model as an entry: a folder that `kv.zoo.load` takes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from keras_vidreg._atomic import whole_folder, write_json, write_text
from keras_vidreg.models import VideoClassifier
from keras_vidreg.zoo._cards import saved_card
from keras_vidreg.zoo._preset import CARD, PRESET, WEIGHTS, Preset
from keras_vidreg.zoo._verify import logits_of
from keras_vidreg.zoo.fill import build_from_file
from keras_vidreg.zoo.sizes import sizes
from keras_vidreg.zoo.weights import save_weights, save_weights_half

ADVICE = (
    'Build it with `kv.models` or `kv.zoo.load`, or save it with `model.save("x.'
    'keras")`, which keeps any model.'
)


def save(
    model: VideoClassifier,
    folder: str | Path,
    *,
    name: str | None = None,
    data: str = "",
    license: str = "",
    accuracy: dict[str, float] | None = None,
    logits: bool = True,
) -> Path:
    """Write a model as a folder that `kv.zoo.load` takes, on any backend.

    The folder holds `preset.json` (how to build and feed it), `model.weights.h5` (bit by bit,
    without the optimizer) and `card.md` (for people). It appears whole or not at all.

    Args:
        model: A `kv.models.VideoClassifier` that `kv.models` or `kv.zoo.load` has
            built. Its regularizers are layers of keras_vidreg.
        folder: Path to write; a model that was saved there is replaced.
        name: What to call it. Defaults to the model's name.
        data: What it was trained on.
        license: License of the weights, such as `"CC-BY-4.0"`.
        accuracy: Measured accuracies between 0 and 1, `{"test": 0.93}`. Defaults to none.
        logits: Whether to record what the model says of a fixed clip, for `kv.zoo.verify`.
            Defaults to True. Models in other than float32 are saved without.

    Returns:
        `folder`, as a path.

    Raises:
        ValueError: If it is not known how the model was built, or `folder` holds other files.

    Example:

    >>> model = kv.zoo.load("movinet_a0_grw_airplanes", labels=["left", "right"])
    >>> folder = kv.zoo.save(model, "mine", data="200 clips of my cat", license="CC0-1.0")
    >>> kv.zoo.load("mine").labels
    ('left', 'right')
    """
    facts: dict[str, Any] = {"data": data, "license": license, "accuracy": accuracy or {}}
    return write_entry(model, folder, name=name, logits=logits, **facts)


def write_entry(
    model: VideoClassifier,
    folder: str | Path,
    *,
    name: str | None = None,
    half: bool = False,
    logits: bool = True,
    card: str | Callable[[Preset], str] | None = None,
    files: Mapping[str, Any] | None = None,
    **facts: Any,
) -> Path:
    """Write a model, its card and what was measured of it as an entry.

    Args:
        model: As `kv.zoo.save` takes it.
        folder: Path to write; an entry that is there is replaced.
        name: What to call it. Defaults to the model's name.
        half: Whether the weights are stored as float16. Defaults to False.
        logits: Whether to record what the stored weights make of a fixed clip. Defaults to True.
        card: The card, or a function that makes it of the `kv.zoo.Preset`. Defaults to the one
            that `kv.zoo.save` writes.
        files: Further files of JSON values, `{"training.json": {...}}`.
        **facts: `data`, `license` and `accuracy` of the `kv.zoo.Preset`.

    Returns:
        `folder`, as a path.

    Raises:
        ValueError: If it is not known how the model was built, or `folder` holds other files.
    """
    description = getattr(model, "description", None)
    if description is None:
        why = getattr(model, "undescribed", "it is not known how it was built")
        raise ValueError(f"`model` ({model!r}) cannot be saved as plain values: {why}. {ADVICE}")
    found = sizes(description)
    if found.shapes != tuple(tuple(weight.shape) for weight in model.weights):
        raise ValueError(
            f"`model` is not what {description.builder} builds with {description.arguments}: "
            f"its weights have other shapes. It was changed afterwards. {ADVICE}"
        )
    files = files or {}
    with whole_folder(folder, {PRESET, WEIGHTS, CARD, *files}) as part:
        digest = (save_weights_half if half else save_weights)(model, part / WEIGHTS)
        stored = model
        if half and logits:
            stored = build_from_file(
                lambda _: description.build(), part / WEIGHTS, model.labels, model.labels
            )
        exact = model.dtype_policy.compute_dtype == "float32"
        preset = Preset(
            **vars(description),
            name=name or model.name,
            weights=WEIGHTS,
            sha256=digest,
            parameters=found.parameters,
            flops=found.flops,
            logits=logits_of(stored) if logits and exact else (),
            **facts,
        )
        preset.write(part / PRESET)
        if card is None:
            card = saved_card(preset, model.origin)
        write_text(part / CARD, card if isinstance(card, str) else card(preset))
        for file, values in files.items():
            write_json(part / file, values)
    return Path(folder)
