"""Zip files whose members are read into memory, and never more than was checked before."""

import re
import zipfile
from pathlib import Path

from keras_vidreg._text import shown
from keras_vidreg.checkpoints.files.errors import UnsafeFileError

MAX_RATIO = 100
LEADS_OUT = r"^[/\\]|^\w:|(^|[/\\])\.\.([/\\]|$)|\0"  # absolute, or with `..`
FREE = 16 * 2**20  # members may be this much larger than `MAX_RATIO` allows


class SafeZip:
    """The members of a zip file.

    Args:
        path: The file.
        limit: Bytes that all members together may have.

    Raises:
        UnsafeFileError: If it is a zip bomb, or has an encrypted member, members with the same
            name, or names that lead out of a folder.
        ValueError: If it is damaged.
    """

    def __init__(self, path: Path, limit: int):
        self.size = path.stat().st_size
        self._file = zipfile.ZipFile(path)
        try:
            self._check(limit)
        except BaseException:
            self._file.close()
            raise
        self.names = self._file.namelist()

    def __enter__(self) -> "SafeZip":
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def read(self, name: str) -> bytes:
        """The bytes of a member, up to the size that it declares."""
        if name not in self._file.NameToInfo:
            raise ValueError(f"it has no member {shown(name)}")
        info = self._file.getinfo(name)
        with self._file.open(info) as member:
            data = member.read(info.file_size)
        if len(data) != info.file_size:
            raise ValueError(f"its member {shown(name)} declares {info.file_size} bytes")
        return data

    def _check(self, limit):
        members = self._file.infolist()
        if len({info.filename for info in members}) < len(members):
            raise UnsafeFileError("it has two members with the same name")
        for info in members:
            name = shown(info.orig_filename)
            if re.search(LEADS_OUT, info.orig_filename):
                raise UnsafeFileError(f"its member {name} leads out of the folder")
            if info.flag_bits & 1:
                raise UnsafeFileError(f"its member {name} is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"its member {name} is compressed in an unusual way")
            if not 0 <= info.header_offset < self.size:
                raise ValueError(f"its member {name} lies outside of the file")
        packed = sum(info.compress_size for info in members)
        unpacked = sum(info.file_size for info in members)
        if packed > self.size:
            raise UnsafeFileError(f"its members take {packed} bytes of a file of {self.size} bytes")
        if unpacked > MAX_RATIO * packed + FREE:
            raise UnsafeFileError(f"it is a zip bomb: {packed} bytes unpack to {unpacked}")
        if unpacked > limit:
            raise UnsafeFileError(f"it unpacks to {unpacked} bytes, more than limit={limit}")
