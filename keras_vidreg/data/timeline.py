"""When each frame of a video is shown, counted from its packets and not believed from a header."""

import array
import dataclasses
import functools
import os
import re

import numpy as np

from keras_vidreg.data.container import MAX_PIXELS, is_picture, open_video
from keras_vidreg.data.cut_off import cut_off
from keras_vidreg.data.errors import VideoDecodeError, decode_errors

FRAME_RATE = 25.0  # of a folder of frames, and of a file that says nothing of time
_NONE = np.iinfo(np.int64).min
_FAR = 2**52  # time stamps from here on are none
_REORDER = 17  # more than any codec's distance between order of decoding and of showing
_WORK = 64  # bytes of packets for a byte of the file, at most: tables can name one byte often


@dataclasses.dataclass(frozen=True, eq=False)
class Timeline:
    """Frames of a video in the order that they are shown, and the packets that they are made of.

    Packets are numbered in the order of the file.

    Args:
        times: (N,) seconds from the first frame to each.
        duration: Seconds from the first frame to the end of the last.
        packets: (N,) the packet of each frame.
        keys: (K,) packets at which decoding can start.
        stamps: (P, 3) of each packet: position in the file, presentation and decoding time stamp.
        damaged: (D,) packets that are known to be damaged.
        ordered: Whether each packet says when its frame is shown; else frames are counted as the
            decoder gives them.
        broken: What is wrong with the whole file, or `None`.
        files: The pictures, where the video is a folder of them.
    """

    times: np.ndarray
    duration: float
    packets: np.ndarray
    keys: np.ndarray
    stamps: np.ndarray
    damaged: np.ndarray
    ordered: bool = True
    broken: str | None = None
    files: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.times)

    @property
    def rate(self) -> float:
        """Mean frames a second."""
        return (len(self) - 1) / self.times[-1] if len(self) > 1 else 1 / self.duration

    def start(self, frame: int) -> int:
        """The packet from which decoding gives a frame."""
        place = np.searchsorted(self.keys, self.packets[frame], side="right") - 1
        if place > 0 and self.ordered and self.ranks[self.keys[place]] > frame:
            place -= 1  # shown before its key frame: needs the one before too
        return int(self.keys[max(place, 0)])

    @functools.cached_property
    def ranks(self) -> np.ndarray:
        """(P,) the frame that each packet gives; -1: none that is shown."""
        ranks = np.full(len(self.stamps), -1)
        ranks[self.packets] = np.arange(len(self))
        return ranks

    def find(self, packet) -> int | None:
        """The number of a packet that was read after a jump, or None."""
        mark = [_NONE if stamp is None else stamp for stamp in (packet.pos, packet.pts, packet.dts)]
        found = np.flatnonzero((self.stamps == mark).all(axis=1))
        return int(found[0]) if len(found) == 1 else None

    def between(self, start: float | None, end: float | None, path="video") -> tuple[int, int]:
        """(first, last + 1) of the frames on screen from `start` to `end` seconds."""
        if not ((start is None or start >= 0) and (end is None or end > (start or 0))):
            raise ValueError(f"start={start}, end={end}; give seconds, 0 <= start < end, or None.")
        if start is not None and start >= self.duration:
            reason = f"asked for {start:g} s and later, lasts {self.duration:g} s"
            raise VideoDecodeError(path, reason)
        first = 0 if start is None else np.searchsorted(self.times, start + 1e-6, "right") - 1
        last = len(self) if end is None else np.searchsorted(self.times, end - 1e-6, "left")
        return int(first), int(max(last, first + 1))


def scan(
    path: str | os.PathLike,
    *,
    max_pixels: int = MAX_PIXELS,
    frame_rate: float = FRAME_RATE,
) -> Timeline:
    """Reads the packets of a file, without decoding them, or the names in a folder of frames."""
    if os.path.isdir(path):
        return _folder(path, frame_rate)
    with decode_errors(path):
        marks, unit, rate, container = _packets(path, max_pixels)
        broken = (
            "cut off: it ends before its container says so" if cut_off(path, container) else None
        )
    if not len(marks):
        raise VideoDecodeError(path, "has a video stream but no frames in it")
    positions, shown_at, decoded_at, lengths, key, shown, damaged = marks.T
    keys = np.flatnonzero(key) if key.any() else np.array([0])
    stamps = np.where(shown_at == _NONE, decoded_at, shown_at)
    shown = shown.astype(bool)
    shown[: keys[0]] = False  # what precedes the first key frame cannot be decoded
    ordered = bool((shown_at[shown] != _NONE).all())
    if unit and abs(stamps[shown]).max(initial=0) < _FAR:
        stamps, joints = _one_after_the_other(stamps, decoded_at, shown)
        for joint in joints:  # FFmpeg misses packets there that never were
            damaged[max(joint - 3, 0) : joint + 1] = 0
        if shown[keys[0]]:
            shown[_leading(stamps, shown, keys[0])] = False
    packets = np.flatnonzero(shown)
    if not len(packets):
        raise VideoDecodeError(path, "has no frame that can be shown")
    packets = packets[np.argsort(stamps[packets], kind="stable")]
    own = stamps[packets]
    stated = unit and abs(own[[0, -1]]).max() < _FAR and len(np.unique(own)) == len(own)
    if stated:
        times = _even((own - own[0]) * unit, unit)
        last = lengths[packets[-1]] * unit
    else:
        ordered, packets = False, np.sort(packets)
        times, last = np.arange(len(packets)) / (rate or FRAME_RATE), 0
    step = float(np.median(np.diff(times))) if len(times) > 1 else 1 / (rate or FRAME_RATE)
    if last <= 0 or abs(last - step) <= 1.01 * unit:
        last = step
    return Timeline(
        times,
        float(times[-1] + last),
        packets,
        keys,
        np.stack([positions, shown_at, decoded_at], axis=1),
        np.flatnonzero(damaged),
        ordered,
        broken,
    )


