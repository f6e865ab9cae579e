"""Pickle streams: files of `torch.save` before PyTorch 1.6, and plain pickles of NumPy arrays."""

import mmap
import struct

from keras_vidreg.checkpoints.files.decode import item_size
from keras_vidreg.checkpoints.files.pickle_machine import read_pickle
from keras_vidreg.checkpoints.files.torch_tensors import Storage, dtype_code
from keras_vidreg.checkpoints.files.torch_zip import check_size, storage_facts

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001


def read_pickle_stream(path, limit):
    """What was saved, with arrays in the place of tensors.

    Args:
        path: The file.
        limit: Bytes that copies of parts of the file may take altogether.
    """
    with (
        open(path, "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as stream,
    ):
        first = read_pickle(stream, limit)
        if type(first) is int and first == MAGIC:
            return _read_torch_stream(stream, limit)
        if stream.tell() != len(stream):
            raise ValueError("there is something behind its pickle")
        return first


def _read_torch_stream(stream, limit):
    """After the magic number: version, machine, the object, the keys of the storages, their data.

    The object comes first and needs the storages, so it is read twice: once to learn their types.
    """
    version = read_pickle(stream, limit)
    if version != PROTOCOL:
        raise ValueError(f"its format is version {version!r} of PyTorch's, not {PROTOCOL}")
    order = "<" if read_pickle(stream, limit)["little_endian"] else ">"
    start = stream.tell()
    facts, storages = {}, {}

    def first_pass(identifier):
        kind, key, count = storage_facts(identifier)
        if facts.setdefault(key, (kind, count)) != (kind, count):
            raise ValueError(f"the storage {key!r} has two types or sizes")
        return Storage(kind, None)

    read_pickle(stream, limit, first_pass)
    for key in read_pickle(stream, limit):
        if key not in facts or key in storages:
            raise ValueError(f"the storage {key!r} belongs to nothing, or is there twice")
        kind, count = facts[key]
        (present,) = struct.unpack(f"{order}q", stream.read(8))
        check_size(key, count, present)
        size = count * item_size(dtype_code(kind))
        data = stream.read(size)
        check_size(key, size, len(data))
        storages[key] = Storage(kind, data, order)
    if stream.tell() != len(stream):
        raise ValueError("there is something behind its last storage")
    stream.seek(start)
    return read_pickle(stream, limit, lambda identifier: storages[storage_facts(identifier)[1]])
