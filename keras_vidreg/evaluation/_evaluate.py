"""Accuracy of a model on a video source, over one or several views of every video."""

import dataclasses
import warnings
from collections.abc import Iterable
from typing import Any, Literal

import keras
import numpy as np
from rich.progress import track

from keras_vidreg.data import Clip, VideoSource
from keras_vidreg.data.sample import parse_views

PIXELS = ("pixel_range", "mean", "std")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What was measured.

    Args:
        top: Dict of accuracies, `{1: top-1, 5: top-5}`, as fractions.
        loss: Float, mean negative log of the probability of the true class, after averaging views.
        per_class: Dict `{label: fraction of its clips that were classified as it}`.
        confusion: Counts `(true class, predicted class)` in the order of the model's labels.
        clips: Integer, number of videos that were measured.
        skipped: Integer, number of videos that could not be decoded.
        views: String, views per video, as given.
    """

    top: dict[int, float]
    loss: float
    per_class: dict[str, float]
    confusion: np.ndarray
    clips: int
    skipped: int
    views: str

    @property
    def top1(self) -> float:
        """Fraction of clips whose most probable class is the true one."""
        return self.top[1]

    @property
    def top5(self) -> float | None:
        """Fraction of clips with the true class among the five most probable."""
        return self.top.get(5)

    def to_dict(self) -> dict[str, Any]:
        """The values as a dict of JSON values."""
        values = dataclasses.asdict(self)
        top = {f"top{k}": value for k, value in values.pop("top").items()}
        return {**top, **values, "confusion": self.confusion.tolist()}


def evaluate(
    model: keras.Model,
    source: VideoSource,
    *,
    views: str | int = "1x1",
    clip: Clip | None = None,
    sampling: Literal["clip", "uniform"] = "clip",
    short: Literal["loop", "hold", "error"] = "loop",
    batch_size: int = 8,
    top: Iterable[int] = (1, 5),
    on_error: Literal["skip", "raise"] = "skip",
    verbose: bool = True,
) -> Evaluation:
    """Measure a model on a source; the softmax scores of the views of a video are averaged.

    The labels of the source are found among the model's by name, so their order is free.

    Args:
        model: A `kv.models.VideoClassifier`.
        source: A `VideoSource`.
        views: `"10x3"` is ten places in time and three crops of each. Defaults to `"1x1"`, the
            centre.
        clip: A `Clip`, how videos are read, where that is not the model's own: more frames, or the
            3 x 256 pixels of the papers from a model made for 224. Defaults to `model.clip`.
        sampling: `"clip"`, frames that follow each other, or `"uniform"`, frames spread over the
            whole video. Defaults to `"clip"`.
        short: What happens to videos with too few frames: `"loop"`, `"hold"` or `"error"`, as in
            training. Defaults to `"loop"`.
        batch_size: Integer, views per step. Defaults to 8.
        top: Which top-k accuracies to measure; 1 is always measured. Defaults to `(1, 5)`.
        on_error: `"skip"` leaves broken videos out and counts them, `"raise"` stops. Defaults to
            `"skip"`.
        verbose: Whether to show a progress bar. Defaults to `True`.

    Returns:
        An `Evaluation`.

    Raises:
        ValueError: If the source has labels that the model does not know.

    Example:

    >>> model = kv.zoo.load("movinet_a0_grw_airplanes")
    >>> source = kv.data.folder("videos/test")
    >>> result = kv.evaluation.evaluate(model, source, views="2x1", verbose=False)
    >>> result.clips, result.top1
    (12, 1.0)
    """
    numbers = label_numbers(source, model)
    temporal, crops = parse_views(views)
    count = temporal * crops
    # Memory holds a few batches at a time: fewer videos each when a video has many views.
    videos = max(1, batch_size // count)
    batches = source.batches(
        videos,
        clip=_clip(model, clip),
        training=False,
        views=views,
        sampling=sampling,
        short=short,
        on_error=on_error,
        **({"workers": 1, "max_queue_size": 1} if count > 1 else {}),
    )
    scores, truth = [], []
    for clips, labels in track(
        batches, "evaluating", total=-(-len(source) // videos), disable=not verbose, transient=True
    ):
        flat = np.reshape(clips, (-1, *clips.shape[-4:]))  # (n * views, T, H, W, 3)
        probabilities = softmax(predict(model, flat, batch_size))
        scores.append(probabilities.reshape(len(labels), count, -1).mean(axis=1))  # (n, classes)
        truth.append(numbers[np.asarray(labels)])
    return _measure(
        np.concatenate(scores), np.concatenate(truth), model.labels, top, len(source), views
    )


def _clip(model, clip):
    """The clip to read; a warning where its pixels are not those that the model was made for."""
    if clip is None:
        return model.clip
    if changed := [name for name in PIXELS if getattr(clip, name) != getattr(model.clip, name)]:
        warnings.warn(
            f"`clip` has {', '.join(changed)} that the model was not made for; take "
            "dataclasses.replace(model.clip, size=...) to change no more than the size.",
            stacklevel=3,
        )
    return clip


def label_numbers(source, model):
    """For every label number of a source, the number of that label in the model; -1: unused."""
    used = {source.labels[record.label] for record in source}
    unknown = sorted(used - set(model.labels))
    if unknown:
        raise ValueError(
            f"The model does not know the labels {unknown} of the data; it knows "
            f"{list(model.labels[:10])}{' ...' if len(model.labels) > 10 else ''}."
        )
    return np.array([model.labels.index(x) if x in used else -1 for x in source.labels])


def predict(model, clips, batch_size):
    """Outputs for any number of clips, with every step of the same shape so that it compiles once.

    Args:
        model: A Keras model.
        clips: Array `(n, T, H, W, 3)`.
        batch_size: Clips per step.

    Returns:
        Array `(n, ...)`.
    """
    outputs = []
    for start in range(0, len(clips), batch_size):
        part = clips[start : start + batch_size]
        fill = np.repeat(part[-1:], batch_size - len(part), axis=0)
        outputs.append(model.predict_on_batch(np.concatenate([part, fill]))[: len(part)])
    return np.concatenate(outputs)


def softmax(logits):
    """Probabilities over the last axis, in float64."""
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True).astype("float64"))
    return exponents / exponents.sum(axis=-1, keepdims=True)


def _measure(scores, truth, labels, top, requested, views):
    order = np.argsort(-scores, axis=-1, kind="stable")  # (n, classes)
    rank = np.argmax(order == truth[:, None], axis=-1)  # place of the true class
    confusion = np.zeros((len(labels), len(labels)), int)
    np.add.at(confusion, (truth, order[:, 0]), 1)
    totals = confusion.sum(axis=1)
    own = scores[np.arange(len(truth)), truth]
    return Evaluation(
        top={k: float(np.mean(rank < k)) for k in sorted({1, *top})},
        loss=float(-np.log(np.maximum(own, 1e-12)).mean()),
        per_class={
            label: float(confusion[i, i] / totals[i]) for i, label in enumerate(labels) if totals[i]
        },
        confusion=confusion,
        clips=len(truth),
        skipped=requested - len(truth),
        views=str(views),
    )
