"""MoViNet A0 to A5, for whole clips (base) and causal (the streaming networks on a whole clip)."""

import dataclasses
from collections.abc import Sequence
from typing import Literal

import keras

from keras_vidreg.data import Clip
from keras_vidreg.layers import (
    DepthwiseConv3D,
    PerFrame,
    ReZero,
    SpatialAveragePooling,
    SqueezeExcite3D,
    StochasticDepth,
)
from keras_vidreg.layers.squeeze_excite3d import linear_gate
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.description import described, label_names

HIDDEN_UNITS = 2048
NORM_EPSILON = 1e-3


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One column of the paper's tables: what differs between A0 and A5."""

    stem: int  # channels
    blocks: tuple  # (channels, kernels, expanded channels); "53" is a kernel of 5 x 3 x 3
    head: int  # channels
    clip: Clip
    position: bool  # a positional encoding in the causal variant


def _clip(frames, fps, size):
    return Clip(frames=frames, fps=fps, size=size, resize=size)


# Every block starts with a spatial stride of 2 but the fourth.
ARCHITECTURES = {
    "a0": Architecture(
        stem=8,
        blocks=(
            (8, "15", (24,)),
            (32, "33 33 33", (80, 80, 80)),
            (56, "53 33 33", (184, 112, 184)),
            (56, "53 33 33 33", (184, 184, 184, 184)),
            (104, "53 15 15 15", (384, 280, 280, 344)),
        ),
        head=480,
        clip=_clip(50, 5, 172),
        position=False,
    ),
    "a1": Architecture(
        stem=16,
        blocks=(
            (16, "15 33", (40, 40)),
            (40, "33 33 33 33", (96, 120, 96, 96)),
            (64, "53 33 33 33 33", (216, 128, 216, 168, 216)),
            (64, "53 33 33 33 15 33", (216, 216, 216, 128, 128, 216)),
            (136, "53 15 15 15 15 33 13", (456, 360, 360, 360, 456, 456, 544)),
        ),
        head=600,
        clip=_clip(50, 5, 172),
        position=False,
    ),
    "a2": Architecture(
        stem=16,
        blocks=(
            (16, "15 33 33", (40, 40, 64)),
            (40, "33 33 33 33 33", (96, 120, 96, 96, 120)),
            (72, "53 33 33 33 33", (240, 160, 240, 192, 240)),
            (72, "53 33 33 33 15 33", (240, 240, 240, 240, 144, 240)),
            (144, "53 15 15 15 15 33 13", (480, 384, 384, 480, 480, 480, 576)),
        ),
        head=640,
        clip=_clip(50, 5, 224),
        position=False,
    ),
    "a3": Architecture(
        stem=16,
        blocks=(
            (16, "15 33 33 33", (40, 40, 64, 40)),
            (48, "33 33 33 15 33 33", (112, 144, 112, 112, 144, 144)),
            (80, "53 33 33 33 33", (240, 152, 240, 192, 240)),
            (88, "53 33 33 33 15 33 33 33", (264, 264, 264, 264, 160, 264, 264, 264)),
            (
                168,
                "53 15 15 15 15 33 15 15 33 13",
                (560, 448, 448, 560, 560, 560, 448, 448, 560, 672),
            ),
        ),
        head=744,
        clip=_clip(120, 12, 256),
        position=True,
    ),
    "a4": Architecture(
        stem=24,
        blocks=(
            (24, "15 33 33 33 33 33", (64, 64, 96, 64, 96, 64)),
            (
                56,
                "33 33 33 33 33 33 33 15 33",
                (168, 168, 136, 136, 168, 168, 168, 136, 136),
            ),
            (
                96,
                "53 33 33 33 33 33 33 33 33",
                (320, 160, 320, 192, 320, 160, 320, 256, 320),
            ),
            (
                96,
                "53 33 33 33 15 33 33 33 33 33",
                (320, 320, 320, 320, 192, 320, 320, 192, 320, 320),
            ),
            (
                192,
                "53 15 15 15 15 33 15 15 15 15 15 33 33",
                (640, 512, 512, 640, 640, 640, 512, 512, 640, 768, 640, 640, 768),
            ),
        ),
        head=856,
        clip=_clip(80, 8, 290),
        position=True,
    ),
    "a5": Architecture(
        stem=24,
        blocks=(
            (24, "15 15 33 33 33 33", (64, 64, 96, 64, 96, 64)),
            (
                64,
                "53 33 33 33 33 33 33 33 33 33 33",
                (192, 152, 152, 152, 192, 192, 192, 152, 152, 192, 192),
            ),
            (
                112,
                "53 33 33 33 33 33 33 33 33 33 33 33 33",
                (376, 224, 376, 376, 296, 376, 224, 376, 376, 296, 376, 376, 376),
            ),
            (
                120,
                "53 33 33 33 15 33 33 33 33 33 33",
                (376, 376, 376, 376, 224, 376, 376, 224, 376, 376, 376),
            ),
            (
                224,
                "53 33 15 15 15 15 33 15 15 15 15 15 33 15 15 15 15 33",
                (744, 744, 600, 600, 744, 744, 744, 896, 600)
                + (600, 896, 744, 744, 896, 600, 600, 744, 744),
            ),
        ),
        head=992,
        clip=_clip(120, 12, 320),
        position=True,
    ),
}
STRIDES = (2, 2, 2, 1, 2)


