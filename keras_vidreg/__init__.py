"""Small video-recognition models with temporal and frequency regularizers, in Keras 3."""

from keras_vidreg._backend import choose_backend

choose_backend()

from keras_vidreg import (  # noqa: E402  (Keras must be imported after the choice of its backend)
    checkpoints,
    data,
    evaluation,
    layers,
    losses,
    models,
    training,
    zoo,
)

__version__ = "0.1.0"

__all__ = ["checkpoints", "data", "evaluation", "layers", "losses", "models", "training", "zoo"]
