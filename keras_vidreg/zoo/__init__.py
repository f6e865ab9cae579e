"""Models by name: presets, weights, cards."""

from keras_vidreg.checkpoints.port import port_weights
from keras_vidreg.zoo.build import BUILDERS, build
from keras_vidreg.zoo.info import Info, info
from keras_vidreg.zoo.load import load
from keras_vidreg.zoo.preset import Preset
from keras_vidreg.zoo.published import convert
from keras_vidreg.zoo.push import push
from keras_vidreg.zoo.registry import card, folder, is_here, names, preset, trained_here
from keras_vidreg.zoo.save import save
from keras_vidreg.zoo.sources import SOURCES
from keras_vidreg.zoo.verify import verify
from keras_vidreg.zoo.weights import save_weights, save_weights_half

__all__ = [
    "BUILDERS",
    "Info",
    "Preset",
    "SOURCES",
    "build",
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
    "save",
    "save_weights",
    "save_weights_half",
    "trained_here",
    "verify",
]
