"""What stands for the classes, functions and objects that a file names: plain data."""

import dataclasses
from typing import Any

from keras_vidreg._text import shown


@dataclasses.dataclass(frozen=True, repr=False)
class Global:
    """The name of a class or function in a file; nothing of that name is ever imported.

    Args:
        module: Module that the file gives, for example `"video_retrieval.model"`.
        name: Name in that module, for example `"TransformerParams"`.
    """

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"

    def __repr__(self) -> str:
        return f"<Global {shown(str(self))}>"


class InertObject:
    """An object of a class that is not known here: what the file says about it, and no behavior.

    Its attributes are read as those of the object would be: `found.embed_dim`.

    Args:
        kind: `Global` of its class.
        arguments: What its constructor was given.

    Attributes:
        state: What was to be set on the object after its construction; usually its attributes.
        items: What was appended to it, if the class is a list.
        entries: What was stored in it, if the class is a dict.
    """

    __slots__ = ("arguments", "entries", "items", "kind", "state")

    def __init__(self, kind: Global, arguments: tuple = ()):
        self.kind = kind
        self.arguments = arguments
        self.state: Any = None
        self.items = []
        self.entries = {}

    @property
    def attributes(self) -> dict:
        """The attributes as a dict: those of `__dict__` and those in slots."""
        pair = isinstance(self.state, tuple) and len(self.state) == 2
        parts = self.state if pair else (self.state,)
        return {k: v for part in parts if isinstance(part, dict) for k, v in part.items()}

    def __getattr__(self, name: str):
        # Names with underscores around them belong to Python's own protocols, such as copying.
        if not name.startswith("__") and name in self.attributes:
            return self.attributes[name]
        raise AttributeError(f"the inert {shown(str(self.kind))} has no attribute {shown(name)}")

    def __repr__(self) -> str:
        return f"<InertObject of {shown(str(self.kind))} with {len(self.attributes)} attributes>"
