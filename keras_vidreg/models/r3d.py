"""R3D: a residual network whose kernels are all 3 x 3 x 3."""

import keras

from keras_vidreg.data import Clip
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.description import described, label_names
from keras_vidreg.models.resnet3d import (
    NORM_MOMENTUM,
    STAGES,
    ResNet3D,
    check_depth,
    head,
    stage_table,
)

CLIP = Clip(
    frames=16,
    fps=15,
    size=112,
    resize=128,
    mean=(0.43216, 0.394666, 0.37645),
    std=(0.22803, 0.22145, 0.216989),
)


@described
def r3d(
    depth=18,
    *,
    labels=400,
    regularizer=None,
    positions=None,
    stages=("res4", "res5"),
    drop=None,
    drop_rate=0.0,
    norm_momentum=NORM_MOMENTUM,
    width=64,
    dropout=0.0,
    clip=None,
    name=None,
):
    """Build an R3D network: basic blocks, time and space halved in front of res3, res4 and res5.

    Args:
        depth: 18 or 34. Defaults to 18.
        labels: number of classes, or their names. Defaults to 400.
        regularizer, positions, stages, drop, drop_rate: as in `kv.models.slowonly`.
        norm_momentum: share of the moving statistics that a batch normalization keeps in a step.
            Defaults to 0.9.
        width: channels of the stem. Defaults to 64.
        dropout: rate in front of the last layer. Defaults to 0.
        clip: what the model is fed with. Defaults to 16 frames at 15 frames a second, 112 pixels.
        name: of the model. Defaults to `r3d_18` or `r3d_34`.

    Returns:
        A `VideoClassifier`, `(B, T, H, W, 3)` with normalised pixels to logits, randomly
        initialised; any number of frames and any size.

    Raises:
        ValueError: for an unknown depth, position or stage.

    Example:

    >>> kv.models.r3d(18, labels=10)(np.zeros((1, 8, 64, 64, 3), "float32")).shape
    (1, 10)

    Reference: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition",
    CVPR 2018, table 1.
    """
    check_depth(depth, (18, 34))
    labels = label_names(labels)
    network = ResNet3D(
        "basic",
        stage_table(depth, width, times=(3, 3, 3, 3), strides=(2, 2, 2)),
        regularizer=regularizer,
        positions=positions,
        stages=stages,
        drop=drop,
        drop_rate=drop_rate,
        norm_momentum=norm_momentum,
    )
    inputs = keras.Input((None, None, None, 3), name="video")
    x = network.stem(inputs, width, (3, 7, 7), pool=False)
    for stage in STAGES:
        x = network.stage(x, stage)
    return VideoClassifier(
        inputs,
        head(x, len(labels), dropout),
        labels=labels,
        clip=clip or CLIP,
        features=network.features,
        name=name or f"r3d_{depth}",
    )
