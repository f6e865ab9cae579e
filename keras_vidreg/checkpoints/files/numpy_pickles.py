"""NumPy's types, scalars and arrays inside pickles, without NumPy's own way to restore them."""

import math
import re

import numpy as np

from keras_vidreg.checkpoints.files.errors import UnsafeFileError


class Pending:
    """A value that a pickle first constructs and then completes with a state."""

    def __init__(self, complete):
        self.complete = complete
        self.memo = []


def pending_dtype(code, *_):
    """`numpy.dtype("f4", False, True)`, to be completed with its byte order."""

    def complete(state):
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise ValueError(f"a NumPy type has the byte order {order!r}")
        return np.dtype(order + code)

    if isinstance(code, str) and code.startswith("O"):
        raise UnsafeFileError("it holds a NumPy array of Python objects")
    if not isinstance(code, str) or not re.fullmatch(r"[biufc]\d{1,2}", code):
        raise ValueError(f"it holds NumPy values of the type {code!r}, which is not read here")
    return Pending(complete)


def pending_array(raw_bytes):
    """`numpy.core.multiarray._reconstruct(...)`, to be completed with everything.

    Args:
        raw_bytes: Function from what a pickle holds as the bytes of an array to these bytes.
    """

    def complete(state):
        _, shape, dtype, fortran, raw = state
        return numpy_array(raw_bytes(raw), dtype, shape, "F" if fortran else "C")

    return Pending(complete)


def numpy_array(raw, dtype, shape, order="C"):
    """An array from its bytes."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise ValueError(f"a NumPy array has the type {dtype!r}")
    if not isinstance(raw, (bytes, bytearray)):
        raise UnsafeFileError("it holds a NumPy array that is not made of bytes")
    if not isinstance(shape, tuple) or any(type(n) is not int or n < 0 for n in shape):
        raise UnsafeFileError(f"a NumPy array has the shape {shape!r}")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise UnsafeFileError(f"a NumPy array of shape {shape} has {len(raw)} bytes")
    values = np.frombuffer(raw, dtype).reshape(shape, order=order)
    return values.astype(dtype.newbyteorder("="), copy=False)
