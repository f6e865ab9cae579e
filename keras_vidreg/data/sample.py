"""Which frames of a video make a clip; pure functions of its times."""

import warnings

import numpy as np

from keras_vidreg.data.errors import VideoDecodeError

SHORT = ("loop", "hold", "error")
SAMPLING = ("clip", "uniform")


def parse_views(views):
    """(temporal views, spatial crops) from 3, "3" or "10x3"."""
    parts = str(views).lower().split("x")
    if not (len(parts) <= 2 and all(part.isdigit() and int(part) > 0 for part in parts)):
        raise ValueError(
            f'views={views!r}; give a number of temporal views, or "10x3" for 10 of them times '
            "3 crops."
        )
    return int(parts[0]), int(parts[1]) if len(parts) == 2 else 1


def clip_indices(times, frames, fps=None, *, rng=None, view=0, views=1, short="loop", path="video"):
    """Frame numbers of `frames` frames that follow each other at `fps`.

    Frame `i` of the clip is the one on screen at `times[start] + i / fps`, where `start` is drawn
    from `rng`, or else lies at `view` of `views` equal steps from the first possible start to the
    last (one view: the centre). A video slower than `fps` gives each of its own frames once, with
    a warning, and never one frame twice to make up the rate.

    Args:
        times: (N,) seconds at which frames are first shown, increasing.
        frames: T.
        fps: frames a second, or None for every frame.
        rng: numpy Generator for a random start; None: a fixed one.
        view, views: which of how many fixed starts.
        short: for a video that ends too soon: "loop" starts again from its first frame, "hold"
            repeats its last frame, "error" raises.
        path: for messages.

    Returns:
        (T,) int64.

    Raises:
        VideoDecodeError: with short="error", a video that is too short.
    """
    times = np.asarray(times, float)
    step = (times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0
    own_rate = fps is None or fps >= 1.0 / step
    if own_rate:
        if fps is not None and len(times) > 1 and fps > 1.01 / step:
            warnings.warn(
                f"clips at {fps:g} frames a second were asked from videos of {1 / step:.4g}: "
                "their own frames are taken, each once, so that motion looks faster",
                stacklevel=2,
            )
        available = len(times)
        starts = available - frames + 1
    else:
        end = times[-1] + step - 1e-6
        available = int((end - times[0]) * fps) + 1
        starts = int(np.searchsorted(times, end - (frames - 1) / fps, side="left"))
    if available < frames:
        order = _lengthen(available, frames, short, path)
        start = 0
    else:
        order = np.arange(frames)
        start = _start(max(starts, 1), rng, view, views)
    if own_rate:
        return start + order
    return np.searchsorted(times, times[start] + order / fps + 1e-6, side="right") - 1


def uniform_indices(count, frames, *, rng=None, view=0, views=1, short="loop", path="video"):
    """Frame numbers of `frames` frames spread over the whole video, one from each equal part.

    Out of each part comes a random frame (with `rng`), or else the one at `(view + 1/2) / views`
    of it. Wang et al., Temporal Segment Networks, ECCV 2016, section 3.1.

    Args:
        count: frames in the video.
        frames, rng, view, views, short, path: as in `clip_indices`.

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
