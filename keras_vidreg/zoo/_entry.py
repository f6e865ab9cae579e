"""What a name stands for: an entry of the zoo, a folder, a model on the Hub, published weights."""

import contextlib
import dataclasses
import difflib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_vidreg._atomic import restore
from keras_vidreg.data import Clip
from keras_vidreg.zoo._cards import card_of_page, published_card
from keras_vidreg.zoo._convert import convert, converted_folder, is_converted, obtain
from keras_vidreg.zoo._hub import PAGE, PREFIX, snapshot, split_address
from keras_vidreg.zoo._preset import CARD, PRESET, WEIGHTS, Preset
from keras_vidreg.zoo.published import PUBLISHED, published_sizes

FAMILIES = {"grw_classifier": "grw"}  # others are called as their builder


@dataclasses.dataclass(frozen=True, kw_only=True)
class Info:
    """The facts of an entry; what is not known is `None` or empty.

    Args:
        name: Of the entry.
        family: `"grw"`, `"movinet"`, `"slowonly"` and so on.
        clip: What the model is fed with.
        labels: Names of the classes.
        parameters: Number of trainable parameters.
        flops: Multiply-adds for one clip, as `kv.models.flops` counts them.
        data: What it was trained on.
        reported: Top-1 accuracy in percent, as its publisher reports it.
        reported_by: Who reports it.
        measured: Accuracies that were measured here, between 0 and 1, `{"test": 0.93}`.
        license: Of the weights.
        size_mb: Megabytes of the file of the weights.
        here: Whether it loads without a network.
    """

    name: str
    family: str
    clip: Clip
    labels: tuple[str, ...]
    parameters: int | None
    flops: int | None
    data: str
    reported: float | None = None
    reported_by: str | None = None
    measured: dict[str, float] = dataclasses.field(default_factory=dict)
    license: str | None
    size_mb: float | None
    here: bool

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.labels)


class Entry:
    """A model with weights in a folder: an entry of the zoo, or one that was saved or trained.

    Args:
        name: What it was asked for as.
        folder: Path of its files.
    """

    here, card_file = True, CARD

    def __init__(self, name: str | Path, folder: Path):
        self.name, self._folder = str(name), folder

    @property
    def folder(self) -> Path:
        """Where its files are."""
        return self._folder

    def preset(self) -> Preset:
        """How to build and feed it, and what is known of it."""
        return Preset.read(self.folder / PRESET)

    def weights(self) -> Path:
        """The file of its weights, whose SHA-256 is the one of the preset."""
        preset = self.preset()
        if preset.weights is None:
            raise ValueError(
                f"The entry {self.name} comes without weights; pass `weights=` a path or None."
            )
        path = self.folder / preset.weights
        if not path.is_file():
            raise ValueError(
                f"The weights of {self.name} are missing: put {preset.weights} into {path}."
            )
        return preset.check(path)

    def card(self) -> str:
        """Its card, in Markdown."""
        path = self.folder / self.card_file
        if not path.is_file():
            raise ValueError(f"The entry {self.name} has no card ({path} is missing).")
        return card_of_page(path.read_text(encoding="utf-8"))

    def info(self) -> Info:
        """What is known of it, at once."""
        preset = self.preset()
        return Info(
            name=self.name,
            family=FAMILIES.get(preset.builder, preset.builder),
            clip=preset.clip,
            labels=preset.labels,
            parameters=preset.parameters,
            flops=preset.flops,
            data=preset.data,
            measured=preset.accuracy,
            license=preset.license or None,
            size_mb=_megabytes(self.folder / preset.weights) if preset.weights else None,
            here=self.here,
        )

    @contextlib.contextmanager
    def opened(self, weights: str | Path | None) -> Iterator[tuple[Preset, Path | None]]:
        """Preset, and file of the weights that `kv.zoo.load` is asked for."""
        if weights is None:
            path = None
        elif weights == "default":
            path = self.weights()
        elif not (path := Path(weights)).is_file():
            raise ValueError(f"`weights` must be 'default', None or a file. Received: {weights!r}")
        yield self.preset(), path

    @property
    def origin(self) -> str:
        """What to call the model that others are trained from."""
        return self.preset().name


class HubEntry(Entry):
    """A model on the Hub, which is fetched when it is wanted."""

    card_file = PAGE

    def __init__(self, address):
        split_address(address)
        super().__init__(address, None)

    @functools.cached_property
    def folder(self):
        return snapshot(self.name)

    origin = property(lambda self: self.name)


