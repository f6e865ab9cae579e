"""A clip of noise that is the same everywhere, and what a model makes of it."""

import math

import numpy as np

SEED = 1234


def noise(clip):
    """The clip that logits are recorded for, `(1, T, H, W, 3)` float32 in [0, 1)."""
    return np.random.default_rng(SEED).random((1, *clip.shape)).astype("float32")


def logits_of(model):
    """What a model says of that clip, as a list of numbers with 7 digits.

    Raises:
        ValueError: When one of them is not finite.
    """
    logits = [float(f"{x:.7g}") for x in model.predict_on_batch(noise(model.clip))[0]]
    if not all(map(math.isfinite, logits)):
        raise ValueError(f"The logits of {model.name} are not finite: its weights are damaged.")
    return logits
