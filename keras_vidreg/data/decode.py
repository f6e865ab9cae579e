"""Files to frames: PyAV decodes, swscale resizes, and only wanted frames are converted to RGB."""

import itertools
import os
import warnings
from collections.abc import Callable, Sequence
from typing import Literal

import av
import numpy as np

from keras_vidreg.data.container import MAX_PIXELS, check_pixels, open_video
from keras_vidreg.data.convert import FrameConverter
from keras_vidreg.data.errors import VideoDecodeError, decode_errors, describe
from keras_vidreg.data.timeline import FRAME_RATE, Timeline, scan

_ENLARGED, _TOGETHER = 1 / 4, 32  # of max_pixels: one enlarged frame, all frames of a result
Size = tuple[int, int] | Callable[[int, int], tuple[int, int]] | None


def decode(
    path: str | os.PathLike,
    timestamps: Sequence[float] | None = None,
    *,
    size: Size = None,
    start: float | None = None,
    end: float | None = None,
    errors: Literal["raise", "partial"] = "raise",
    max_pixels: int = MAX_PIXELS,
    frame_rate: float = FRAME_RATE,
    threads: int = 0,
) -> np.ndarray:
    """Decodes a video, or the frames shown at given times.

    The frame at time `t` is the last one whose presentation time is not after `t`; time 0 is the
    first frame that a player shows. So variable frame rates come out right, and a frame is in the
    result twice only if two of the asked times fall within the time that it is on screen. Display
    matrices (turned and mirrored cameras) are obeyed; pixels are taken as square; unmarked colors
    as BT.601, as FFmpeg does. Where frames change their size, later ones keep their shape inside
    black bars. Only the file itself is read: playlists and other lists of files are refused.

    Args:
        path: The file, or a folder of pictures such as `frame_00001.jpg`, shown in the order of
            their numbers.
        timestamps: (N,) seconds from the first frame, or from `start`, in any order. `None`, the
            default: every frame.
        size: `(height, width)` of the result in pixels, or a function from the upright frame's
            height and width to that. `None`, the default: the size of the first frame.
        start: Seconds at which the part to decode begins. Defaults to `None`, the beginning.
        end: Seconds at which it ends. Defaults to `None`, the end.
        errors: `"raise"`, the default: a file that cannot give all the frames whole is an error.
            `"partial"`: the frames before the place where decoding fails are returned, with a
            warning, also those that FFmpeg calls damaged, and only a file with none is an error.
        max_pixels: Most pixels of a frame as it is stored. An enlarged one may have a quarter of
            that, all frames of the result together 32 times that. Defaults to 2^25.
        frame_rate: Frames a second of a folder of pictures. Defaults to 25.
        threads: Decoding threads. Defaults to 0, as many as the machine has cores.

    Returns:
        (N, H, W, 3) uint8, RGB.

    Raises:
        VideoDecodeError: If the file cannot be opened, has no video, is damaged, is larger than
            allowed, or ends before one of the times; it names the file and the reason, and is the
            only exception that a bad file raises.
        ValueError: If a time is negative, or `errors` is none of the two.

    Example:

    >>> kv.data.decode("clip.mp4", [0.0, 0.25, 0.5], size=(112, 112)).shape
    (3, 112, 112, 3)
    """
    if errors not in ("raise", "partial"):
        raise ValueError(f"decode: errors={errors!r}; give 'raise' or 'partial'.")
    timeline = scan(path, max_pixels=max_pixels, frame_rate=frame_rate)
    first, last = timeline.between(start, end, path)
    indices = np.arange(first, last)
    if timestamps is not None:
        seconds = np.atleast_1d(np.asarray(timestamps, float))
        if seconds.size == 0 or not np.all(seconds >= 0):
            raise ValueError(f"decode: timestamps={timestamps!r}; give seconds from 0 up.")
        seconds = seconds + (start or 0.0)
        until = timeline.duration if end is None else min(end, timeline.duration)
        if seconds.max() >= until:
            reason = f"asked for {seconds.max():g} s, lasts {until:g} s"
            raise VideoDecodeError(path, reason)
        indices = np.searchsorted(timeline.times, seconds + 1e-6, side="right") - 1
    frame_size = size if size is None or callable(size) else lambda height, width: size
    return read_frames(
        path, timeline, indices, frame_size, errors=errors, threads=threads, max_pixels=max_pixels
    )


