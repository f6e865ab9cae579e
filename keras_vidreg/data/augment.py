"""Random changes to a clip, drawn once and applied to all of its frames alike."""

import dataclasses

import numpy as np


def crop(video: np.ndarray, size: tuple[int, int], across: float = 0.5) -> np.ndarray:
    """Cuts `size` out of (T, H, W, 3): centered, except along the side with more room.

    Args:
        video: (T, H, W, 3).
        size: `(height, width)`, not larger than the video.
        across: Where along that side: 0 left or top, 1/2 center, 1 right or bottom.
    """
    height, width = size
    room_y, room_x = video.shape[1] - height, video.shape[2] - width
    if min(room_y, room_x) < 0:
        raise ValueError(
            f"crop of {height} x {width} out of frames of {video.shape[1]} x {video.shape[2]}; "
            "the augmentation must leave at least Clip.size."
        )
    tall = room_y > room_x
    y = round(room_y * (across if tall else 0.5))
    x = round(room_x * (0.5 if tall else across))
    return video[:, y : y + height, x : x + width]


def resize(video: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bilinear resizing of (T, H, W, 3) uint8, with a wider filter where it shrinks."""
    for axis, length in ((1, size[0]), (2, size[1])):
        if video.shape[axis] != length:
            places, weights = _taps(video.shape[axis], length)
            shape = (length,) + (1,) * (3 - axis)
            video = sum(
                np.take(video, place, axis) * weight.reshape(shape)
                for place, weight in zip(places, weights, strict=True)
            )
    return video if video.dtype == np.uint8 else _to_bytes(video)


def _taps(source, target):
    """Of a triangle filter: (K, target) places in the source, and their weights."""
    scale = source / target
    reach = max(scale, 1.0)
    centers = (np.arange(target) + 0.5) * scale - 0.5
    places = (
        np.floor(centers - reach).astype(int) + np.arange(1, int(np.ceil(2 * reach)) + 1)[:, None]
    )
    weights = np.maximum(1.0 - np.abs(places - centers) / reach, 0.0)
    weights /= weights.sum(axis=0)
    return np.clip(places, 0, source - 1), weights.astype(np.float32)


def _to_bytes(video):
    video += np.float32(0.5)
    return np.clip(video, 0, 255, out=video).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Augment:
    """Random crop, flip and color of a clip, the same for all its frames.

    Left-right flips are off unless asked for: they change the meaning of a class such as "pushing
    something from left to right".

    Args:
        scale: `(least, most)` share of the frame's area that the crop covers before it is resized
            to `size` (Szegedy et al., Going Deeper with Convolutions, CVPR 2015, section 6).
            Defaults to `None`, a crop of exactly `size` at a random place.
        ratio: `(least, most)` width by height of that crop, relative to `size`. Defaults to
            `(3 / 4, 4 / 3)`.
        flip: Probability of a left-right flip. Defaults to 0.
        brightness: Number b, pixels times a factor from 1 - b to 1 + b. Defaults to 0.
        contrast: Number c, distance from the clip's mean gray times 1 - c to 1 + c. Defaults to 0.
        saturation: Number s, distance from each pixel's gray times 1 - s to 1 + s. Defaults to 0.
        size: `(height, width)` of the result. Defaults to `None`, that of the clip, filled in by
            the reader.

    Call arguments:
        video: (T, H, W, 3) uint8.
        rng: NumPy generator.

    Raises:
        ValueError: If an argument is out of its range.

    Example:

    >>> video = np.zeros((8, 64, 80, 3), np.uint8)
    >>> kv.data.Augment(flip=0.5, size=(48, 48))(video, np.random.default_rng(0)).shape
    (8, 48, 48, 3)
    """

    scale: tuple[float, float] | None = None
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    size: tuple[int, int] | None = None

    def __post_init__(self):
        if self.scale is not None and not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f"Augment: scale={self.scale!r}; give 0 < least <= most <= 1.")
        if not 0 < self.ratio[0] <= self.ratio[1]:
            raise ValueError(f"Augment: ratio={self.ratio!r}; give 0 < least <= most.")
        for name in ("flip", "brightness", "contrast", "saturation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"Augment: {name}={getattr(self, name)!r}; give 0 to 1.")

    def __call__(self, video: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        video = self._crop(video, rng, self.size or video.shape[1:3])
        if rng.random() < self.flip:
            video = video[:, :, ::-1]
        if self.brightness or self.contrast or self.saturation:
            video = self._color(video, rng)
        return np.ascontiguousarray(video)

    def _crop(self, video, rng, size):
        height, width = size
        if self.scale is not None:
            area = video.shape[1] * video.shape[2] * rng.uniform(*self.scale)
            ratio = width / height * np.exp(rng.uniform(*np.log(self.ratio)))
            height = min(max(round(np.sqrt(area / ratio)), 1), video.shape[1])
            width = min(max(round(np.sqrt(area * ratio)), 1), video.shape[2])
        if height > video.shape[1] or width > video.shape[2]:
            return crop(video, size)  # says what does not fit
        y = rng.integers(video.shape[1] - height + 1)
        x = rng.integers(video.shape[2] - width + 1)
        return resize(video[:, y : y + height, x : x + width], size)

    def _color(self, video, rng):
        gray = np.array([0.299, 0.587, 0.114], np.float32)
        brightness, contrast, saturation = (
            np.float32(rng.uniform(1 - amount, 1 + amount))
            for amount in (self.brightness, self.contrast, self.saturation)
        )
        video = video * brightness
        if self.contrast:
            mean = (video @ gray).mean()
            video = mean + (video - mean) * contrast
        if self.saturation:
            luma = (video @ gray)[..., None]  # (T, H, W, 1)
            video = luma + (video - luma) * saturation
        return _to_bytes(video)
