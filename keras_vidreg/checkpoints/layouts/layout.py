"""What `checkpoints/port.py` needs to know of a foreign checkpoint layout."""

import dataclasses
from collections.abc import Callable


@dataclasses.dataclass(frozen=True)
class Layout:
    """How another implementation names and stores what we have.

    Args:
        key: from the path of one of our variables, and the model, to the foreign key.
        ignored: pattern of foreign keys that hold no weights, such as counters.
        canonical: from a foreign key to the form that `key` gives.
        prepare: from the foreign state dict, and the model, to one with a single array per variable
            of ours.
        absent: pattern of paths of our variables that the implementation lacks and that are zero
            in its network.
        outputs_first: whether kernels are stored (outputs, inputs, *size), as PyTorch does, and
            not (*size, inputs, outputs).
        epsilon: from a model to what the implementation adds to the variance in batch
            normalization; None where that is what the model's layers add.
    """

    key: Callable
    ignored: str = r"$."  # matches nothing
    absent: str = r"$."
    canonical: Callable = lambda key: key
    prepare: Callable = lambda state_dict, model: state_dict
    outputs_first: bool = False
    epsilon: Callable | None = None
