"""Record logits and sizes of the zoo's entries in their presets, for `kv.zoo.verify` and `info`.

KERAS_BACKEND=tensorflow python tests/golden/record_zoo_logits.py [NAME ...]
"""

import dataclasses
import sys

import keras_vidreg as kv
from keras_vidreg.zoo.check_input import logits_of
from keras_vidreg.zoo.sizes import sizes


def record(name):
    """Write what an entry says of the clip of noise, and how large it is, into its preset."""
    preset = kv.zoo.preset(name)
    found = sizes(preset.builder, preset.arguments, labels=preset.labels, clip=preset.clip)
    dataclasses.replace(
        preset,
        logits=logits_of(kv.zoo.load(name)),
        parameters=found.parameters,
        flops=found.flops,
    ).write(kv.zoo.folder(name) / "preset.json")


if __name__ == "__main__":
    for entry in sys.argv[1:] or kv.zoo.trained_here():
        record(entry)
