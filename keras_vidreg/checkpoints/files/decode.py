"""Bytes of a file as arrays, and how much may be made of a file."""

import math
import sys
from typing import Literal

import numpy as np

from keras_vidreg._text import shown
from keras_vidreg.checkpoints.files.errors import UnsafeFileError

BFLOAT16 = "bfloat16"  # NumPy lacks it: it is the upper half of a float32, and is read as one
NATIVE = {"little": "<", "big": ">"}[sys.byteorder]
MAX_AXES = 32
MAX_LENGTH = 2**48
Order = Literal["<", ">"]


class Budget:
    """Bytes that copies of parts of a file may take altogether, on top of the file itself."""

    def __init__(self, limit: int):
        self.left = limit

    def spend(self, size: int) -> None:
        """Count bytes before they are copied."""
        self.left -= size
        if self.left < 0:
            raise UnsafeFileError("it unfolds to more than it may")


def lengths(values, what: str) -> tuple[int, ...]:
    """Lengths of axes, strides or offsets: a few natural numbers, so that products stay small."""
    if not isinstance(values, (list, tuple)) or len(values) > MAX_AXES:
        raise UnsafeFileError(f"{what} is {shown(values)}")
    if any(type(n) is not int or not 0 <= n < MAX_LENGTH for n in values):
        raise UnsafeFileError(f"{what} is {shown(values)}")
    return tuple(values)


def item_size(code: str) -> int:
    """Bytes per number of a type: a name of NumPy's, or `"bfloat16"`."""
    return 2 if code == BFLOAT16 else np.dtype(code).itemsize


def decode(data, code: str, budget: Budget, order: Order = "<") -> np.ndarray:
    """Bytes as a flat array in the byte order of this machine, without a copy if that order fits.

    Args:
        data: Anything with a buffer.
        code: A type as for `item_size`.
        budget: Pays for a copy.
        order: `"<"` for little-endian data, `">"` for big-endian data.
    """
    if code == BFLOAT16:
        budget.spend(2 * len(data))
        return (np.frombuffer(data, f"{order}u2").astype("u4") << 16).view("f4")
    if code == "?":
        budget.spend(len(data))
        return np.frombuffer(data, "u1") != 0
    if order != NATIVE:
        budget.spend(len(data))
    return np.frombuffer(data, np.dtype(code).newbyteorder(order)).astype(code, copy=False)


def decode_shape(data, code: str, shape, budget: Budget, order: Order = "<") -> np.ndarray:
    """Bytes as an array of a shape.

    Raises:
        ValueError: If the shape is none, or needs another number of bytes.
    """
    shape = lengths(shape, "the shape of an array")
    if math.prod(shape) * item_size(code) != len(data):
        raise ValueError(f"it declares the shape {shown(shape)} for {len(data)} bytes of {code}")
    return decode(data, code, budget, order).reshape(shape)