@described
def movinet(
    variant: Literal["a0", "a1", "a2", "a3", "a4", "a5"] = "a0",
    *,
    causal: bool = False,
    labels: int | Sequence[str] = 600,
    drop_path: float = 0.0,
    norm_momentum: float = 0.99,
    dropout: float = 0.2,
    clip: Clip | None = None,
    name: str | None = None,
) -> VideoClassifier:
    """MoViNet, a family of small 3D networks found by architecture search.

    The causal variant is the streaming network applied to a whole clip: (2+1)D convolutions, hard
    swish, and squeeze-and-excitation over the frames seen so far, with a positional encoding from
    A3 on. Its gate is `clip(0.2 x + 0.5, 0, 1)`, with which the published weights were made.

    Args:
        variant: String. `"a0"` to `"a5"`. Defaults to `"a0"`.
        causal: Boolean. Whether no frame depends on later ones. Defaults to False.
        labels: Integer or strings. Number of classes, or their names. Defaults to 600.
        drop_path: Float. Probability that a clip skips the branch of the last block in training;
            that of block `l` of `L` is `drop_path * l / L`. Defaults to 0.
        norm_momentum: Float. Share of the moving statistics that a batch normalization keeps in a
            step. Defaults to 0.99.
        dropout: Float. Rate in front of the last layer. Defaults to 0.2.
        clip: `kv.data.Clip`. What the model is fed with. Defaults to the paper's setting of this
            variant.
        name: String. Name of the model. Defaults to `movinet_a0`, or `movinet_a0_causal`, and
            so on.

    Returns:
        A `VideoClassifier`, `(B, T, H, W, 3)` with pixels in [0, 1] to logits, randomly
        initialized; any number of frames and any size.

    Raises:
        ValueError: If there is no such variant.

    Example:

    >>> kv.models.movinet("a0", labels=10)(np.zeros((1, 4, 64, 64, 3), "float32")).shape
    (1, 10)

    Reference: Kondratyuk et al., "MoViNets: Mobile Video Networks for Efficient Video
    Recognition", CVPR 2021, tables 1, 7 and 8 to 10.
    """
    if variant not in ARCHITECTURES:
        raise ValueError(
            f"`variant` must be one of {', '.join(ARCHITECTURES)}. Received: variant={variant!r}"
        )
    table = ARCHITECTURES[variant]
    labels = label_names(labels)
    network = _Network(causal, causal and table.position, norm_momentum)
    total = sum(len(expansions) for _, _, expansions in table.blocks)
    number = 0

    inputs = keras.Input((None, None, None, 3), name="video")
    x = PerFrame(
        keras.layers.Conv2D(
            table.stem,
            3,
            2,
            "same",
            use_bias=False,
            kernel_initializer="he_normal",
            data_format="channels_last",
            name="conv",
        ),
        name="stem_conv",
    )(inputs)
    x = network.norm(x, "stem", activate=True)
    for i, ((channels, kernels, expansions), stride) in enumerate(
        zip(table.blocks, STRIDES, strict=True)
    ):
        for j, (kernel, expanded) in enumerate(zip(kernels.split(), expansions, strict=True)):
            number += 1
            x = network.bottleneck(
                x,
                channels,
                expanded,
                kernel=(int(kernel[0]), int(kernel[1]), int(kernel[1])),
                stride=stride if j == 0 else 1,
                drop_path=drop_path * number / total,
                name=f"block{i}_layer{j}",
            )
    x = _pointwise(x, table.head, "head")
    x = network.norm(x, "head", activate=True)

    x = keras.layers.GlobalAveragePooling3D(data_format="channels_last", name="head_pool")(x)
    x = keras.layers.Dense(HIDDEN_UNITS, activation="swish", name="head_dense")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout")(x)
    outputs = keras.layers.Dense(len(labels), name="logits", dtype="float32")(x)
    return VideoClassifier(
        inputs,
        outputs,
        labels=labels,
        clip=clip or table.clip,
        features="head_act",
        name=name or f"movinet_{variant}{'_causal' if causal else ''}",
    )


