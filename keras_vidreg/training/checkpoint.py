"""The whole state of a training run in one file that is replaced as one."""

import contextlib
import json

import numpy as np
from keras import ops

from keras_vidreg._atomic import whole_file


def _groups(model):
    # `model.variables` holds the states of random seeds too, which weight files leave out;
    # without them dropout would repeat its first masks after a resume.
    return {"model": model.variables, "optimizer": model.optimizer.variables}


def save(path, model, meta):
    """Write weights, optimizer and random seeds of a model, and `meta`, to one file.

    The file is written beside `path`, brought to disk and renamed: whenever the process ends,
    `path` is the last state that was complete.

    Args:
        path: File to write (`.npz`).
        model: A compiled model whose optimizer is built.
        meta: JSON values stored with it.

    Raises:
        FloatingPointError: If a variable is not finite; the file is then left as it was.
    """
    arrays = {
        f"{group}/{index}": ops.convert_to_numpy(variable)
        for group, variables in _groups(model).items()
        for index, variable in enumerate(variables)
    }
    for name, values in arrays.items():
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            group, index = name.split("/")
            variable = _groups(model)[group][int(index)].path
            raise FloatingPointError(
                f"`{variable}` is not finite any more: {path} is left as it was. Try a smaller "
                "learning_rate or clip_norm (with --restart)"
            )
    with whole_file(path) as part:
        np.savez(part, meta=np.array(json.dumps(meta)), **arrays)


def read_meta(path):
    """The `meta` of a checkpoint.

    Raises:
        ValueError: If the file is damaged, or has no history of whole epochs.
    """
    with _opened(path) as file:
        meta = json.loads(str(file["meta"]))
        for epoch, record in enumerate(meta["history"]):
            if record["epoch"] != epoch or not record["steps"] >= 0 <= record["seconds"]:
                raise ValueError(f"its record of epoch {epoch} reads {str(record)[:80]}")
        return meta


def restore(path, model):
    """Put the state of a checkpoint into a model of the same structure.

    Raises:
        ValueError: If the checkpoint is damaged, or of another model. The model is then unchanged.
    """
    values, pairs = {}, []
    with _opened(path) as file:
        values = {name: file[name] for name in file.files if name != "meta"}
        for name, value in values.items():
            if value.dtype.kind not in "fiub":
                raise ValueError(f"{name} holds {value.dtype}")
    for group, variables in _groups(model).items():
        stored = [name for name in values if name.startswith(f"{group}/")]
        if len(stored) != len(variables):
            raise ValueError(
                f"The checkpoint {path} has {len(stored)} {group} variables, "
                f"the model has {len(variables)}."
            )
        for index, variable in enumerate(variables):
            value = values.get(f"{group}/{index}", np.empty(0))
            if value.shape != tuple(variable.shape):
                raise ValueError(
                    f"The checkpoint {path} has shape {value.shape} for {variable.path}, "
                    f"the model has {tuple(variable.shape)}."
                )
            pairs.append((variable, value))
    for variable, value in pairs:
        variable.assign(value)


@contextlib.contextmanager
def _opened(path):
    """The arrays of a file; whatever a damaged one leads to becomes one `ValueError`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            yield file
    except Exception as error:  # of zip, zlib, npy, JSON, or what is missing in them
        raise ValueError(
            f"The checkpoint {path} cannot be read ({type(error).__name__}: {str(error)[:80]!r}). "
            "Start over with --restart (resume=False)."
        ) from error
