"""A warning where training was too short for the moving statistics of batch normalization."""

import math
import warnings

from keras_vidreg._keras import steps_taken, trained_norms

KEPT = 5e-5  # share of the first statistics that no channel of small variance notices


def warn_of_few_steps(model):
    """Warns if the statistics of a trained model are still those that it began with.

    They keep `momentum ** steps` of them: 5e-5 after about `10 / (1 - momentum)` steps.
    """
    steps = steps_taken(model)
    momentum = max((norm.momentum for norm in trained_norms(model)), default=0.0)
    if not steps or steps == getattr(model, "_recalibrated_at", None):
        return
    if momentum**steps > KEPT:
        needed = math.ceil(math.log(KEPT) / math.log(momentum)) if momentum < 1 else "more"
        warnings.warn(
            f"{steps} training steps are few for batch normalization of momentum {momentum:g}: its "
            f"moving statistics keep {momentum**steps:.2g} of what they began with, and inference "
            "may be wrong where training was right. Call `kv.training.recalibrate(model, batches)` "
            "now, or give `fit` the callback `kv.training.Recalibrate(batches)`, where batches are "
            f"`source.batches(16, training=False)`; or train for {needed} steps, or build the "
            "model with a smaller `norm_momentum`",
            stacklevel=3,
        )
