"""Decodes mutated videos within 2 GB more than Python already has; run by test_data_fuzz.py."""

import pathlib
import random
import resource
import sys
import time
import warnings

from video_files import write_gif, write_numbered

from keras_vidreg.data import Clip, VideoDecodeError, decode, read_clip

MEMORY = 2 * 2**30
CODECS = {"mp4": "libx264", "mkv": "libx264", "ts": "libx264", "avi": "mpeg4", "webm": "libvpx"}


def mutate(content, rng):
    """Bits flipped, bytes set to extremes, parts cut out, doubled or moved."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 3, 10, 40])):
        place, length = rng.randrange(len(content)), rng.choice([1, 4, 8, 200])
        head = rng.random() < 0.5 and min(len(content), 600)  # where sizes stand
        place = rng.randrange(head) if head else place
        kind = rng.choice(["flip", "high", "zero", "cut", "double"])
        if kind == "flip":
            content[place] ^= 1 << rng.randrange(8)
        elif kind == "cut":
            del content[place : place + length]
        elif kind == "double":
            content[place:place] = content[place : place + length]
        else:
            content[place : place + length] = bytes([255 if kind == "high" else 0]) * length
        if not content:
            return b"\0"
    return bytes(content)


def main(folder, seconds):
    folder = pathlib.Path(folder)
    files = [write_numbered(folder / f"a.{end}", 30, codec=c) for end, c in CODECS.items()]
    files.append(write_gif(folder / "a.gif", 10, (40, 60)))
    contents = {pathlib.Path(file).suffix: pathlib.Path(file).read_bytes() for file in files}
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    warnings.simplefilter("ignore")
    counts, began = {"frames": 0, "error": 0}, time.monotonic()
    rng = random.Random(12)
    for trial in range(600):
        if time.monotonic() - began > seconds:
            break
        suffix = list(contents)[trial % len(contents)]
        path = folder / f"mutated{suffix}"
        path.write_bytes(mutate(contents[suffix], rng))
        for read in (
            lambda path: decode(path, threads=1),
            lambda path: decode(path, errors="partial", size=(16, 16), threads=1),
            lambda path: read_clip(path, Clip(4, 5, 32, 36)),
        ):
            try:
                read(path)
                counts["frames"] += 1
            except VideoDecodeError as error:
                assert len(error.reason) < 300
                counts["error"] += 1
    print(counts)


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
