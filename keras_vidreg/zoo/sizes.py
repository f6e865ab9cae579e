"""How large a network is and how much it computes, without computing or allocating anything."""

import contextlib
import dataclasses
import math

import keras
from keras.src.backend.common import global_state

from keras_vidreg.models._flops import flops


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Of a network for one kind of clip.

    Args:
        parameters: Number of trainable parameters.
        flops: Multiply-adds for one clip, as `kv.models.flops` counts them, or `None` where a
            layer has no rule.
        shapes: Shapes of all weights, in their order.
    """

    parameters: int
    flops: int | None
    shapes: tuple


def sizes(description):
    """The `Sizes` of what a `Description` builds."""
    with _no_values():
        model = description.build()
        try:
            operations = flops(model)
        except ValueError:  # a layer of the caller's own
            operations = None
    return Sizes(
        sum(math.prod(weight.shape) for weight in model.trainable_weights),
        operations,
        tuple(tuple(weight.shape) for weight in model.weights),
    )


@contextlib.contextmanager
def _no_values():
    """Variables that are made in here have no values, and Keras does not remember to draw them."""
    waiting = "uninitialized_variables"
    before = list(global_state.get_global_attribute(waiting, ()))
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield
    finally:
        global_state.set_global_attribute(waiting, before)
