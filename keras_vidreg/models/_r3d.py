"""R3D: a residual network whose kernels are all 3 x 3 x 3."""

from collections.abc import Sequence

import keras

from keras_vidreg.data import Clip
from keras_vidreg.models.branches import Branches, residual
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.resnet3d import (
    ResNet3D,
    check_depth,
    one_pathway,
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


@residual()
def r3d(
    depth: int = 18,
    *,
    labels: int | Sequence[str] = 400,
    branches: Branches,
    width: int = 64,
    dropout: float = 0.0,
    clip: Clip | None = None,
    name: str | None = None,
) -> VideoClassifier:
    """Build an R3D network: basic blocks, time and space halved in front of res3, res4 and res5.

    Args:
        depth: Integer. 18 or 34. Defaults to 18.
        labels: Integer or strings. Number of classes, or their names. Defaults to 400.
        {branches}
        width: Integer. Channels of the stem. Defaults to 64.
        dropout: Float. Rate in front of the last layer. Defaults to 0.
        clip: `kv.data.Clip`. What the model is fed with. Defaults to 16 frames at 15 frames a
            second, 112 pixels.
        name: String. Name of the model. Defaults to `r3d_18` or `r3d_34`.

    Returns:
        A `VideoClassifier`, `(B, T, H, W, 3)` with normalized pixels to logits, randomly
        initialized; any number of frames and any size.

    Raises:
        ValueError: If there is no such depth, position or stage.

    Example:

    >>> kv.models.r3d(18, labels=10)(np.zeros((1, 8, 64, 64, 3), "float32")).shape
    (1, 10)

    Reference: Tran et al., "A Closer Look at Spatiotemporal Convolutions for Action Recognition",
    CVPR 2018, table 1.
    """
    check_depth(depth, (18, 34))
    table = stage_table(depth, width, times=(3, 3, 3, 3), strides=(2, 2, 2))
    network = ResNet3D("basic", table, branches)
    inputs = keras.Input((None, None, None, 3), name="video")
    x = network.stem(inputs, width, (3, 7, 7), pool=False)
    options = {"labels": labels, "dropout": dropout, "name": name or f"r3d_{depth}"}
    return one_pathway(network, inputs, x, clip=clip or CLIP, **options)
