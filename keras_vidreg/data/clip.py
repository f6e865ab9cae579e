"""What a model wants to see: how many frames, how fast, how large, in which pixel range."""

import dataclasses
import math

import numpy as np


@dataclasses.dataclass(frozen=True)
class Clip:
    """Everything needed to feed a video model correctly.

    A pixel is `x = byte / 255 * (high - low) + low`, then `(x - mean) / std` where those are given.

    Args:
        frames: frames in a clip, T.
        fps: frames a second at which the video is sampled; None: every frame of the file. A file
            slower than `fps` gives each of its frames once (no frame is shown twice to make up
            the rate), with one warning.
        size: (height, width) of a frame in pixels; one number means a square.
        resize: length of the short side in pixels before a `size` crop is cut out. The longer side
            keeps the aspect ratio, and both are enlarged where the crop would not fit. None: the
            whole frame is stretched to `size`.
        pixel_range: (low, high) that black and white become.
        mean, std: one number for each of red, green, blue, in units of `pixel_range`.

    Raises:
        ValueError: an argument is out of its range.

    Example:

    >>> clip = Clip(frames=16, fps=5, size=172, resize=192)
    >>> clip.frame_size(240, 320)      # height and width after resizing, before the crop
    (192, 256)
    >>> Clip.from_dict(clip.to_dict()) == clip
    True
    """

    frames: int
    fps: float | None
    size: int | tuple[int, int]
    resize: int | None = None
    pixel_range: tuple[float, float] = (0.0, 1.0)
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None

    def __post_init__(self):
        for name in ("pixel_range", "mean", "std"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, tuple(float(v) for v in value))
        if not isinstance(self.size, int):
            object.__setattr__(self, "size", tuple(int(v) for v in self.size))
        checks = (
            ("frames", self.frames >= 1, "a whole number from 1"),
            ("fps", self.fps is None or self.fps > 0, "a number above 0, or None"),
            ("size", min(self.shape[1:3]) >= 1, "pixels, or (height, width)"),
            ("resize", self.resize is None or self.resize >= 1, "pixels, or None"),
            ("pixel_range", len(self.pixel_range) == 2, "(low, high)"),
            ("mean", self.mean is None or len(self.mean) == 3, "three numbers, or None"),
            (
                "std",
                self.std is None or (len(self.std) == 3 and min(self.std) > 0),
                "three numbers above 0, or None",
            ),
        )
        for name, good, wanted in checks:
            if not good:
                raise ValueError(f"Clip: {name}={getattr(self, name)!r}; give {wanted}.")

    @property
    def shape(self):
        """(T, H, W, 3) of one clip."""
        height, width = (self.size, self.size) if isinstance(self.size, int) else self.size
        return self.frames, height, width, 3

    def frame_size(self, height, width):
        """(height, width) that a frame of this size is resized to, before the crop."""
        _, crop_height, crop_width, _ = self.shape
        if self.resize is None:
            return crop_height, crop_width
        scale = max(self.resize / min(height, width), crop_height / height, crop_width / width)
        return (
            max(crop_height, math.floor(height * scale + 0.5)),
            max(crop_width, math.floor(width * scale + 0.5)),
        )

    def normalize(self, video):
        """Bytes (..., H, W, 3) to the model's pixel range, float32."""
        low, high = self.pixel_range
        mean = np.array(self.mean or (0.0, 0.0, 0.0))
        std = np.array(self.std or (1.0, 1.0, 1.0))
        video = np.asarray(video).astype(np.float32)
        video *= ((high - low) / (255.0 * std)).astype(np.float32)
        video += ((low - mean) / std).astype(np.float32)
        return video

    def to_dict(self):
        """The fields as JSON-able values."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }

    @classmethod
    def from_dict(cls, fields):
        """The clip that `to_dict` described."""
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"Clip: unknown fields {unknown}; known ones are {sorted(known)}.")
        return cls(**fields)
