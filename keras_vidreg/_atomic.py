"""Files and folders that appear whole or not at all, whenever the process ends."""

import contextlib
import ctypes
import json
import os
import shutil
import sys
import uuid
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def whole_file(path: str | os.PathLike) -> Iterator[Path]:
    """A new path to write to; if nothing goes wrong, that file takes the place of `path`.

    It lies in the same folder, ends as `path` does and is nobody else's.
    """
    path = Path(path)
    part = _part(path)
    try:
        yield part
        _to_disk(part)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    _to_disk(path.parent)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write a text file in UTF-8."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike, values: Any) -> None:
    """Write a JSON file; numbers that are not finite, which JSON has not, become null."""
    values = json.loads(json.dumps(values), parse_constant=lambda _: None)
    write_text(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def whole_folder(out: str | os.PathLike, content: Container[str]) -> Iterator[Path]:
    """A new folder to write into; if nothing goes wrong, it takes the place of `out`.

    Args:
        out: Path of the folder. One that is there is replaced, if it holds nothing but `content`.
        content: Names of the files that may be lost.

    Raises:
        ValueError: If `out` is a file, or holds other files.
    """
    out = Path(os.path.realpath(out))
    restore(out)
    _check(out, content)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = _part(out)
    part.mkdir()
    try:
        yield part
        for path in (*part.rglob("*"), part):
            _to_disk(path)
        _check(out, content)
        _put(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    _to_disk(out.parent)


def restore(out: str | os.PathLike) -> None:
    """Bring a folder back that was moved away to be replaced, by a process that then ended."""
    if not os.path.lexists(out):
        with contextlib.suppress(OSError):
            _moved(Path(out)).rename(out)


def _part(path):
    return path.with_name(f".part-{os.getpid()}-{uuid.uuid4().hex[:8]}-{path.name}")


def _moved(out):
    return out.with_name(f".old-{out.name}")


def _put(part, out):
    """Let `part` be `out`; what was there is removed."""
    if not out.is_dir():
        os.replace(part, out)
    elif _exchange(part, out):
        shutil.rmtree(part)
    else:  # for a moment there is no `out`, and `restore` brings it back
        moved = _moved(out)
        shutil.rmtree(moved, ignore_errors=True)
        os.replace(out, moved)
        try:
            os.replace(part, out)
        finally:
            restore(out)
        shutil.rmtree(moved, ignore_errors=True)


def _exchange(a, b):
    """Let two paths change places in one step; whether system and file system can do that."""
    linux, mac = "renameat2", "renamex_np"
    name = {"linux": linux, "darwin": mac}.get(sys.platform)
    with contextlib.suppress(OSError, AttributeError, TypeError):
        function = getattr(ctypes.CDLL(None), name)
        a, b, here, swap = os.fsencode(a), os.fsencode(b), -100, ctypes.c_uint(2)
        return function(*((here, a, here, b) if name == linux else (a, b)), swap) == 0
    return False


def _check(out, content):
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; give the path of a folder.")
    there = sorted(path.name for path in out.iterdir()) if out.is_dir() else ()
    others = [name for name in there if name not in content]
    if others:
        raise ValueError(
            f"The folder {out} holds other files ({', '.join(others[:3])}), which would be lost. "
            "Give the path of a new folder."
        )


def _to_disk(path):
    """Bring a file to the disk, or the names in a folder where the system can do that."""
    with contextlib.suppress(OSError) if path.is_dir() else contextlib.nullcontext():
        handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
