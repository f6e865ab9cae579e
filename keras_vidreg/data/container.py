"""Opening a video file: only that file is read, and no frame is larger than stated."""

import contextlib
import os
import stat
from collections.abc import Iterator

import av
from av.stream import Disposition

from keras_vidreg.data.errors import VideoDecodeError

MAX_PIXELS = 2**25  # of a frame as it is stored: 8K

# Containers that hold their own frames. FFmpeg knows more that name other files or addresses
# (playlists, lists of pictures, session descriptions) or draw text; those are never opened.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,live_flv,asf,ogg,gif,apng,mpegts,mpeg,mpegvideo,"
    "mjpeg,h264,hevc,m4v,obu,av1,ivf,vc1,dv,mxf,gxf,nut,rm,yuv4mpegpipe"
)
_PICTURES = {
    ".jpg": "jpeg_pipe",
    ".jpeg": "jpeg_pipe",
    ".png": "png_pipe",
    ".bmp": "bmp_pipe",
    ".webp": "webp_pipe",
    ".tif": "tiff_pipe",
    ".tiff": "tiff_pipe",
    ".ppm": "ppm_pipe",
}
_SIZED = {"gif", "apng", *_PICTURES.values()}  # these state their size where they begin
_PADDING = 2**20  # pixels that FFmpeg may add at the edges
_STILLS = ("mjpeg", "png", "bmp", "webp", "tiff")  # codecs of pictures
_COVERS = Disposition.attached_pic | Disposition.timed_thumbnails


def is_picture(path: str | os.PathLike) -> bool:
    """Whether a file's ending is that of a still picture."""
    return os.path.splitext(os.fspath(path))[1].lower() in _PICTURES


@contextlib.contextmanager
def open_video(
    path: str | os.PathLike,
    *,
    threads: int = 1,
    max_pixels: int = MAX_PIXELS,
    strict: bool = False,
) -> Iterator[tuple[av.container.InputContainer, av.VideoStream]]:
    """Context of (container, best video stream) of a file; `strict`: damage raises.

    Raises:
        VideoDecodeError: If there is no such file, or none with a video that can be read here.
    """
    name = os.path.abspath(os.fsdecode(path))
    if not os.path.exists(name):
        raise VideoDecodeError(path, "no such file")
    if not stat.S_ISREG(os.stat(name).st_mode):
        raise VideoDecodeError(path, "is not a regular file")
    # "file:" and the whole path: a name such as `12:30.mp4` is no address.
    form = _PICTURES.get(os.path.splitext(name)[1].lower())
    limits = {"max_pixels": str(max_pixels + _PADDING)}
    only = {"format_whitelist": form or _CONTAINERS, "protocol_whitelist": "file"}
    try:
        container = av.open(
            f"file:{name}", format=form, options=limits | only, metadata_errors="replace"
        )
    except av.error.ArgumentError as error:
        reason = "is in none of the formats that hold their own frames (playlists are not read)"
        raise VideoDecodeError(path, reason) from error
    with container:
        stream = _best_stream(container)
        if stream is None:
            raise VideoDecodeError(path, "has no video stream")
        context = stream.codec_context
        if context is None:
            raise VideoDecodeError(path, "its video codec is not known to FFmpeg")
        check_pixels(path, context.height, context.width, max_pixels)
        if not context.width and container.format.name in _SIZED:
            reason = f"has frames of no size, or of more than the {max_pixels} pixels allowed"
            raise VideoDecodeError(path, reason)
        context.options = limits | ({"err_detect": "explode"} if strict else {})
        context.thread_count = threads
        context.thread_type = "SLICE" if threads == 1 else "AUTO"
        yield container, stream


def check_pixels(
    path: str | os.PathLike, height: int, width: int, most: int, what="frames"
) -> None:
    """Raises `VideoDecodeError` for frames of more than `most` pixels."""
    if height * width > most:
        raise VideoDecodeError(
            path,
            f"{what} of {height} x {width} pixels are more than the {most} allowed; raise "
            "max_pixels= if the file can be trusted",
        )


def _best_stream(container):
    """The first video, but for cover pictures, marked as such or one picture beside a video."""
    streams = [s for s in container.streams.video if not s.disposition & _COVERS]
    known = [s for s in streams if s.codec_context is not None]
    moving = [s for s in known if s.frames != 1 and s.codec_context.name not in _STILLS]
    return next(iter(moving or known or streams), None)
