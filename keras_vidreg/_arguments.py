"""Checks of arguments. Each error is a sentence that names the argument, its rule and what came."""

import math
import numbers
from collections.abc import Callable, Sequence
from typing import Any

from keras_vidreg._text import shown


def check_number(name: str, value: Any, rule: str, holds: Callable[[float], bool]) -> float:
    """`value` as a float, if it is finite and the rule holds, such as "above 0"."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not (real and math.isfinite(value) and holds(value)):
        raise ValueError(f"`{name}` must be a number {rule}. {received(name, value)}")
    return float(value)


def check_integer(name: str, value: Any, low: int) -> int:
    """`value` as an int, if it is a whole number of at least `low`."""
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if not (whole and value >= low):
        raise ValueError(f"`{name}` must be an integer of at least {low}. {received(name, value)}")
    return int(value)


def check_sizes(name: str, value: Any) -> tuple[int, int, int]:
    """`value`, an integer or three of them, as (time, height, width)."""
    sizes = tuple(value) if isinstance(value, Sequence) and len(value) == 3 else (value,) * 3
    try:
        time, height, width = (check_integer(name, n, 1) for n in sizes)
    except ValueError:
        raise ValueError(
            f"`{name}` must be a positive integer or three of them (time, height, width). "
            f"{received(name, value)}"
        ) from None
    return time, height, width


def check_choice(name: str, value: Any, choices: Sequence[str]) -> str:
    """`value`, if it is one of the strings."""
    if not (isinstance(value, str) and value in choices):
        listed = ", ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"`{name}` must be one of {listed}. {received(name, value)}")
    return value


def check_flag(name: str, value: Any) -> bool:
    """`value`, if it is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"`{name}` must be True or False. {received(name, value)}")
    return value


def received(name: str, value: Any) -> str:
    """How an error ends."""
    return f"Received: {name}={shown(value)}"
