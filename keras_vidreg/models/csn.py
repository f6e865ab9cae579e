"""Channel-separated networks: space and time per channel, channels at single points."""

import keras

from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.description import described, label_names
from keras_vidreg.models.resnet3d import (
    NORM_MOMENTUM,
    STAGES,
    ResNet3D,
    check_depth,
    head,
    kinetics_clip,
    stage_table,
)

CLIP = kinetics_clip(32, 15)  # every other frame of 30 in a second


@described
def csn(
    depth=50,
    *,
    interaction="preserved",
    labels=400,
    regularizer=None,
    positions=None,
    stages=("res4", "res5"),
    drop=None,
    drop_rate=0.0,
    norm_momentum=NORM_MOMENTUM,
    width=64,
    dropout=0.5,
    clip=None,
    name=None,
):
    """Build a channel-separated convolutional network, ip-CSN or ir-CSN.

    Every 3 x 3 x 3 convolution of a bottleneck is one per channel; time and space are halved in
    front of res3, res4 and res5.

    Args:
        depth: 50, 101 or 152. Defaults to 50.
        interaction: of the channels within a bottleneck: `"preserved"` by one more 1 x 1 x 1
            convolution in front of the depthwise one (ip-CSN), or `"reduced"` (ir-CSN). Defaults to
            `"preserved"`.
        labels: number of classes, or their names. Defaults to 400.
        regularizer, positions, stages, drop, drop_rate: as in `kv.models.slowonly`. The depthwise
            convolution of a block is its `"conv2"`, the one that mixes channels `"conv2_mix"`.
        norm_momentum: share of the moving statistics that a batch normalization keeps in a step.
            Defaults to 0.9.
        width: channels of the stem. Defaults to 64.
        dropout: rate in front of the last layer. Defaults to 0.5.
        clip: what the model is fed with. Defaults to 32 frames at 15 frames a second, 224 pixels.
        name: of the model. Defaults to `csn_50` and so on.

    Returns:
        A `VideoClassifier`, `(B, T, H, W, 3)` with normalised pixels to logits, randomly
        initialised; any number of frames and any size.

    Raises:
        ValueError: for an unknown depth, interaction, position or stage.

    Example:

    >>> model = kv.models.csn(50, labels=10, interaction="reduced")
    >>> model(np.zeros((1, 8, 64, 64, 3), "float32")).shape
    (1, 10)

    Reference: Tran et al., "Video Classification with Channel-Separated Convolutional Networks",
    ICCV 2019, section 3 and table 1.
    """
    check_depth(depth, (50, 101, 152))
    if interaction not in ("preserved", "reduced"):
        raise ValueError(
            f'`interaction` must be "preserved" or "reduced". Received: interaction={interaction!r}'
        )
    labels = label_names(labels)
    network = ResNet3D(
        interaction,
        stage_table(depth, width, times=(3, 3, 3, 3), strides=(2, 2, 2)),
        epsilon=1e-3,
        regularizer=regularizer,
        positions=positions,
        stages=stages,
        drop=drop,
        drop_rate=drop_rate,
        norm_momentum=norm_momentum,
    )
    inputs = keras.Input((None, None, None, 3), name="video")
    x = network.stem(inputs, width, (3, 7, 7))
    for stage in STAGES:
        x = network.stage(x, stage)
    return VideoClassifier(
        inputs,
        head(x, len(labels), dropout),
        labels=labels,
        clip=clip or CLIP,
        features=network.features,
        name=name or f"csn_{depth}",
    )
