"""Small videos that tell which frame is which: frame i is grey all over."""

import fractions

import av
import numpy as np

STEP = 7


def grey(video):
    """(T,) frame numbers that `write_video` put into (T, H, W, 3) bytes."""
    return np.rint(np.asarray(video, float).mean(axis=(1, 2, 3)) / STEP).astype(int)


def write_video(path, count=20, rate=25, seconds=None, picture=None, rotation=0, codec="ffv1"):
    """Writes `count` frames of 32 x 48, at a constant rate or at the given `seconds`."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        if rotation:
            stream.set_display_rotation(rotation)
        if codec == "libx264":
            stream.options = {"crf": "5", "g": "6", "bf": "2"}
        if seconds is not None:
            stream.codec_context.time_base = fractions.Fraction(1, 1000)
        for i in range(count):
            image = np.full((32, 48, 3), i * STEP, np.uint8) if picture is None else picture
            frame = av.VideoFrame.from_ndarray(image)
            if seconds is not None:
                frame.time_base = fractions.Fraction(1, 1000)
                frame.pts = round(1000 * seconds[i])
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return str(path)


def write_numbered(path, count=60, rate=25, gop=20, size=(32, 48), codec="libx264", first=0):
    """Writes frames that `number` can tell from each other."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        if codec == "libx264":
            stream.options = {
                "qp": "0",
                "bf": "2",
                "g": str(gop),
                "keyint_min": str(gop),
                "sc_threshold": "0",
            }
        for i in range(first, first + count):
            container.mux(stream.encode(numbered(i, size)))
        container.mux(stream.encode())
    return str(path)


def numbered(i, size=(32, 48)):
    """The frame that `number` finds `i` in."""
    luma = np.full(size, 20 + 2 * i, np.uint8)
    chroma = np.full((size[0] // 2, size[1]), 128, np.uint8)
    return av.VideoFrame.from_ndarray(np.concatenate([luma, chroma]), format="yuv420p")


def number(video):
    """(T,) numbers that `write_numbered` put into (T, H, W, 3) bytes."""
    return (
        np.rint(np.asarray(video, float).mean(axis=(1, 2, 3)) * 219 / 255 / 2 - 2)
        .astype(int)
        .tolist()
    )


def cut(source, target, seconds):
    """What `ffmpeg -ss seconds -c copy` does: packets from the key frame before, as they are."""
    with av.open(source) as container, av.open(str(target), "w") as copy:
        stream = container.streams.video[0]
        out = copy.add_stream_from_template(stream)
        start = round(seconds / stream.time_base)
        container.seek(start, stream=stream)
        for packet in container.demux(stream):
            if packet.dts is not None:
                packet.pts, packet.dts, packet.stream = packet.pts - start, packet.dts - start, out
                copy.mux(packet)
    return str(target)


def write_gif(path, count=3, size=(8, 8), seconds=None):
    """An animated GIF; `seconds` is how long each frame is shown."""
    delays = [round(100 * s) for s in seconds or [0.1] * count]
    with av.open(str(path), "w", options={"final_delay": str(delays[-1])}) as container:
        stream = container.add_stream("gif", rate=100)
        stream.height, stream.width = size
        stream.pix_fmt = "rgb8"
        stream.codec_context.time_base = fractions.Fraction(1, 100)
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 80 * i % 256, np.uint8))
            frame.pts, frame.time_base = sum(delays[:i]), fractions.Fraction(1, 100)
            container.mux(stream.encode(frame.reformat(format="rgb8")))
        container.mux(stream.encode())
    return str(path)
