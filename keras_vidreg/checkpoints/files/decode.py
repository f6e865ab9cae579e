"""Bytes of a file as flat arrays."""

import math

import numpy as np

BFLOAT16 = "bfloat16"  # NumPy lacks it: it is the upper half of a float32, and is read as one


def item_size(code):
    """Bytes per number of a type: a name of NumPy's, or `"bfloat16"`."""
    return 2 if code == BFLOAT16 else np.dtype(code).itemsize


def decode(data, code, order="<"):
    """Bytes as a flat array in the byte order of this machine, without a copy if that order fits.

    Args:
        data: Anything with a buffer.
        code: A type as for `item_size`.
        order: `"<"` for little-endian data, `">"` for big-endian data.
    """
    if code == BFLOAT16:
        return (np.frombuffer(data, f"{order}u2").astype("u4") << 16).view("f4")
    if code == "?":
        return np.frombuffer(data, "u1") != 0
    return np.frombuffer(data, np.dtype(code).newbyteorder(order)).astype(code, copy=False)


def decode_shape(data, code, shape, order="<"):
    """Bytes as an array of a shape.

    Raises:
        ValueError: When the shape is none, or needs another number of bytes.
    """
    if not isinstance(shape, (list, tuple)) or any(type(n) is not int or n < 0 for n in shape):
        raise ValueError(f"it declares the shape {shape!r}")
    if math.prod(shape) * item_size(code) != len(data):
        raise ValueError(f"it declares the shape {tuple(shape)} for {len(data)} bytes of {code}")
    return decode(data, code, order).reshape(shape)
