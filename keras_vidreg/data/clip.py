"""What a model wants to see: how many frames, how fast, how large, in which pixel range."""

import dataclasses
import math
import numbers
import operator
import reprlib
from typing import Any

import numpy as np

_MOST = 2**16  # frames in a clip, pixels along a side


@dataclasses.dataclass(frozen=True)
class Clip:
    """Everything needed to feed a video model correctly.

    A pixel is `x = byte / 255 * (high - low) + low`, then `(x - mean) / std` where those are given.

    Args:
        frames: Integer, frames in a clip, T.
        fps: Float, frames a second at which the video is sampled; `None`: every frame of the file.
            A file slower than `fps` gives each of its frames once (no frame is shown twice to make
            up the rate), with one warning.
        size: Pixels, `(height, width)` or one number for a square, that the model sees.
        resize: What a frame is resized to before a `size` crop is cut out. An integer is the length
            of the short side: the longer side keeps the aspect ratio, and both are enlarged where
            the crop would not fit. `(height, width)` stretches the frame to exactly that. `None`,
            the default, stretches it to `size`.
        pixel_range: `(low, high)` that black and white become. Defaults to `(0.0, 1.0)`.
        mean: Three floats for red, green, blue, in units of `pixel_range`. Defaults to `None`.
        std: Three floats as for `mean`. Defaults to `None`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> clip = kv.data.Clip(frames=16, fps=5, size=172, resize=192)
    >>> clip.frame_size(240, 320)      # height and width after resizing, before the crop
    (192, 256)
    >>> kv.data.Clip(frames=50, fps=5, size=172, resize=(200, 200)).frame_size(240, 320)
    (200, 200)
    >>> kv.data.Clip.from_dict(clip.to_dict()) == clip
    True
    """

    frames: int
    fps: float | None
    size: int | tuple[int, int]
    resize: int | tuple[int, int] | None = None
    pixel_range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None

    def __post_init__(self):
        for name, (check, wanted) in _FIELDS.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, check(value))
            except (TypeError, ValueError, OverflowError):
                raise ValueError(f"Clip: {name}={reprlib.repr(value)}; give {wanted}.") from None
        if isinstance(self.resize, tuple) and not (
            self.resize[0] >= self.shape[1] and self.resize[1] >= self.shape[2]
        ):
            raise ValueError(
                f"Clip: resize={self.resize} does not hold a crop of size={self.size}; give at "
                "least that height and width."
            )

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(T, H, W, 3) of one clip."""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return self.frames, height, width, 3

    def frame_size(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) that a frame of this size is resized to, before the crop."""
        _, crop_height, crop_width, _ = self.shape
        if self.resize is None:
            return crop_height, crop_width
        if isinstance(self.resize, tuple):
            return self.resize
        scale = max(self.resize / min(height, width), crop_height / height, crop_width / width)
        return (
            max(crop_height, math.floor(height * scale + 0.5)),
            max(crop_width, math.floor(width * scale + 0.5)),
        )

    def normalize(self, video: np.ndarray) -> np.ndarray:
        """Bytes (..., H, W, 3) to the model's pixel range, float32."""
        low, high = self.pixel_range
        mean = np.array(self.mean or (0.0, 0.0, 0.0))
        std = np.array(self.std or (1.0, 1.0, 1.0))
        video = np.asarray(video).astype(np.float32)
        video *= ((high - low) / (255.0 * std)).astype(np.float32)
        video += ((low - mean) / std).astype(np.float32)
        return video

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON-able values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Clip":
        """The clip that `to_dict` described."""
        if not isinstance(fields, dict):
            raise ValueError(f"Clip: clip={reprlib.repr(fields)}; give a dictionary of its fields.")
        if unknown := sorted(set(map(str, fields)) - set(_FIELDS)):
            raise ValueError(
                f"Clip: unknown fields {reprlib.repr(unknown)}; known ones are {sorted(_FIELDS)}."
            )
        if missing := [name for name in ("frames", "fps", "size") if name not in fields]:
            raise ValueError(f"Clip: the fields {missing} are missing.")
        return cls(**fields)


def _count(value):
    if isinstance(value, bool) or not 1 <= operator.index(value) <= _MOST:
        raise ValueError
    return operator.index(value)


def _number(value):
    if isinstance(value, bool) or not (isinstance(value, numbers.Real) and math.isfinite(value)):
        raise ValueError
    return value if isinstance(value, int) else float(value)


def _rate(value):
    if _number(value) <= 0:
        raise ValueError
    return _number(value)


def _pixels(value):
    if isinstance(value, (tuple, list, np.ndarray)):
        height, width = value
        return _count(height), _count(width)
    return _count(value)


def _range(value):
    low, high = (float(_number(item)) for item in value)
    if not low < high:
        raise ValueError
    return low, high


def _colors(value):
    red, green, blue = (float(_number(item)) for item in value)
    return red, green, blue


def _deviations(value):
    if min(colors := _colors(value)) <= 0:
        raise ValueError
    return colors


def _or_none(check):
    return lambda value: None if value is None else check(value)


_FIELDS = {
    "frames": (_count, f"a whole number from 1 to {_MOST}"),
    "fps": (_or_none(_rate), "a finite number above 0, or None"),
    "size": (_pixels, f"pixels or (height, width), whole numbers from 1 to {_MOST}"),
    "resize": (_or_none(_pixels), "pixels of the short side, (height, width), or None"),
    "pixel_range": (_range, "(low, high), two finite numbers"),
    "mean": (_or_none(_colors), "three finite numbers, or None"),
    "std": (_or_none(_deviations), "three finite numbers above 0, or None"),
}
