"""Whether a file ends before its container says that it does."""

import os
from collections.abc import Callable
from typing import BinaryIO

_TAIL = 2**17


def cut_off(path: str | os.PathLike, container: str) -> bool:
    """Whether a file's own structure promises more bytes than there are.

    Containers that do not say where they end (a recording that was streamed) are taken as whole.

    Args:
        path: The file.
        container: FFmpeg's name of its format.
    """
    check = _CHECKS.get(container)
    if check is None:
        return False
    with open(path, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return check(file, size)


def _boxes(file, size):
    """ISO media: boxes of (size, type)."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(16)
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:  # 0: to the end of the file
            return False
        place += length
    return place > size


def _ebml(file, size):
    """Matroska: the header, then one segment; all bits of its size are 1 where it is not known."""
    head, place = file.read(4096), 0
    for name in (b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"):
        if head[place : place + 4] != name or len(head) < place + 12:
            return False
        place += 4
        digits = 9 - head[place].bit_length()  # of the size: as many bytes as leading zeros, and 1
        length = int.from_bytes(head[place : place + digits], "big") & (2 ** (7 * digits) - 1)
        if digits > 8 or length == 2 ** (7 * digits) - 1:
            return False
        place += digits + length
    return place > size


def _riff(file, size):
    """AVI: one or more RIFF chunks."""
    place = 0
    while place + 8 <= size:
        file.seek(place)
        head = file.read(8)
        length = int.from_bytes(head[4:], "little")
        if head[:4] != b"RIFF" or length in (0, 2**32 - 1):
            return False
        place += 8 + length + length % 2
    return place > size + 1


def _transport(file, size):
    """MPEG-TS: packets of one length, each with its sync byte."""
    head = file.read(1024)
    for start, length in ((0, 188), (4, 192), (0, 204)):
        if len(head) > start + 2 * length and {head[start + i * length] for i in range(3)} == {
            0x47
        }:
            return bool(size % length)
    return False


def _gif(file, size):
    file.seek(max(0, size - 64))
    return b"\0;" not in file.read()


def _flash(file, size):
    """FLV: behind each tag stands its length."""
    file.seek(max(0, size - 4))
    length = int.from_bytes(file.read(4), "big")
    if not 11 <= length <= size - 4:
        return True
    file.seek(size - 4 - length)
    head = file.read(4)
    return head[0] & 0x1F not in (8, 9, 18) or int.from_bytes(head[1:], "big") + 11 != length


def _asf(file, size):
    """The file's properties tell its size, unless it was broadcast."""
    head = file.read(_TAIL)
    place = head.find(bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"))
    stated = int.from_bytes(head[place + 40 : place + 48], "little")
    return place >= 0 and not head[place + 88] & 1 and stated > size


def _ogg(file, size):
    """The last page has as many bytes as its table says."""
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if page[:4] != b"OggS" or len(page) < 27:
        return True
    table = page[27 : 27 + page[26]]
    return len(table) < page[26] or 27 + len(table) + sum(table) > len(page)


def _program(file, size):
    """MPEG-PS: the last packet has as many bytes as it says."""
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    place = max(tail.rfind(b"\0\0\1" + bytes([kind])) for kind in (0xBD, 0xBE, 0xC0, 0xE0))
    packet = tail[place:] if place >= 0 else b""
    return len(packet) >= 6 and 6 + int.from_bytes(packet[4:6], "big") > len(packet)


_CHECKS: dict[str, Callable[[BinaryIO, int], bool]] = {
    "mov,mp4,m4a,3gp,3g2,mj2": _boxes,
    "matroska,webm": _ebml,
    "avi": _riff,
    "mpegts": _transport,
    "gif": _gif,
    "flv": _flash,
    "asf": _asf,
    "ogg": _ogg,
    "mpeg": _program,
}
