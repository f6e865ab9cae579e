"""Make the example clips: the first four of each class of the airplanes test split, as H.264."""

import pathlib

import av
import numpy as np

from keras_vidreg.data._airplane_clips import FPS, LABELS, render_clip

PER_CLASS = 4


def write(path, frames):
    """Write grey frames (T, H, W) uint8 as an MP4 that any player shows."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as container:
        options = {"crf": "12", "flags": "+bitexact"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuv420p"
        stream.thread_count = 1
        for image in frames:
            rgb = np.repeat(image[..., None], 3, axis=-1)  # (H, W, 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    folder = pathlib.Path(__file__).parent
    for index in range(PER_CLASS * len(LABELS)):
        name = f"{LABELS[index % len(LABELS)]}_{index // len(LABELS)}.mp4"
        write(folder / name, render_clip("test", index))
        print(folder / name)
