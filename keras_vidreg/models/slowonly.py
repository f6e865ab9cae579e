"""SlowOnly: a 2D residual network inflated to 3D in its last two stages."""

import keras

from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.description import described, label_names
from keras_vidreg.models.resnet3d import (
    NORM_MOMENTUM,
    STAGES,
    ResNet3D,
    head,
    kinetics_clip,
    stage_table,
)

TIMES = (1, 1, 3, 3)  # temporal kernel sizes in res2 to res5
STEMS = {
    "imagenet": {"kernel": (1, 7, 7)},
    "small": {"kernel": (1, 3, 3), "strides": (1, 1, 1), "pool": False},
}
CLIP = kinetics_clip(8, 30 / 8)  # every eighth frame of 30 in a second


@described
def slowonly(
    depth=50,
    *,
    labels=400,
    regularizer=None,
    positions=None,
    stages=("res4", "res5"),
    drop=None,
    drop_rate=0.0,
    norm_momentum=NORM_MOMENTUM,
    stem="imagenet",
    width=64,
    dropout=0.5,
    clip=None,
    name=None,
):
    """Build a SlowOnly network, the slow pathway of SlowFast on its own.

    Time is never subsampled. The kernels of res4 and res5 span three frames: the first convolution
    of a bottleneck (from depth 50 on), both convolutions of a basic block (below).

    Args:
        depth: 18, 34, 50, 101 or 152. Defaults to 50.
        labels: number of classes, or their names. Defaults to 400.
        regularizer: what gives a new layer, `regularizer(name=...)`, for example
            `functools.partial(kv.layers.RandomMeanScaling, stddev=0.5)`. Defaults to none.
        positions: in front of which layers of a block it goes: any of `"conv1"`, `"bn1"`,
            `"relu1"`, `"conv2"` and so on, or `"all_bns"`. Before the last ReLU of a block means
            before the addition: on the branch alone. Defaults to `"all_bns"` in basic blocks and
            `"bn3"` in bottlenecks.
        stages: in which stages, of `"res2"` to `"res5"`. Defaults to `("res4", "res5")`.
        drop: what gives the last layer of a residual branch, `drop(rate, name=...)`, such as
            `kv.layers.StochasticDepth` or `kv.layers.ShakeDrop`. It goes into all stages. Defaults
            to none.
        drop_rate: its rate in the last block. Block `l` of `L` has `drop_rate * l / L`. Defaults
            to 0.
        norm_momentum: share of the moving statistics that a batch normalization keeps in a step.
            Defaults to 0.9.
        stem: `"imagenet"` (7 x 7, stride 2, and a pooling layer) for frames of about 224 pixels, or
            `"small"` (3 x 3, stride 1, no pooling) for 32 to 64. Defaults to `"imagenet"`.
        width: channels of the stem. Defaults to 64.
        dropout: rate in front of the last layer. Defaults to 0.5.
        clip: what the model is fed with. Defaults to 8 frames at 3.75 frames a second, 224 pixels.
        name: of the model. Defaults to `slowonly_50` and so on.

    Returns:
        A `VideoClassifier`, `(B, T, H, W, 3)` with normalised pixels to logits, randomly
        initialised; any number of frames and any size.

    Raises:
        ValueError: for an unknown depth, position, stage or stem.

    Example:

    >>> rms = functools.partial(kv.layers.RandomMeanScaling, stddev=0.5)
    >>> model = kv.models.slowonly(18, labels=10, regularizer=rms)
    >>> model(np.zeros((1, 4, 64, 64, 3), "float32")).shape
    (1, 10)

    Reference: Feichtenhofer et al., "SlowFast Networks for Video Recognition", ICCV 2019, table 1
    (the slow pathway).
    """
    if stem not in STEMS:
        raise ValueError(f'`stem` must be "imagenet" or "small". Received: stem={stem!r}')
    labels = label_names(labels)
    network = ResNet3D(
        "basic" if depth in (18, 34) else "bottleneck",
        stage_table(depth, width, TIMES),
        regularizer=regularizer,
        positions=positions,
        stages=stages,
        drop=drop,
        drop_rate=drop_rate,
        norm_momentum=norm_momentum,
    )
    inputs = keras.Input((None, None, None, 3), name="video")
    x = network.stem(inputs, width, **STEMS[stem])
    for stage in STAGES:
        x = network.stage(x, stage)
    return VideoClassifier(
        inputs,
        head(x, len(labels), dropout),
        labels=labels,
        clip=clip or CLIP,
        features=network.features,
        name=name or f"slowonly_{depth}",
    )
