"""Weight files: half precision on disk, written whole, checked before they are used."""

import hashlib
import tempfile
from pathlib import Path

import h5py
import keras
import numpy as np

from keras_vidreg._atomic import whole_file
from keras_vidreg.zoo._preset import sha256

PATH = "path"  # attribute of an array: which of the model's variables it is


def save_weights(model: keras.Model, path: str | Path) -> str:
    """Write the weights of a model (not its optimizer), whole or not at all.

    Args:
        model: A built Keras model.
        path: File to write; the name must end in `.weights.h5`.

    Returns:
        The SHA-256 of the file.
    """
    return _save(model, path, lambda name, values: values)


def save_weights_half(model: keras.Model, path: str | Path) -> str:
    """Write the weights of a model as float16: half the size, read by `model.load_weights`.

    Args:
        model: A built Keras model.
        path: File to write; the name must end in `.weights.h5`.

    Returns:
        The SHA-256 of the file.

    Raises:
        ValueError: If a weight is not finite, or is too large for float16 (65504).

    Example:

    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> digest = kv.zoo.save_weights_half(model, "model.weights.h5")
    >>> model.load_weights("model.weights.h5")
    """
    return _save(model, path, _to_half)


def _to_half(name, values):
    if not np.issubdtype(values.dtype, np.floating):
        return values
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError(
            f"The weight {name} cannot be stored as float16: largest magnitude "
            f"{np.max(np.abs(values)):g}. Save it with `kv.zoo.save_weights` instead."
        )
    return half


def _save(model, path, convert):
    path = Path(path)
    if not path.name.endswith(".weights.h5"):
        raise ValueError(f"`path` must end in .weights.h5. Received: {path}")
    with tempfile.TemporaryDirectory() as folder, whole_file(path) as part:
        full = Path(folder, "full.weights.h5")
        keras.saving.save_weights(model, full)
        with h5py.File(full) as source, h5py.File(part, "w") as target:
            variables = _variables(model, source)
            target.attrs.update(source.attrs)

            def copy(name, item):
                # A compiled model also stores its optimizer, which is not part of the weights.
                if name.split("/")[0] == "optimizer":
                    return
                if isinstance(item, h5py.Group):
                    target.require_group(name).attrs.update(item.attrs)
                else:
                    values = convert(name, item[()])
                    array = target.create_dataset(name, data=values)
                    array.attrs.update(item.attrs)
                    if name in variables:
                        array.attrs[PATH] = np.bytes_(variables[name].encode())

            source.visititems(copy)
        return sha256(part)


def _variables(model, file):
    """Which variable of the model each array of a file is: `{name of the array: path}`.

    They are found by what they hold, so those that hold the same may change places. Empty if some
    array is nowhere, or two variables have the same path.
    """
    names = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset) and name.split("/")[0] != "optimizer":
            names.setdefault(_content(item[()]), []).append(name)

    file.visititems(note)
    found = {}
    for variable in model.weights:
        same = names.get(_content(keras.ops.convert_to_numpy(variable)))
        if not same:
            return {}
        found[same.pop()] = variable.path
    return found if len(set(found.values())) == len(found) else {}


def _content(values):
    values = np.asarray(values)
    return values.shape, values.dtype.str, hashlib.sha256(values.tobytes()).digest()
