"""One file to one clip: sample its times, decode those frames, augment, crop, scale."""

import dataclasses
import os
from collections.abc import Callable

import numpy as np

from keras_vidreg.data.augment import Augment, crop
from keras_vidreg.data.clip import Clip
from keras_vidreg.data.container import MAX_PIXELS
from keras_vidreg.data.decode import read_frames
from keras_vidreg.data.sample import (
    SAMPLING,
    Sampling,
    Short,
    clip_indices,
    parse_views,
    uniform_indices,
)
from keras_vidreg.data.timeline import FRAME_RATE, Timeline, scan


class FrameCache:
    """What is known of files already opened: their timelines and, where kept, their frames.

    Args:
        keep: Whether to keep every frame of a file (or of the segment that was asked for), resized,
            as bytes: N x H x W x 3 of memory. Defaults to `False`.
        threads: That decode one file; one is best where many files are read at once. Defaults to 0,
            one a core.
        max_pixels: As for `decode`. Defaults to 2^25.
        frame_rate: Frames a second of a folder of pictures. Defaults to 25.
    """

    def __init__(
        self,
        keep: bool = False,
        threads: int = 0,
        *,
        max_pixels: int = MAX_PIXELS,
        frame_rate: float = FRAME_RATE,
    ):
        self.keep = keep
        self.threads = threads
        self.max_pixels = max_pixels
        self.frame_rate = frame_rate
        self.timelines: dict = {}
        self.frames: dict = {}

    def sharing(self, keep: bool) -> "FrameCache":
        """Another cache with the same contents, that keeps frames or does not."""
        other = FrameCache(
            keep, self.threads, max_pixels=self.max_pixels, frame_rate=self.frame_rate
        )
        other.timelines, other.frames = self.timelines, self.frames
        return other

    def timeline(self, path: str | os.PathLike) -> Timeline:
        """The timeline of a file, read once."""
        if path not in self.timelines:
            self.timelines[path] = scan(
                path, max_pixels=self.max_pixels, frame_rate=self.frame_rate
            )
        return self.timelines[path]

    def read(
        self, path: str | os.PathLike, clip: Clip, indices: np.ndarray, within: tuple[int, int]
    ) -> np.ndarray:
        """Frames `indices`, all of them `within` a range, as (T, H', W', 3) uint8, resized."""
        key = (path, clip.shape[1:3], clip.resize, within)
        if self.keep and key not in self.frames:
            self.frames[key] = self._read(path, clip, np.arange(*within))
        return (
            self.frames[key][indices - within[0]] if self.keep else self._read(path, clip, indices)
        )

    def _read(self, path, clip, indices):
        limits = {"threads": self.threads, "max_pixels": self.max_pixels}
        return read_frames(path, self.timeline(path), indices, clip.frame_size, **limits)


