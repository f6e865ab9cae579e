"""Files of other programs, read as data: nothing in them is run."""

from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.inert import Global, InertObject
from keras_vidreg.checkpoints.files.read import Checkpoint, read_state_dict
from keras_vidreg.checkpoints.files.state import find_state

__all__ = [
    "Checkpoint",
    "Global",
    "InertObject",
    "UnsafeFileError",
    "find_state",
    "read_state_dict",
]
