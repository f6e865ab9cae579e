"""Which part of a file the weights are."""

import numpy as np

from keras_vidreg._text import shown

# The moving average of the weights first: it is what the published accuracies belong to.
PREFER = ("ema_weights", "model_state", "state_dict")


def find_state(tree: object, prefer: str | tuple[str, ...] = PREFER) -> tuple[str | None, dict]:
    """Find the weights in what a file holds.

    They are the first entry named in `prefer` that holds arrays; else the whole, if it holds arrays
    itself; else the only entry that does.

    Args:
        tree: What `torch.save` was given: a dict of arrays, or a dict of such dicts.
        prefer: Name of an entry, or several, the most wanted first.

    Returns:
        The name of the entry (`None` for the whole) and its arrays, `{key: array}`.

    Raises:
        ValueError: If there are no weights, or it is not clear which ones are meant.

    Example:
    ```python
    entry, arrays = find_state({"state_dict": {"fc.bias": np.zeros(3)}, "epoch": 7})
    ```
    """
    if not isinstance(tree, dict):
        raise ValueError(f"it holds a {type(tree).__name__}, not a dict of weights")
    holders = [name for name, value in tree.items() if _arrays(value)]
    for name in (prefer,) if isinstance(prefer, str) else prefer:
        if name in holders:
            return name, _arrays(tree[name])
    if arrays := _arrays(tree):
        return None, arrays
    if len(holders) != 1:
        names = ", ".join(shown(name).strip("'") for name in list(tree)[:20])
        raise ValueError(
            f"it has {len(holders)} entries with weights; name one of them in `prefer`. "
            f"Its entries: {names}"
        )
    return holders[0], _arrays(tree[holders[0]])


def _arrays(value):
    if not isinstance(value, dict):
        return {}
    return {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, np.ndarray)}
