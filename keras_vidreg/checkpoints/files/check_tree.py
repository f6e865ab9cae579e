"""What came out of a pickle, checked before anybody walks through it."""

import numpy as np

from keras_vidreg._text import shown
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.inert import Global, InertObject

MAX_DEPTH = 200
MAX_VALUES = 2_000_000
LEAVES = (
    type(None), bool, int, float, complex, str, bytes, bytearray, Global,
    np.ndarray, np.generic, np.dtype,
)  # fmt: skip


def check_tree(root: object) -> None:
    """Make sure that a value is a tree of plain data that can be walked through.

    A pickle can refer to a list many times, also from within the list. Every path through such a
    value is counted, but no list is looked at twice. Whoever walks through a tree stops at a
    `InertObject`, so its contents count for themselves, and may refer back to it.

    Raises:
        UnsafeFileError: If it contains itself, is nested too deeply, or unfolds to too much.
        ValueError: If it holds something that is not plain data.
    """
    done = {}  # id -> (depth, number of values, counted once per path)
    records = set()
    roots = [root]
    while roots:
        value = roots.pop()
        if not isinstance(value, InertObject):
            roots += _check_containers(value, done)
        elif id(value) not in records:
            records.add(id(value))
            roots += [value.arguments, value.state, value.items, value.entries]


def _check_containers(root, done):
    """Check a value down to its records, and return these."""
    entered, records = set(), []
    path = [(root, False)]
    while path:
        value, leaving = path.pop()
        if id(value) in done:
            continue
        if isinstance(value, InertObject):
            records.append(value)
            continue
        children = _children(value)
        if not leaving:
            if id(value) in entered:
                raise UnsafeFileError("it holds a list or dict that contains itself")
            entered.add(id(value))
            path.append((value, True))
            path.extend((c, False) for c in children if not isinstance(c, LEAVES))
            continue
        below = [done.get(id(child), (0, 1)) for child in children]
        depth = 1 + max((depth for depth, _ in below), default=0)
        count = 1 + sum(count for _, count in below)
        if depth > MAX_DEPTH:
            raise UnsafeFileError(f"it is nested more than {MAX_DEPTH} deep")
        if count > MAX_VALUES:
            raise UnsafeFileError(f"it unfolds to more than {MAX_VALUES} values")
        done[id(value)] = depth, count
    return records


def _children(value):
    if isinstance(value, dict):
        return [*value, *value.values()]
    if isinstance(value, (list, tuple, set, frozenset)):
        return value
    if not isinstance(value, LEAVES):
        raise ValueError(f"it holds {shown(value)} that is not part of a tensor")
    return ()
