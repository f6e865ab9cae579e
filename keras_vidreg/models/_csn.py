"""Channel-separated networks: space and time per channel, channels at single points."""

from collections.abc import Sequence
from typing import Literal

import keras

from keras_vidreg.data import Clip
from keras_vidreg.models.branches import Branches, residual
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.resnet3d import (
    ResNet3D,
    check_depth,
    kinetics_clip,
    one_pathway,
    stage_table,
)

CLIP = kinetics_clip(32, 15)  # every other frame of 30 in a second


@residual()
def csn(
    depth: int = 50,
    *,
    interaction: Literal["preserved", "reduced"] = "preserved",
    labels: int | Sequence[str] = 400,
    branches: Branches,
    width: int = 64,
    dropout: float = 0.5,
    clip: Clip | None = None,
    name: str | None = None,
) -> VideoClassifier:
    """Build a channel-separated convolutional network, ip-CSN or ir-CSN.

    Every 3 x 3 x 3 convolution of a bottleneck is one per channel; time and space are halved in
    front of res3, res4 and res5. The depthwise convolution of a block is its `"conv2"`, the one
    that mixes channels `"conv2_mix"`.

    Args:
        depth: Integer. 50, 101 or 152. Defaults to 50.
        interaction: String. That of the channels within a bottleneck: `"preserved"` by one more
            1 x 1 x 1 convolution in front of the depthwise one (ip-CSN), or `"reduced"` (ir-CSN).
            Defaults to `"preserved"`.
        labels: Integer or strings. Number of classes, or their names. Defaults to 400.
        {branches}
        width: Integer. Channels of the stem. Defaults to 64.
        dropout: Float. Rate in front of the last layer. Defaults to 0.5.
        clip: `kv.data.Clip`. What the model is fed with. Defaults to 32 frames at 15 frames a
            second, 224 pixels.
        name: String. Name of the model. Defaults to `csn_50` and so on.

    Returns:
        A `VideoClassifier`, `(B, T, H, W, 3)` with normalized pixels to logits, randomly
        initialized; any number of frames and any size.

    Raises:
        ValueError: If there is no such depth, interaction, position or stage.

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
    table = stage_table(depth, width, times=(3, 3, 3, 3), strides=(2, 2, 2))
    network = ResNet3D(interaction, table, branches, epsilon=1e-3)
    inputs = keras.Input((None, None, None, 3), name="video")
    x = network.stem(inputs, width, (3, 7, 7))
    options = {"labels": labels, "dropout": dropout, "name": name or f"csn_{depth}"}
    return one_pathway(network, inputs, x, clip=clip or CLIP, **options)
