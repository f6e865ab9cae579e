"""Pictures of what a model does."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_vidreg._atomic import whole_file
from keras_vidreg.evaluation.frequency import FrequencySensitivity


def plot_embedding_paths(
    paths: Mapping[str, Any],
    file: str | os.PathLike,
    labels: Sequence[str] | None = None,
    *,
    shown: int = 24,
) -> Path:
    """Draw the path that each clip takes through embedding space, one panel per model.

    A panel shows the first two principal components of all its embeddings; a line is a clip, a
    dot a frame, darker towards the end of the clip, and a color a class.

    Args:
        paths: Dict `{title: array (clips, frames, K)}`, one panel each.
        file: Path of the picture to write (`.png`, `.pdf` or `.svg`), whole or not at all.
        labels: Name of the class of every clip. Defaults to `None`, a color per clip.
        shown: Integer, most clips to draw in a panel. Defaults to 24.

    Returns:
        Path of the picture.

    Raises:
        ImportError: If matplotlib is missing.

    Example:

    >>> model = kv.zoo.load("movinet_a0_grw_airplanes")
    >>> z = kv.evaluation.embeddings(model, kv.data.folder("videos/test"))
    >>> kv.evaluation.plot_embedding_paths({"with smoothing": z}, "paths.png").name
    'paths.png'

    Reference:
        Goldman, Giryes and Satyanarayanan, "Smooth Regularization for Efficient Video
        Recognition", NeurIPS 2025, figure 2.
    """
    figure = _figure(5 * len(paths), 4.6)
    from matplotlib.lines import Line2D

    axes = figure.subplots(1, len(paths), squeeze=False)[0]
    labels = [] if labels is None else list(labels)
    names = sorted(set(labels))
    for axis, (title, z) in zip(axes, paths.items(), strict=True):
        points = principal_components(z)[:shown]  # (clips, N, 2)
        for i, path in enumerate(points):
            color = f"C{names.index(labels[i]) if names else i % 10}"
            axis.plot(*path.T, color=color, linewidth=1, alpha=0.6)
            for t, point in enumerate(path):
                alpha = 0.25 + 0.75 * t / max(1, len(path) - 1)
                axis.scatter(*point, color=color, s=12, alpha=alpha, linewidths=0)
        axis.set_title(title)
        axis.set_xlabel("first principal component")
        axis.set_aspect("equal", "datalim")
    axes[0].set_ylabel("second principal component")
    if names:
        lines = [Line2D([], [], color=f"C{i}", marker="o", label=x) for i, x in enumerate(names)]
        axes[-1].legend(handles=lines)
    return _write(figure, file)


def plot_frequency_sensitivity(
    results: FrequencySensitivity | Mapping[str, FrequencySensitivity], file: str | os.PathLike
) -> Path:
    """Draw accuracy over the scale of each frequency band, one panel per layer.

    A color is a model; its solid line is the low band, its dashed line the high band. A dotted
    line marks the features as they are. Where all results are of one layer, or of layers scaled
    together, there is a panel per band instead, as in figure 4 of the paper.

    Args:
        results: A `FrequencySensitivity`, or several to compare: `{name: FrequencySensitivity}`.
        file: Path of the picture to write (`.png`, `.pdf` or `.svg`), whole or not at all.

    Returns:
        Path of the picture.

    Raises:
        ImportError: If matplotlib is missing.

    Example:

    >>> names = ["movinet_a0_grw_airplanes"]  # one line for each
    >>> results = {
    ...     name: kv.evaluation.frequency_sensitivity(
    ...         kv.zoo.load(name), kv.data.folder("videos/test"), layers="stem_norm",
    ...         scales=(0, 1, 2), verbose=False)
    ...     for name in names}
    >>> kv.evaluation.plot_frequency_sensitivity(results, "frequency.png").name
    'frequency.png'

    Reference:
        Kim, Cha, Wee, Bae and Kim, "Regularization on Spatio-Temporally Smoothed Feature for
        Action Recognition", CVPR 2020, figures 1 and 4.
    """
    if isinstance(results, FrequencySensitivity):
        results = {"": results}
    panels: dict[str, list] = {}  # title: (layer, band) of its curves
    layers = dict.fromkeys(layer for result in results.values() for layer in result.layers)
    for layer in layers:
        for band in ("low", "high"):
            title = layer if len(layers) > 1 else f"{layer}: {band} frequencies"
            panels.setdefault(title, []).append((layer, band))
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure = _figure(3.6 * columns + 1, 3 * rows + 0.6)
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    for axis, (title, curves) in zip(axes, panels.items(), strict=False):
        for i, (name, result) in enumerate(results.items()):
            for layer, band in curves:
                if layer not in result.layers or band not in result.bands:
                    continue
                line = "--" if band == "high" and len(curves) > 1 else "-"
                label = f"{name} {band}".strip() if len(curves) > 1 else name
                axis.plot(*result.curve(layer, band), line, color=f"C{i}", marker=".", label=label)
        axis.axvline(1, color="grey", linestyle=":", linewidth=1)
        axis.set_title(title, fontsize="medium")
        axis.set_xlabel("scale")
    for axis in axes[::columns]:
        axis.set_ylabel("top-1 accuracy")
    lines = {line.get_label(): line for axis in axes for line in axis.lines[:-1]}
    figure.legend(lines.values(), lines, loc="outside lower center", ncols=4)
    return _write(figure, file)


def principal_components(z, count=2):
    """Coordinates `(clips, N, count)` of `z`, `(clips, N, K)`, along its main directions."""
    z = np.asarray(z, "float64")
    flat = z.reshape(-1, z.shape[-1])  # (clips * N, K)
    flat = flat - flat.mean(axis=0)
    _, _, directions = np.linalg.svd(flat, full_matrices=False)
    return (flat @ directions[:count].T).reshape(*z.shape[:2], count)


def _figure(width, height):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'Plots need matplotlib. Install it with: pip install "keras-vidreg[plot]"'
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def _write(figure, file):
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(file) as part:
        figure.savefig(part, dpi=120)
    return file
