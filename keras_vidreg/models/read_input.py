"""What `classify` and `embed` are given, as the arrays that a model is fed with."""

import os
from typing import Any

import numpy as np
from keras import ops

from keras_vidreg.data import Clip, prepare, read_clip


def read_videos(video: Any, clip: Clip) -> tuple[np.ndarray, bool]:
    """A path, frames or several videos as `(B, T, H, W, 3)` float32, and whether it is several."""
    if isinstance(video, str | os.PathLike):
        return read_clip(video, clip)[None], False
    frames = _array(video)
    if frames.ndim == 3 and frames.shape[-1] == 3:
        raise ValueError(
            "`video` must have a time axis. Received: one frame of shape "
            f"{frames.shape}; `frame[None]` is a video of one frame"
        )
    if frames.ndim not in (4, 5) or frames.shape[-1] != 3 or 0 in frames.shape:
        raise ValueError(
            "`video` must be a path or an array of shape (T, H, W, 3), none of them 0. "
            f"Received: an array of shape {frames.shape}"
        )
    several = frames.ndim == 5
    if np.issubdtype(frames.dtype, np.integer):
        if frames.min() < 0 or frames.max() > 255:
            raise ValueError(
                "`video` of integers must hold bytes, 0 to 255. "
                f"Received: {frames.min()} to {frames.max()}"
            )
        frames = frames.astype("uint8")
        videos = np.stack([prepare(one, clip) for one in (frames if several else frames[None])])
        return videos, several
    if not np.isfinite(frames).all():
        raise ValueError("`video` must hold finite numbers. Received: NaN or infinite pixels")
    return (frames if several else frames[None]).astype("float32"), several


def _array(video: Any) -> np.ndarray:
    """Frames, a list of them, or a tensor of any backend, as a NumPy array of numbers."""
    if isinstance(video, list | tuple):
        frames = [_array(frame) for frame in video]
        if not frames or len({frame.shape for frame in frames}) > 1:
            raise ValueError(
                "`video` as a list must hold frames of one shape. "
                f"Received: {sorted({frame.shape for frame in frames})}"
            )
        return np.stack(frames)
    array = np.asarray(ops.convert_to_numpy(video) if ops.is_tensor(video) else video)
    if array.dtype.kind not in "uif" and array.dtype.name != "bfloat16":
        raise ValueError(
            "`video` must be a path or an array of numbers of shape (T, H, W, 3). "
            f"Received: {type(video).__name__} of type {array.dtype}"
        )
    return array.astype("float32") if array.dtype.name == "bfloat16" else array
