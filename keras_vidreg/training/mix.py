"""Training batches whose clips are mixed in pairs."""

import keras
import numpy as np
from keras import ops

from keras_vidreg.models.description import layer_factory

LAYERS = ("VideoCutMix", "VideoMixUp")


class Mixed(keras.utils.PyDataset):
    """Batches with a mixing layer applied to them: soft labels instead of integers.

    The draws of a batch depend on `seed`, the epoch and its number alone.

    Args:
        batches: `Batches` in training.
        mix: `{"layer": name, **arguments}` of the layer.
        num_classes: number of classes.
        seed: of the draws.

    Example:

    >>> batches = source.batches(8, clip=model.clip)
    >>> model.fit(Mixed(batches, {"layer": "VideoCutMix"}, len(model.labels), seed=0))
    """

    def __init__(self, batches, mix, num_classes, seed):
        super().__init__()
        self.batches = batches
        self.mix = mix
        self.num_classes = num_classes
        self.seed = seed
        self.on_epoch_begin = batches.on_epoch_begin
        self.on_epoch_end = batches.on_epoch_end

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        words = np.random.SeedSequence((self.seed, self.batches.epoch, index)).generate_state(1)
        batch = self.batches[index]
        with keras.device("cpu"):  # where the batch is, and goes on from
            layer = mixing_layer(self.mix, self.num_classes, int(words[0] >> 1))
            return tuple(ops.convert_to_numpy(x) for x in layer(batch, training=True))


def mixing_layer(mix, num_classes, seed):
    """The layer that a recipe's `mix` describes.

    Raises:
        ValueError: if it is no dict with the name of such a layer, or an argument is unknown.
    """
    make = layer_factory("mix", mix if isinstance(mix, dict) else {"layer": None}, LAYERS)
    try:
        return make(num_classes=num_classes, seed=seed, dtype="float32")
    except TypeError as error:
        raise ValueError(f"`mix`: {error}. Received: mix={mix!r}") from error
