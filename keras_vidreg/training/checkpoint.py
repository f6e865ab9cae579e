"""The whole state of a training run in one file that is replaced as one."""

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
    """
    arrays = {
        f"{group}/{index}": ops.convert_to_numpy(variable)
        for group, variables in _groups(model).items()
        for index, variable in enumerate(variables)
    }
    with whole_file(path) as part:
        np.savez(part, meta=np.array(json.dumps(meta)), **arrays)


def read_meta(path):
    """The `meta` of a checkpoint."""
    with _open(path) as file:
        return json.loads(str(file["meta"]))


def restore(path, model):
    """Put the state of a checkpoint into a model of the same structure.

    Raises:
        ValueError: When the checkpoint is of another model.
    """
    with _open(path) as file:
        pairs = []
        for group, variables in _groups(model).items():
            stored = [name for name in file.files if name.startswith(f"{group}/")]
            if len(stored) != len(variables):
                raise ValueError(
                    f"The checkpoint {path} has {len(stored)} {group} variables, "
                    f"the model has {len(variables)}."
                )
            for index, variable in enumerate(variables):
                value = file[f"{group}/{index}"]
                if value.shape != tuple(variable.shape):
                    raise ValueError(
                        f"The checkpoint {path} has shape {value.shape} for {variable.path}, "
                        f"the model has {tuple(variable.shape)}."
                    )
                pairs.append((variable, value))
    for variable, value in pairs:
        variable.assign(value)


def _open(path):
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, OSError) as error:
        raise ValueError(
            f"The checkpoint {path} cannot be read ({error}). Start over with --restart."
        ) from error