class PublishedEntry(Entry):
    """Weights that others have published; they are fetched and converted when they are wanted."""

    def __init__(self, published):
        super().__init__(published.name, None)
        self._published = published

    origin = property(lambda self: self.name)

    @property
    def here(self):
        return is_converted(self.name)

    @property
    def folder(self):
        return obtain(self.name)

    def weights(self):
        obtain(self.name)
        return super().weights()

    def preset(self):
        stated = self._published
        if self.here or stated.builder == "grw_classifier":  # sizes of the head stand in the file
            return super().preset()
        what = stated.builder, stated.arguments, stated.label_names, stated.clip
        return Preset(*what, name=stated.name)

    def card(self):
        return published_card(self._published)

    def info(self):
        stated = self._published
        parameters, flops = published_sizes().get(self.name, (None, None))
        weights = converted_folder(self.name) / WEIGHTS
        return Info(
            name=self.name,
            family=stated.family,
            clip=stated.clip,
            labels=stated.label_names,
            parameters=parameters,
            flops=flops,
            data=stated.data,
            reported=stated.accuracy.get("top1"),
            reported_by=stated.reported_by,
            license=stated.license,
            size_mb=_megabytes(weights) if stated.size_mb is None else stated.size_mb,
            here=self.here,
        )

    @contextlib.contextmanager
    def opened(self, weights):
        if weights is None or weights == "default" or str(weights).endswith(".weights.h5"):
            with super().opened(weights) as found:
                yield found
            return
        with tempfile.TemporaryDirectory() as parent:
            own = Entry(self.name, convert(weights, self.name, Path(parent, "converted")))
            with own.opened("default") as found:
                yield found


def resolve(name: str | Path | Entry) -> Entry:
    """The entry that a name stands for; the one place that asks what kind of name it is.

    Args:
        name: Name of a zoo entry, or the path of a folder that holds a `preset.json`, such as
            the output folder of a training run, or `"hf://user/repo"`.

    Raises:
        ValueError: If there is no such entry; the message lists the names that are close.
    """
    if isinstance(name, Entry):
        return name
    if str(name).startswith(PREFIX):
        return HubEntry(str(name))
    for path in (root() / name, Path(name)):
        restore(path)
        if (path / PRESET).is_file():
            return Entry(name, path)
    if str(name) in PUBLISHED:
        return PublishedEntry(PUBLISHED[str(name)])
    if Path(name).is_dir():
        raise ValueError(f"The folder {name} holds no preset.json; is its training finished?")
    known = names()
    close = difflib.get_close_matches(str(name), known, n=3) or known
    raise ValueError(
        f"There is no zoo entry {str(name)!r}. Did you mean: {', '.join(close)}? "
        "`kv.zoo.names()` lists all; a folder with a preset.json works too."
    )


def root():
    """Folder that holds one folder per entry: package data, or `zoo/` of a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "entries"
    return installed if installed.is_dir() else package.parents[1] / "zoo"


def names() -> list[str]:
    """Names of all entries of the zoo, sorted: trained here, or published by others.

    Example:

    >>> "movinet_a2_grw" in kv.zoo.names()
    True
    """
    return sorted({*trained_here(), *PUBLISHED})


def trained_here() -> list[str]:
    """Names of the entries whose weights come with the package, sorted."""
    return sorted(path.parent.name for path in root().glob(f"*/{PRESET}"))


def is_here(name: str | Path) -> bool:
    """Whether an entry can be loaded without a network.

    Args:
        name: As `kv.zoo.load` takes it.
    """
    return resolve(name).here


def folder(name: str | Path) -> Path:
    """Folder of an entry; it is fetched first, if need be.

    Args:
        name: As `kv.zoo.load` takes it.
    """
    return resolve(name).folder


def preset(name: str | Path) -> Preset:
    """The `Preset` of an entry.

    Args:
        name: As `kv.zoo.load` takes it.
    """
    return resolve(name).preset()


def card(name: str | Path) -> str:
    """The card of an entry (Markdown): what it is, how good it is, how it was made.

    Args:
        name: Name of a zoo entry, or a folder, or `"hf://user/repo"`.

    Example:

    >>> kv.zoo.card("movinet_a0_grw_airplanes").splitlines()[0]
    '# movinet_a0_grw_airplanes'
    """
    return resolve(name).card()


def info(name: str | Path) -> Info:
    """The facts of an entry, at once: nothing is fetched or built, unless it is on the Hub.

    Args:
        name: As `kv.zoo.load` takes it: an entry, a folder, or an address on the Hub.

    Raises:
        ValueError: If there is no such entry.

    Example:

    >>> kv.zoo.info("movinet_a2_grw").reported
    83.3
    """
    return resolve(name).info()


def _megabytes(path):
    return round(path.stat().st_size / 1e6, 1) if path.is_file() else None
