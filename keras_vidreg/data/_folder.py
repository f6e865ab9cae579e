"""Videos in one sub-folder a class."""

import collections
import os
import unicodedata
import warnings
from collections.abc import Sequence

from keras_vidreg.data.clip import Clip
from keras_vidreg.data.source import LabeledVideo, VideoSource

EXTENSIONS = (
    *(".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".gif", ".mjpeg", ".mjpg"),
    *(".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".mxf"),
    *(".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogg"),
)
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")


def folder(
    directory: str | os.PathLike,
    *,
    labels: Sequence[str] | None = None,
    clip: Clip | None = None,
    extensions: Sequence[str] = EXTENSIONS,
) -> VideoSource:
    """Videos whose sub-folder is their class: `directory/juggling/anything.mp4`.

    Every sub-folder is a class, whether or not it has videos, so that the numbers of the labels do
    not depend on which files are there. Folders below a class are searched too; one that holds
    pictures (`frame_00001.jpg` ...) is a video. Links are followed, hidden names are left out. Each
    video is its own group for `VideoSource.split`.

    Args:
        directory: The folder.
        labels: Class names in the order of their numbers. Defaults to the sorted names of the
            sub-folders, in Unicode's composed form (NFC). A class without a sub-folder is allowed
            (a test set may lack one), a sub-folder of videos that is not a class is not.
        clip: The `Clip` that `.batches` reads by default; usually `model.clip`.
        extensions: Of the files to take, lower case, with the dot. How many files have others is
            said once. Defaults to those of usual video files.

    Returns:
        `VideoSource`, sorted by class and path.

    Raises:
        ValueError: If there is no such folder, no video in sub-folders, or a sub-folder that is no
            label; if names of sub-folders are not UTF-8, or the same but for their Unicode form.

    Example:

    >>> source = kv.data.folder("videos/train", clip=model.clip)  # doctest: +SKIP
    >>> model.fit(source.batches(16), epochs=10)  # doctest: +SKIP
    """
    directory = os.fspath(directory)
    if not os.path.isdir(directory):
        raise ValueError(
            f"folder: directory={directory!r} is not a folder; give one with a sub-folder of "
            "videos for each class."
        )
    found, unread = {}, collections.Counter()
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith("."):
            name = _class_name(directory, entry.name)
            if name in found:
                raise ValueError(
                    f"folder: {directory!r} has two sub-folders {name!r}, composed and decomposed "
                    "Unicode of the same name; put their videos into one."
                )
            found[name] = _videos(entry.path, tuple(extensions), unread)
    if not any(found.values()):
        raise ValueError(
            f"folder: directory={directory!r} has no videos in sub-folders; put each class in a "
            f"sub-folder of its own, as files ending in {' '.join(extensions)}."
        )
    labels = tuple(found) if labels is None else tuple(labels)
    number = {unicodedata.normalize("NFC", name): i for i, name in enumerate(labels)}
    if unknown := sorted(name for name in found if found[name] and name not in number):
        raise ValueError(
            f"folder: sub-folders {unknown} of {directory!r} are not among labels={labels}; "
            "rename them or add them to labels."
        )
    _warn(directory, labels, found, unread)
    videos = [
        LabeledVideo(path, number[name], os.path.relpath(path, directory).replace(os.sep, "/"))
        for name, paths in found.items()
        for path in paths
    ]
    return VideoSource(videos, labels, clip, directory)


def _class_name(directory, name):
    try:
        name.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"folder: the name {os.fsencode(name)!r} of a sub-folder of {directory!r} is not "
            "UTF-8 and cannot be a label; rename it."
        ) from None
    return unicodedata.normalize("NFC", name)


def _videos(directory, extensions, unread):
    """The videos below a folder; counts the endings of other files in `unread`."""
    videos, seen = [], set()
    for place, folders, names in os.walk(directory, followlinks=True):
        seen.add(os.path.realpath(place))
        folders[:] = (
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) not in seen
        )
        names = [name for name in names if not name.startswith(".")]
        taken = [name for name in names if name.lower().endswith(extensions)]
        videos += [os.path.join(place, name) for name in taken]
        rest = set(names).difference(taken)
        if place != directory and any(name.lower().endswith(PICTURES) for name in rest):
            videos.append(place)
        else:
            unread.update(os.path.splitext(name)[1].lower() or "no ending" for name in rest)
    return sorted(videos)


def _warn(directory, labels, found, unread):
    for wrong in (
        len(labels) == 1 and f"{labels[0]!r} is the only class: nothing can be learned from that",
        (empty := [name for name in found if not found[name]])
        and f"no videos in {', '.join(map(repr, empty))}",
        unread
        and f"{unread.total()} files are not read, because of their endings: "
        + ", ".join(f"{count} {ending}" for ending, count in unread.most_common(5)),
    ):
        if wrong:
            warnings.warn(f"folder {directory!r}: {wrong}", stacklevel=3)