def read_clip(
    path: str | os.PathLike,
    clip: Clip,
    *,
    training: bool = False,
    view: int = 0,
    views: int | str = 1,
    sampling: Sampling = "clip",
    short: Short = "loop",
    start: float | None = None,
    end: float | None = None,
    rng: np.random.Generator | int | None = None,
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
    max_pixels: int = MAX_PIXELS,
    memory: FrameCache | None = None,
) -> np.ndarray:
    """Reads one clip of a video file, ready for a model.

    Args:
        path: The file, or a folder of pictures such as `frame_00001.jpg`.
        clip: A `Clip`: frames, rate, size, pixel range.
        training: `True` draws the place in time from `rng`; `False`, the default, takes `view` of
            `views`.
        view: Which view. Defaults to 0.
        views: Of how many: `3` is three places in time from the first possible to the last,
            `"10x3"` ten of them times three crops along the longer side (view 0 to 29, the crops
            of one place together). Defaults to 1, the center.
        sampling: `"clip"`, the default: frames that follow each other at `clip.fps`; `"uniform"`:
            `clip.frames` of them spread over the whole video.
        short: What a video with too few frames gives: `"loop"`, the default, starts again from its
            first frame, `"hold"` repeats its last one, `"error"` raises.
        start: Seconds at which the part of the video that counts begins. Defaults to `None`, the
            beginning.
        end: Seconds at which it ends. Defaults to `None`, the end.
        rng: NumPy generator or a seed.
        augment: Function of (video (T, H, W, 3) uint8, rng) applied once to the resized, not yet
            cropped video, such as an `Augment`. Defaults to `None`.
        max_pixels: Most pixels of a frame, see `decode`. Defaults to 2^25.
        memory: A `FrameCache` to use and fill, with a `max_pixels` of its own, and the rate of
            folders of pictures. Defaults to `None`.

    Returns:
        (T, H, W, 3) float32 in the clip's pixel range.

    Raises:
        VideoDecodeError: If the file is broken, or too short with `short="error"`.
        ValueError: If `view` is not one of `views`, or the segment is none.

    Example:

    >>> kv.data.read_clip("clip.mp4", kv.data.Clip(frames=8, fps=5, size=112)).shape
    (8, 112, 112, 3)
    """
    temporal, crops = parse_views(views)
    if not 0 <= view < temporal * crops:
        raise ValueError(
            f"read_clip: view={view}; of views={views!r} there are 0 to {temporal * crops - 1}."
        )
    rng = np.random.default_rng(rng)
    memory = memory or FrameCache(max_pixels=max_pixels)
    place = {"rng": rng} if training else {"view": view // crops, "views": temporal}
    within = memory.timeline(path).between(start, end, path)
    indices = _indices(memory, path, clip, sampling, short, within, end, **place)
    video = memory.read(path, clip, indices, within)
    if augment is not None:
        if isinstance(augment, Augment) and augment.size is None:
            augment = dataclasses.replace(augment, size=clip.shape[1:3])
        video = augment(video, rng)
    return clip.normalize(_crops(video, clip, crops)[view % crops])


def read_views(
    path: str | os.PathLike,
    clip: Clip,
    views: int | str,
    *,
    sampling: Sampling = "clip",
    short: Short = "loop",
    start: float | None = None,
    end: float | None = None,
    max_pixels: int = MAX_PIXELS,
    memory: FrameCache | None = None,
) -> np.ndarray:
    """Reads all views of a file at once, each frame decoded once.

    Args:
        path: As for `read_clip`.
        clip: As for `read_clip`.
        views: How many, in time and across, as for `read_clip`.
        sampling: As for `read_clip`. Defaults to `"clip"`.
        short: As for `read_clip`. Defaults to `"loop"`.
        start: As for `read_clip`. Defaults to `None`.
        end: As for `read_clip`. Defaults to `None`.
        max_pixels: As for `read_clip`. Defaults to 2^25.
        memory: As for `read_clip`. Defaults to `None`.

    Returns:
        (V, T, H, W, 3) float32 in the clip's pixel range.

    Raises:
        VideoDecodeError: If the file is broken, or too short with `short="error"`.
        ValueError: If `views` is no number of views, or the segment is none.

    Example:

    >>> clip = kv.data.Clip(frames=4, fps=8, size=48, resize=64)
    >>> kv.data.read_views("clip.mp4", clip, "2x3").shape
    (6, 4, 48, 48, 3)
    """
    temporal, crops = parse_views(views)
    memory = memory or FrameCache(max_pixels=max_pixels)
    within = memory.timeline(path).between(start, end, path)
    indices = [
        _indices(memory, path, clip, sampling, short, within, end, view=view, views=temporal)
        for view in range(temporal)
    ]
    video = memory.read(path, clip, np.concatenate(indices), within)  # (temporal * T, H', W', 3)
    video = video.reshape(temporal, clip.frames, *video.shape[1:])
    return clip.normalize(
        np.stack([part for place in video for part in _crops(place, clip, crops)])
    )


def _indices(memory, path, clip, sampling, short, within, end, **place):
    timeline, (first, last) = memory.timeline(path), within
    place |= {"short": short, "path": path}
    if sampling == "uniform":
        return first + uniform_indices(last - first, clip.frames, **place)
    if sampling != "clip":
        raise ValueError(f"sampling={sampling!r}; give one of {SAMPLING}.")
    times = timeline.times[first:last]
    until = timeline.duration if last == len(timeline) else timeline.times[last]
    until = until if end is None else min(until, end)
    return first + clip_indices(times, clip.frames, clip.fps, duration=until, **place)


def _crops(video, clip, crops):
    if crops > 1 and clip.resize in (None, clip.shape[1:3]):
        raise ValueError(
            f"{crops} crops of a clip with resize={clip.resize}: its frames are stretched to "
            f"size={clip.size}, nothing is left to crop; give views without crops, or a clip with "
            "resize."
        )
    places = np.linspace(0, 1, crops) if crops > 1 else (0.5,)
    return [crop(video, clip.shape[1:3], across) for across in places]
