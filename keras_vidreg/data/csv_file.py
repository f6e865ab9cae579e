"""Videos listed in a table."""

import csv as csv_module
import os

from keras_vidreg.data.source import Record, VideoSource


def csv(file, *, split=None, labels=None, clip=None, root=None):
    """Videos listed in a CSV file with columns path, label and, where wanted, split and group.

    Args:
        file: the table, UTF-8, first line with the names of the columns. Other columns are
            ignored. Rows with the same `group` are kept together by `VideoSource.split`; without
            that column each row is its own group.
        split: the rows to take, those with this word in the split column; None: all rows.
        labels: class names in the order of their numbers; None: the sorted labels of the whole
            table (of all splits, so that they agree), by value where all are whole numbers.
        clip: the `Clip` that `.batches` reads by default; usually `model.clip`.
        root: folder that the paths are relative to; None: that of the table.

    Returns:
        `VideoSource`, in the order of the rows.

    Raises:
        ValueError: no such table, a column is missing, no row has that split, a label is not among
            `labels`, or files are missing; the message names them.

    Example:

    >>> train = csv("clips/split.csv", split="train", clip=model.clip)
    """
    file = os.fspath(file)
    if not os.path.isfile(file):
        raise ValueError(f"csv: file={file!r} does not exist; give a CSV file.")
    with open(file, newline="", encoding="utf-8-sig") as stream:
        reader = csv_module.DictReader(stream)
        columns = reader.fieldnames or []
        rows = list(reader)
    needed = ["path", "label"] + (["split"] if split is not None else [])
    if missing := [name for name in needed if name not in columns]:
        raise ValueError(f"csv: {file!r} has no column {missing}; its columns are {columns}.")
    names = {row["label"] for row in rows}
    whole = all(name and name.lstrip("-").isdigit() for name in names)
    labels = tuple(sorted(names, key=int if whole else str) if labels is None else labels)
    if split is not None:
        known = sorted({row["split"] for row in rows})
        rows = [row for row in rows if row["split"] == split]
        if not rows:
            raise ValueError(f"csv: no row of {file!r} has split={split!r}; it has {known}.")
    if not rows:
        raise ValueError(f"csv: {file!r} has no rows below its header.")
    if unknown := sorted({row["label"] for row in rows} - {str(label) for label in labels}):
        raise ValueError(f"csv: labels {unknown} of {file!r} are not among labels={labels}.")
    number = {str(name): i for i, name in enumerate(labels)}
    root = os.path.dirname(file) if root is None else os.fspath(root)
    records = [
        Record(
            os.path.join(root, row["path"]),
            number[row["label"]],
            row["group"] if row.get("group") else row["path"],
        )
        for row in rows
    ]
    lost = [record.path for record in records if not os.path.isfile(record.path)]
    if lost:
        raise ValueError(
            f"csv: {len(lost)} of {len(records)} files in {file!r} do not exist, the first is "
            f"{lost[0]!r}; give root=, or take their rows out."
        )
    return VideoSource(records, labels, clip, root)
