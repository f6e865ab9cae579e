"""SlowOnly: a 2D residual network inflated to 3D in its last two stages."""

from collections.abc import Sequence
from typing import Literal

import keras

from keras_vidreg.data import Clip
from keras_vidreg.models.branches import Branches, residual
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.resnet3d import (
    ResNet3D,
    kinetics_clip,
    one_pathway,
    stage_table,
)

TIMES = (1, 1, 3, 3)  # temporal kernel sizes in res2 to res5
STEMS: dict[str, dict] = {
    "imagenet": {"kernel": (1, 7, 7)},
    "small": {"kernel": (1, 3, 3), "strides": (1, 1, 1), "pool": False},
}
CLIP = kinetics_clip(8, 30 / 8)  # every eighth frame of 30 in a second


@residual()
def slowonly(
    depth: int = 50,
    *,
    labels: int | Sequence[str] = 400,
    branches: Branches,
    stem: Literal["imagenet", "small"] = "imagenet",
    width: int = 64,
    dropout: float = 0.5,
    clip: Clip | None = None,
    name: str | None = None,
) -> VideoClassifier:
    """Build a SlowOnly network, the slow pathway of SlowFast on its own.

    Time is never subsampled. The kernels of res4 and res5 span three frames: the first convolution
    of a bottleneck (from depth 50 on), both convolutions of a basic block (below).

    Args:
        depth: Integer. 18, 34, 50, 101 or 152. Defaults to 50.
        labels: Integer or strings. Number of classes, or their names. Defaults to 400.
        {branches}
        stem: String. `"imagenet"` (7 x 7, stride 2, and a pooling layer) for frames of about 224
            pixels, or `"small"` (3 x 3, stride 1, no pooling) for 32 to 64. Defaults to
            `"imagenet"`.
        width: Integer. Channels of the stem. Defaults to 64.
        dropout: Float. Rate in front of the last layer. Defaults to 0.5.
        clip: `kv.data.Clip`. What the model is fed with. Defaults to 8 frames at 3.75 frames a
            second, 224 pixels.
        name: String. Name of the model. Defaults to `slowonly_50` and so on.

    Returns:
        A `VideoClassifier`, `(B, T, H, W, 3)` with normalized pixels to logits, randomly
        initialized; any number of frames and any size.

    Raises:
        ValueError: If there is no such depth, position, stage or stem.

    Example:

    >>> model = kv.models.slowonly(18, labels=10, regularizer=kv.layers.RandomMeanScaling)
    >>> model(np.zeros((1, 4, 64, 64, 3), "float32")).shape
    (1, 10)

    Reference: Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019, table 1
    (the slow pathway).
    """
    if stem not in STEMS:
        raise ValueError(f'`stem` must be "imagenet" or "small". Received: stem={stem!r}')
    block = "basic" if depth in (18, 34) else "bottleneck"
    network = ResNet3D(block, stage_table(depth, width, TIMES), branches)
    inputs = keras.Input((None, None, None, 3), name="video")
    x = network.stem(inputs, width, **STEMS[stem])
    options = {"labels": labels, "dropout": dropout, "name": name or f"slowonly_{depth}"}
    return one_pathway(network, inputs, x, clip=clip or CLIP, **options)
