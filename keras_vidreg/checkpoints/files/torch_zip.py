"""Files of `torch.save` since PyTorch 1.6: a zip with one pickle and one member per storage."""

import io

from keras_vidreg.checkpoints.files.decode import Budget
from keras_vidreg.checkpoints.files.safe_zip import SafeZip
from keras_vidreg.checkpoints.files.torch_tensors import Storage, check_size, storage_facts
from keras_vidreg.checkpoints.files.unpickler import InertUnpickler

PICKLE = "data.pkl"


def is_torch_zip(names: list[str]) -> bool:
    """Whether a zip with such members was written by PyTorch."""
    return any(name.rpartition("/")[2] == PICKLE for name in names)


def read_torch_zip(archive: SafeZip, budget: Budget):
    """What was saved, with arrays in the place of tensors."""
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
        if key not in storages:
            storages[key] = Storage(kind, archive.read(f"{prefix}data/{key}"), order)
        if storages[key].kind != kind:
            raise ValueError("it has a storage of two types")
        check_size(key, kind, count, len(storages[key].data))
        return storages[key]

    saved = io.BytesIO(archive.read(pickles[0]))
    return InertUnpickler(saved, budget, archive.size, persistent).load()
