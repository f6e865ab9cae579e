"""Residual networks for small images, with a regularizer in their blocks."""

import functools
from collections.abc import Callable, Sequence

import keras
from keras import ops

from keras_vidreg.models.insert import own_seeds

WIDTHS = (16, 32, 64)  # channels of the stages
NORM_EPSILON = 1e-5


def resnet_cifar(
    depth: int = 110,
    *,
    labels: int = 100,
    regularizer: Callable | None = None,
    stages: Sequence[int] = (2, 3),
    norm_momentum: float = 0.9,
    name: str | None = None,
) -> keras.Model:
    """The residual network for images of CIFAR's size, a plain Keras model.

    A convolution, then three stages of `n = (depth - 2) / 6` basic blocks with 16, 32 and 64
    channels, the mean over space, and a linear classifier. Shortcuts have no weights: where a stage
    begins, they skip every other row and column and get channels of zeros.

    A regularizer goes in front of every normalization of the chosen stages. The default, the last
    two, is the rule of the 3D networks (res4 and res5 of four stages) taken over.

    Args:
        depth: Integer. Layers with weights, `6 n + 2`. Defaults to 110.
        labels: Integer. Number of classes. Defaults to 100.
        regularizer: Callable. What gives a new layer, `regularizer(name=...)`, for example
            `functools.partial(kv.layers.RandomMeanScaling, stddev=0.5)`. Defaults to none.
        stages: Integers. Of 1 to 3, those with the regularizer. Defaults to `(2, 3)`.
        norm_momentum: Float. Share of the moving statistics that a batch normalization keeps in a
            step. Defaults to 0.9.
        name: String. Name of the model. Defaults to `resnet_cifar_110` and so on.

    Returns:
        A Functional `keras.Model`, `(B, H, W, 3)` to logits `(B, labels)`, randomly initialized;
        any size.

    Raises:
        ValueError: If it is a depth of another form or an unknown stage.

    Example:

    >>> model = kv.models.resnet_cifar(20, labels=10, regularizer=kv.layers.RandomMeanScaling)
    >>> model(np.zeros((1, 32, 32, 3), "float32")).shape
    (1, 10)

    References: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016,
    section 4.2; Kim et al., "Regularization on Spatio-Temporally Smoothed Feature for Action
    Recognition", CVPR 2020, table 6.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ValueError(f"`depth` must be 6 n + 2: 8, 14, 20 and so on. Received: depth={depth}")
    if unknown := set(stages) - {1, 2, 3}:
        raise ValueError(f"`stages` must be of 1, 2 and 3. Received: {sorted(unknown)}")
    regularizer = own_seeds(regularizer)
    inputs = keras.Input((None, None, 3), name="image")
    norm = functools.partial(_norm, momentum=norm_momentum)
    x = _activation(norm(_conv(inputs, WIDTHS[0], 1, "stem"), "stem"), "stem")
    for stage, width in enumerate(WIDTHS, start=1):
        for i in range(blocks):
            x = _block(
                x,
                width,
                stride=2 if stage > 1 and i == 0 else 1,
                regularizer=regularizer if stage in stages else None,
                norm=norm,
                name=f"stage{stage}_block{i}",
            )
    x = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="head_pool")(x)
    outputs = keras.layers.Dense(labels, name="logits", dtype="float32")(x)
    return keras.Model(inputs, outputs, name=name or f"resnet_cifar_{depth}")


def _block(x, width, stride, regularizer, norm, name):
    """Two convolutions, added to the shortcut."""
    shortcut = x
    for part in (1, 2):
        x = _conv(x, width, stride if part == 1 else 1, f"{name}_{part}")
        if regularizer is not None:
            x = regularizer(name=f"{name}_{part}_regularizer")(x)
        x = norm(x, f"{name}_{part}")
        if part == 1:
            x = _activation(x, f"{name}_{part}")
    if stride > 1:
        shortcut = keras.layers.AveragePooling2D(
            1, stride, data_format="channels_last", name=f"{name}_skip"
        )(shortcut)
    if missing := width - shortcut.shape[-1]:
        shortcut = ops.pad(shortcut, [(0, 0), (0, 0), (0, 0), (0, missing)])
    x = keras.layers.Add(name=f"{name}_add")([shortcut, x])
    return _activation(x, name)


def _conv(x, channels, stride, name):
    """A 3 x 3 convolution, centred on the pixels that the shortcut keeps."""
    if stride > 1:
        x = keras.layers.ZeroPadding2D(1, data_format="channels_last", name=f"{name}_pad")(x)
    return keras.layers.Conv2D(
        channels,
        3,
        stride,
        "same" if stride == 1 else "valid",
        use_bias=False,
        kernel_initializer="he_normal",
        data_format="channels_last",
        name=f"{name}_conv",
    )(x)


def _norm(x, name, momentum):
    return keras.layers.BatchNormalization(
        momentum=momentum, epsilon=NORM_EPSILON, name=f"{name}_norm"
    )(x)


def _activation(x, name):
    return keras.layers.Activation("relu", name=f"{name}_act")(x)
