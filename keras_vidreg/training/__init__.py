"""Training: recipes as plain data, runs that survive an interruption."""

from keras_vidreg.training._add_regularizer import add_regularizer
from keras_vidreg.training._recalibrate import Recalibrate, recalibrate
from keras_vidreg.training._train import Run, train
from keras_vidreg.training.learning_rate_groups import LearningRateGroups
from keras_vidreg.training.optimization import SmoothedCrossentropy
from keras_vidreg.training.recipes import GRW, RECIPES, Head, Recipe, override

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
