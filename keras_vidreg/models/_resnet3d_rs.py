"""3D ResNet-RS: bottlenecks with squeeze-and-excitation and self-gating, up to 350 layers."""

import dataclasses
from collections.abc import Sequence

import keras

from keras_vidreg.data import Clip
from keras_vidreg.layers import SelfGating, SqueezeExcite3D, StochasticDepth
from keras_vidreg.models.branches import Branches, residual
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.resnet3d import (
    ResNet3D,
    Unit,
    one_pathway,
    stage_table,
)

# Depth of the network: blocks in each stage.
DEPTHS = {
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
    270: (4, 29, 53, 4),
    300: (4, 36, 54, 4),
    350: (4, 36, 72, 4),
}
TIMES = (1, 1, 3, 3)  # temporal kernel sizes in res2 to res5
STEM = (  # channels for one of the width, kernel and strides
    (0.5, (5, 3, 3), (2, 2, 2)),
    (0.5, (1, 3, 3), (1, 1, 1)),
    (1, (1, 3, 3), (1, 1, 1)),
)
SQUEEZE = 4  # channels of a block's output for one hidden unit of its squeeze-and-excitation
CLIP = Clip(frames=32, fps=15, size=224, resize=256)
LONG_CLIP = dataclasses.replace(CLIP, frames=48)  # the scaling rule: the deepest see more frames


@residual(
    "all blocks of stage `s`, from 2 to 5, have `drop_rate * s / 5`, as published",
    drop=StochasticDepth,
    drop_rate=0.1,
)
def resnet3d_rs(
    depth: int = 50,
    *,
    labels: int | Sequence[str] = 400,
    branches: Branches,
    width: int = 64,
    dropout: float = 0.5,
    clip: Clip | None = None,
    name: str | None = None,
) -> VideoClassifier:
    """Build a 3D ResNet-RS.

    The stem has three convolutions, the first of which halves the frames. Every residual branch
    ends with squeeze-and-excitation over the clip, the last one of a stage with self-gating before.

    Args:
        depth: Integer. 50, 101, 152, 200, 270, 300 or 350. Defaults to 50.
        labels: Integer or strings. Number of classes, or their names. Defaults to 400.
        {branches}
        width: Integer. Channels of the stem. Defaults to 64.
        dropout: Float. Rate in front of the last layer. Defaults to 0.5.
        clip: `kv.data.Clip`. What the model is fed with. Defaults to 32 frames (48 from depth
            200 on) at 15 frames a second, 224 pixels.
        name: String. Name of the model. Defaults to `resnet3d_rs_50` and so on.

    Returns:
        A `VideoClassifier`, `(B, T, H, W, 3)` with pixels in [0, 1] to logits, randomly
        initialized; any number of frames and any size.

    Raises:
        ValueError: If there is no such depth, position or stage.

    Example:

    >>> kv.models.resnet3d_rs(50, labels=10)(np.zeros((1, 8, 64, 64, 3), "float32")).shape
    (1, 10)

    Reference: Du et al., "Revisiting 3D ResNets for Video Recognition", arXiv:2109.01696,
    section 3.
    """
    if branches.drop is None:
        branches = dataclasses.replace(branches, drop_rate=0.0)
    network = ResNet3D(
        "bottleneck",
        stage_table(depth, width, TIMES, depths=DEPTHS),
        branches,
        padding="same",
        drop_by="stage",
        finish=_gates,
    )
    inputs = x = keras.Input((None, None, None, 3), name="video")
    for i, (share, kernel, strides) in enumerate(STEM, start=1):
        x = network.unit(x, Unit(str(i), int(width * share), kernel, strides), "stem_")
    x = network.pool(x)
    options = {"labels": labels, "dropout": dropout, "name": name or f"resnet3d_rs_{depth}"}
    clip = clip or (CLIP if depth < 200 else LONG_CLIP)
    return one_pathway(network, inputs, x, clip=clip, **options)


def _gates(x, stage, last, name):
    if last:
        x = SelfGating(name=f"{name}self_gating")(x)
    return SqueezeExcite3D(
        stage.outputs // SQUEEZE, activation="relu", name=f"{name}squeeze_excite"
    )(x)
