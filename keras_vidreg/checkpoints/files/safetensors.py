"""Safetensors files, read by the library of that name."""

import json
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, deserialize

from keras_vidreg._text import shown
from keras_vidreg.checkpoints.files.decode import Budget, decode_shape
from keras_vidreg.checkpoints.files.errors import UnsafeFileError

DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "bfloat16", "BOOL": "?",
    "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
    "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1",
}  # fmt: skip
MAX_HEADER = 32 * 2**20


def is_safetensors(head: bytes, size: int) -> bool:
    """Whether a file of this size that begins with these bytes can be one."""
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= size - 8


def read_safetensors(path: Path, budget: Budget) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays by their names, and the metadata."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    if length > MAX_HEADER:
        raise ValueError(f"its header has {length} bytes, more than {MAX_HEADER}")
    header = json.loads(data[8 : 8 + length], object_pairs_hook=_unique)
    try:
        entries = deserialize(data)
    except SafetensorError as error:
        raise ValueError(f"the safetensors library says: {shown(str(error), 200)}") from None
    arrays = {}
    for name, entry in entries:
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"{shown(name)} has the type {entry['dtype']}, which is not read here")
        arrays[name] = decode_shape(entry["data"], DTYPES[entry["dtype"]], entry["shape"], budget)
    return arrays, header.get("__metadata__", {})


def _unique(pairs):
    """A dict of what stands in braces; the library would take the last of several equal keys."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UnsafeFileError("its header has the same key twice")
    return found
