"""What stands for the classes, functions and objects that a file names: plain data."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Global:
    """The name of a class or function in a file; nothing of that name is ever imported.

    Args:
        module: Module that the file gives, for example `"video_retrieval.model"`.
        name: Name in that module, for example `"TransformerParams"`.
    """

    module: str
    name: str

    def __str__(self):
        return f"{self.module}.{self.name}"


class Record:
    """An object of a class that is not known here: what the file says about it, and no behaviour.

    Its attributes are read as those of the object would be: `record.embed_dim`.

    Args:
        kind: `Global` of its class.
        arguments: What its constructor was given.

    Attributes:
        state: What was to be set on the object after its construction; usually its attributes.
        items: What was appended to it, if the class is a list.
        entries: What was stored in it, if the class is a dict.
    """

    __slots__ = ("arguments", "entries", "items", "kind", "state")

    def __init__(self, kind, arguments=()):
        self.kind = kind
        self.arguments = arguments
        self.state = None
        self.items = []
        self.entries = {}

    @property
    def attributes(self):
        """The attributes as a dict: those of `__dict__` and those in slots."""
        parts = self.state if isinstance(self.state, tuple) else (self.state,)
        return {k: v for part in parts if isinstance(part, dict) for k, v in part.items()}

    def __getattr__(self, name):
        # Names with underscores around them belong to Python's own protocols, such as copying.
        if not name.startswith("__") and name in self.attributes:
            return self.attributes[name]
        raise AttributeError(f"the record of a {self.kind} has no attribute {name!r}")

    def __repr__(self):
        return f"<record of {self.kind} with {sorted(map(str, self.attributes))}>"
