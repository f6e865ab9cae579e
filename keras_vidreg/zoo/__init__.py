"""Models by name: presets, weights, cards."""

from keras_vidreg.checkpoints.port import port_weights
from keras_vidreg.models.description import BUILDERS
from keras_vidreg.zoo._convert import convert
from keras_vidreg.zoo._entry import (
    Entry,
    Info,
    card,
    folder,
    info,
    is_here,
    names,
    preset,
    resolve,
    trained_here,
)
from keras_vidreg.zoo._http import FetchError
from keras_vidreg.zoo._load import load
from keras_vidreg.zoo._preset import Preset
from keras_vidreg.zoo._push import push
from keras_vidreg.zoo._verify import Verification, verify
from keras_vidreg.zoo._write import save, write_entry
from keras_vidreg.zoo.published import PUBLISHED, PublishedWeights
from keras_vidreg.zoo.weights import save_weights, save_weights_half

__all__ = [
    "BUILDERS",
    "Entry",
    "FetchError",
    "Info",
    "PUBLISHED",
    "Preset",
    "PublishedWeights",
    "Verification",
    "card",
    "convert",
    "folder",
    "info",
    "is_here",
    "load",
    "names",
    "port_weights",
    "preset",
    "push",
    "resolve",
    "save",
    "save_weights",
    "save_weights_half",
    "trained_here",
    "verify",
    "write_entry",
]
