"""The Something-Something-v2 data set as it is published."""

import json
import os
import re
from typing import Literal

from keras_vidreg.data.clip import Clip
from keras_vidreg.data.source import LabeledVideo, VideoSource

SPLITS = ("train", "validation", "test")
VIDEOS = "20bn-something-something-v2"
PREFIX = "something-something-v2-"  # of the file names, in the first release
HELP = (
    "Something-Something-v2 is expected as it is unpacked: a folder of videos <id>.webm "
    f"({VIDEOS}), and {PREFIX}labels.json, {PREFIX}train.json, {PREFIX}validation.json, "
    f"{PREFIX}test.json (or labels.json, train.json and so on) in the root or in its folder labels"
)


def something_something_v2(
    root: str | os.PathLike,
    split: Literal["train", "validation", "test"] = "train",
    *,
    clip: Clip | None = None,
    videos: str | os.PathLike | None = None,
) -> VideoSource:
    """Something-Something-v2: 220,847 short videos of 174 things that hands do to objects.

    Labels are the templates without brackets, such as "Pushing something from left to right", in
    the numbered order of the labels file. So nothing is flipped unless you ask for it. Each video
    is its own group for `VideoSource.split`.

    Args:
        root: Folder of the unpacked data: the videos `<id>.webm` in
            `20bn-something-something-v2` (or another sub-folder, or the root), and the tables
            `something-something-v2-labels.json`, `-train.json`, `-validation.json`, `-test.json`
            (or `labels.json` and so on) in the root or in `labels`.
        split: `"train"`, `"validation"` or `"test"`, which needs `test-answers.csv` beside the
            tables.
        clip: The `Clip` that `.batches` reads by default; usually `model.clip`.
        videos: Folder of the videos. Defaults to the one found below `root`.

    Returns:
        `VideoSource`, in the order of the table.

    Raises:
        ValueError: If the split is unknown, or files are missing or not of this form; the message
            says what is expected where.

    Example:

    >>> train = kv.data.something_something_v2("ssv2", clip=model.clip)  # doctest: +SKIP
    >>> model.fit(train.batches(16), epochs=10)  # doctest: +SKIP

    Reference: Goyal et al., "The 'Something Something' Video Database for Learning and Evaluating
    Visual Common Sense", ICCV 2017.
    """
    root = os.fspath(root)
    if split not in SPLITS:
        raise ValueError(f"something_something_v2: split={split!r}; give one of {SPLITS}.")
    labels = _labels(root)
    number = {name: i for i, name in enumerate(labels)}
    file = _table(root, f"{split}.json")
    rows = _load(file)
    try:
        ids = [str(row["id"]) for row in rows]
        if split == "test":
            answers = _answers(root)
            names = [answers[name] for name in ids]
        else:
            names = [_plain(row["template"]) for row in rows]
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"something_something_v2: an entry of {file!r} has no {error}. {HELP}."
        ) from error
    if unknown := sorted(set(names) - set(labels)):
        raise ValueError(
            f"something_something_v2: {file!r} has labels that are not in the labels file: "
            f"{unknown[:3]}."
        )
    folder, extension = _videos(root, videos, ids)
    present = set(os.listdir(folder))
    if lost := [name for name in ids if f"{name}{extension}" not in present]:
        raise ValueError(
            f"something_something_v2: {len(lost)} of {len(ids)} videos of the {split} split are "
            f"not in {folder!r}, the first is {lost[0]}{extension}; unpack all parts of the "
            "download together."
        )
    records = [
        LabeledVideo(os.path.join(folder, f"{name}{extension}"), number[label], name)
        for name, label in zip(ids, names, strict=True)
    ]
    return VideoSource(records, labels, clip, root)


def _table(root, name):
    """Path of a table, by either of its names, in the root or in `labels`."""
    for folder in (os.path.join(root, "labels"), root):
        for file in (PREFIX + name, name):
            if os.path.isfile(path := os.path.join(folder, file)):
                return path
    raise ValueError(f"something_something_v2: {root!r} has no {PREFIX}{name}. {HELP}.")


def _load(file):
    try:
        with open(file, encoding="utf-8") as stream:
            return json.load(stream)
    except ValueError as error:
        raise ValueError(f"something_something_v2: {file!r} is not JSON ({error}).") from error


def _labels(root):
    """Names of the classes in the order of their numbers."""
    file = _table(root, "labels.json")
    table = _load(file)
    try:
        numbers = {int(number): _plain(name) for name, number in table.items()}
        return tuple(numbers[i] for i in range(len(table)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f'something_something_v2: {file!r} must be {{"template": "number"}} with the numbers '
            "from 0 on, each once."
        ) from error


def _answers(root):
    """{id: label} of the test split: lines `id;label`."""
    try:
        file = _table(root, "test-answers.csv")
    except ValueError as error:
        raise ValueError(
            "something_something_v2: the labels of the test split were published apart; put "
            "test-answers.csv beside the other tables, or take the validation split."
        ) from error
    with open(file, encoding="utf-8-sig") as stream:
        lines = re.findall(r'^"?(\d+)"?\s*[;,]\s*(.+?)\s*$', stream.read(), re.MULTILINE)
    return {name: _plain(label.strip('"')) for name, label in lines}


def _plain(template):
    """A template without the brackets around its objects."""
    return template.replace("[", "").replace("]", "")


def _videos(root, folder, ids):
    """The folder that has some of these videos, and how their names end."""
    if folder is None:
        below = sorted(entry.path for entry in os.scandir(root) if entry.is_dir())
        folders = [os.path.join(root, VIDEOS), *below, root]
    else:
        folders = [os.fspath(folder)]
    for place in folders:
        for name in ids[:100]:
            for extension in (".webm", ".mp4"):
                if os.path.isfile(os.path.join(place, name + extension)):
                    return place, extension
    raise ValueError(f"something_something_v2: no videos in {folder or root!r}. {HELP}.")
