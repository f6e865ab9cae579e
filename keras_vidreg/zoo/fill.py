"""Models that get their weights as they are built: no random ones are drawn first.

Drawing them takes long on JAX, which compiles a program for every shape.
"""

import warnings

import h5py
import keras
import numpy as np

from keras_vidreg._keras import initialize_by, track_variables
from keras_vidreg._text import printable
from keras_vidreg.models.description import label_names
from keras_vidreg.zoo.weights import PATH


def build_with_weights(make, fill):
    """Build a model and fill it.

    Args:
        make: Function that returns a new model.
        fill: Function of the model that assigns values to its variables, to all or to some; the
            others get what their initializer gives.

    Returns:
        The model.
    """
    with keras.StatelessScope() as scope:  # variables get their first value when it ends
        model = make()
        try:
            fill(model)
        except BaseException:
            for variable in model.variables:
                initialize_by(variable, _First(np.zeros(variable.shape, "u1")))
            raise
        firsts = []
        for variable in model.variables:
            value = scope.get_current_value(variable)
            if value is not None:
                first = _First(value)
                initialize_by(variable, first)
                firsts.append((variable, first))
    for variable, first in firsts:
        if not first.used:  # by a version of Keras that makes variables in another way
            variable.assign(first.value)
    track_variables(model)
    for part in vars(model).values():
        if isinstance(part, keras.Model):  # `backbone`, which Keras looks at as it loads a file
            track_variables(part)
    return model


class _First:
    """The initializer of one variable."""

    def __init__(self, value):
        self.value, self.used = value, False

    def __call__(self, shape, dtype=None):
        self.used = True
        return keras.ops.convert_to_tensor(self.value, dtype=dtype)


def build_from_file(make, path, labels, stored):
    """Build a model and give it the weights of a file.

    Args:
        make: Function from labels to a new model.
        path: The `.weights.h5` file.
        labels: Names, or number, of the model's classes.
        stored: Names of the classes that the file is for. If they are others, the layer that gives
            the logits keeps random weights, and every other weight comes from the file.

    Raises:
        ValueError: If file and model do not fit.
    """
    model = build_with_weights(lambda: make(stored), lambda model: _fill(model, path))
    if label_names(labels) == tuple(stored):
        return model
    return build_with_weights(lambda: make(labels), lambda new: _copy_all_but_head(model, new))


def check_sizes(arguments, path):
    """Raise if a number of a preset is larger than what the arrays of a file can be for."""
    try:
        with h5py.File(path) as file:
            arrays = _arrays(file)
            largest = max((512, len(arrays), *(n for a in arrays.values() for n in a.shape)))
    except Exception as error:
        raise ValueError(f"The weights {path} cannot be read: {error}") from error
    for name, value in _sizes(arguments):
        if value > largest:
            raise ValueError(
                f"The weights {path} have no arrays for {printable(name[:80])}={value:.6g}."
            )


def _sizes(arguments):
    """The whole numbers of a preset with their names, those of its backbone and layers too."""
    for name, value in arguments.items():
        if isinstance(value, dict):
            yield from _sizes(value)
        elif name != "seed" and isinstance(value, int):
            yield name, value


def _fill(model, path):
    try:
        with h5py.File(path) as file:
            arrays = _arrays(file)
            # Keras reports what a file lacks, but not what it has beyond the model.
            if len(arrays) != len(model.weights):
                raise ValueError(
                    f"it has {len(arrays)} arrays, the model has {len(model.weights)}."
                )
            variables = {variable.path: variable for variable in model.weights}
            if set(arrays) == set(variables):
                for name, array in arrays.items():
                    _check_shape(variables[name], array)
                    variables[name].assign(array[()])
                return
            if sum(array.size for array in arrays.values()) != model.count_params():
                raise ValueError("its arrays have other shapes.")
        _load_by_keras(model, path)
    except Exception as error:  # h5py and Keras raise whatever a damaged file leads to
        reason = printable(str(error)[:500])  # of names in the file
        raise ValueError(f"The weights {path} do not fit {model.name}: {reason}") from error


def _load_by_keras(model, path):
    """Keras's own way; what it only warns of is an error here: a layer that stays as it was."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        keras.saving.load_weights(model, path)
    for warning in caught:
        if "Skipping nested container" in str(warning.message):
            raise ValueError(str(warning.message))
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _arrays(file):
    """The arrays of a file by the paths of the variables that they are, where it says so.

    Those of an optimizer are left out, and links out of the file are refused.
    """
    found = {}

    def note(name, item):
        if isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ValueError(f"its array {name} stands in another file.")
            if not name.startswith("optimizer/"):
                if item.dtype.kind not in "fiub":
                    raise ValueError(f"its array {name} holds no numbers.")
                found[_path(item)] = item

    links = []
    file.visititems_links(
        lambda name, link: None if isinstance(link, h5py.HardLink) else links.append(name)
    )
    if links:
        raise ValueError(f"its item {printable(str(links[0])[:80])} is a link.")
    file.visititems(note)
    return found


def _path(array):
    """Path of the variable that an array is, or its name in the file."""
    if PATH in array.attrs and array.attrs.get_id(PATH).dtype.kind == "S":
        return array.attrs[PATH].decode()
    return array.name  # text of any length is not read: HDF5 may loop for ever in a damaged file


def _check_shape(variable, array):
    if tuple(variable.shape) != array.shape:
        raise ValueError(
            f"{variable.path} has the shape {tuple(variable.shape)}, in the file {array.shape}."
        )


def _copy_all_but_head(source, target):
    """Copy every weight that is not part of the head; their shapes must agree one by one."""
    head = {id(v) for v in _head_variables(target)}
    pairs = list(zip(source.weights, target.weights, strict=True))
    unequal = [b.path for a, b in pairs if id(b) not in head and a.shape != b.shape]
    if unequal:
        raise ValueError(f"With other labels only the head may differ, but so do {unequal}.")
    for a, b in pairs:
        if id(b) not in head:
            b.assign(a)


def _head_variables(model):
    """Weights of the layer that gives the logits."""
    for layer in reversed(model.layers):
        if layer.weights:
            return layer.weights
    return []
