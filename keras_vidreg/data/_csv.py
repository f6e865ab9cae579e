"""Videos listed in a table."""

import csv as csv_module
import math
import os
import re
import unicodedata
from collections.abc import Sequence

from keras_vidreg.data.clip import Clip
from keras_vidreg.data.source import LabeledVideo, VideoSource


def csv(
    file: str | os.PathLike,
    *,
    split: str | None = None,
    labels: Sequence[str] | None = None,
    clip: Clip | None = None,
    root: str | os.PathLike | None = None,
) -> VideoSource:
    """Videos listed in a CSV file with columns path and label.

    Where wanted there are columns split, group, start and end. `start` and `end` are the seconds of
    the segment that counts, as in the tables of Kinetics; empty cells mean the beginning and the
    end. Rows with the same `group` are kept together by `VideoSource.split`; without it, those of
    one file are. Other columns are ignored.

    Args:
        file: The table, UTF-8, first line with the names of the columns.
        split: The rows to take, those with this word in the split column. Defaults to all rows.
        labels: Class names in the order of their numbers. Defaults to the sorted labels of the
            whole table (of all splits, so that they agree), by value where all are whole numbers.
        clip: The `Clip` that `.batches` reads by default; usually `model.clip`.
        root: Folder that the paths are relative to. Defaults to that of the table.

    Returns:
        `VideoSource`, in the order of the rows.

    Raises:
        ValueError: If there is no such table, a column is missing, a row is wrong (its line is
            named), no row has that split, or files are missing.

    Example:

    >>> train = kv.data.csv("split.csv", split="train", clip=model.clip)  # doctest: +SKIP
    """
    file = os.fspath(file)
    if not os.path.isfile(file):
        raise ValueError(f"csv: file={file!r} does not exist; give a CSV file.")
    columns, rows = _rows(file)
    needed = ["path", "label"] + (["split"] if split is not None else [])
    if missing := [name for name in needed if name not in columns]:
        raise ValueError(f"csv: {file!r} has no column {missing}; its columns are {columns}.")
    for line, row in rows.items():
        _check_row(file, line, row)
        row["label"] = unicodedata.normalize("NFC", row["label"])
    names = {row["label"] for row in rows.values()}
    whole = all(re.fullmatch(r"-?\d+", name, re.ASCII) for name in names)
    labels = tuple(sorted(names, key=int if whole else str) if labels is None else labels)
    if split is not None:
        known = sorted({row["split"] for row in rows.values()})
        rows = {line: row for line, row in rows.items() if row["split"] == split}
        if not rows:
            raise ValueError(f"csv: no row of {file!r} has split={split!r}; it has {known}.")
    if not rows:
        raise ValueError(f"csv: {file!r} has no rows below its header.")
    number = {unicodedata.normalize("NFC", str(name)): i for i, name in enumerate(labels)}
    if unknown := {row["label"]: line for line, row in rows.items() if row["label"] not in number}:
        raise ValueError(
            f"csv: labels {sorted(unknown)[:10]} of {file!r} are not among labels={labels} (line "
            f"{min(unknown.values())})."
        )
    # "./" before a name such as "http:a.mp4" leaves no doubt that it is one.
    root = os.path.dirname(file) or "." if root is None else os.fspath(root) or "."
    videos = [
        LabeledVideo(
            os.path.join(root, row["path"]),
            number[row["label"]],
            row.get("group") or row["path"],
            _seconds(row, "start"),
            _seconds(row, "end"),
        )
        for row in rows.values()
    ]
    lost = [video.path for video in videos if not os.path.exists(video.path)]
    if lost:
        raise ValueError(
            f"csv: {len(lost)} of {len(videos)} files in {file!r} do not exist, the first is "
            f"{lost[0]!r}; give root=, or take their rows out."
        )
    return VideoSource(videos, labels, clip, root)


def _rows(file):
    """The names of the columns, and {line: row}."""
    try:
        with open(file, newline="", encoding="utf-8-sig") as stream:
            reader = csv_module.DictReader(stream)
            columns = reader.fieldnames or []
            return columns, dict((reader.line_num, row) for row in reader)  # noqa: C402
    except (UnicodeDecodeError, csv_module.Error) as error:
        raise ValueError(f"csv: {file!r} is not a CSV file in UTF-8 ({error}).") from error


def _check_row(file, line, row):
    wrong = None
    if None in row:
        wrong = f"has {len(row[None])} cells more than there are columns"
    elif None in row.values():
        wrong = f"has no {next(name for name, cell in row.items() if cell is None)}"
    elif empty := [name for name in ("path", "label") if not row[name].strip()]:
        wrong = f"has no {empty[0]}"
    else:
        times = {}
        for name in ("start", "end"):
            try:
                times[name] = _seconds(row, name)
            except ValueError:
                wrong = f"has {name}={row[name]!r}, which is no number of seconds"
        if not wrong and None not in times.values() and times["end"] <= times["start"]:
            wrong = f"ends at {times['end']:g} s, not after its start at {times['start']:g} s"
    if wrong:
        raise ValueError(f"csv: line {line} of {file!r} {wrong}.")


def _seconds(row, name):
    if not (row.get(name) or "").strip():
        return None
    seconds = float(row[name])
    if not 0 <= seconds < math.inf:
        raise ValueError
    return seconds
