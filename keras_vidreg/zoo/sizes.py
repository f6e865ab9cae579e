"""How large a network is and how much it computes, without computing or allocating anything."""

import dataclasses
import math

from keras_vidreg._keras import no_values
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
    with no_values():
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
