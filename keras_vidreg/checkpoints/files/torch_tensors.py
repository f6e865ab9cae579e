"""Tensors of torch files as views into the bytes of their storages."""

import dataclasses
import math

import numpy as np

from keras_vidreg.checkpoints.files.decode import decode
from keras_vidreg.checkpoints.files.errors import UnsafeFileError

DTYPES = {
    "Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "bfloat16",
    "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "?",
    "ComplexFloat": "c8", "ComplexDouble": "c16",
    "float32": "f4", "float64": "f8", "float16": "f2", "bfloat16": "bfloat16",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1", "uint8": "u1", "bool": "?",
    "uint16": "u2", "uint32": "u4", "uint64": "u8", "complex64": "c8", "complex128": "c16",
}  # fmt: skip
MAX_AXES = 32


@dataclasses.dataclass(eq=False)
class Storage:
    """One-dimensional data that tensors are views of.

    Args:
        kind: Name of a type in `DTYPES`, or `"Untyped"` for plain bytes.
        data: The bytes, or `None` on a first pass that only looks for the storages.
        order: `"<"` for little-endian data, `">"` for big-endian data.
    """

    kind: str
    data: bytes | None
    order: str = "<"
    typed: dict = dataclasses.field(default_factory=dict, repr=False)

    def values(self, kind):
        """The data as a flat array; `kind` as in `DTYPES`."""
        if kind not in self.typed:
            self.typed[kind] = decode(self.data, dtype_code(kind), self.order)
        return self.typed[kind]


def dtype_code(kind):
    """The type of a storage as `decode` takes it; plain bytes are `"u1"`."""
    if kind == "Untyped":
        return "u1"
    if kind not in DTYPES:
        raise ValueError(f"it holds numbers of the type {kind}, which is not read here")
    return DTYPES[kind]


def strided(values, offset, size, stride):
    """A tensor as a view: no copy, and never anything outside the storage.

    Args:
        values: The storage as a flat array.
        offset: Index of the first element.
        size: Length of each axis.
        stride: Steps in the storage, in elements, from one index to the next on each axis.

    Raises:
        UnsafeFileError: When an element would lie outside, or there were more elements than the
            storage has.
    """
    size, stride = _naturals(size, "size"), _naturals(stride, "stride")
    (offset,) = _naturals((offset,), "offset")
    if len(size) != len(stride) or len(size) > MAX_AXES:
        raise UnsafeFileError(f"a tensor has the size {size} and the stride {stride}")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count = math.prod(size)
    if count and (last >= len(values) or count > len(values)):
        raise UnsafeFileError(
            f"a tensor of size {size}, stride {stride} and offset {offset} does not lie in its "
            f"storage of {len(values)} elements"
        )
    if not count:
        return np.empty(size, values.dtype)
    steps = [step * values.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(values[offset:], size, steps, writeable=False)


def _naturals(numbers, what):
    if not isinstance(numbers, (tuple, list)) or any(type(n) is not int or n < 0 for n in numbers):
        raise UnsafeFileError(f"the {what} of a tensor is {numbers!r}")
    return tuple(numbers)
