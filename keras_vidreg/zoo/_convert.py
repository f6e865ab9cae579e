"""Published weights: fetched, checked and converted once, then kept as an entry of one's own."""

import json
from pathlib import Path

from filelock import FileLock

from keras_vidreg.checkpoints.files import read_state_dict
from keras_vidreg.checkpoints.files.state import PREFER
from keras_vidreg.checkpoints.layouts.grw_smoothing import network_sizes
from keras_vidreg.checkpoints.port import port_weights
from keras_vidreg.models.description import Description
from keras_vidreg.zoo._cards import published_card
from keras_vidreg.zoo._fetch import by_hand, cache_folder, fetch, offline
from keras_vidreg.zoo._http import FetchError
from keras_vidreg.zoo._hub import hub_endpoint, hub_file
from keras_vidreg.zoo._preset import sha256
from keras_vidreg.zoo.fill import build_with_weights
from keras_vidreg.zoo.published import PUBLISHED

CONVERTER = 2  # counts up when a conversion gives other weights or another preset
MANIFEST = "manifest.json"


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
    """Folder of a published entry, fetched and converted unless that was done before.

    Raises:
        FetchError: If the file is not here and cannot be fetched; says where to put it.
        ValueError: If there is no such file, or it is not what the entry needs.
    """
    folder = converted_folder(name)
    if not is_converted(name):
        file = _fetch(PUBLISHED[name])
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{name}.lock")):
            if not is_converted(name):  # another process was faster
                convert(file, name, folder)
    return folder


def convert(file: str | Path, name: str, out: str | Path, layout: str | None = None) -> Path:
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

    >>> folder = kv.zoo.convert("movinet_a0.npz", "movinet_a0", "mine/a0")
    >>> kv.zoo.load("mine/a0").labels[0]
    'abseiling'
    """
    from keras_vidreg.zoo._write import write_entry

    if name not in PUBLISHED:
        raise ValueError(
            f"`name` must be a published entry, {', '.join(sorted(PUBLISHED)[:6])} …; "
            f"`keras-vidreg zoo list` shows all. Received: {name!r}"
        )
    published = PUBLISHED[name]
    layout = layout or published.layout
    arguments, labels, arrays = _content(published, file)
    make = Description(published.builder, arguments, labels, published.clip).build
    try:
        model = build_with_weights(make, lambda model: port_weights(model, arrays, layout))
    except ValueError as error:
        raise ValueError(f"{file} is not a file of {name}. {error}") from error
    manifest = {
        "converter": CONVERTER,
        "source": published.url or f"{published.repo}/{published.filename}",
        "file": Path(file).name,
        "sha256": sha256(file) if Path(file).is_file() else None,
        "layout": layout,
    }
    return write_entry(
        model,
        out,
        name=name,
        logits=False,
        card=published_card(published),
        files={MANIFEST: manifest},
        data=published.data,
        license=published.license or "not stated by the publisher",
    )


def _fetch(published):
    """The published file, from the cache or from the net."""
    url, repo, file = published.url, published.repo, published.filename
    if not published.published:
        raise ValueError(
            f"No address of the weights of {published.name} is known. {published.notes}".strip()
            + " Pass `weights=` a file of yours, or None for random weights."
        )
    if repo:
        url = f"{hub_endpoint()}/{repo}/resolve/{published.revision or 'main'}/{file}"
    path = cache_folder("published", published.name, url.rpartition("/")[2])
    if repo and not path.is_file() and not offline():
        try:
            return hub_file(repo, file, published.revision, sha256=published.sha256)
        except FetchError as error:
            raise FetchError(f"{error} {by_hand(url, path)}") from None
    return fetch(url, path, sha256=published.sha256, git_blob=published.git_blob)


def _content(published, file):
    """Arguments of the builder, labels, and arrays."""
    prefer = (published.member, *PREFER) if published.member else PREFER
    found = read_state_dict(file, prefer=prefer)
    arguments, classes = dict(published.arguments), published.classes
    if published.builder == "grw_classifier":
        sizes, classes = _grw_sizes(found, file)
        arguments.update(sizes)
    labels = published.label_names if classes == published.classes else classes
    return arguments, labels, found.arrays


def _grw_sizes(found, file):
    """What a snapshot of the GRW authors says of its network."""
    try:
        return network_sizes(found.extras, found.arrays)
    except ValueError as error:
        raise ValueError(
            f"{file} does not say what its network looks like (T and transformer_params): it is "
            f"not a snapshot of the GRW authors, version 10 ({error})."
        ) from error
