"""Pickle streams: files of `torch.save` before PyTorch 1.6, and plain pickles of NumPy arrays."""

import mmap
import struct
from pathlib import Path

from keras_vidreg._text import shown
from keras_vidreg.checkpoints.files.decode import Budget, item_size
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.torch_tensors import (
    Storage,
    check_size,
    dtype_code,
    storage_facts,
)
from keras_vidreg.checkpoints.files.unpickler import InertUnpickler

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def read_pickle_stream(path: Path, budget: Budget):
    """What was saved, with arrays in the place of tensors."""
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream,
    ):

        def read(persistent=None):
            return InertUnpickler(stream, budget, len(stream), persistent).load()

        saved = read()
        if type(saved) is int and saved == MAGIC:
            saved = _read_torch_stream(stream, read)
        if stream.tell() != len(stream):
            raise ValueError("there is something behind its end")
        return saved


def _read_torch_stream(stream, read):
    """After the magic number: version, machine, the object, the keys of the storages, their data.

    The object comes first and needs the storages, so it is read twice: once to learn their types.
    """
    version = read()
    if type(version) is not int or version != PROTOCOL:
        raise ValueError(f"its format is version {shown(version)} of PyTorch's, not {PROTOCOL}")
    order = "<" if read()["little_endian"] else ">"
    start = stream.tell()
    facts, storages = {}, {}

    def first_pass(identifier):
        kind, key, count = storage_facts(identifier)
        if facts.setdefault(key, (kind, count)) != (kind, count):
            raise ValueError(f"the storage {shown(key)} has two types or sizes")
        return Storage(kind, None)

    read(first_pass)
    for key in read():
        if not isinstance(key, str) or key not in facts or key in storages:
            raise ValueError(f"the storage {shown(key)} belongs to nothing, or is there twice")
        kind, count = facts[key]
        (present,) = struct.unpack(f"{order}q", stream.read(8))
        if present != count:
            raise UnsafeFileError(f"the storage {shown(key)} has {present} elements, not {count}")
        data = stream.read(count * item_size(dtype_code(kind)))
        check_size(key, kind, count, len(data))
        storages[key] = Storage(kind, data, order)
    end = stream.tell()
    stream.seek(start)
    saved = read(lambda identifier: storages[storage_facts(identifier)[1]])
    stream.seek(end)
    return saved
