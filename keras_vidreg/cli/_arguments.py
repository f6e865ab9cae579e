"""Arguments that several commands share, and the data that they name."""

import argparse
import contextlib
import csv
from pathlib import Path

SOURCE_HELP = (
    "a folder with one sub-folder per class, a .csv table (path,label[,split]), or airplanes"
)
MODEL_HELP = "zoo entry, or folder of a training run"
# Names that data sets use for the split that settings are chosen on.
VALIDATION = ("val", "validation", "valid")


def add_data(parser, what):
    """`--data`, `--split` and `--clips` of a command that measures."""
    parser.add_argument("--data", required=True, metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument("--split", default="test", help="split of SOURCE, where it has any (test)")
    parser.add_argument("--clips", type=positive, help=f"{what} on so many clips only")
    parser.add_argument("--batch-size", type=positive, default=8)
    parser.add_argument("--json", metavar="FILE", help="write the numbers there too")


def positive(text):
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above 0 is needed, not {text!r}")
    return int(text)


def numbers(text):
    """Numbers with commas between."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        message = f"numbers with commas between are needed, not {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def open_source(where, split, *, labels=None, clips=None):
    """A `VideoSource` from what the command line names.

    Args:
        where: A folder, a `.csv` file, or `"airplanes"`.
        split: Split to take where the source has splits; a source without any is taken whole.
        labels: Names of the classes in order, where another source has fixed them.
        clips: Number of clips to take. Defaults to all.

    Returns:
        A `VideoSource`.

    Raises:
        ValueError: If there is no such source.
    """
    from keras_vidreg import data

    if where == "airplanes":
        split = "validation" if split in VALIDATION else split
        return data.airplanes(split, clips=clips)
    path = Path(where)
    if path.is_dir():
        inner = path / split
        source = data.folder(inner if inner.is_dir() else path, labels=labels)
    elif path.suffix == ".csv":
        with _table(path) as table:
            has_split = "split" in (table.fieldnames or ())
        source = data.csv(path, split=split if has_split else None, labels=labels)
    else:
        raise ValueError(f"There is no data at {where!r}: give {SOURCE_HELP}.")
    return source if clips is None else source.subset(clips)


def splits(where):
    """Names of the splits that a source has; empty where it has none."""
    path = Path(where)
    if where == "airplanes":
        return {"train", "validation", "test"}
    if path.is_dir():
        return {name for name in ("train", "test", *VALIDATION) if (path / name).is_dir()}
    with _table(path) as table:
        return {row.get("split") for row in table} - {None}


@contextlib.contextmanager
def _table(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        yield csv.DictReader(file)
