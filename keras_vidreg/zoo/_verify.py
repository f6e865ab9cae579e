"""Whether an entry is what it was when it was made."""

import dataclasses
import math
from pathlib import Path

import keras
import numpy as np

from keras_vidreg.data import Clip
from keras_vidreg.zoo._entry import resolve
from keras_vidreg.zoo._load import load

SEED = 1234
TOLERANCE = 1e-3  # of the largest logit; backends differ by 1e-5, and by 5e-4 with TF32


@dataclasses.dataclass(frozen=True)
class Verification:
    """What was checked, and found right.

    Args:
        name: Of the entry.
        weights: Number of weights, all of them finite.
        sha256: Whether the weights file has the SHA-256 that its preset states.
        error: Largest difference between the logits and the recorded ones, over the largest of
            these; `None` where none were recorded.
    """

    name: str
    weights: int
    sha256: bool
    error: float | None

    def __str__(self):
        digest = "as stated" if self.sha256 else "not stated"
        logits = "no recorded logits"
        if self.error is not None:
            logits = f"logits differ from the recorded ones by {self.error:.1e} of the largest"
        return f"{self.name}: SHA-256 {digest}, {self.weights} weights finite, {logits}"


def verify(name: str | Path) -> Verification:
    """Load an entry and compare it with what is known of it.

    The weights must have the SHA-256 of the preset and be finite. Where logits were recorded, the
    model sees the same clip of noise again and must give them to 0.1 % of the largest.

    Args:
        name: As `kv.zoo.load` takes it: an entry, a folder, or an address on the Hub.

    Returns:
        A `Verification`.

    Raises:
        FetchError: If the weights are not here and cannot be fetched.
        ValueError: If something is not as it was; the message says what.

    Example:

    >>> print(kv.zoo.verify("movinet_a0_grw_airplanes"))  # doctest: +ELLIPSIS
    movinet_a0_grw_airplanes: SHA-256 as stated, ...
    """
    entry = resolve(name)
    model, preset = load(entry), entry.preset()
    damaged = [weight.path for weight in model.weights if not _finite(weight)]
    if damaged:
        raise ValueError(f"{name} has weights that are not finite: {', '.join(damaged[:5])}.")
    error = None
    if preset.logits:
        recorded = np.array(preset.logits)
        logits = np.asarray(model.predict_on_batch(noise(model.clip))[0], "float64")
        error = float(np.abs(logits - recorded).max() / (np.abs(recorded).max() or 1))
        if not error <= TOLERANCE:
            raise ValueError(
                f"{name} does not give its recorded logits: they differ by {error:.1e} of the "
                f"largest; at most {TOLERANCE:g} is due to backends. The weights are not those "
                "that they were recorded with, or this backend computes something wrong."
            )
    return Verification(str(name), len(model.weights), preset.sha256 is not None, error)


def noise(clip: Clip) -> np.ndarray:
    """The clip that logits are recorded for, `(1, T, H, W, 3)` float32 in [0, 1)."""
    return np.random.default_rng(SEED).random((1, *clip.shape)).astype("float32")


def logits_of(model: keras.Model) -> tuple[float, ...]:
    """What a model says of that clip, to 7 digits; `ValueError` if a number is not finite."""
    logits = tuple(float(f"{x:.7g}") for x in model.predict_on_batch(noise(model.clip))[0])
    if not all(map(math.isfinite, logits)):
        raise ValueError(f"The logits of {model.name} are not finite: its weights are damaged.")
    return logits


def _finite(weight):
    return bool(np.isfinite(keras.ops.convert_to_numpy(weight)).all())
