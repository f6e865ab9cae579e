"""TensorFlow checkpoints as they are published: a folder in a `.tar.gz`."""

import contextlib
import gzip
import re
import shutil
import tarfile
import tempfile
import zlib
from pathlib import Path

from keras_vidreg._text import printable, shown
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.safe_zip import FREE, LEADS_OUT, MAX_RATIO
from keras_vidreg.checkpoints.files.tensorflow_checkpoint import find_prefix

MAX_MEMBERS = 1000
NAMES = r"checkpoint|[^/\\]+\.(index|data-\d{5}-of-\d{5})"


@contextlib.contextmanager
def unpacked_checkpoint(path: Path, limit: int):
    """The prefix of the checkpoint in an archive, unpacked for as long as it is used.

    Only files that a checkpoint consists of are written, all into one new folder, whatever folders
    their names begin with. Links, devices and every other file are passed over.

    Args:
        path: A tar archive, compressed with gzip.
        limit: Bytes that it may unpack to.

    Raises:
        UnsafeFileError: If it unpacks to too much, or names lead out of the folder.
        ValueError: If it is damaged, or holds no checkpoint or several.
    """
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        try:
            _unpack(path, folder, min(limit, MAX_RATIO * path.stat().st_size + FREE))
        except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as error:
            reason = shown(str(error))
            raise ValueError(f"what gzip has compressed is not a whole tar: {reason}") from None
        prefix = find_prefix(folder)
        if prefix is None:
            raise ValueError("it is an archive without a checkpoint of TensorFlow")
        yield prefix


def _unpack(path, folder, limit):
    parents, left = set(), limit
    with (
        gzip.open(path) as unzipped,
        tarfile.open(fileobj=_Counted(unzipped, limit), mode="r|") as archive,
    ):
        for number, member in enumerate(archive):
            parent, _, name = member.name.rpartition("/")
            if re.search(LEADS_OUT, member.name):
                raise UnsafeFileError(f"its member {shown(member.name)} leads out of the folder")
            if number >= MAX_MEMBERS:
                raise UnsafeFileError(f"it has more than {MAX_MEMBERS} members")
            if not member.isreg() or not re.fullmatch(NAMES, name):
                continue
            left -= member.size  # holes of sparse files are not in the archive
            if left < 0:
                raise UnsafeFileError(f"its files take more than {limit} bytes")
            if (folder / name).exists():
                raise ValueError(
                    f"it has several files {printable(name)}; unpack it, and give a folder"
                )
            parents.add(parent)
            with archive.extractfile(member) as source, open(folder / name, "xb") as target:
                shutil.copyfileobj(source, target)
    if len(parents) > 1:
        raise ValueError(f"it has checkpoints in {len(parents)} folders; unpack it, and give one")


class _Counted:
    """A file that is read up to a number of bytes."""

    def __init__(self, file, limit):
        self._file, self._left = file, limit

    def read(self, size=-1):
        data = self._file.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise UnsafeFileError("it unpacks to far more than it is")
        return data