def _packets(path, max_pixels):
    """(P, 7) int64 of all packets, seconds in a unit of time, frames a second, container."""
    table, work = array.array("q"), 0
    with open_video(path, max_pixels=max_pixels) as (container, stream):
        most = _WORK * os.path.getsize(path)
        for packet in container.demux(stream):
            if not packet.size:
                continue
            work += packet.size
            if work > most:
                raise VideoDecodeError(path, "promises far more frames than it has bytes for")
            stamps = (packet.pos, packet.pts, packet.dts)
            table.extend(_NONE if stamp is None else stamp for stamp in stamps)
            shown = not packet.is_discard and _shown(packet)
            table.extend((packet.duration or 0, packet.is_keyframe, shown, packet.is_corrupt))
        marks = np.array(table, np.int64).reshape(-1, 7)
        rate = float(stream.average_rate or 0)
        return marks, float(stream.time_base or 0), rate, container.format.name


def _one_after_the_other(stamps, decoded_at, shown):
    """Stamps that go on where those of the file go back (videos put one behind the other), and the
    packets where that is."""
    numbers = np.flatnonzero(shown)
    steps = np.diff(decoded_at[numbers])
    firsts = np.concatenate([[0], np.flatnonzero(steps < 0) + 1])
    if (decoded_at[numbers] == _NONE).any() or len(firsts) == 1:
        return stamps, firsts[:0]
    step = int(np.median(steps[steps > 0])) if (steps > 0).any() else 1
    least = np.minimum.reduceat(stamps[numbers], firsts)
    length = np.maximum.reduceat(stamps[numbers], firsts) - least + step
    shift = np.cumsum(length) - length + least[0] - least
    part = np.searchsorted(numbers[firsts], np.arange(len(stamps)), side="right") - 1
    return stamps + shift[np.maximum(part, 0)], numbers[firsts[1:]]


def _leading(stamps, shown, key):
    """Packets right behind the first key frame that are shown before it: they need others."""
    after = key + 1 + np.flatnonzero(shown[key + 1 : key + 1 + _REORDER])
    leading = after[np.cumsum(stamps[after] >= stamps[key]) == 0]
    return leading[: 0 if len(leading) == _REORDER else None]  # all of them: a wrong stamp


def _even(times, unit):
    """Exact multiples where the rate is constant but for the rounding of stamps.

    Containers round them (Matroska to a millisecond); left in, that rounding would show one frame
    twice and miss another when a video is sampled at about its own rate.
    """
    if len(times) < 2:
        return times
    step = times[-1] / (len(times) - 1)
    even = np.arange(len(times)) * step
    rounding = max(min(1.01 * unit, 0.25 * step), 1e-6)
    return even if np.all(np.abs(times - even) <= rounding) else times


def _shown(packet):
    """False for VP8's reference frames that are decoded but never shown (bit 4 of its header)."""
    return packet.stream.codec_context.name != "vp8" or bool(bytes(packet)[0] & 0x10)


def _folder(path, frame_rate):
    """A folder of frames, in the order of the numbers in their names."""
    if not frame_rate > 0:
        raise ValueError(f"frame_rate={frame_rate}; give frames a second, above 0.")
    with decode_errors(path):
        names = [os.fsdecode(name) for name in os.listdir(path)]
    names = [name for name in names if is_picture(name) and not name.startswith(".")]
    if not names:
        raise VideoDecodeError(path, "is a folder without pictures such as frame_00001.jpg")
    names.sort(key=lambda name: [int(x) if x.isdigit() else x for x in re.split(r"(\d+)", name)])
    count = np.arange(len(names))
    return Timeline(
        times=count / frame_rate,
        duration=len(names) / frame_rate,
        packets=count,
        keys=count,
        stamps=np.zeros((len(names), 3), np.int64),
        damaged=count[:0],
        files=tuple(os.path.join(os.fsdecode(path), name) for name in names),
    )
