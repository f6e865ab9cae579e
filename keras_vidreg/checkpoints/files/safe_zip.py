"""Zip files whose members are read into memory, and never more than was checked before."""

import re
import zipfile

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
        UnsafeFileError: For a zip bomb, an encrypted member, members with the same name, and names
            that lead out of a folder.
        ValueError: For a damaged file.
    """

    def __init__(self, path, limit):
        self._file = zipfile.ZipFile(path)
        try:
            self._check(path.stat().st_size, limit)
        except BaseException:
            self._file.close()
            raise
        self.names = self._file.namelist()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def read(self, name):
        """The bytes of a member."""
        if name not in self._file.NameToInfo:
            raise ValueError(f"it has no member {name!r}")
        info = self._file.getinfo(name)
        data = self._file.read(info)
        if len(data) != info.file_size:
            raise ValueError(f"its member {name!r} declares {info.file_size} bytes")
        return data

    def _check(self, size, limit):
        members = self._file.infolist()
        if len({info.filename for info in members}) < len(members):
            raise UnsafeFileError("it has two members with the same name")
        for info in members:
            name = info.orig_filename
            if re.search(LEADS_OUT, name):
                raise UnsafeFileError(f"its member {name!r} leads out of the folder")
            if info.flag_bits & 1:
                raise UnsafeFileError(f"its member {name!r} is encrypted")
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"its member {name!r} is compressed in an unusual way")
            if not 0 <= info.header_offset < size:
                raise ValueError(f"its member {name!r} lies outside of the file")
        packed = sum(info.compress_size for info in members)
        unpacked = sum(info.file_size for info in members)
        if packed > size:
            raise UnsafeFileError(f"its members take {packed} bytes of a file of {size} bytes")
        if unpacked > MAX_RATIO * packed + FREE:
            raise UnsafeFileError(f"it is a zip bomb: {packed} bytes unpack to {unpacked}")
        if unpacked > limit:
            raise UnsafeFileError(f"it unpacks to {unpacked} bytes, more than limit={limit}")
