"""Files to frames: PyAV decodes, swscale resizes, and only wanted frames are converted to RGB."""

import dataclasses
import fractions
import functools
import os

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

from keras_vidreg.data.errors import VideoDecodeError, decode_errors, describe

# The same bytes on every machine, and chroma at full resolution. Bilinear widens its filter when
# it shrinks a frame, so that there is no aliasing.
_SCALING = (
    Interpolation.BILINEAR
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)


@dataclasses.dataclass(frozen=True, eq=False)
class Timeline:
    """When each frame of a file is shown, counted from its packets and not believed from a header.

    Args:
        stamps: (N,) int64, presentation time stamps in order, in units of `time_base`; the
            number of the frame where the file has no usable stamps (`stamped` is False).
        time_base: seconds in one unit.
        keys: (K,) int64, the stamps at which decoding can start.
        stamped: whether frames carry the stamps that the packets had.
        broken: what is wrong with the whole file, or None.
    """

    stamps: np.ndarray
    time_base: fractions.Fraction
    keys: np.ndarray
    stamped: bool = True
    broken: str | None = None

    def __len__(self):
        return len(self.stamps)

    @property
    def rate(self):
        """Mean frames a second."""
        if len(self) < 2:
            return 1.0 / float(self.time_base) if not self.stamped else 25.0
        return (len(self) - 1) / (float(self.stamps[-1] - self.stamps[0]) * float(self.time_base))

    @functools.cached_property
    def times(self):
        """(N,) seconds from the first frame; exact multiples where the rate is constant."""
        unit = float(self.time_base)
        times = (self.stamps - self.stamps[0]) * unit
        even = np.arange(len(self)) / self.rate
        # Containers round stamps (Matroska to a millisecond); left in, that rounding would show
        # one frame twice and miss another when a video is sampled at about its own rate.
        rounding = min(1.01 * unit, 0.25 / self.rate)
        return even if np.all(np.abs(times - even) <= max(rounding, 1e-6)) else times

    @property
    def duration(self):
        """Seconds from the first frame to the end of the last."""
        return float(self.times[-1]) + 1.0 / self.rate


def scan(path):
    """Reads a file's packets, without decoding them, and returns its `Timeline`."""
    with decode_errors(path), _open(path) as (container, stream):
        packets = []
        for packet in container.demux(stream):
            if packet.size and not packet.is_discard and _shown(packet):
                stamp = packet.dts if packet.pts is None else packet.pts
                packets.append((stamp, packet.is_keyframe, packet.is_corrupt, packet.pts is None))
        rate, promised = stream.average_rate, stream.frames
        time_base = stream.time_base
    broken = None
    if packets and packets[-1][2]:
        packets.pop()
        if promised > len(packets):
            broken = f"cut off: {promised} frames promised, {len(packets)} whole ones present"
    if not packets:
        raise VideoDecodeError(path, "has a video stream but no frames in it")
    stamps = [packet[0] for packet in packets]
    if any(p[3] for p in packets) or len(set(stamps)) < len(stamps) or not time_base:
        count = np.arange(len(packets))
        return Timeline(count, 1 / (rate or fractions.Fraction(25)), count[:1], False, broken)
    keys = np.array(sorted(p[0] for p in packets if p[1]) or [min(stamps)], np.int64)
    stamps = np.array(sorted(stamps), np.int64)
    # What precedes the first key frame cannot be decoded.
    return Timeline(stamps[stamps >= keys[0]], time_base, keys, True, broken)


def read_frames(path, timeline, indices, frame_size=None, *, errors="raise", threads=1):
    """Frames `indices` of a file as (len(indices), H, W, 3) uint8; see `decode`."""
    if timeline.broken and errors == "raise":
        raise VideoDecodeError(path, timeline.broken)
    wanted, inverse = np.unique(np.asarray(indices, np.int64), return_inverse=True)
    stamps = timeline.stamps[wanted]
    with decode_errors(path):
        start = timeline.keys[np.searchsorted(timeline.keys, stamps[0], side="right") - 1]
        seek = timeline.stamped and start > timeline.stamps[0]
        frames, seen, problem = _collect(path, timeline, stamps, frame_size, threads, seek, start)
        if seek and (frames is None or problem):
            frames, seen, problem = _collect(path, timeline, stamps, frame_size, threads)
    if problem and (errors == "raise" or not frames):
        raise VideoDecodeError(path, f"{problem} after {seen} of {len(timeline)} frames")
    frames = np.stack(frames)  # (unique frames, H, W, 3)
    return frames if problem else frames[inverse]


