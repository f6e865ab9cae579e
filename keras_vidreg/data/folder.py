"""Videos in one sub-folder a class."""

import os

from keras_vidreg.data.source import Record, VideoSource

EXTENSIONS = (
    *(".mp4", ".m4v", ".mov", ".qt", ".mkv", ".webm", ".avi", ".gif", ".mjpeg", ".mjpg"),
    *(".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts", ".mxf"),
    *(".wmv", ".asf", ".flv", ".f4v", ".3gp", ".3g2", ".ogv", ".ogg"),
)


def folder(directory, *, labels=None, clip=None, extensions=EXTENSIONS):
    """Videos whose sub-folder is their class: `directory/juggling/anything.mp4`.

    Folders below a class are searched too. Hidden files and files with other extensions are left
    out. Each video is its own group for `VideoSource.split`.

    Args:
        directory: the folder.
        labels: class names in the order of their numbers; None: the sorted names of the
            sub-folders. A class without a sub-folder is allowed (a test set may lack one), a
            sub-folder that is not a class is not.
        clip: the `Clip` that `.batches` reads by default; usually `model.clip`.
        extensions: of the files to take, lower case, with the dot.

    Returns:
        `VideoSource`, sorted by class and path.

    Raises:
        ValueError: no such folder, no videos in sub-folders, or a sub-folder that is no label.

    Example:

    >>> source = folder("videos/train", clip=model.clip)
    >>> model.fit(source.batches(16), epochs=10)
    """
    directory = os.fspath(directory)
    if not os.path.isdir(directory):
        raise ValueError(
            f"folder: directory={directory!r} is not a folder; give one with a sub-folder of "
            "videos for each class."
        )
    found = {}
    for entry in sorted(os.scandir(directory), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith("."):
            videos = _videos(entry.path, extensions)
            if videos:
                found[entry.name] = videos
    if not found:
        raise ValueError(
            f"folder: directory={directory!r} has no videos in sub-folders; put each class in a "
            f"sub-folder of its own, as files ending in {' '.join(extensions)}."
        )
    labels = tuple(found) if labels is None else tuple(labels)
    if unknown := sorted(set(found) - set(labels)):
        raise ValueError(
            f"folder: sub-folders {unknown} of {directory!r} are not among labels={labels}; "
            "rename them or add them to labels."
        )
    number = {name: i for i, name in enumerate(labels)}
    records = [
        Record(path, number[name], os.path.relpath(path, directory).replace(os.sep, "/"))
        for name, videos in found.items()
        for path in videos
    ]
    return VideoSource(records, labels, clip, directory)


def _videos(directory, extensions):
    return sorted(
        os.path.join(place, name)
        for place, _, names in os.walk(directory)
        for name in names
        if name.lower().endswith(tuple(extensions)) and not name.startswith(".")
    )
