"""MoViNets with GRW smoothing, by the authors of that paper."""

from keras_vidreg.data import Clip
from keras_vidreg.zoo.published.publishers import GRW_AUTHORS
from keras_vidreg.zoo.published.weights import PublishedWeights

_NOTES = (
    "Window, embedding size, depth and heads stand in the file. A frame is squeezed to "
    "{squeezed} x {squeezed} pixels, whatever its shape, before the crop. Accuracy is of the part "
    "of the public test split that was still online."
)
_TABLE = (
    # variant, causal, file, frames, frames a second, pixels, squeezed to, top-1
    ("a0", True, "a0s_grw.pt", 50, 5, 172, 200, 78.4),
    ("a1", True, "a1s_grw.pt", 50, 5, 172, 200, 81.9),
    ("a2", True, "a2s_grw.pt", 50, 5, 224, 256, 83.3),
    ("a3", False, "a3b_grw.pt", 120, 12, 256, 300, 85.6),
)

GRW = tuple(
    PublishedWeights(
        name=f"movinet_{variant}_grw",
        family="grw",
        builder="grw_classifier",
        arguments={"backbone": {"builder": "movinet", "variant": variant, "causal": causal}},
        clip=Clip(frames, fps, size=size, resize=(squeezed, squeezed)),
        filename=filename,
        accuracy={"top1": top1},
        notes=_NOTES.format(squeezed=squeezed),
        **GRW_AUTHORS,
    )
    for variant, causal, filename, frames, fps, size, squeezed, top1 in _TABLE
)
