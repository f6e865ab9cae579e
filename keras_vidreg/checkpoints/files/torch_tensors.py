"""Tensors of torch files as views into the bytes of their storages."""

import dataclasses
import math

import numpy as np

from keras_vidreg._text import shown
from keras_vidreg.checkpoints.files.decode import Budget, Order, decode, item_size, lengths
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.inert import Global

DTYPES = {
    "Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "bfloat16",
    "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1", "Bool": "?",
    "ComplexFloat": "c8", "ComplexDouble": "c16",
    "float32": "f4", "float64": "f8", "float16": "f2", "bfloat16": "bfloat16",
    "int64": "i8", "int32": "i4", "int16": "i2", "int8": "i1", "uint8": "u1", "bool": "?",
    "uint16": "u2", "uint32": "u4", "uint64": "u8", "complex64": "c8", "complex128": "c16",
}  # fmt: skip


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
    order: Order = "<"
    typed: dict = dataclasses.field(default_factory=dict, repr=False)

    def values(self, kind: str, budget: Budget) -> np.ndarray:
        """The data as a flat array; `kind` as in `DTYPES`."""
        if kind not in self.typed:
            self.typed[kind] = decode(self.data, dtype_code(kind), budget, self.order)
        return self.typed[kind]


def dtype_code(kind: str) -> str:
    """The type of a storage as `decode` takes it; plain bytes are `"u1"`."""
    if kind == "Untyped":
        return "u1"
    if kind not in DTYPES:
        raise ValueError(f"it holds numbers of the type {shown(kind)}, which is not read here")
    return DTYPES[kind]


def strided(values: np.ndarray, offset, size, stride) -> np.ndarray:
    """A tensor as a view: no copy, and never anything outside the storage.

    Args:
        values: The storage as a flat array.
        offset: Index of the first element.
        size: Length of each axis.
        stride: Steps in the storage, in elements, from one index to the next on each axis.

    Raises:
        UnsafeFileError: If an element would lie outside, or there were more elements than the
            storage has.
    """
    size, stride = lengths(size, "the size of a tensor"), lengths(stride, "the stride of a tensor")
    (offset,) = lengths((offset,), "the offset of a tensor")
    if len(size) != len(stride):
        raise UnsafeFileError(f"a tensor has the size {shown(size)} and the stride {shown(stride)}")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    count = math.prod(size)
    if count and (last >= len(values) or count > len(values)):
        raise UnsafeFileError(
            f"a tensor of size {shown(size)}, stride {shown(stride)} and offset {offset} does not "
            f"lie in its storage of {len(values)} elements"
        )
    if not count:
        return np.empty(size, values.dtype)
    steps = [step * values.itemsize for step in stride]
    return np.lib.stride_tricks.as_strided(values[offset:], size, steps, writeable=False)


def storage_facts(identifier) -> tuple[str, str, int]:
    """Type, key and number of elements of a storage that a pickle refers to."""
    if not isinstance(identifier, tuple) or len(identifier) not in (5, 6):
        raise UnsafeFileError("it refers to something that is not a storage")
    tag, kind, key, _, count, *view = identifier
    if not all(isinstance(text, str) for text in (tag, key)) or tag != "storage":
        raise UnsafeFileError("it refers to something that is not a storage")
    if not isinstance(kind, Global):
        raise UnsafeFileError("it refers to something that is not a storage")
    (count,) = lengths((count,), f"the number of elements of the storage {shown(key)}")
    if kind.module.partition(".")[0] != "torch" or not kind.name.endswith("Storage"):
        raise UnsafeFileError(f"the storage {shown(key)} is of the type {shown(str(kind))}")
    if view and view[0] is not None:
        raise ValueError("it holds storages inside of storages, as PyTorch before 0.4 wrote them")
    return kind.name.removesuffix("Storage").lstrip("_"), key, count


def check_size(key: str, kind: str, count: int, present: int) -> None:
    """Raise `UnsafeFileError` unless a storage has as many bytes as it declares."""
    declared = count * item_size(dtype_code(kind))
    if declared != present:
        raise UnsafeFileError(
            f"the storage {shown(key)} declares {declared} bytes, and {present} are there"
        )
