"""The one exception that a broken video gives."""

import contextlib
import os
from collections.abc import Iterator

import av


class VideoDecodeError(ValueError):
    """A video file cannot give the frames that were asked for.

    Attributes:
        path: String, the file.
        reason: String, what is wrong with it, in one line.

    Example:

    >>> str(kv.data.VideoDecodeError("clip.mp4", "no video stream"))
    'clip.mp4: no video stream'
    """

    def __init__(self, path: str | os.PathLike, reason: str):
        super().__init__(os.fspath(path), reason)

    @property
    def path(self) -> str:
        return self.args[0]

    @property
    def reason(self) -> str:
        return self.args[1]

    def __str__(self):
        return f"{self.path}: {self.reason}"


@contextlib.contextmanager
def decode_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turns whatever FFmpeg and the file system raise about `path` into `VideoDecodeError`."""
    try:
        yield
    except VideoDecodeError:
        raise
    except (av.error.FFmpegError, OSError, EOFError, ValueError, MemoryError) as error:
        raise VideoDecodeError(path, describe(error)) from error


def describe(error: BaseException) -> str:
    """One line on what went wrong, without the path (the caller names it)."""
    text = getattr(error, "strerror", None) or str(error) or "no more said"
    return f"{type(error).__name__}: {' '.join(text.split())}"