def read_frames(
    path: str | os.PathLike,
    timeline: Timeline,
    indices: Sequence[int] | np.ndarray,
    frame_size: Callable[[int, int], tuple[int, int]] | None = None,
    *,
    errors: Literal["raise", "partial"] = "raise",
    threads: int = 1,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Frames `indices` of a file as (len(indices), H, W, 3) uint8; see `decode`."""
    strict = errors == "raise"
    if timeline.broken and strict:
        raise VideoDecodeError(path, timeline.broken)
    wanted, inverse = np.unique(np.asarray(indices, np.int64), return_inverse=True)
    with decode_errors(path):
        frames = _Frames(path, len(wanted), frame_size, max_pixels)
        if timeline.files:
            problem = _pictures(timeline, wanted, frames, strict, max_pixels)
        else:
            job = _Decoding(path, timeline, wanted, strict, max_pixels)
            problem = job.run(frames, threads)
            if problem and strict and threads != 1:  # now exactly where the damage is
                frames = _Frames(path, len(wanted), frame_size, max_pixels)
                problem = job.run(frames, 1)
    if problem and (strict or not frames.count):
        raise VideoDecodeError(path, f"{problem}; {frames.count} of {len(wanted)} frames are whole")
    if problem or not strict:
        _warn(path, timeline, problem, frames, len(wanted))
    if frames.count < len(wanted):
        return frames.array[: frames.count]
    return frames.array if len(inverse) == len(wanted) == inverse[-1] + 1 else frames.array[inverse]


def _warn(path, timeline, problem, frames, count):
    notes = [timeline.broken, problem, frames.damaged and f"{frames.damaged} frames are damaged"]
    if any(notes):
        text = "; ".join(note for note in notes if note)
        warnings.warn(f"{path}: {text}; {frames.count} of {count} frames given", stacklevel=3)


class _Frames:
    """The frames of a result, of which as many as have been added are filled."""

    def __init__(self, path, total, frame_size, max_pixels):
        self.path, self.total, self.most = path, total, max_pixels
        self.convert = FrameConverter(frame_size, self._check)
        self.array, self.count, self.damaged = None, 0, 0

    def add(self, frame, damaged=False):
        picture = self.convert(frame)
        if self.array is None:
            self.array = np.empty((self.total, *picture.shape), np.uint8)
        self.array[self.count] = picture
        self.count += 1
        self.damaged += damaged

    def _check(self, height, width, new_height, new_width):
        check_pixels(self.path, height, width, self.most)
        if new_height * new_width > height * width:
            most = int(self.most * _ENLARGED)
            check_pixels(self.path, new_height, new_width, most, "resized frames")
        rows = self.total * new_height
        check_pixels(
            self.path, rows, new_width, self.most * _TOGETHER, f"{self.total} frames, together"
        )


def _pictures(timeline, wanted, frames, strict, max_pixels):
    """Adds the pictures of a folder; what went wrong, or None."""
    for number in wanted:
        file = timeline.files[number]
        try:
            with (
                decode_errors(file),
                open_video(file, max_pixels=max_pixels, strict=strict) as opened,
            ):
                frame = next(opened[0].decode(opened[1]), None)
            if frame is None:
                raise VideoDecodeError(file, "has no picture")
        except VideoDecodeError as error:
            return f"{os.path.basename(file)}: {error.reason}"
        frames.add(frame, frame.is_corrupt)
    return None


class _Decoding:
    """Decodes the wanted frames of a file, jumping over what is not needed."""

    def __init__(self, path, timeline, wanted, strict, max_pixels):
        self.path, self.timeline, self.wanted = path, timeline, wanted
        self.strict, self.max_pixels = strict, max_pixels
        self.jumps = timeline.ordered and len(timeline.keys) > 1

    def run(self, frames, threads):
        """Adds the wanted frames; what went wrong, or None."""
        try:
            return self._run(frames, threads)
        except _LostError:
            self.jumps, frames.count, frames.damaged = False, 0, 0
            return self._run(frames, threads)

    def _run(self, frames, threads):
        with open_video(
            self.path, threads=threads, max_pixels=self.max_pixels, strict=self.strict
        ) as (container, stream):
            self.container, self.stream, self.threads = container, stream, threads
            self.packets, self.number, self.seen = container.demux(stream), 0, 0
            self.before, self.failed, self.ranks = None, False, self.timeline.ranks
            while frames.count < len(self.wanted):
                count = frames.count
                if self.strict and self._damaged(self.wanted[count]):
                    return "packets are damaged"
                self._jump(self.timeline.start(self.wanted[count]))
                while frames.count == count:
                    if problem := self._step(frames):
                        return problem
        return None

    def _step(self, frames):
        """Decodes one packet, adds what is wanted of its frames; what went wrong, or None."""
        try:
            decoded = self._decode()
        except av.error.FFmpegError as error:
            bad, wanted = self.number - 1, self.wanted[frames.count :]
            keys = self.timeline.keys[self.timeline.keys > bad]
            until = keys[0] if len(keys) else len(self.ranks)
            hit = (self.timeline.packets[wanted] >= bad) & (self.timeline.packets[wanted] < until)
            if self.strict and self.threads == 1 and not hit.any():
                self.failed = True
                return None  # damage in what is not wanted
            return describe(error)
        if decoded is None:
            return "the video ends"
        for frame in decoded:
            now = frame.pts if self.timeline.ordered else self.seen
            self.seen += 1
            if now is None or now < 0:
                continue
            while frames.count < len(self.wanted) and now >= self.wanted[frames.count]:
                # A packet that gave no frame leaves the one before on screen.
                exact = now == self.wanted[frames.count]
                shown = frame if exact else self.before or frame
                damaged = shown.is_corrupt or self._damaged(self.wanted[frames.count])
                if self.strict and (damaged or self.failed and not exact):
                    return "frames are damaged"
                frames.add(shown, damaged)
            self.before = frame
        return None

    def _decode(self):
        """Frames that the next packet gives; None at the end. Their stamps are their numbers."""
        packet = next(self.packets, None)
        if packet is None:
            return None
        if not packet.size:
            return self.stream.codec_context.decode(None) if packet.dts is None else []
        if self.number >= len(self.ranks):
            return []
        packet.pts, packet.dts = int(self.ranks[self.number]), self.number
        self.number += 1
        return self.stream.codec_context.decode(packet)

    def _damaged(self, frame):
        """Whether one of the packets that a frame needs is known to be damaged."""
        start, packet = self.timeline.start(frame), self.timeline.packets[frame]
        first, last = np.searchsorted(self.timeline.damaged, (start, packet + 1))
        return bool(last > first)

    def _jump(self, key):
        """Goes to a key frame ahead, if there is one between here and there."""
        if not self.jumps or key <= self.number:
            return
        stamps = self.timeline.stamps[key, 1:]
        for stamp in dict.fromkeys(int(s) for s in stamps if s > np.iinfo(np.int64).min):
            self.container.seek(stamp, stream=self.stream)
            packets = self.container.demux(self.stream)
            packet = next((p for p in packets if p.size), None)
            number = None if packet is None else self.timeline.find(packet)
            if number is not None and self.number <= number <= key:
                self.packets, self.number = itertools.chain([packet], packets), number
                self.before, self.failed = None, False
                return
        raise _LostError  # it cannot be told where this container jumps to


class _LostError(Exception):
    """After a jump, the place in the file is not known."""
