"""Safetensors files: the length of a JSON header, the header, the data."""

import json

from keras_vidreg.checkpoints.files.decode import decode_shape

DTYPES = {
    "F64": "f8", "F32": "f4", "F16": "f2", "BF16": "bfloat16", "BOOL": "?",
    "I64": "i8", "I32": "i4", "I16": "i2", "I8": "i1",
    "U64": "u8", "U32": "u4", "U16": "u2", "U8": "u1",
}  # fmt: skip
MAX_HEADER = 32 * 2**20


def is_safetensors(head, size):
    """Whether a file of this size that begins with these bytes can be one."""
    length = int.from_bytes(head[:8], "little")
    return head[8:9] == b"{" and 2 <= length <= size - 8


def read_safetensors(path):
    """The arrays by their names, and the metadata."""
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MAX_HEADER:
            raise ValueError(f"its header has {length} bytes, more than {MAX_HEADER}")
        header = json.loads(file.read(length))
        data = memoryview(file.read())
    metadata = header.pop("__metadata__", {})
    arrays, end = {}, 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = entry["data_offsets"]
        if begin != end or not begin <= stop <= len(data):
            raise ValueError(f"the data of {name!r} does not begin where the last one ends")
        if entry["dtype"] not in DTYPES:
            raise ValueError(f"{name!r} has the type {entry['dtype']}, which is not read here")
        arrays[name] = decode_shape(data[begin:stop], DTYPES[entry["dtype"]], entry["shape"])
        end = stop
    if end != len(data):
        raise ValueError(f"its header describes {end} bytes of data, and {len(data)} are there")
    return arrays, metadata
