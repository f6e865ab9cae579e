"""Published weights: fetched, checked and converted once, then kept as an entry of one's own."""

import functools
import json
from pathlib import Path

from filelock import FileLock

from keras_vidreg._atomic import whole_folder, write_json, write_text
from keras_vidreg.checkpoints.files import read_state_dict
from keras_vidreg.checkpoints.files.state import PREFER
from keras_vidreg.checkpoints.port import port_weights
from keras_vidreg.zoo.build import build
from keras_vidreg.zoo.fetch import cache_folder, fetch, fetch_from_hub
from keras_vidreg.zoo.fill import built
from keras_vidreg.zoo.preset import Preset
from keras_vidreg.zoo.source_card import source_card
from keras_vidreg.zoo.sources import SOURCES
from keras_vidreg.zoo.weights import save_weights, sha256

CONVERTER = 1  # counts up when a conversion gives other weights or another preset
MANIFEST = "manifest.json"
CONTENT = ("preset.json", "model.weights.h5", "card.md", MANIFEST)


def converted_folder(name):
    """Where the converted weights of a published entry are kept, once they are here."""
    return cache_folder("converted", name)


def is_converted(name):
    """Whether the published weights of an entry are here, converted by this version."""
    try:
        manifest = json.loads((converted_folder(name) / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return manifest.get("converter") == CONVERTER


def obtain(name):
    """Fetch and convert the published weights of an entry, unless that was done before.

    Args:
        name: Name of a published entry.

    Returns:
        Folder with `preset.json`, `model.weights.h5`, `card.md` and `manifest.json`.

    Raises:
        FetchError: When the file is not here and cannot be fetched; says where to put it.
        ValueError: When there is no such file, or it is not what the entry needs.
    """
    folder = converted_folder(name)
    if not is_converted(name):
        file = _fetch(SOURCES[name])
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{name}.lock")):
            if not is_converted(name):  # another process was faster
                convert(file, name, folder)
    return folder


def convert(file, name, out, layout=None):
    """Turn a file in a published format into a folder that `kv.zoo.load` takes.

    Every key must be used, every shape must agree and every number must be finite.

    Args:
        file: The file, or the folder, archive or prefix of a TensorFlow checkpoint. Nothing in it
            is run.
        name: The published entry whose network it is for, such as `"movinet_a0_grw"`.
        out: Folder to write; one that is there is replaced, if it holds nothing else.
        layout: How its keys are named, where that differs from the entry's file.

    Returns:
        `out`, as a path.

    Raises:
        ValueError: For an unknown entry, and for a file that cannot be read or does not fit.

    Example:
    ```python
    kv.zoo.convert("a0s_grw.pt", "movinet_a0_grw", "mine/a0")
    model = kv.zoo.load("mine/a0")
    ```
    """
    if name not in SOURCES:
        raise ValueError(
            f"`name` must be a published entry, {', '.join(sorted(SOURCES)[:6])} …; "
            f"`keras-vidreg zoo list` shows all. Received: {name!r}"
        )
    source, out = SOURCES[name], Path(out)
    arguments, labels, arrays = _content(source, file)
    make = functools.partial(build, source.builder, arguments, labels=labels, clip=source.clip)
    try:
        model = built(make, lambda model: port_weights(model, arrays, layout or source.layout))
    except ValueError as error:
        raise ValueError(f"{file} is not a file of {name}. {error}") from error
    with whole_folder(out, CONTENT) as part:
        digest = save_weights(model, part / "model.weights.h5")
        preset = Preset(
            name=name,
            builder=source.builder,
            arguments=arguments,
            labels=model.labels,
            clip=source.clip,
            weights="model.weights.h5",
            sha256=digest,
            data=source.data,
            licence=source.licence or "not stated by the publisher",
        )
        preset.write(part / "preset.json")
        write_text(part / "card.md", source_card(source))
        write_json(
            part / MANIFEST,
            {
                "converter": CONVERTER,
                "source": source.url or f"{source.repo}/{source.filename}",
                "file": Path(file).name,
                "sha256": sha256(file) if Path(file).is_file() else None,
                "layout": layout or source.layout,
            },
        )
    return out


def _fetch(source):
    """The file of a source, from the cache or from the net."""
    if not source.published:
        raise ValueError(
            f"No address of the weights of {source.name} is known. {source.notes}".strip()
            + " Pass `weights=` a file of yours, or None for random weights."
        )
    if source.repo:
        return fetch_from_hub(source.repo, source.filename, source.revision, sha256=source.sha256)
    path = cache_folder("published", source.name, source.url.rpartition("/")[2])
    return fetch(source.url, path, sha256=source.sha256, git_blob=source.git_blob)


def _content(source, file):
    """Arguments of the builder, labels, and arrays."""
    prefer = (source.member, *PREFER) if source.member else PREFER
    found = read_state_dict(file, prefer=prefer)
    arguments, classes = dict(source.arguments), source.classes
    if source.builder == "grw_classifier":
        stated, classes = _grw_arguments(found.extras, file)
        arguments.update(stated)
    labels = source.label_names if classes == source.classes else classes
    return arguments, labels, found.arrays


def _grw_arguments(extras, file):
    """What a snapshot of the GRW authors says of its network."""
    try:
        sizes = extras["transformer_params"]
        arguments = {
            "window": int(extras["T"]),
            "embed_dim": int(sizes.embed_dim),
            "depth": int(sizes.depth),
            "heads": int(sizes.num_heads),
            "mlp_dim": int(sizes.mlp_dim),
        }
        return arguments, int(sizes.num_classes)
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file} does not say what its network looks like (T and transformer_params): it is "
            "not a snapshot of the GRW authors, version 10."
        ) from error
