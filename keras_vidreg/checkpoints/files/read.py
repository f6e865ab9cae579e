"""Weights in files of other programs, read as data."""

import dataclasses
import os
from pathlib import Path

import numpy as np

from keras_vidreg._text import printable, shown
from keras_vidreg.checkpoints.files.check_tree import check_tree
from keras_vidreg.checkpoints.files.decode import Budget
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.npz import read_npz
from keras_vidreg.checkpoints.files.safe_zip import FREE, SafeZip
from keras_vidreg.checkpoints.files.safetensors import is_safetensors, read_safetensors
from keras_vidreg.checkpoints.files.state import PREFER, find_state
from keras_vidreg.checkpoints.files.tar_checkpoint import unpacked_checkpoint
from keras_vidreg.checkpoints.files.tensorflow_checkpoint import (
    find_prefix,
    read_tensorflow_checkpoint,
)
from keras_vidreg.checkpoints.files.torch_stream import read_pickle_stream
from keras_vidreg.checkpoints.files.torch_zip import is_torch_zip, read_torch_zip

LIMIT = 4 * 2**30
GZIP = b"\x1f\x8b"
HEAD = 512
LONGEST = 500  # of a reason, which may be in the words of a library
COPIES = 4  # bytes of copies for each byte of a file, beyond `FREE`
FORMATS = (
    "files of torch.save, pickles of NumPy arrays, safetensors, .npz, and TensorFlow checkpoints "
    "(their folder, their name without .index, or a .tar.gz of the folder)"
)
OTHER_FORMATS = {
    b"version https://git-lfs": "is a pointer of Git LFS, not the file itself; run `git lfs pull`",
    b"\x89HDF": "is an HDF5 file; Keras weights are read with `kv.zoo.load(name, weights=FILE)`",
    b"BZh": "is compressed with bzip2; unpack it first",
    b"\xfd7zXZ": "is compressed with xz; unpack it first",
}


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Args:
        arrays: The weights, `{key: array}`; most are read-only views, bfloat16 becomes float32.
        extras: Everything else: plain values, containers, and an `InertObject` for every object
            of a class that is not known here.
        entry: Name of the entry of the file that the weights come from, or `None`.
    """

    arrays: dict[str, np.ndarray] = dataclasses.field(repr=False)
    extras: dict = dataclasses.field(repr=False)
    entry: str | None = None


def read_state_dict(
    path: str | os.PathLike, *, prefer: str | tuple[str, ...] = PREFER, limit: int = LIMIT
) -> Checkpoint:
    """Read the weights in a file of another program, without running anything that it holds.

    The format is recognized by the content: files of `torch.save` (zip, or the stream of PyTorch
    before 1.6), pickles of NumPy arrays, safetensors, `.npz`, TensorFlow checkpoints. PyTorch
    is never needed, TensorFlow for its own checkpoints only.

    Args:
        path: A file; for a TensorFlow checkpoint its folder, its prefix, its `.index`, or a
            `.tar.gz` of the folder.
        prefer: Names of the entries that are taken for the weights if a file has several, the
            most wanted first.
        limit: Bytes that the content may have; nothing is read that exceeds it.

    Returns:
        A `Checkpoint`.

    Raises:
        UnsafeFileError: (a `ValueError`) If it calls functions, or unfolds to more than it is.
        ValueError: If it cannot be read for another reason; the message says what it is.
        ImportError: If it is a TensorFlow checkpoint, and TensorFlow is not installed.

    Example:

    >>> np.savez("weights.npz", **{"conv.weight": np.ones((2, 3))})
    >>> found = kv.checkpoints.read_state_dict("weights.npz")
    >>> found.arrays["conv.weight"].shape
    (2, 3)
    """
    path = Path(path)
    name, prefix = printable(str(path)), find_prefix(path)
    if prefix is None and not path.is_file():
        raise ValueError(f"`path` must be a file or a checkpoint of TensorFlow. Received: {name}")
    if prefix is None:
        _check_kind(path, name, limit)
    try:
        return _read(path, prefix, prefer, limit)
    except UnsafeFileError as error:
        raise UnsafeFileError(f"The file {name} is refused: {error}.") from error
    except ValueError as error:
        reason = printable(str(error)[:LONGEST])
        raise ValueError(f"The file {name} cannot be read: {reason}.") from None
    except (FileNotFoundError, PermissionError, ImportError):
        raise
    except Exception as error:  # whatever a parser makes of bytes that are none of its own
        reason = f"{type(error).__name__} {shown(error.args[0]) if error.args else ''}".strip()
        raise ValueError(f"The file {name} is damaged or cut off ({reason}).") from None


def _read(path, prefix, prefer, limit):
    if prefix is not None:
        return Checkpoint(*read_tensorflow_checkpoint(prefix, limit))
    head, size = _head(path), path.stat().st_size
    budget = Budget(min(limit, COPIES * size + FREE))
    if head.startswith(GZIP):
        with unpacked_checkpoint(path, limit) as prefix:
            return Checkpoint(*read_tensorflow_checkpoint(prefix, limit))
    if is_safetensors(head, size):
        return Checkpoint(*read_safetensors(path, budget))
    if head.startswith(b"PK"):
        with SafeZip(path, limit) as archive:
            if not is_torch_zip(archive.names):
                return Checkpoint(read_npz(archive), {})
            tree = read_torch_zip(archive, budget)
    else:
        tree = read_pickle_stream(path, budget)
    check_tree(tree)
    entry, arrays = find_state(tree, prefer)
    if sum(array.nbytes for array in arrays.values()) > COPIES * size + FREE:
        raise UnsafeFileError("its arrays share memory, and are far larger than the file")
    picked = arrays if entry is None else (entry,)
    return Checkpoint(arrays, {k: v for k, v in tree.items() if k not in picked}, entry)


def _head(path):
    with open(path, "rb") as file:
        return file.read(HEAD)


def _check_kind(path, name, limit):
    """Say what a file is that has no format of ours."""
    head, size = _head(path), path.stat().st_size
    if size > limit:
        raise ValueError(f"The file {name} has {size} bytes, more than limit={limit}.")
    if not head:
        raise ValueError(f"The file {name} is empty; fetch it again.")
    if head.startswith((b"PK\x03\x04", b"\x80", GZIP)) or is_safetensors(head, size):
        return
    for start, sentence in OTHER_FORMATS.items():
        if head.startswith(start):
            raise ValueError(f"The file {name} {sentence}.")
    if head.lstrip().startswith(b"<"):
        raise ValueError(f"The file {name} is a web page, not weights: {head[:60]!r}. Fetch again.")
    if head[257:262] == b"ustar":
        raise ValueError(f"The file {name} is a tar archive; unpack it, and give what is inside.")
    raise ValueError(f"The file {name} begins with {head[:16]!r}. What is read: {FORMATS}.")
