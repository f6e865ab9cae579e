"""MobileNetV3 over every frame, with or without temporal shift between the frames."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Literal

import keras
from keras import ops

from keras_vidreg.data import Clip
from keras_vidreg.layers import DepthwiseConv3D, PerFrame, TemporalShift
from keras_vidreg.models._movinet import multiple_of_8
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.description import described, label_names

STEM = 16  # channels
RE, HS = "relu", "hard_swish"
SE, NO = True, False  # squeeze-and-excitation
CLIP = Clip(frames=50, fps=5, size=224, resize=224, pixel_range=(-1.0, 1.0))


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One table of the paper."""

    images: type  # the same network of `keras.applications`
    blocks: (
        tuple  # (kernel, expanded channels, channels, squeeze-and-excitation, activation, stride)
    )
    last: int  # channels
    hidden: int  # units of the head


ARCHITECTURES = {
    "mobilenet_v3_small": Architecture(
        images=keras.applications.MobileNetV3Small,
        blocks=(
            (3, 16, 16, SE, RE, 2),
            (3, 72, 24, NO, RE, 2),
            (3, 88, 24, NO, RE, 1),
            (5, 96, 40, SE, HS, 2),
            (5, 240, 40, SE, HS, 1),
            (5, 240, 40, SE, HS, 1),
            (5, 120, 48, SE, HS, 1),
            (5, 144, 48, SE, HS, 1),
            (5, 288, 96, SE, HS, 2),
            (5, 576, 96, SE, HS, 1),
            (5, 576, 96, SE, HS, 1),
        ),
        last=576,
        hidden=1024,
    ),
    "mobilenet_v3_large": Architecture(
        images=keras.applications.MobileNetV3Large,
        blocks=(
            (3, 16, 16, NO, RE, 1),
            (3, 64, 24, NO, RE, 2),
            (3, 72, 24, NO, RE, 1),
            (5, 72, 40, SE, RE, 2),
            (5, 120, 40, SE, RE, 1),
            (5, 120, 40, SE, RE, 1),
            (3, 240, 80, NO, HS, 2),
            (3, 200, 80, NO, HS, 1),
            (3, 184, 80, NO, HS, 1),
            (3, 184, 80, NO, HS, 1),
            (3, 480, 112, SE, HS, 1),
            (3, 672, 112, SE, HS, 1),
            (5, 672, 160, SE, HS, 2),
            (5, 960, 160, SE, HS, 1),
            (5, 960, 160, SE, HS, 1),
        ),
        last=960,
        hidden=1280,
    ),
}


@described
def frame_cnn(
    variant: Literal["mobilenet_v3_small", "mobilenet_v3_large"] = "mobilenet_v3_small",
    *,
    labels: int | Sequence[str] = 400,
    temporal_shift: bool = False,
    causal: bool = False,
    weights: str | None = None,
    norm_momentum: float = 0.999,
    dropout: float = 0.2,
    clip: Clip | None = None,
    name: str | None = None,
) -> VideoClassifier:
    """MobileNetV3 over every frame, then its head behind the mean over space and time.

    Layers are named as in `keras.applications`, and without `temporal_shift` the features of a
    frame are exactly those of that network. With it, frames exchange channels: a `TemporalShift`
    stands in front of the first convolution of every inverted residual block that has a shortcut
    and expands; the shortcut is not shifted.

    Args:
        variant: String. `"mobilenet_v3_small"` (the default) or `"mobilenet_v3_large"`.
        labels: Integer or strings. Number of classes, or their names. Defaults to 400.
        temporal_shift: Boolean. Whether an eighth of the channels moves each way. Defaults to
            False.
        causal: Boolean. Whether channels move from earlier to later frames only. Defaults to False.
        weights: String. Those of everything but the head, as `keras.applications` takes them:
            `None` (random), `"imagenet"` (downloaded by Keras) or the path of a weights file.
            Defaults to `None`.
        norm_momentum: Float. Share of the moving statistics that a batch normalization keeps in a
            step. Defaults to 0.999, with which the weights for images were made.
        dropout: Float. Rate in front of the last layer. Defaults to 0.2.
        clip: `kv.data.Clip`. What the model is fed with. Defaults to 50 frames, 5 a second, of 224
            x 224 pixels.
        name: String. Name of the model. Defaults to `variant`, with `_tsm` if shifted.

    Returns:
        A `VideoClassifier`, `(B, T, H, W, 3)` with pixels in [-1, 1] to logits; any number of
        frames and any size.

    Raises:
        ValueError: If there is no such variant.

    Example:

    >>> model = kv.models.frame_cnn("mobilenet_v3_small", labels=10, temporal_shift=True)
    >>> model(np.zeros((1, 4, 64, 64, 3), "float32")).shape
    (1, 10)

    References: Howard et al., "Searching for MobileNetV3", ICCV 2019, tables 1 and 2; Lin, Gan,
    Han, "TSM: Temporal Shift Module for Efficient Video Understanding", ICCV 2019, section 3.
    """
    if variant not in ARCHITECTURES:
        raise ValueError(
            f"`variant` must be one of {', '.join(ARCHITECTURES)}. Received: variant={variant!r}"
        )
    table = ARCHITECTURES[variant]
    labels = label_names(labels)
    shift = {"causal": causal} if temporal_shift else None

    inputs = keras.Input((None, None, None, 3), name="video")
    stem = keras.layers.Conv2D(
        STEM, 3, 2, "same", use_bias=False, data_format="channels_last", name="conv"
    )
    x = PerFrame(stem, name="conv")(inputs)
    norm = functools.partial(_norm, momentum=norm_momentum)
    x = norm(x, "conv", HS)
    for i, block in enumerate(table.blocks):
        block_name = f"expanded_conv_{i}" if i else "expanded_conv"
        x = _inverted_residual(x, block, shift, norm, block_name)
    x = _pointwise(x, table.last, "conv_1")
    x = norm(x, "conv_1", HS)

    x = keras.layers.GlobalAveragePooling3D(data_format="channels_last", name="head_pool")(x)
    x = keras.layers.Dense(table.hidden, activation=HS, name="head_dense")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout")(x)
    outputs = keras.layers.Dense(len(labels), name="logits", dtype="float32")(x)
    model = VideoClassifier(
        inputs,
        outputs,
        labels=labels,
        clip=clip or CLIP,
        features="conv_1_act",
        name=name or f"{variant}{'_tsm' if temporal_shift else ''}",
    )
    if weights is not None:
        images = table.images(input_shape=(224, 224, 3), include_top=False, weights=weights)
        _copy_weights(images, model)
    return model


