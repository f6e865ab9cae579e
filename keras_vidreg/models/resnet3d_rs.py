"""3D ResNet-RS: bottlenecks with squeeze-and-excitation and self-gating, up to 350 layers."""

import dataclasses

import keras

from keras_vidreg.data import Clip
from keras_vidreg.layers import SelfGating, SqueezeExcite3D, StochasticDepth
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.description import described, label_names
from keras_vidreg.models.resnet3d import (
    NORM_MOMENTUM,
    STAGES,
    ResNet3D,
    Stage,
    Unit,
    check_depth,
    head,
)

# Depth of the network: blocks in each stage.
BLOCKS = {
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


@described
def resnet3d_rs(
    depth=50,
    *,
    labels=400,
    regularizer=None,
    positions=None,
    stages=("res4", "res5"),
    drop=StochasticDepth,
    drop_rate=0.1,
    norm_momentum=NORM_MOMENTUM,
    width=64,
    dropout=0.5,
    clip=None,
    name=None,
):
    """Build a 3D ResNet-RS.

    The stem has three convolutions, the first of which halves the frames. Every residual branch
    ends with squeeze-and-excitation over the clip, the last one of a stage with self-gating before.

    Args:
        depth: 50, 101, 152, 200, 270, 300 or 350. Defaults to 50.
        labels: number of classes, or their names. Defaults to 400.
        regularizer, positions, stages, drop, drop_rate: as in `kv.models.slowonly`, but for the
            published settings, `drop=kv.layers.StochasticDepth` and `drop_rate=0.1`, where all
            blocks of stage s, from 2 to 5, have `drop_rate * s / 5`. `drop=None` leaves it out.
        norm_momentum: share of the moving statistics that a batch normalization keeps in a step.
            Defaults to 0.9.
        width: channels of the stem. Defaults to 64.
        dropout: rate in front of the last layer. Defaults to 0.5.
        clip: what the model is fed with. Defaults to 32 frames (48 from depth 200 on) at 15 frames
            a second, 224 pixels.
        name: of the model. Defaults to `resnet3d_rs_50` and so on.

    Returns:
        A `VideoClassifier`, `(B, T, H, W, 3)` with pixels in [0, 1] to logits, randomly
        initialised; any number of frames and any size.

    Raises:
        ValueError: for an unknown depth, position or stage.

    Example:

    >>> kv.models.resnet3d_rs(50, labels=10)(np.zeros((1, 8, 64, 64, 3), "float32")).shape
    (1, 10)

    Reference: Du et al., "Revisiting 3D ResNets for Video Recognition", arXiv:2109.01696,
    section 3.
    """
    check_depth(depth, BLOCKS)
    labels = label_names(labels)
    table = tuple(
        Stage(
            blocks,
            width=width * 2**i,
            outputs=width * 2**i * 4,
            time=time,
            strides=(1, 2, 2) if i else (1, 1, 1),
        )
        for i, (blocks, time) in enumerate(zip(BLOCKS[depth], TIMES, strict=True))
    )
    network = ResNet3D(
        "bottleneck",
        table,
        padding="same",
        regularizer=regularizer,
        positions=positions,
        stages=stages,
        drop=drop,
        drop_rate=drop_rate if drop else 0.0,
        drop_by="stage",
        norm_momentum=norm_momentum,
        finish=_gates,
    )
    inputs = x = keras.Input((None, None, None, 3), name="video")
    for i, (share, kernel, strides) in enumerate(STEM, start=1):
        x = network.unit(x, Unit(str(i), int(width * share), kernel, strides), "stem_")
    x = network.pool(x)
    for stage in STAGES:
        x = network.stage(x, stage)
    return VideoClassifier(
        inputs,
        head(x, len(labels), dropout),
        labels=labels,
        clip=clip or (CLIP if depth < 200 else LONG_CLIP),
        features=network.features,
        name=name or f"resnet3d_rs_{depth}",
    )


def _gates(x, stage, last, name):
    if last:
        x = SelfGating(name=f"{name}self_gating")(x)
    return SqueezeExcite3D(
        stage.outputs // SQUEEZE, activation="relu", name=f"{name}squeeze_excite"
    )(x)
