"""Frames that are already decoded, made ready for a model."""

import av
import numpy as np

from keras_vidreg.data.augment import crop
from keras_vidreg.data.clip import Clip
from keras_vidreg.data.convert import FrameConverter


def prepare(video: np.ndarray, clip: Clip) -> np.ndarray:
    """Resizes, crops and scales decoded frames as `clip` says; their number stays as it is.

    Args:
        video: (T, H, W, 3) uint8.
        clip: A `Clip`.

    Returns:
        (T, height, width, 3) float32 in the clip's pixel range.

    Example:

    >>> clip = kv.data.Clip(frames=16, fps=5, size=172)
    >>> kv.data.prepare(np.zeros((8, 240, 320, 3), "uint8"), clip).shape
    (8, 172, 172, 3)
    """
    convert = FrameConverter(clip.frame_size)
    frames = (av.VideoFrame.from_ndarray(np.ascontiguousarray(f), format="rgb24") for f in video)
    resized = np.stack([convert(frame) for frame in frames])
    return clip.normalize(crop(resized, clip.shape[1:3], 0.5))
