"""One file to one clip: sample its times, decode those frames, augment, crop, scale."""

import dataclasses

import numpy as np

from keras_vidreg.data.augment import Augment, crop
from keras_vidreg.data.decode import read_frames, scan
from keras_vidreg.data.sample import SAMPLING, clip_indices, parse_views, uniform_indices


class VideoMemory:
    """What is known of files already opened: their timelines and, where kept, their frames.

    Args:
        keep: keep every frame of a file, resized, as bytes: N x H x W x 3 of memory a file.
        threads: that decode one file; 0: one a core. One is best where many files are read at once.
        timelines, frames: the memory of another instance to share.
    """

    def __init__(self, keep=False, threads=0, timelines=None, frames=None):
        self.keep = keep
        self.threads = threads
        self.timelines = {} if timelines is None else timelines
        self.frames = {} if frames is None else frames

    def keeping(self, keep):
        """A view of this memory that keeps frames, or does not."""
        return VideoMemory(keep, self.threads, self.timelines, self.frames)

    def timeline(self, path):
        if path not in self.timelines:
            self.timelines[path] = scan(path)
        return self.timelines[path]

    def read(self, path, clip, indices):
        """Frames `indices` as (T, H', W', 3) uint8, resized as `clip` says."""
        timeline = self.timeline(path)
        if not self.keep:
            return read_frames(path, timeline, indices, clip.frame_size, threads=self.threads)
        key = (path, clip.shape[1:3], clip.resize)
        if key not in self.frames:
            everything = np.arange(len(timeline))
            self.frames[key] = read_frames(
                path, timeline, everything, clip.frame_size, threads=self.threads
            )
        return self.frames[key][indices]


def read_clip(
    path,
    clip,
    *,
    training=False,
    view=0,
    views=1,
    sampling="clip",
    short="loop",
    rng=None,
    augment=None,
    memory=None,
):
    """Reads one clip of a video file, ready for a model.

    Args:
        path: the file.
        clip: a `Clip`: frames, rate, size, pixel range.
        training: True draws the place in time from `rng`; False takes `view` of `views`.
        view, views: which of how many: `views=3` is three places in time from the first possible to
            the last, "10x3" ten of them times three crops along the longer side (view 0 to 29, the
            crops of one place together). One view is the centre.
        sampling: "clip": frames that follow each other at `clip.fps`; "uniform": `clip.frames` of
            them spread over the whole video.
        short: what a video with too few frames gives: "loop" starts again from its first frame,
            "hold" repeats its last one, "error" raises.
        rng: numpy Generator or a seed.
        augment: function of (video (T, H, W, 3) uint8, rng) applied once to the resized, not yet
            cropped video, such as an `Augment`; None: none.
        memory: a `VideoMemory` to use and fill.

    Returns:
        (T, H, W, 3) float32 in the clip's pixel range.

    Raises:
        VideoDecodeError: the file is broken, or too short with short="error".
        ValueError: `view` is not one of `views`.

    Example:

    >>> read_clip("clip.mp4", Clip(frames=8, fps=5, size=112)).shape
    (8, 112, 112, 3)
    """
    temporal, crops = parse_views(views)
    if not 0 <= view < temporal * crops:
        raise ValueError(
            f"read_clip: view={view}; of views={views!r} there are 0 to {temporal * crops - 1}."
        )
    rng = np.random.default_rng(rng)
    memory = memory or VideoMemory()
    place = {"rng": rng} if training else {"view": view // crops, "views": temporal}
    video = memory.read(path, clip, _indices(memory, path, clip, sampling, short, **place))
    if augment is not None:
        if isinstance(augment, Augment) and augment.size is None:
            augment = dataclasses.replace(augment, size=clip.shape[1:3])
        video = augment(video, rng)
    return clip.normalize(_crops(video, clip, crops)[view % crops])


def read_views(path, clip, views, *, sampling="clip", short="loop", memory=None):
    """All views of a file at once, each frame decoded once: (V, T, H, W, 3) float32."""
    temporal, crops = parse_views(views)
    memory = memory or VideoMemory()
    indices = [
        _indices(memory, path, clip, sampling, short, view=view, views=temporal)
        for view in range(temporal)
    ]
    video = memory.read(path, clip, np.concatenate(indices))  # (temporal * T, H', W', 3)
    video = video.reshape(temporal, clip.frames, *video.shape[1:])
    return clip.normalize(
        np.stack([part for place in video for part in _crops(place, clip, crops)])
    )


def _indices(memory, path, clip, sampling, short, **place):
    timeline = memory.timeline(path)
    if sampling == "uniform":
        return uniform_indices(len(timeline), clip.frames, short=short, path=path, **place)
    if sampling == "clip":
        return clip_indices(timeline.times, clip.frames, clip.fps, short=short, path=path, **place)
    raise ValueError(f"sampling={sampling!r}; give one of {SAMPLING}.")


def _crops(video, clip, crops):
    if crops > 1 and clip.resize in (None, clip.shape[1:3]):
        raise ValueError(
            f"{crops} crops of a clip with resize={clip.resize}: its frames are stretched to "
            f"size={clip.size}, nothing is left to crop; give views without crops, or a clip with "
            "resize."
        )
    places = np.linspace(0, 1, crops) if crops > 1 else (0.5,)
    return [crop(video, clip.shape[1:3], across) for across in places]
