"""Airplanes: three classes of rotation that no single frame can tell apart.

The images come from a renderer of our own (`_rasterize.py`). PyVista gives only the mesh: VTK's
off-screen windows need the system's EGL or OSMesa, which a fresh machine lacks, and their pixels
change with the driver, whereas these are the same on every machine.
"""

import operator
import os
import pathlib
from typing import Literal

from keras_vidreg.data import _airplane_clips
from keras_vidreg.data.clip import Clip
from keras_vidreg.data.source import LabeledVideo, VideoSource

_CLIPS = {"train": 1000, "validation": 300, "test": 100}


def airplanes(
    split: Literal["train", "validation", "test"],
    *,
    task: Literal["axis", "motion"] = "axis",
    clip: Clip | None = None,
    clips: int | None = None,
    seed: int = 0,
    cache_dir: str | os.PathLike | None = None,
) -> VideoSource:
    """Clips of an airplane that yaws, pitches or rolls, rendered once and then kept on disk.

    Each clip shows PyVista's airplane mesh for 16 frames of 64x64 grey pixels at 16 frames per
    second. It starts in an attitude uniform on SO(3) and turns about one axis of its own body at a
    constant 4 to 12 degrees per frame, either way round:

        R_t = R_0 A_label(t * speed)

    Every frame alone is then uniform on SO(3) whatever the label, so that a classifier of single
    frames stays at chance. Clip `i` depends on `seed`, `split` and `i` only, and its label is
    `i % 3`: a smaller set is the beginning of a larger one, and classes are balanced.

    Args:
        split: "train", "validation" or "test".
        task: "axis", the labels above; or "motion", which way round (about whatever axis) and
            whether slower or faster than 8 degrees per frame, for instance to train a backbone on
            the same clips with other labels. Defaults to "axis".
        clip: `Clip`, how to read the videos. Defaults to all 16 frames, at 64x64 pixels.
        clips: Integer, number of clips. Defaults to 1000, 300 and 100 for the three splits.
        seed: Integer, not negative. Another seed gives another data set.
        cache_dir: Folder for the videos. Defaults to `keras_vidreg/airplanes` below `KERAS_HOME`
            (`~/.keras` where that is not set). What is there already, and undamaged, is reused,
            also after an interruption.

    Returns:
        A `VideoSource` with labels `("yaw", "pitch", "roll")`, or `("slow backward", "slow
        forward", "fast backward", "fast forward")`; each clip is a group of its own.

    Raises:
        ValueError: If an argument is not one of the above.
        ImportError: If clips have to be rendered and PyVista, which ships the mesh, is missing.

    Example:

    >>> source = kv.data.airplanes("test", clips=6)  # doctest: +SKIP
    >>> video, label = source.batches(6, training=False)[0]  # doctest: +SKIP
    >>> video.shape  # doctest: +SKIP
    (6, 16, 64, 64, 3)

    Source: the warm-up experiment of Goldman, Giryes and Satyanarayanan, NeurIPS 2025 (GRW
    smoothing), after its description; speeds, camera and light are our own choice.
    """
    if split not in _CLIPS:
        raise ValueError(f"`split` must be one of {', '.join(map(repr, _CLIPS))}; got {split!r}")
    if task not in ("axis", "motion"):
        raise ValueError(f'`task` must be "axis" or "motion"; got {task!r}')
    count = _whole("clips", _CLIPS[split] if clips is None else clips, least=1)
    seed = _whole("seed", seed, least=0)
    if cache_dir is None:
        home = os.environ.get("KERAS_HOME") or pathlib.Path.home() / ".keras"
        cache_dir = pathlib.Path(home) / "keras_vidreg" / "airplanes"
    paths = _airplane_clips.generate(pathlib.Path(cache_dir), split, count, seed)
    if task == "axis":
        labels = _airplane_clips.LABELS
        names = [labels[i % len(labels)] for i in range(count)]
    else:
        labels = _airplane_clips.MOTIONS
        names = [_airplane_clips.motion(split, i, seed) for i in range(count)]
    if clip is None:
        clip = Clip(frames=_airplane_clips.FRAMES, fps=None, size=_airplane_clips.SIZE, resize=None)
    records = [
        LabeledVideo(str(path), labels.index(name), path.stem)
        for path, name in zip(paths, names, strict=True)
    ]
    return VideoSource(records, labels=labels, clip=clip, root=paths[0].parent)


def _whole(name, value, least):
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        raise ValueError(f"`{name}` must be a whole number of at least {least}; got {value!r}")
    return number
