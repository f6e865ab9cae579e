"""Weights in files of other programs, read as data."""

import dataclasses
import struct
import zipfile
import zlib
from pathlib import Path

from keras_vidreg.checkpoints.files.check_tree import check_tree
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.npz import read_npz
from keras_vidreg.checkpoints.files.safe_zip import SafeZip
from keras_vidreg.checkpoints.files.safetensors import is_safetensors, read_safetensors
from keras_vidreg.checkpoints.files.state import PREFER, find_state
from keras_vidreg.checkpoints.files.tar_checkpoint import unpacked_checkpoint
from keras_vidreg.checkpoints.files.tensor_bundle import find_prefix, read_tensor_bundle
from keras_vidreg.checkpoints.files.torch_stream import read_pickle_stream
from keras_vidreg.checkpoints.files.torch_zip import is_torch_zip, read_torch_zip

LIMIT = 4 * 2**30
GZIP = b"\x1f\x8b"
HEAD = 512
DAMAGE = (
    TypeError, LookupError, AttributeError, ArithmeticError, EOFError, MemoryError, RuntimeError,
    struct.error, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
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
        extras: Everything else: plain values, containers, and a `Record` for every object of a
            class that is not known here.
        entry: Name of the entry of the file that the weights come from, or `None`.
    """

    arrays: dict
    extras: dict
    entry: str | None = None


def read_state_dict(path, *, prefer=PREFER, limit=LIMIT):
    """Read the weights in a file of another program, without running anything that it holds.

    The format is recognised by the content: files of `torch.save` (zip, or the stream of PyTorch
    before 1.6), pickles of NumPy arrays, safetensors, `.npz`, TensorFlow checkpoints. Neither
    PyTorch nor TensorFlow is needed. Checksums inside of files are those of zips only.

    Args:
        path: A file; for a TensorFlow checkpoint its folder, its prefix, its `.index`, or a
            `.tar.gz` of the folder.
        prefer: Names of the entries that are taken for the weights if a file has several, the
            most wanted first.
        limit: Bytes that the content may have; nothing is read that exceeds it.

    Returns:
        A `Checkpoint`.

    Raises:
        UnsafeFileError: (a `ValueError`) for a file that calls functions, or that unfolds to more
            than it is.
        ValueError: for any other file that cannot be read; the message says what it is.

    Example:
    ```python
    found = read_state_dict("a0s_grw.pt")
    found.extras["T"], found.extras["transformer_params"].embed_dim
    ```
    """
    path = Path(path)
    prefix = find_prefix(path)
    if prefix is None and not path.is_file():
        raise ValueError(f"`path` must be a file or a checkpoint of TensorFlow. Received: {path}")
    if prefix is None:
        _check_kind(path, limit)
    try:
        return _read(path, prefix, prefer, limit)
    except UnsafeFileError as error:
        raise UnsafeFileError(f"The file {path} is refused: {error}.") from error
    except ValueError as error:
        raise ValueError(f"The file {path} cannot be read: {error}.") from error
    except DAMAGE as error:
        reason = f"{type(error).__name__}: {error}"
        raise ValueError(f"The file {path} is damaged or cut off ({reason}).") from error


def _read(path, prefix, prefer, limit):
    if prefix is not None:
        return Checkpoint(*read_tensor_bundle(prefix, limit))
    head, size = _head(path), path.stat().st_size
    if head.startswith(GZIP):
        with unpacked_checkpoint(path, limit) as prefix:
            return Checkpoint(*read_tensor_bundle(prefix, limit))
    if is_safetensors(head, size):
        return Checkpoint(*read_safetensors(path))
    if head.startswith(b"PK"):
        with SafeZip(path, limit) as archive:
            if not is_torch_zip(archive.names):
                return Checkpoint(read_npz(archive), {})
            tree = read_torch_zip(archive, limit)
    else:
        tree = read_pickle_stream(path, limit)
    check_tree(tree)
    entry, arrays = find_state(tree, prefer)
    picked = arrays if entry is None else (entry,)
    return Checkpoint(arrays, {k: v for k, v in tree.items() if k not in picked}, entry)


def _head(path):
    with open(path, "rb") as file:
        return file.read(HEAD)


def _check_kind(path, limit):
    """Say what a file is that has no format of ours."""
    head, size = _head(path), path.stat().st_size
    if size > limit:
        raise ValueError(f"The file {path} has {size} bytes, more than limit={limit}.")
    if not head:
        raise ValueError(f"The file {path} is empty; fetch it again.")
    if head.startswith((b"PK\x03\x04", b"\x80", GZIP)) or is_safetensors(head, size):
        return
    for start, sentence in OTHER_FORMATS.items():
        if head.startswith(start):
            raise ValueError(f"The file {path} {sentence}.")
    if head.lstrip().startswith(b"<"):
        raise ValueError(f"The file {path} is a web page, not weights: {head[:60]!r}. Fetch again.")
    if head[257:262] == b"ustar":
        raise ValueError(f"The file {path} is a tar archive; unpack it, and give what is inside.")
    raise ValueError(f"The file {path} begins with {head[:16]!r}. What is read: {FORMATS}.")
