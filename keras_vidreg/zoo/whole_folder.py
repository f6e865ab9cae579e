"""Folders that appear whole or not at all."""

import contextlib
import os
import shutil
from pathlib import Path

CONTENT = ("preset.json", "model.weights.h5", "card.md", "manifest.json")


@contextlib.contextmanager
def whole_folder(out):
    """A temporary folder to write into, which takes the place of `out` if nothing goes wrong.

    Args:
        out: Path of the folder. One that is there is replaced, if it holds nothing but the files
            of a zoo entry.

    Raises:
        ValueError: When `out` is a file, or holds other files.
    """
    out = Path(out).absolute()
    _check(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    part, old = (out.with_name(f".{out.name}.{role}-{os.getpid()}") for role in ("part", "old"))
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    part.mkdir()
    try:
        yield part
        _check(out)
        if out.is_dir():
            out.replace(old)
        try:
            part.replace(out)
        except OSError:
            if old.is_dir():
                old.replace(out)
            raise
    finally:
        for folder in (part, old):
            shutil.rmtree(folder, ignore_errors=True)


def _check(out):
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; give the path of a folder.")
    others = sorted({path.name for path in out.glob("*")} - set(CONTENT)) if out.is_dir() else []
    if others:
        raise ValueError(
            f"The folder {out} holds other files ({', '.join(others[:3])}), which would be lost. "
            "Give the path of a new folder."
        )
