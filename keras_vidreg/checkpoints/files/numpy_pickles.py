"""NumPy's types, scalars and arrays inside pickles, without NumPy's own way to restore them."""

import math
import re
from collections.abc import Callable
from typing import Literal

import numpy as np

from keras_vidreg._text import shown
from keras_vidreg.checkpoints.files.decode import NATIVE, Budget, lengths
from keras_vidreg.checkpoints.files.errors import UnsafeFileError


class Pending:
    """A value that a pickle first constructs and then completes with a state."""

    def __init__(self, complete: Callable):
        self.complete = complete
        self.memo = []  # where the unpickler keeps it


def pending_dtype(code, *_) -> Pending:
    """`numpy.dtype("f4", False, True)`, to be completed with its byte order."""

    def complete(state):
        order = state[1]
        if not isinstance(order, str) or order not in ("<", ">", "|", "="):
            raise ValueError(f"a NumPy type has the byte order {shown(order)}")
        return np.dtype(order + code)

    if isinstance(code, str) and code.startswith("O"):
        raise UnsafeFileError("it holds a NumPy array of Python objects")
    if not isinstance(code, str) or not re.fullmatch(r"[biufc]\d{1,2}", code):
        raise ValueError(f"it holds NumPy values of the type {shown(code)}, which is not read here")
    return Pending(complete)


def numpy_array(raw, dtype, shape, order: Literal["C", "F"], budget: Budget) -> np.ndarray:
    """An array from its bytes."""
    if not isinstance(dtype, np.dtype) or dtype.hasobject:
        raise ValueError(f"a NumPy array has the type {shown(dtype)}")
    if not isinstance(raw, (bytes, bytearray)):
        raise UnsafeFileError("it holds a NumPy array that is not made of bytes")
    shape = lengths(shape, "the shape of a NumPy array")
    if math.prod(shape) * dtype.itemsize != len(raw):
        raise UnsafeFileError(f"a NumPy array of shape {shown(shape)} has {len(raw)} bytes")
    if dtype.byteorder not in ("=", "|", NATIVE):
        budget.spend(len(raw))
    values = np.frombuffer(raw, dtype).reshape(shape, order=order)
    return values.astype(dtype.newbyteorder("="), copy=False)
