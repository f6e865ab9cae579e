"""Parameters and multiply-adds of published entries, measured on our builders beforehand."""

import functools
import json
from pathlib import Path

FILE = Path(__file__).with_name("sizes.json")  # written by benchmarks/zoo_sizes.py


@functools.cache
def published_sizes():
    """`{name: (trainable parameters, multiply-adds for one clip)}`."""
    table = json.loads(FILE.read_text(encoding="utf-8"))
    return {name: tuple(numbers) for name, numbers in table.items()}
