"""Training: recipes as plain data, runs that survive an interruption."""

from keras_vidreg.training._recalibrate import Recalibrate, recalibrate
from keras_vidreg.training.add_regularizer import add_regularizer
from keras_vidreg.training.learning_rate_groups import LearningRateGroups
from keras_vidreg.training.optimization import SmoothedCrossentropy
from keras_vidreg.training.recipes import GRW, RECIPES, Head, Recipe, override
from keras_vidreg.training.train import Run, train

__all__ = [
    "GRW",
    "Head",
    "LearningRateGroups",
    "RECIPES",
    "Recalibrate",
    "Recipe",
    "Run",
    "SmoothedCrossentropy",
    "add_regularizer",
    "override",
    "recalibrate",
    "train",
]
