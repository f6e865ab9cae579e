"""Evaluation: accuracy over views, smoothness of embeddings, pictures."""

from keras_vidreg.evaluation.evaluate import Evaluation, evaluate
from keras_vidreg.evaluation.plot import plot_embedding_paths
from keras_vidreg.evaluation.publish import publish
from keras_vidreg.evaluation.smoothness import embeddings, path_smoothness, smoothness

__all__ = [
    "Evaluation",
    "embeddings",
    "evaluate",
    "path_smoothness",
    "plot_embedding_paths",
    "publish",
    "smoothness",
]
