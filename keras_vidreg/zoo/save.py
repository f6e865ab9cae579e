"""A model of one's own as a folder that `kv.zoo.load` takes."""

from pathlib import Path

from keras_vidreg._atomic import whole_folder, write_text
from keras_vidreg.zoo.check_input import logits_of
from keras_vidreg.zoo.preset import Preset
from keras_vidreg.zoo.published import CONTENT
from keras_vidreg.zoo.saved_card import saved_card
from keras_vidreg.zoo.sizes import sizes
from keras_vidreg.zoo.weights import save_weights

ADVICE = (
    'Build it with `kv.models`, `kv.zoo.build` or `kv.zoo.load`, or save it with `model.save("x.'
    'keras")`, which keeps any model.'
)


def save(model, folder, *, name=None, data="", licence="", accuracy=None, logits=True):
    """Write a model as a folder that `kv.zoo.load` takes, on any backend.

    The folder holds `preset.json` (how to build and feed it), `model.weights.h5` (bit by bit,
    without the optimizer) and `card.md` (for people). It appears whole or not at all.

    Args:
        model: A `kv.models.VideoClassifier` that `kv.models`, `kv.zoo.build` or `kv.zoo.load` has
            built. Its regularizers are layers of keras_vidreg.
        folder: Path to write; a model that was saved there is replaced.
        name: What to call it. Defaults to the model's name.
        data: What it was trained on.
        licence: Licence of the weights, such as `"CC-BY-4.0"`.
        accuracy: Measured accuracies between 0 and 1, `{"test": 0.93}`. Defaults to none.
        logits: Whether to record what the model says of a fixed clip, for `kv.zoo.verify`.
            Defaults to True. Models in other than float32 are saved without.

    Returns:
        `folder`, as a path.

    Raises:
        ValueError: When it is not known how the model was built, or `folder` holds other files.

    Example:
    ```python
    model = kv.zoo.load("movinet_a0_grw_airplanes", labels=["left", "right"])
    kv.zoo.save(model, "mine", data="200 clips of my cat", licence="CC0-1.0")
    same = kv.zoo.load("mine")
    ```
    """
    record = getattr(model, "_record", None)
    if record is None:
        raise ValueError(f"It is not known how `model` ({model!r}) was built. {ADVICE}")
    if record.problem:
        raise ValueError(f"`model` cannot be saved as plain values: {record.problem}. {ADVICE}")
    found = sizes(record.builder, record.arguments, labels=model.labels, clip=model.clip)
    if found.shapes != tuple(tuple(weight.shape) for weight in model.weights):
        raise ValueError(
            f"`model` is not what {record.builder} builds with {record.arguments}: its weights "
            f"have other shapes. It was changed afterwards. {ADVICE}"
        )
    exact = model.dtype_policy.compute_dtype == "float32"
    with whole_folder(folder, CONTENT) as part:
        preset = Preset(
            name=name or model.name,
            builder=record.builder,
            arguments=record.arguments,
            labels=model.labels,
            clip=model.clip,
            weights="model.weights.h5",
            sha256=save_weights(model, part / "model.weights.h5"),
            data=data,
            licence=licence,
            accuracy=accuracy or {},
            parameters=found.parameters,
            flops=found.flops,
            logits=logits_of(model) if logits and exact else (),
        )
        preset.write(part / "preset.json")
        write_text(part / "card.md", saved_card(preset, record.origin))
    return Path(folder)
