"""Per-frame features, smoothed by GRW, then attention over time."""

import functools
from collections.abc import Sequence

import keras

from keras_vidreg.data import Clip
from keras_vidreg.layers import GRWSmoothing, PerFrame, StochasticDepth, TemporalPosition
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.description import described, label_names
from keras_vidreg.models.insert import insert_behind

NORM_EPSILON = 1e-5


@described
def grw_classifier(
    backbone: keras.Model,
    *,
    window: int,
    embed_dim: int,
    depth: int,
    heads: int,
    mlp_dim: int,
    labels: int | Sequence[str],
    alpha: float = 0.5,
    weight: float = 0.1,
    smooth_at: str | None = None,
    drop_path: float = 0.0,
    dropout: float = 0.0,
    clip: Clip | None = None,
    name: str | None = None,
) -> VideoClassifier:
    """A classifier on per-frame embeddings that GRW smoothing makes move smoothly.

    Features are averaged over space, mapped to embeddings `Z` by one affine layer, smoothed in
    training by `GRWSmoothing` (the layer `"grw_smoothing"`, whose output is `Z`), normalized, given
    a temporal position, passed through pre-norm attention layers, averaged over time and mapped to
    logits.

    Args:
        backbone: A `VideoClassifier`, whose head is dropped, or a Keras model from
            `(B, T, H, W, 3)` to `(B, T, h, w, C)` or `(B, T, C)`. Its weights are shared.
        window: Integer. Frames per smoothing window, T in the paper.
        embed_dim: Integer. Size of the embeddings, K.
        depth: Integer. Number of attention layers.
        heads: Integer. Attention heads per layer; divides `embed_dim`.
        mlp_dim: Integer. Hidden units of each layer's feed-forward part.
        labels: Integer or strings. Number of classes, or their names.
        alpha: Float. Weight of the small-velocity prior. Defaults to 0.5.
        weight: Float. Weight of the smoothing loss in the total loss. Defaults to 0.1.
        smooth_at: String. Stage or layer of the backbone that is smoothed instead of the
            embeddings, such as `"block3"`: its output is averaged over space and normalized to mean
            0 and variance 1 per channel, without learned parameters, before the loss. The layer is
            called `"block3_grw_smoothing"`. Defaults to the embeddings.
        drop_path: Float. Probability that a clip skips an attention or feed-forward part in
            training. Defaults to 0.
        dropout: Float. Rate in front of the last layer. Defaults to 0.
        clip: `kv.data.Clip`. What the model is fed with. Defaults to the backbone's.
        name: String. Name of the model. Defaults to the backbone's name with `_grw`.

    Returns:
        A `VideoClassifier`. Frames after the last whole window are not smoothed.

    Raises:
        ValueError: If the heads do not divide the embedding, if the features are of another rank,
            if the backbone has no stage `smooth_at`, or if nothing says what clip the model takes.

    Example:

    >>> backbone = kv.models.movinet("a0", causal=True)
    >>> model = kv.models.grw_classifier(
    ...     backbone, window=5, embed_dim=64, depth=1, heads=4, mlp_dim=128, labels=["yes", "no"])
    >>> model(np.zeros((1, 10, 64, 64, 3), "float32")).shape
    (1, 2)

    Reference: Goldman, Giryes, Satyanarayanan, "Smooth Regularization for Efficient Video
    Recognition", NeurIPS 2025 (smoothing of the final and of an intermediate layer).
    """
    if embed_dim % heads:
        raise ValueError(
            f"`heads` must divide `embed_dim`. Received: embed_dim={embed_dim}, heads={heads}"
        )
    clip = clip or getattr(backbone, "clip", None)
    if clip is None:
        raise ValueError("`clip` is needed: this backbone does not say what it is fed with.")
    labels = label_names(labels)
    name = name or f"{backbone.name}_grw"
    if isinstance(backbone, VideoClassifier):
        backbone = backbone.backbone
    # a clip may have any number of frames, so a tail shorter than a window is let pass
    smoothing = functools.partial(GRWSmoothing, window, alpha, weight, remainder="drop")
    if smooth_at is not None:
        layer = smoothing(normalize=True, name=f"{smooth_at}_grw_smoothing")
        backbone = insert_behind(backbone, smooth_at, layer)
    inputs, x = backbone.inputs[0], backbone.outputs[0]
    if len(x.shape) == 5:
        pool = keras.layers.GlobalAveragePooling2D(data_format="channels_last", name="pool")
        x = PerFrame(pool, name="frame_pool")(x)  # (B, T, C)
    elif len(x.shape) != 3:
        raise ValueError(
            "`backbone` must give features of shape (B, T, h, w, C) or (B, T, C). "
            f"Received: {x.shape}"
        )
    x = keras.layers.Dense(embed_dim, name="embedding")(x)  # (B, T, K)
    if smooth_at is None:
        x = smoothing(name="grw_smoothing")(x)
    x = _norm("embedding_norm")(x)
    x = TemporalPosition(endpoint=True, name="position")(x)
    for i in range(depth):
        x = _attention(x, heads, drop_path, f"attention{i}")
        x = _feed_forward(x, mlp_dim, drop_path, f"mlp{i}")
    x = _norm("attention_norm")(x)
    x = keras.layers.GlobalAveragePooling1D(data_format="channels_last", name="temporal_pool")(x)
    if dropout:
        x = keras.layers.Dropout(dropout, name="head_dropout")(x)
    outputs = keras.layers.Dense(len(labels), name="logits", dtype="float32")(x)
    return VideoClassifier(
        inputs,
        outputs,
        labels=labels,
        clip=clip,
        features=backbone.layers[-1].name,
        embeddings="embedding",
        name=name,
    )


def _attention(x, heads, drop_path, name):
    y = _norm(f"{name}_norm")(x)
    y = keras.layers.MultiHeadAttention(heads, x.shape[-1] // heads, name=name)(y, y)
    return _add(x, y, drop_path, name)


def _feed_forward(x, hidden, drop_path, name):
    y = _norm(f"{name}_norm")(x)
    y = keras.layers.Dense(hidden, name=f"{name}_expand")(y)
    y = keras.layers.Activation("gelu", name=f"{name}_act")(y)
    y = keras.layers.Dense(x.shape[-1], name=f"{name}_project")(y)
    return _add(x, y, drop_path, name)


def _add(x, y, drop_path, name):
    if drop_path:
        y = StochasticDepth(drop_path, name=f"{name}_drop")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _norm(name):
    return keras.layers.LayerNormalization(epsilon=NORM_EPSILON, name=name)
