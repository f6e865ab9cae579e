"""From a name to a model that is ready to predict or to fine-tune."""

import dataclasses
import functools
import tempfile
from pathlib import Path

from keras_vidreg.zoo.build import build
from keras_vidreg.zoo.fill import build_filled
from keras_vidreg.zoo.hub import is_address, snapshot
from keras_vidreg.zoo.preset import Preset
from keras_vidreg.zoo.published import convert
from keras_vidreg.zoo.registry import folder, preset
from keras_vidreg.zoo.sources import SOURCES
from keras_vidreg.zoo.weights import check_sha256


def load(name, *, labels=None, weights="default", **overrides):
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
        ValueError: For an unknown name, a damaged weights file, or weights that do not fit.

    Example:
    ```python
    model = kv.zoo.load("movinet_a0_grw_airplanes", labels=["left", "right"])
    model.compile(optimizer="adamw")
    ```
    """
    if str(name) in SOURCES and weights not in ("default", None) and not _is_keras(weights):
        with tempfile.TemporaryDirectory() as parent:
            converted = convert(weights, str(name), Path(parent, "converted"))
            return load(converted, labels=labels, **overrides)
    origin = None
    if is_address(name):
        origin, name = str(name), snapshot(name)
    found = _published(name) if weights is None and str(name) in SOURCES else preset(name)
    arguments = {**found.arguments, **overrides}
    wanted = found.labels if labels is None else labels
    make = functools.partial(build, found.builder, arguments, clip=found.clip)
    if weights is None:
        return make(labels=wanted)
    path = _weights_path(name, found, weights)
    model = build_filled(lambda names: make(labels=names), path, wanted, found.labels)
    if weights == "default":
        model._record = dataclasses.replace(model._record, origin=origin or found.name)
    return model


def _is_keras(path):
    return str(path).endswith(".weights.h5")


def _published(name):
    """The preset of a published entry, without its weights where its table says everything."""
    source = SOURCES[str(name)]
    if source.builder == "grw_classifier":  # sizes of the head stand in the file
        return preset(name)
    return Preset(
        name=source.name,
        builder=source.builder,
        arguments=source.arguments,
        labels=source.label_names,
        clip=source.clip,
    )


def _weights_path(name, found, weights):
    if weights != "default":
        path = Path(weights)
        if not path.is_file():
            raise ValueError(f"`weights` must be 'default', None or a file. Received: {weights!r}")
        return path
    if found.weights is None:
        raise ValueError(f"The entry {name} comes without weights; pass `weights=` a path or None.")
    path = folder(name) / found.weights
    if not path.is_file():
        raise ValueError(f"The weights of {name} are missing: put {found.weights} into {path}.")
    if found.sha256 is not None:
        check_sha256(path, found.sha256)
    return path
