"""The entries of the zoo: where they are and what is known about them."""

import difflib
from pathlib import Path

from keras_vidreg.zoo.front_matter import without_front_matter
from keras_vidreg.zoo.hub import is_address, snapshot
from keras_vidreg.zoo.preset import Preset
from keras_vidreg.zoo.published import is_converted, obtain
from keras_vidreg.zoo.source_card import source_card
from keras_vidreg.zoo.sources import SOURCES


def root():
    """Folder that holds one folder per entry: package data, or `zoo/` of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "entries"
    return installed if installed.is_dir() else package.parents[1] / "zoo"


def names():
    """Names of all entries of the zoo, sorted: trained here, or published by others.

    Example:
    ```python
    kv.zoo.names()
    ```
    """
    return sorted({*trained_here(), *SOURCES})


def trained_here():
    """Names of the entries whose weights come with the package, sorted."""
    return sorted(path.parent.name for path in root().glob("*/preset.json"))


def is_here(name):
    """Whether an entry can be loaded without a network."""
    return name in trained_here() or is_converted(name)


def folder(name):
    """Folder of an entry; published weights are fetched and converted first, if need be.

    Args:
        name: Name of a zoo entry, or the path of a folder that holds a `preset.json`, such as
            the output folder of a training run, or `"hf://user/repo"`.

    Raises:
        FetchError: When published weights are not here and cannot be fetched.
        ValueError: When there is no such entry; the message lists the names that are close.
    """
    if is_address(name):
        return snapshot(name)
    for path in (root() / name, Path(name)):
        if (path / "preset.json").is_file():
            return path
    if str(name) in SOURCES:
        return obtain(str(name))
    if Path(name).is_dir():
        raise ValueError(f"The folder {name} holds no preset.json; is its training finished?")
    known = names()
    close = difflib.get_close_matches(str(name), known, n=3) or known
    raise ValueError(
        f"There is no zoo entry {str(name)!r}. Did you mean: {', '.join(close)}? "
        "`kv.zoo.names()` lists all; a folder with a preset.json works too."
    )


def preset(name):
    """The `Preset` of an entry, or of a folder that holds a `preset.json`."""
    return Preset.read(folder(name) / "preset.json")


def card(name):
    """The card of an entry (Markdown): what it is, how good it is, how it was made.

    Args:
        name: Name of a zoo entry, or a folder, or `"hf://user/repo"`.

    Example:
    ```python
    print(kv.zoo.card("movinet_a0_grw_airplanes"))
    ```
    """
    if str(name) in SOURCES:
        return source_card(SOURCES[str(name)])
    path = folder(name) / ("README.md" if is_address(name) else "card.md")
    if not path.is_file():
        raise ValueError(f"The entry {name} has no card ({path} is missing).")
    return without_front_matter(path.read_text(encoding="utf-8"))
