"""SlowFast: a slow pathway that sees few frames, and a thin one that sees all of them."""

from collections.abc import Sequence

import keras

from keras_vidreg.data import Clip
from keras_vidreg.layers import SubsampleFrames, TemporalAveragePooling
from keras_vidreg.models.branches import Branches, residual
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.resnet3d import (
    STAGES,
    ResNet3D,
    Unit,
    check_depth,
    kinetics_clip,
    stage_table,
    with_head,
)

SLOW_TIMES, FAST_TIMES = (1, 1, 3, 3), (3, 3, 3, 3)  # temporal kernel sizes in res2 to res5
LATERAL_CHANNELS = 2  # of a lateral connection, for one of the fast pathway
CLIP = kinetics_clip(32, 15)  # every other frame of 30 in a second


@residual()
def slowfast(
    depth: int = 50,
    *,
    labels: int | Sequence[str] = 400,
    alpha: int = 4,
    beta: float = 1 / 8,
    lateral_kernel: int | None = None,
    lateral_norm: bool = True,
    to_end: bool = True,
    branches: Branches,
    width: int = 64,
    dropout: float = 0.5,
    clip: Clip | None = None,
    name: str | None = None,
) -> VideoClassifier:
    """Build a SlowFast network.

    The fast pathway sees all frames, the slow one `ceil(T / alpha)` of them, evenly spread from the
    first to the last. After the stem and after res2, res3 and res4 the slow pathway receives the
    fast one's features through a convolution over time.

    Args:
        depth: Integer. 50, 101 or 152. Defaults to 50.
        labels: Integer or strings. Number of classes, or their names. Defaults to 400.
        alpha: Integer. Frames of the fast pathway for one of the slow pathway. Defaults to 4.
        beta: Float. Channels of the fast pathway for one of the slow pathway. Defaults to 1/8.
        lateral_kernel: Integer. Frames that a lateral convolution spans. Defaults to what was
            published: 7 for depth 50 with an `alpha` of 4, else 5.
        lateral_norm: Boolean. Whether normalization and ReLU follow the lateral convolutions.
            Defaults to True.
        to_end: Boolean. Whether the slow pathway's frames reach from the first to the last. False
            takes every `alpha`-th frame. Defaults to True.
        {branches}
        width: Integer. Channels of the slow pathway's stem. Defaults to 64.
        dropout: Float. Rate in front of the last layer. Defaults to 0.5.
        clip: `kv.data.Clip`. What the model is fed with. Defaults to 32 frames at 15 frames a
            second, 224 pixels.
        name: String. Name of the model. Defaults to `slowfast_50` and so on.

    Returns:
        A `VideoClassifier`, `(B, T, H, W, 3)` with normalized pixels to logits, randomly
        initialized; any number of frames and any size. Its backbone gives both pathways' features,
        the fast ones averaged over `alpha` frames: `(B, ceil(T / alpha), h, w, C)`.

    Raises:
        ValueError: If there is no such depth, position or stage, or if `beta` leaves no channels.

    Example:

    >>> model = kv.models.slowfast(50, labels=10)
    >>> model(np.zeros((1, 8, 64, 64, 3), "float32")).shape
    (1, 10)

    Reference: Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019, table 1.
    """
    check_depth(depth, (50, 101, 152))
    fast_width = round(width * beta)
    if fast_width < 1:
        raise ValueError(
            "`beta` must leave the fast pathway at least one of the slow one's `width` channels. "
            f"Received: beta={beta}, width={width}"
        )
    lateral_kernel = lateral_kernel or (7 if (depth, alpha) == (50, 4) else 5)
    slow, fast = (
        ResNet3D("bottleneck", stage_table(depth, channels, times), branches, prefix=prefix)
        for prefix, channels, times in (
            ("slow_", width, SLOW_TIMES),
            ("fast_", fast_width, FAST_TIMES),
        )
    )

    def fuse(x, y, place):
        """The slow features with those of the fast pathway behind them."""
        channels = LATERAL_CHANNELS * y.shape[-1]
        unit = Unit("", channels, (lateral_kernel, 1, 1), (alpha, 1, 1))
        network = ResNet3D("bottleneck", slow.table, branches, prefix=f"lateral_{place}_")
        y = network.unit(y, unit, "") if lateral_norm else network.conv(y, unit, "")
        return keras.layers.Concatenate(name=f"lateral_{place}_concat")([x, y])

    inputs = keras.Input((None, None, None, 3), name="video")
    x = SubsampleFrames(alpha, to_end, name="slow_frames")(inputs)
    x = slow.stem(x, width, (1, 7, 7))
    y = fast.stem(inputs, fast_width, (5, 7, 7))
    for i, stage in enumerate(STAGES):
        x = fuse(x, y, STAGES[i - 1] if i else "stem")
        x = slow.stage(x, stage)
        y = fast.stage(y, stage)
    y = TemporalAveragePooling(alpha, name="fast_average")(y)
    x = keras.layers.Concatenate(name="features")([x, y])
    options = {"labels": labels, "dropout": dropout, "name": name or f"slowfast_{depth}"}
    return with_head(inputs, x, features="features", clip=clip or CLIP, **options)