def decode(path, timestamps=None, *, size=None, errors="raise", threads=0):
    """Decodes a video, or the frames shown at given times.

    The frame at time `t` is the last one whose presentation time is not after `t`; time 0 is the
    first frame. So variable frame rates come out right, and a frame is in the result twice only
    if two of the asked times fall within the time that it is on screen. Rotation metadata is
    obeyed; pixels are taken as square; unmarked colours as BT.601, as FFmpeg does.

    Args:
        path: the file.
        timestamps: (N,) seconds from the first frame, in any order; None: every frame.
        size: (height, width) of the result in pixels, or a function from the upright frame's
            height and width to that; None: the size of the first frame.
        errors: "raise": a file that cannot give all the frames is an error; "partial": the frames
            before the damage are returned, and only a file with none of them is an error.
        threads: decoding threads; 0: as many as the machine has cores.

    Returns:
        (N, H, W, 3) uint8, RGB.

    Raises:
        VideoDecodeError: the file cannot be opened, has no video, is damaged, or ends before one
            of the times; it names the file and the reason, and is the only exception that a bad
            file raises.
        ValueError: a time is negative, or `errors` is none of the two.

    Example:

    >>> decode("clip.mp4", [0.0, 0.5, 1.0], size=(112, 112)).shape
    (3, 112, 112, 3)
    """
    if errors not in ("raise", "partial"):
        raise ValueError(f"decode: errors={errors!r}; give 'raise' or 'partial'.")
    timeline = scan(path)
    indices = np.arange(len(timeline))
    if timestamps is not None:
        seconds = np.atleast_1d(np.asarray(timestamps, float))
        if seconds.size == 0 or not np.all(seconds >= 0):
            raise ValueError(f"decode: timestamps={timestamps!r}; give seconds from 0 up.")
        if seconds.max() >= timeline.duration:
            reason = f"asked for {seconds.max():g} s, lasts {timeline.duration:g} s"
            raise VideoDecodeError(path, reason)
        indices = np.searchsorted(timeline.times, seconds + 1e-6, side="right") - 1
    frame_size = size if size is None or callable(size) else lambda height, width: size
    return read_frames(path, timeline, indices, frame_size, errors=errors, threads=threads)


def _collect(path, timeline, stamps, frame_size, threads, seek=False, start=0):
    """(RGB frames on screen at `stamps`, frames decoded, what went wrong or None).

    The frames are None where a seek landed after the first wanted one.
    """
    found, seen, problem, before = [], 0, None, None
    with _open(path, threads) as (container, stream):
        if seek:
            container.seek(int(start), stream=stream)
        convert = FrameConverter(frame_size)
        try:
            for frame in container.decode(stream):
                now = frame.pts if timeline.stamped else seen
                if now is None:
                    continue
                if seek and not seen and now > stamps[0]:
                    return None, seen, None
                seen += 1
                while len(found) < len(stamps) and now > stamps[len(found)]:
                    found.append(convert(before or frame))
                if len(found) < len(stamps) and now == stamps[len(found)]:
                    found.append(convert(frame))
                if len(found) == len(stamps):
                    break
                before = frame
            else:
                problem = "the video ends"
        except (av.error.FFmpegError, EOFError) as error:
            problem = describe(error)
    return found, seen, problem


class FrameConverter:
    """Decoded frame -> upright RGB array (H, W, 3), every frame at the first one's size."""

    def __init__(self, frame_size):
        self.frame_size = frame_size
        self.size = None
        self.scaler = VideoReformatter()

    def __call__(self, frame):
        quarters = round(frame.rotation / 90) % 4  # counter-clockwise, as np.rot90
        if self.size is None:
            size = (frame.height, frame.width)
            upright = size[::-1] if quarters % 2 else size
            self.size = tuple(self.frame_size(*upright)) if self.frame_size else upright
        height, width = self.size[::-1] if quarters % 2 else self.size
        picture = self.scaler.reformat(
            frame, width, height, "rgb24", interpolation=_SCALING, threads=1
        )
        return np.rot90(picture.to_ndarray(), quarters)


class _open:
    """Context of (container, first video stream) of a file."""

    def __init__(self, path, threads=1):
        self.path, self.threads = path, threads

    def __enter__(self):
        if not os.path.isfile(self.path):
            raise VideoDecodeError(self.path, "no such file")
        self.container = av.open(os.fspath(self.path), metadata_errors="replace")
        # FFmpeg would draw a text file's characters as a picture.
        if not self.container.streams.video or self.container.format.name == "tty":
            self.container.close()
            raise VideoDecodeError(self.path, "has no video stream")
        stream = self.container.streams.video[0]
        if stream.codec_context is None:
            self.container.close()
            raise VideoDecodeError(self.path, "its video codec is not known to FFmpeg")
        stream.codec_context.thread_count = self.threads
        stream.codec_context.thread_type = "SLICE" if self.threads == 1 else "AUTO"
        return self.container, stream

    def __exit__(self, *exception):
        self.container.close()


def _shown(packet):
    """False for VP8's reference frames that are decoded but never shown (bit 4 of its header)."""
    return packet.stream.codec_context.name != "vp8" or bool(bytes(packet)[0] & 0x10)
