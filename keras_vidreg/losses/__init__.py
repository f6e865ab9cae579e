"""Losses on per-frame embeddings."""

from keras_vidreg.losses.grw_smoothing import grw_smoothing_loss

__all__ = ["grw_smoothing_loss"]
