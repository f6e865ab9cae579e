"""Copy the weights of another implementation into one of our models."""

import itertools
import operator
import re

import keras
import numpy as np

from keras_vidreg._text import printable, shown
from keras_vidreg.checkpoints.layouts import LAYOUTS

MAX_LINES = 50
MAX_LINE = 300


def port_weights(model: keras.Model, state_dict: dict[str, np.ndarray], layout: str) -> None:
    """Fill a model with the weights of another implementation of the same network.

    Every weight of the model must be found, every array must be used, and every shape must fit;
    nothing is changed if one does not. Where the other implementation's batch normalization adds
    another epsilon to the variance than our layers do, the variance makes up for it.

    Args:
        model: The Keras model to fill.
        state_dict: `{key: NumPy array}`.
        layout: Name of the layout: `"movinet_pytorch"`, `"grw_smoothing"`, `"model_garden"`,
            `"mmaction2"`, `"pytorchvideo"` or `"slowfast"`.

    Raises:
        ValueError: If the layout is unknown or one of other models; if weights are missing, left
            over, of another shape or not finite, which are listed.

    Example:

    >>> found = kv.checkpoints.read_state_dict("movinet_a0.npz")
    >>> model = kv.models.movinet("a0")
    >>> kv.checkpoints.port_weights(model, found.arrays, "movinet_pytorch")
    """
    if layout not in LAYOUTS:
        raise ValueError(
            f"`layout` must be one of {', '.join(LAYOUTS)}. Received: layout={shown(layout)}"
        )
    layout = LAYOUTS[layout]
    arrays = canonical_arrays(state_dict, layout, model)
    corrections = _variance_corrections(model, layout)
    found, missing, problems = [], [], []
    for variable in model.weights:
        key = layout.key(variable.path, model)
        if re.search(layout.absent, variable.path):
            found.append((variable, np.zeros(variable.shape)))
        elif key not in arrays:
            missing.append(f"{key} (for {variable.path})")
        else:
            value = _to_keras(np.asarray(arrays.pop(key)), variable.path, layout)
            if not _splits_into(value.shape, variable.shape):
                problems.append(f"{key}: shape {value.shape}, wanted {tuple(variable.shape)}")
            elif not np.isfinite(value).all():
                problems.append(f"{key}: holds numbers that are not finite")
            else:
                value = value.reshape(variable.shape) + corrections.get(variable.path, 0)
                found.append((variable, value))
    report = {"missing": missing, "left over": sorted(arrays), "unfit": problems}
    if any(report.values()):
        raise ValueError(
            f"`state_dict` does not fit the model {model.name!r}; nothing was changed.\n"
            + "\n".join(
                f"{title} ({len(lines)}):\n  " + "\n  ".join(_first(lines))
                for title, lines in report.items()
                if lines
            )
        )
    for variable, value in found:
        variable.assign(value)


def canonical_arrays(state_dict, layout, model):
    """The arrays of a foreign state dict under the names that the layout gives our variables."""
    arrays = {}
    for key, value in layout.prepare(state_dict, model).items():
        if re.search(layout.ignored, key):
            continue
        name = layout.canonical(key)
        if name in arrays:
            raise ValueError(
                f"`state_dict` has two arrays for {shown(name)}, one of them is {shown(key)}"
            )
        arrays[name] = value
    return arrays


def _variance_corrections(model, layout):
    """What to add to each moving variance, by path."""
    if layout.epsilon is None:
        return {}
    theirs = layout.epsilon(model)
    return {
        layer.moving_variance.path: theirs - layer.epsilon
        for layer in model.layers
        if isinstance(layer, keras.layers.BatchNormalization)
    }


def _to_keras(value, path, layout):
    """Kernels as (*size, inputs, outputs); their axes of length one are the caller's affair."""
    if layout.outputs_first and path.endswith("kernel") and value.ndim > 1:
        return np.moveaxis(value, (0, 1), (-1, -2))
    return value


def _splits_into(theirs, ours):
    """Whether splitting axes of `theirs`, such as one into heads x size, gives `ours`."""
    theirs, ours = (list(itertools.accumulate((1, *s), operator.mul)) for s in (theirs, ours))
    return theirs[-1] == ours[-1] and set(theirs) <= set(ours)


def _first(lines):
    """So many lines of a report as somebody reads, each of them short."""
    more = [f"... and {len(lines) - MAX_LINES} more"] if len(lines) > MAX_LINES else []
    return [printable(line[:MAX_LINE]) for line in lines[:MAX_LINES]] + more
