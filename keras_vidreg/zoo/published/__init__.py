"""Published weights that the zoo can fetch: one table per family of networks."""

import functools
import json
from pathlib import Path

from keras_vidreg.zoo.published.csn import CSN
from keras_vidreg.zoo.published.grw import GRW
from keras_vidreg.zoo.published.movinet import MOVINET
from keras_vidreg.zoo.published.resnet3d_rs import RESNET3D_RS
from keras_vidreg.zoo.published.slowfast import SLOWFAST
from keras_vidreg.zoo.published.slowonly import SLOWONLY
from keras_vidreg.zoo.published.weights import PublishedWeights

TABLES = (GRW, MOVINET, SLOWONLY, SLOWFAST, CSN, RESNET3D_RS)
PUBLISHED = {weights.name: weights for table in TABLES for weights in table}
SIZES = Path(__file__).with_name("sizes.json")  # written by benchmarks/zoo_sizes.py

__all__ = ["PUBLISHED", "TABLES", "PublishedWeights", "published_sizes"]


@functools.cache
def published_sizes():
    """`{name: (trainable parameters, multiply-adds for one clip)}`, measured on our builders."""
    table = json.loads(SIZES.read_text(encoding="utf-8"))
    return {name: tuple(numbers) for name, numbers in table.items()}