@dataclasses.dataclass(frozen=True)
class _Network:
    """What all blocks of a network have in common."""

    causal: bool
    position: bool
    norm_momentum: float

    @property
    def activation(self):
        return "hard_swish" if self.causal else "swish"

    def bottleneck(self, x, channels, expanded, kernel, stride, drop_path, name):
        """Expand, convolve per channel, squeeze-and-excite, project, and add to the shortcut."""
        shortcut = x
        x = _pointwise(x, expanded, f"{name}_expand")
        x = self.norm(x, f"{name}_expand", activate=True)
        if self.causal:  # (2+1)D: space first, then time
            time, *space = kernel
            x = _depthwise(x, (1, *space), stride, "same", f"{name}_feature")
            x = self.norm(x, f"{name}_feature", activate=True)
            if time > 1:
                x = _depthwise(x, (time, 1, 1), 1, "causal", f"{name}_temporal")
                x = self.norm(x, f"{name}_temporal", activate=True)
        else:
            x = _depthwise(x, kernel, stride, "same", f"{name}_feature")
            x = self.norm(x, f"{name}_feature", activate=True)
        x = SqueezeExcite3D(
            # both widths are a quarter of what is pooled, and both references round c // 4 first
            width=multiple_of_8(expanded // 4 * (2 if self.causal else 1)),
            causal=self.causal,
            activation=self.activation,
            gate=linear_gate if self.causal else "sigmoid",
            position=self.position,
            name=f"{name}_squeeze_excite",
        )(x)
        x = _pointwise(x, channels, f"{name}_project")
        x = self.norm(x, f"{name}_project")
        if stride > 1:
            shortcut = SpatialAveragePooling(3, stride, name=f"{name}_skip_pool")(shortcut)
        if stride > 1 or shortcut.shape[-1] != channels:
            shortcut = _pointwise(shortcut, channels, f"{name}_skip")
            shortcut = self.norm(shortcut, f"{name}_skip")
        if drop_path:  # the same in front of ReZero, which scales, as behind it
            x = StochasticDepth(drop_path, name=f"{name}_drop")(x)
        return ReZero(name=f"{name}_rezero")([shortcut, x])

    def norm(self, x, name, activate=False):
        x = keras.layers.BatchNormalization(
            momentum=self.norm_momentum, epsilon=NORM_EPSILON, name=f"{name}_norm"
        )(x)
        return keras.layers.Activation(self.activation, name=f"{name}_act")(x) if activate else x


def _pointwise(x, channels, name):
    """A 1 x 1 x 1 convolution, which is a matrix product over the channels."""
    return keras.layers.Dense(
        channels, use_bias=False, kernel_initializer="he_normal", name=f"{name}_conv"
    )(x)


def _depthwise(x, kernel, stride, padding, name):
    return DepthwiseConv3D(
        kernel,
        (1, stride, stride),
        padding,
        use_bias=False,
        depthwise_initializer="he_normal",
        name=f"{name}_conv",
    )(x)


def multiple_of_8(channels):
    """The nearest multiple of 8, but never less than 90% of `channels`."""
    rounded = max(8, (channels + 4) // 8 * 8)
    return rounded if rounded >= 0.9 * channels else rounded + 8
