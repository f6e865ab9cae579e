"""Decoded frames to upright RGB arrays of one size."""

from collections.abc import Callable

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

# The same bytes on every machine, and chroma at full resolution. Bilinear widens its filter when
# it shrinks a frame, so that there is no aliasing.
_SCALING = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)


class FrameConverter:
    """Decoded frame -> upright RGB array (H, W, 3), every frame at the first one's size.

    Where the size changes in the middle, later frames keep their shape inside black bars.

    Args:
        frame_size: Function from the upright first frame's height and width to those of the
            result; `None`: as they are.
        check: Function of (height, width before, height, width of the result), called before
            memory is taken.
    """

    def __init__(
        self,
        frame_size: Callable[[int, int], tuple[int, int]] | None,
        check: Callable[[int, int, int, int], None] | None = None,
    ):
        self.frame_size = frame_size
        self.check = check
        self.first: tuple[int, ...] = ()
        self.size: tuple[int, ...] = ()
        self.scaler = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        turned, flip_y, flip_x = _orientation(frame)
        upright = (frame.width, frame.height) if turned else (frame.height, frame.width)
        if not self.first:
            self.first = upright
            self.size = tuple(self.frame_size(*upright)) if self.frame_size else upright
            if self.check is not None:
                self.check(*upright, *self.size)
        share = min(self.first[0] / upright[0], self.first[1] / upright[1])
        height, width = (
            min(max(round(whole * share * now / first), 1), whole)
            for whole, now, first in zip(self.size, upright, self.first, strict=True)
        )
        size = (height, width) if turned else (width, height)
        picture = self.scaler.reformat(frame, *size, "rgb24", interpolation=_SCALING, threads=1)
        picture = picture.to_ndarray()
        if turned:
            picture = picture.swapaxes(0, 1)
        picture = picture[:: -1 if flip_y else 1, :: -1 if flip_x else 1]
        if (height, width) == self.size:
            return picture
        boxed = np.zeros((*self.size, 3), np.uint8)
        y, x = (self.size[0] - height) // 2, (self.size[1] - width) // 2
        boxed[y : y + height, x : x + width] = picture
        return boxed


def _orientation(frame):
    """(rows and columns change places, then upside down, then left to right) of a display matrix.

    A pixel at column p, row q is shown at column `a p + c q` and row `b p + d q`; matrices in
    between are taken as the nearest quarter turn.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(matrix)[:20], np.int32).tolist()
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return False, d < 0, a < 0
    return True, b < 0, c < 0
