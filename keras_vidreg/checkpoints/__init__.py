"""Files that others made, as arrays under our names."""

from keras_vidreg.checkpoints.files import Checkpoint, UnsafeFileError, read_state_dict
from keras_vidreg.checkpoints.layouts import LAYOUTS
from keras_vidreg.checkpoints.port import port_weights

__all__ = ["LAYOUTS", "Checkpoint", "UnsafeFileError", "port_weights", "read_state_dict"]
