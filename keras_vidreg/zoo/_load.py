"""From a name to a model that is ready to predict or to fine-tune."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_vidreg._text import printable
from keras_vidreg.models import Description, VideoClassifier
from keras_vidreg.zoo._entry import Entry, resolve
from keras_vidreg.zoo.fill import build_from_file, check_sizes


def load(
    name: str | Path | Entry,
    *,
    labels: int | Sequence[str] | None = None,
    weights: str | Path | None = "default",
    **overrides: Any,
) -> VideoClassifier:
    """Load a zoo entry, or a trained run, as a model.

    Args:
        name: Name of a zoo entry (`kv.zoo.names()`), or the path of a folder that holds a
            `preset.json`, such as the output folder of `keras-vidreg train` or of `kv.zoo.save`,
            or a model on the Hugging Face Hub: `"hf://user/repo"` or `"hf://user/repo@revision"`.
        labels: Names (or number) of other classes: the model gets a new head for them, and
            keeps every other weight. `None` keeps the classes of the entry.
        weights: `"default"` for the weights of the entry, `None` for random ones, or the path
            of another `.weights.h5` file of the same model. Of a published entry, the path of a
            file in the published format works too.
        **overrides: Arguments that replace those of the preset, for example `weight=0.3` for a
            GRW classifier. They may not change the shape of any weight.

    Returns:
        A `kv.models.VideoClassifier`, with `.labels` and `.clip` set.

    Raises:
        FetchError: For files that are not here and cannot be fetched; says what to do.
        ValueError: For an unknown name, a damaged preset or weights file, or weights that do not
            fit.

    Example:

    >>> model = kv.zoo.load("movinet_a0_grw_airplanes", labels=["left", "right"])
    >>> model.labels
    ('left', 'right')
    """
    entry = resolve(name)
    with entry.opened(weights) as (preset, path):
        wanted = preset.labels if labels is None else labels

        def make(names):
            arguments = {**preset.arguments, **overrides}
            try:
                return Description(preset.builder, arguments, names, preset.clip).build()
            except Exception as error:  # whatever a stranger's arguments lead to
                reason = printable(str(error))[:500]
                raise ValueError(
                    f"{entry.name} cannot be built as its preset says: {reason}"
                ) from error

        if path is None:
            return make(wanted)
        check_sizes(preset.arguments, path)
        model = build_from_file(make, path, wanted, preset.labels)
    if not str(weights).endswith(".weights.h5"):
        model.described_by(model.description, entry.origin)
    return model
