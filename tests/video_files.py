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
