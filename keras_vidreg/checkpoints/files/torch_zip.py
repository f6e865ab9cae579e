"""Files of `torch.save` since PyTorch 1.6: a zip with one pickle and one member per storage."""

import io

from keras_vidreg.checkpoints.files.decode import item_size
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.pickle_machine import read_pickle
from keras_vidreg.checkpoints.files.records import Global
from keras_vidreg.checkpoints.files.torch_tensors import Storage, dtype_code

PICKLE = "data.pkl"


def is_torch_zip(names):
    """Whether a zip with such members was written by PyTorch."""
    return any(name.rpartition("/")[2] == PICKLE for name in names)


def read_torch_zip(archive, limit):
    """What was saved, with arrays in the place of tensors.

    Args:
        archive: A `SafeZip`.
        limit: Bytes that copies of parts of the file may take altogether.
    """
    pickles = [name for name in archive.names if name.rpartition("/")[2] == PICKLE]
    if len(pickles) != 1:
        raise ValueError(f"it has {len(pickles)} members {PICKLE}")
    prefix = pickles[0].removesuffix(PICKLE)
    if f"{prefix}constants.pkl" in archive.names:
        raise ValueError("it is a TorchScript program; save the state dict of the model instead")
    order = "<"
    if f"{prefix}byteorder" in archive.names:
        order = {b"little": "<", b"big": ">"}[archive.read(f"{prefix}byteorder")]
    storages = {}

    def persistent(identifier):
        kind, key, count = storage_facts(identifier)
        if (kind, key) not in storages:
            data = archive.read(f"{prefix}data/{key}")
            check_size(key, count * item_size(dtype_code(kind)), len(data))
            storages[kind, key] = Storage(kind, data, order)
        return storages[kind, key]

    return read_pickle(io.BytesIO(archive.read(pickles[0])), limit, persistent)


def storage_facts(identifier):
    """Type, key and number of elements of a storage that a pickle refers to."""
    if not isinstance(identifier, tuple) or len(identifier) not in (5, 6):
        raise UnsafeFileError("it refers to something that is not a storage")
    tag, kind, key, _, count, *view = identifier
    if tag != "storage" or not isinstance(kind, Global) or not isinstance(key, str):
        raise UnsafeFileError("it refers to something that is not a storage")
    if type(count) is not int or count < 0:
        raise UnsafeFileError(f"the storage {key!r} declares {count!r} elements")
    if kind.module.partition(".")[0] != "torch" or not kind.name.endswith("Storage"):
        raise UnsafeFileError(f"the storage {key!r} is of the type {kind}")
    if view and view[0] is not None:
        raise ValueError("it holds storages inside of storages, as PyTorch before 0.4 wrote them")
    return kind.name.removesuffix("Storage").lstrip("_"), key, count


def check_size(key, declared, present):
    """Raise `UnsafeFileError` unless a storage has the size that it declares."""
    if declared != present:
        raise UnsafeFileError(
            f"the storage {key!r} declares {declared} bytes, and {present} are there"
        )
