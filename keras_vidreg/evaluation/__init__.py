"""Evaluation: accuracy over views, smoothness of embeddings, frequency bands, pictures."""

from keras_vidreg.evaluation._evaluate import Evaluation, evaluate
from keras_vidreg.evaluation._smoothness import embeddings, path_smoothness, smoothness
from keras_vidreg.evaluation.frequency import FrequencySensitivity, frequency_sensitivity
from keras_vidreg.evaluation.plot import plot_embedding_paths, plot_frequency_sensitivity

__all__ = [
    "Evaluation",
    "FrequencySensitivity",
    "embeddings",
    "evaluate",
    "frequency_sensitivity",
    "path_smoothness",
    "plot_embedding_paths",
    "plot_frequency_sensitivity",
    "smoothness",
]
