"""How smoothly the per-frame embeddings of a model move."""

from typing import Any

import keras
import numpy as np

from keras_vidreg.data import VideoSource
from keras_vidreg.evaluation._evaluate import predict


def embeddings(
    model: keras.Model,
    source: VideoSource,
    *,
    layer: str = "grw_smoothing",
    batch_size: int = 8,
) -> np.ndarray:
    """Per-frame embeddings of every video of a source, at the centre of each.

    Args:
        model: A `kv.models.VideoClassifier` with such a layer.
        source: A `VideoSource`.
        layer: String, name of the layer whose output `(B, N, K)` is wanted. Defaults to
            `"grw_smoothing"`.
        batch_size: Integer, clips per step. Defaults to 8.

    Returns:
        Array `(clips, N, K)`, in the order of the source; videos that cannot be decoded stop it.

    Raises:
        ValueError: If the model has no such layer.
    """
    inner = keras.Model(model.inputs[0], model.get_layer(layer).output)
    batches = source.batches(batch_size, clip=model.clip, training=False)
    return np.concatenate([predict(inner, np.asarray(clips), batch_size) for clips, _ in batches])


def smoothness(
    model: keras.Model,
    source: VideoSource,
    *,
    layer: str = "grw_smoothing",
    batch_size: int = 8,
) -> float:
    """Mean acceleration over mean velocity of the embeddings; smaller is smoother.

    ```
    mean |z[t+2] - 2 z[t+1] + z[t]| / mean |z[t+1] - z[t]|
    ```

    A straight line gives 0, white noise the square root of 3.

    Args:
        model: A `kv.models.VideoClassifier` with such a layer.
        source: A `VideoSource`.
        layer: String, name of the layer whose output is measured. Defaults to `"grw_smoothing"`.
        batch_size: Integer, clips per step. Defaults to 8.

    Returns:
        A float.

    Example:

    >>> model = kv.zoo.load("movinet_a0_grw_airplanes")
    >>> round(kv.evaluation.smoothness(model, kv.data.folder("videos/test")), 2)
    0.65
    """
    return path_smoothness(embeddings(model, source, layer=layer, batch_size=batch_size))


def path_smoothness(z: Any) -> float:
    """The `smoothness` of embeddings that are already there.

    Args:
        z: Array `(clips, N, K)` with at least three frames.

    Returns:
        A float.

    Raises:
        ValueError: If `z` has another shape.

    Example:

    >>> kv.evaluation.path_smoothness([[[0.0], [1.0], [3.0]]])  # steps of 1 and 2
    0.6666666666666666
    """
    z = np.asarray(z, "float64")
    if z.ndim != 3 or z.shape[1] < 3:
        raise ValueError(f"`z` must have shape (clips, frames >= 3, K). Received: {z.shape}")
    velocity = np.linalg.norm(np.diff(z, axis=1), axis=-1).mean()
    acceleration = np.linalg.norm(np.diff(z, n=2, axis=1), axis=-1).mean()
    return float(acceleration / max(velocity, 1e-12))
