"""Which frames of a video make a clip; pure functions of its times."""

import os
import warnings
from typing import Literal

import numpy as np

from keras_vidreg.data.errors import VideoDecodeError

SHORT = ("loop", "hold", "error")
SAMPLING = ("clip", "uniform")
Short = Literal["loop", "hold", "error"]
Sampling = Literal["clip", "uniform"]


def parse_views(views: int | str) -> tuple[int, int]:
    """(temporal views, spatial crops) from 3, "3" or "10x3"."""
    parts = str(views).lower().split("x")
    if not (len(parts) <= 2 and all(part.isdigit() and int(part) > 0 for part in parts)):
        raise ValueError(
            f'views={views!r}; give a number of temporal views, or "10x3" for 10 of them times '
            "3 crops."
        )
    return int(parts[0]), int(parts[1]) if len(parts) == 2 else 1


def clip_indices(
    times: np.ndarray,
    frames: int,
    fps: float | None = None,
    *,
    duration: float | None = None,
    rng: np.random.Generator | None = None,
    view: int = 0,
    views: int = 1,
    short: Short = "loop",
    path: str | os.PathLike = "video",
) -> np.ndarray:
    """Frame numbers of `frames` frames that follow each other at `fps`.

    Frame `i` of the clip is the one on screen at `times[start] + i / fps`, where `start` is drawn
    from `rng`, or else lies at `view` of `views` equal steps from the first possible start to the
    last (one view: the center). Possible is a start from which no frame stays for longer than
    `1 / fps`, or, where there is none, from which no frame is met twice. Where there is none of
    those either, since the video is slower than `fps` or pauses again and again, a frame that stays
    for longer is followed by the next one at once, with a warning: never one frame twice to make up
    the rate.

    Args:
        times: (N,) seconds at which frames are first shown, increasing.
        frames: T.
        fps: Frames a second. Defaults to `None`, every frame.
        duration: Seconds at which the last frame ends. Defaults to `None`, as long as the mean.
        rng: NumPy generator for a random start. Defaults to `None`, a fixed one.
        view: Which fixed start. Defaults to 0.
        views: Of how many. Defaults to 1.
        short: For a video that ends too soon: `"loop"`, the default, starts again from its first
            frame, `"hold"` repeats its last frame, `"error"` raises.
        path: For messages.

    Returns:
        (T,) int64.

    Raises:
        VideoDecodeError: If a video is too short, with `short="error"`.
    """
    times = np.asarray(times, float)
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0
    end = (times[-1] + step if duration is None else duration) - 1e-6
    order = np.arange(frames)
    if fps is None:
        own = np.arange(len(times))
    else:
        possible = np.flatnonzero(times + (frames - 1) / fps < end)
        smooth = _without_pause(np.append(times, end), possible, frames, fps)
        if not smooth.any():
            smooth = _all_distinct(times, times[possible], frames, fps)
        possible = possible[smooth]
        if len(possible):
            first = times[possible[_start(len(possible), rng, view, views)]]
            return _on_screen(times, first + order / fps)
        own = _at_most(times, fps, end)
    if len(own) < frames:
        order = _lengthen(len(own), frames, short, path)
    else:
        order = _start(len(own) - frames + 1, rng, view, views) + order
    indices = own[order]
    _warn_if_slow(times[np.unique(indices)], fps)
    return indices


def _on_screen(times, seconds):
    return np.searchsorted(times, seconds + 1e-6, side="right") - 1


def _without_pause(times, starts, frames, fps):
    """For each of the starts, whether no frame of the clip stays for longer than `1 / fps`."""
    pauses = np.cumsum(np.append(0, np.diff(times) > (1 + 1e-6) / fps))
    last = _on_screen(times[:-1], times[starts] + (frames - 1) / fps)
    return pauses[last + 1] == pauses[starts]


def _all_distinct(times, starts, frames, fps):
    """For each of the starts, whether frames at `fps` from there are all different ones."""
    good = np.ones(len(starts), bool)
    before = _on_screen(times, starts)
    for i in range(1, frames):
        now = _on_screen(times, starts + i / fps)
        good &= now > before
        before = now
    return good


def _at_most(times, fps, end):
    """The frames on screen at `fps`, where one that stays for longer is followed by the next."""
    if len(times) < 2 or np.diff(times).min() >= 1 / fps:
        return np.arange(len(times))
    kept, start, ticks = [0], times[0], 0
    while True:
        ticks += 1
        seconds = start + ticks / fps
        number = int(_on_screen(times, seconds))
        if number <= kept[-1]:
            number = kept[-1] + 1
            if number < len(times):
                start, ticks = times[number], 0
        elif seconds >= end:
            return np.array(kept)
        if number >= len(times):
            return np.array(kept)
        kept.append(number)


def _warn_if_slow(times, fps):
    if fps is None or len(times) < 2:
        return
    steps = np.diff(times)
    if steps.max() > 1.01 / fps:
        rate = 1 / steps.mean()
        warnings.warn(
            f"clips at {fps:g} frames a second were asked from a stretch of {rate:.4g}: its own "
            "frames are taken, each once, so that motion looks faster",
            stacklevel=4,
        )


def uniform_indices(
    count: int,
    frames: int,
    *,
    rng: np.random.Generator | None = None,
    view: int = 0,
    views: int = 1,
    short: Short = "loop",
    path: str | os.PathLike = "video",
) -> np.ndarray:
    """Frame numbers of `frames` frames spread over the whole video, one from each equal part.

    Out of each part comes a random frame (with `rng`), or else the one at `(view + 1/2) / views`
    of it. Wang et al., Temporal Segment Networks, ECCV 2016, section 3.1.

    Args:
        count: Frames in the video.
        frames: As in `clip_indices`, and so are `rng`, `view`, `views`, `short` and `path`.

    Returns:
        (T,) int64.
    """
    if count < frames:
        return _lengthen(count, frames, short, path)
    within = rng.random(frames) if rng is not None else (view + 0.5) / views
    return np.minimum((np.arange(frames) + within) * count / frames, count - 1).astype(np.int64)


def _start(starts, rng, view, views):
    if rng is not None:
        return int(rng.integers(starts))
    if views == 1:
        return (starts - 1) // 2
    return round(view * (starts - 1) / (views - 1))


def _lengthen(available, frames, short, path):
    if short not in SHORT:
        raise ValueError(f"short={short!r}; give one of {SHORT}.")
    if short == "error":
        raise VideoDecodeError(path, f"too short: has {available} frames, needs {frames}")
    order = np.arange(frames)
    return order % available if short == "loop" else np.minimum(order, available - 1)
