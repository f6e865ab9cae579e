"""Accuracy of a model while the low or the high frequencies of its features are scaled."""

import dataclasses
import functools
import re
from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import keras
import numpy as np
from rich.progress import track

from keras_vidreg.data import VideoSource
from keras_vidreg.evaluation._evaluate import label_numbers, predict, softmax
from keras_vidreg.layers import GaussianFilter, MeanFilter
from keras_vidreg.models.insert import insert_layers, layer_paths, listed
from keras_vidreg.models.parts import PATHWAY

BANDS = ("low", "high")
SCALES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
# Layers to look at where names tell no stages.
SPREAD = 5


class FrequencyRow(NamedTuple):
    """What was measured with one band scaled in front of one layer, or of several at once."""

    layer: str
    band: str
    scale: float
    accuracy: float
    loss: float


@dataclasses.dataclass(frozen=True)
class FrequencySensitivity:
    """What was measured.

    Args:
        rows: Tuple of `FrequencyRow`s, by layer, band and scale.
        accuracy: Float, accuracy of the model as it is.
        loss: Float, its mean negative log of the probability of the true class.
        low_pass: String, the filter that parts the bands.
        clips: Integer, number of videos that were measured.
        skipped: Integer, number of videos that could not be decoded.
    """

    rows: tuple[FrequencyRow, ...]
    accuracy: float
    loss: float
    low_pass: str
    clips: int
    skipped: int

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the layers, in the order of the model."""
        return tuple(dict.fromkeys(row.layer for row in self.rows))

    @property
    def bands(self) -> tuple[str, ...]:
        """The bands that were scaled."""
        return tuple(dict.fromkeys(row.band for row in self.rows))

    def curve(self, layer: str, band: str) -> tuple[list[float], list[float]]:
        """`(scales, accuracies)` of one band in front of one layer."""
        rows = [row for row in self.rows if (row.layer, row.band) == (layer, band)]
        return [row.scale for row in rows], [row.accuracy for row in rows]

    def cells(self) -> list[list[str]]:
        """Accuracies as lines of text: a head, then a line for every layer and band."""
        scales = dict.fromkeys(row.scale for row in self.rows)
        lines = [["layer", "band", *(f"{scale:g}" for scale in scales)]]
        for layer in self.layers:
            for band in self.bands:
                lines.append([layer, band, *(f"{a:.1%}" for a in self.curve(layer, band)[1])])
        return lines

    def table(self) -> str:
        """The same as a Markdown table."""
        head, *lines = self.cells()
        lines = [head, ["---", "---", *("--:" for _ in head[2:])], *lines]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)

    def to_dict(self) -> dict[str, Any]:
        """The values as a dict of JSON values."""
        rows = [row._asdict() for row in self.rows]
        return {**dataclasses.asdict(self), "rows": rows}


def frequency_sensitivity(
    model: keras.Model,
    source: VideoSource | tuple[Any, Any],
    *,
    layers: str | Iterable[str] | None = None,
    together: bool = False,
    bands: Iterable[str] = BANDS,
    scales: Iterable[float] = SCALES,
    low_pass: Literal["mean", "gaussian"] = "mean",
    size: int = 3,
    sigma: float = 0.4,
    batch_size: int = 8,
    on_error: Literal["skip", "raise"] = "skip",
    verbose: bool = True,
) -> FrequencySensitivity:
    """Measure what a model loses when a frequency band of its features is scaled at inference.

    In front of one layer at a time, or of all chosen layers at once, `x` is replaced by

    ```
    low:   s * lowpass(x) + (x - lowpass(x))
    high:  lowpass(x) + s * (x - lowpass(x))
    ```

    All else stays as it is. Every clip is decoded once, and memory holds a few batches at a time.

    Args:
        model: A `kv.models.VideoClassifier`, or any Functional or Sequential model that gives
            logits.
        source: A `VideoSource`; or `(inputs, labels)`, an array of clips or images as the model
            takes them and the numbers of their classes.
        layers: Paths of the layers (`"outer/inner"` inside nested models), or a regular expression
            that is searched in the paths of the batch normalizations. Defaults to the last batch
            normalization of every stage, where names tell 3 to 16 stages (`res4_block0_norm3` is in
            `res4`, `stem_norm` in `stem`), or else to five spread over the model. With `together`
            the default is every batch normalization of the last two stages (res4 and res5), as in
            figure 4 of the paper.
        together: Whether the chosen layers are scaled all at once, by the same factor, and not one
            after another. Defaults to `False`.
        bands: Which of `"low"` and `"high"` to scale. Defaults to both.
        scales: Factors s. Defaults to 0, 0.25, ..., 2.
        low_pass: `"mean"` or `"gaussian"`. Defaults to `"mean"`.
        size: Odd integer, positions that the filter spans along every axis. Defaults to 3.
        sigma: Float, of the Gaussian filter, in positions. Defaults to 0.4.
        batch_size: Integer, clips per step. Defaults to 8.
        on_error: `"skip"` leaves broken videos out and counts them, `"raise"` stops. Defaults to
            `"skip"`.
        verbose: Whether to show a progress bar. Defaults to `True`.

    Returns:
        A `FrequencySensitivity`. With `together` its rows have one `layer`, which names the stages.

    Raises:
        ValueError: If there is no such layer, or an argument is none of its choices.

    Example:

    >>> model = kv.zoo.load("movinet_a0_grw_airplanes")
    >>> result = kv.evaluation.frequency_sensitivity(
    ...     model, kv.data.folder("videos/test"), layers="stem_norm", scales=(0, 1), verbose=False)
    >>> [(row.band, row.scale) for row in result.rows]
    [('low', 0.0), ('low', 1.0), ('high', 0.0), ('high', 1.0)]

    Reference:
        Kim, Cha, Wee, Bae and Kim, "Regularization on Spatio-Temporally Smoothed Feature for
        Action Recognition", CVPR 2020, figures 1 and 4.
    """
    bands, scales = tuple(bands), tuple(float(scale) for scale in scales)
    if not bands or set(bands) - set(BANDS):
        raise ValueError(f'`bands` must be of "low" and "high". Received: {bands!r}')
    if not scales or not np.isfinite(scales).all():
        raise ValueError(f"`scales` must be one or more numbers. Received: {scales!r}")
    if low_pass not in ("mean", "gaussian"):
        raise ValueError(f'`low_pass` must be "mean" or "gaussian". Received: {low_pass!r}')
    chosen = choose_layers(model, layers, together)
    probes = {}
    for path, layer in chosen.items():
        dtype = layer.dtype_policy
        make = MeanFilter if low_pass == "mean" else functools.partial(GaussianFilter, sigma=sigma)
        probes[path] = BandScaling(make(size, dtype=dtype), name=f"{layer.name}_bands", dtype=dtype)
    probed = insert_layers(model, {chosen[path]: probe for path, probe in probes.items()})

    groups = {path: [probe] for path, probe in probes.items()}
    if together:
        stages = ", ".join(dict.fromkeys(map(_stage, probes)))
        groups = {f"{stages} together": list(probes.values())}

    # One model and one compilation for all settings; the first setting is the model as it is.
    settings = [(name, band, s) for name in groups for band in bands for s in scales if s != 1]
    settings.insert(0, (next(iter(groups)), "low", 1.0))
    batches, steps, requested = _read(model, source, batch_size, on_error)
    work = ((k, batch) for batch in batches for k in range(len(settings)))
    correct, losses, clips = np.zeros(len(settings)), np.zeros(len(settings)), 0
    for k, (inputs, truth) in track(
        work, "scaling", total=steps * len(settings), disable=not verbose, transient=True
    ):
        name, band, scale = settings[k]
        factors = [getattr(probe, band) for probe in groups[name]]
        for factor in factors:
            factor.assign(scale)
        probabilities = softmax(predict(probed, inputs, batch_size))  # (n, classes)
        for factor in factors:
            factor.assign(1)
        own = probabilities[np.arange(len(truth)), truth]
        correct[k] += np.sum(probabilities.argmax(axis=-1) == truth)
        losses[k] -= np.log(np.maximum(own, 1e-12)).sum()
        clips += len(truth) if k == 0 else 0
    measured = {
        setting: (float(right / clips), float(loss / clips))
        for setting, right, loss in zip(settings, correct, losses, strict=True)
    }
    accuracy, loss = measured[settings[0]]
    rows = [
        FrequencyRow(name, band, s, *measured.get((name, band, s), (accuracy, loss)))
        for name in groups
        for band in bands
        for s in scales
    ]
    used = f"mean, size {size}" if low_pass == "mean" else f"gaussian, size {size}, sigma {sigma:g}"
    return FrequencySensitivity(tuple(rows), accuracy, loss, used, clips, requested - clips)


class BandScaling(keras.layers.Layer):
    """`low * lowpass(x) + high * (x - lowpass(x))`, which is exactly `x` where both factors are 1.

    Args:
        low_pass: Layer that gives the low frequencies.
        **kwargs: Arguments of `keras.layers.Layer`.
    """

    def __init__(self, low_pass, **kwargs):
        super().__init__(**kwargs)
        self.low_pass = low_pass

    def build(self, input_shape):
        self.low_pass.build(input_shape)
        self.low, self.high = (
            self.add_weight(shape=(), initializer="ones", trainable=False, name=band)
            for band in BANDS
        )

    def call(self, inputs):
        return self.high * inputs + (self.low - self.high) * self.low_pass(inputs)

    def compute_output_shape(self, input_shape):
        return input_shape


def choose_layers(model, layers=None, together=False):
    """The layers that `frequency_sensitivity` means by its arguments, as `{path: layer}`."""
    known = dict(layer_paths(model))
    if layers is not None and not isinstance(layers, str):
        if missing := [path for path in layers if path not in known]:
            raise ValueError(f"The model has no layers {missing}; it has {listed(known)}")
        if not layers:
            raise ValueError("`layers` must name one or more layers. Received none")
        return {path: known[path] for path in layers}
    norms = {
        path: layer
        for path, layer in known.items()
        if isinstance(layer, keras.layers.BatchNormalization) and layer.input_spec.ndim in (4, 5)
    }
    if not norms:
        raise ValueError(
            "The model has no batch normalization of images or videos: give the paths of other "
            f"layers as `layers=[...]`; there are {listed(known)}"
        )
    if layers is None:
        return _last_two_stages(norms) if together else _one_per_stage(norms)
    found = {path: layer for path, layer in norms.items() if re.search(layers, path)}
    if not found:
        raise ValueError(
            f"No batch normalization has a path that matches `layers={layers!r}`; there are "
            f"{listed(norms)}"
        )
    return found


def _one_per_stage(norms):
    """The last layer of every stage, or a few over all the depth where there are no stages."""
    stages = {_stage(path): path for path in norms}
    paths = list(stages.values())
    if not 3 <= len(stages) <= 16:
        places = np.linspace(0, len(norms) - 1, min(SPREAD, len(norms)))
        paths = [list(norms)[round(place)] for place in places]
    return {path: norms[path] for path in paths}


def _last_two_stages(norms):
    last = list(dict.fromkeys(map(_word, norms)))[-2:]
    return {path: layer for path, layer in norms.items() if _word(path) in last}


def _word(path):
    """The stage without its pathway: SlowFast has `slow_res4` and `fast_res4`."""
    return re.sub(f"^{PATHWAY}", "", _stage(path).rpartition("/")[2])


def _stage(path):
    """The words of a name up to the first with a number; the first word where none has one."""
    folder, slash, name = path.rpartition("/")
    numbered = re.match(r"([^_\d]+_)*[^_]*\d[^_]*", name)
    return folder + slash + (numbered[0] if numbered else name.partition("_")[0])


def _read(model, source, batch_size, on_error):
    """`(batches, steps, clips)`; a batch is the inputs and the numbers of their classes."""
    if isinstance(source, tuple):
        inputs, labels = source
        if len(inputs) != len(labels) or not len(labels):
            raise ValueError(
                "`source` must have a label for every input. Received: "
                f"{len(inputs)} inputs and {len(labels)} labels"
            )
        starts = range(0, len(labels), batch_size)
        batches = (
            (np.asarray(inputs[i : i + batch_size]), np.asarray(labels[i : i + batch_size]))
            for i in starts
        )
        return batches, len(starts), len(labels)
    if getattr(model, "clip", None) is None:
        raise ValueError(
            "`model` must be a VideoClassifier to be measured on a video source; for another one "
            "give `(inputs, labels)` as `source`"
        )
    numbers = label_numbers(source, model)
    read = source.batches(batch_size, clip=model.clip, training=False, on_error=on_error)
    batches = ((np.asarray(clips), numbers[np.asarray(labels)]) for clips, labels in read)
    return batches, -(-len(source) // batch_size), len(source)