def _inverted_residual(x, block, shift, norm, name):
    """Expand, convolve per channel, squeeze-and-excite, project, and add to the shortcut."""
    kernel, expanded, channels, excite, activation, stride = block
    shortcut = x
    has_shortcut = stride == 1 and x.shape[-1] == channels
    if expanded != x.shape[-1]:
        if shift is not None and has_shortcut:
            x = TemporalShift(**shift, name=f"{name}_shift")(x)
        x = _pointwise(x, expanded, f"{name}_expand")
        x = norm(x, f"{name}_expand", activation)
    x = DepthwiseConv3D(
        (1, kernel, kernel), (1, stride, stride), "same", use_bias=False, name=f"{name}_depthwise"
    )(x)
    x = norm(x, f"{name}_depthwise", activation)
    if excite:
        x = _squeeze_excite(x, f"{name}_squeeze_excite")
    x = _pointwise(x, channels, f"{name}_project")
    x = norm(x, f"{name}_project")
    return keras.layers.Add(name=f"{name}_add")([shortcut, x]) if has_shortcut else x


def _squeeze_excite(x, name):
    """Scale the channels of every frame by numbers from 0 to 1 that its mean gives."""
    channels = x.shape[-1]
    pool = keras.layers.GlobalAveragePooling2D(data_format="channels_last", keepdims=True)
    y = PerFrame(pool, name=f"{name}_avg_pool")(x)  # (B, T, 1, 1, C)
    y = keras.layers.Dense(multiple_of_8(channels // 4), RE, name=f"{name}_conv")(y)
    y = keras.layers.Dense(channels, "hard_sigmoid", name=f"{name}_conv_1")(y)
    return keras.layers.Multiply(name=f"{name}_mul")([x, y])


def _pointwise(x, channels, name):
    """A 1 x 1 convolution, which is a matrix product over the channels."""
    return keras.layers.Dense(channels, use_bias=False, name=name)(x)


def _norm(x, name, activation=None, *, momentum):
    x = keras.layers.BatchNormalization(epsilon=1e-3, momentum=momentum, name=f"{name}_bn")(x)
    if activation is None:
        return x
    return keras.layers.Activation(activation, name=f"{name}_act")(x)


def _copy_weights(images, model):
    """Give every layer the weights of the layer of that name in the network for images."""
    for layer in images.layers:
        if layer.weights:
            targets = model.get_layer(layer.name).weights
            for target, weight in zip(targets, layer.weights, strict=True):
                target.assign(ops.reshape(weight, target.shape))  # (k, k, C, 1): (1, k, k, C, 1)
