"""What a pickle may ask for by name, and what is made of it.

1. The constructors in `CALLS` are known: tensors, plain containers, numbers. What they give is
   computed by the functions of this file.
2. A name from a module of the standard library that holds no plain values, and every builtin but
   the types of plain values, is refused as soon as it appears.
3. A class that is only instantiated becomes an `InertObject`. A name that is called counts as a
   class if it begins with a capital letter, or stands in `INERT`.
4. A call of anything else is refused.

Rules 2 and 4 are there to say early that a file is hostile or not understood. That nothing runs
does not depend on them: names are never looked up, and there is no code that could call them.
"""

import sys

from keras_vidreg._text import shown
from keras_vidreg.checkpoints.files.decode import Budget
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.inert import Global, InertObject
from keras_vidreg.checkpoints.files.numpy_pickles import Pending, numpy_array, pending_dtype
from keras_vidreg.checkpoints.files.torch_tensors import Storage, strided

PYTHON_2 = {"commands", "popen2", "urllib2"}  # of its standard library
PLAIN_MODULES = {
    "_codecs", "argparse", "array", "builtins", "collections", "copyreg", "dataclasses", "datetime",
    "decimal", "enum", "fractions", "functools", "ipaddress", "logging", "pathlib", "random",
    "types", "typing", "uuid", "zoneinfo",
}  # fmt: skip
BUILTINS = {
    "bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "long",
    "object", "range", "set", "slice", "str", "tuple", "unicode", "xrange",
}  # fmt: skip
INERT = {
    "builtins.range", "builtins.slice", "builtins.xrange", "datetime.date", "datetime.datetime",
    "datetime.timedelta", "functools.partial", "torch.device",
}  # fmt: skip
ALIASES = {"__builtin__": "builtins", "copy_reg": "copyreg", "numpy._core": "numpy.core"}
ITEM_BYTES = 100  # about what an entry of a dict takes
LONGEST_NAME = 1000


class Calls:
    """Answers the names and calls of one pickle.

    Args:
        budget: Pays for copies.
    """

    def __init__(self, budget: Budget):
        self.budget = budget

    def find(self, module: str, name: str) -> Global:
        """What stands for a name."""
        if len(module) + len(name) > LONGEST_NAME:
            raise UnsafeFileError(f"it looks for the name {shown(name)}, which is too long")
        for old, new in ALIASES.items():
            if module == old or module.startswith(f"{old}."):
                module = new + module[len(old) :]
        found = Global(module, name)
        top = module.partition(".")[0]
        system = top in sys.stdlib_module_names | PYTHON_2 and top not in PLAIN_MODULES
        if system or (top == "builtins" and name not in BUILTINS):
            raise UnsafeFileError(f"it names {shown(str(found))}, which weights have no use for")
        return found

    def call(self, target, arguments):
        """What stands for the result of a call."""
        if not isinstance(target, Global) or not isinstance(arguments, tuple):
            raise UnsafeFileError("it calls something that is not a named class or function")
        if str(target) not in CALLS and str(target) not in INERT:
            last = target.name.rpartition(".")[2].lstrip("_")
            if not last[:1].isupper():
                raise UnsafeFileError(f"it calls the function {shown(str(target))}")
        return self.instantiate(target, *arguments)

    def instantiate(self, target, *arguments):
        """What stands for an object of a class."""
        if not isinstance(target, Global):
            raise UnsafeFileError("it instantiates something that is not a named class")
        self.budget.spend(len(arguments) * ITEM_BYTES)
        if str(target) in CALLS:
            return CALLS[str(target)](self, *arguments)
        return InertObject(target, arguments)

    def mapping(self, *arguments):
        """A dict from nothing, from another dict or from pairs."""
        items = arguments[-1] if arguments else {}
        self.budget.spend(len(items) * ITEM_BYTES)
        items = items.items() if isinstance(items, dict) else items
        return {check_key(key): value for key, value in items}

    def default_dict(self, factory=None, *arguments):
        """A plain dict: what it would put in for missing keys is dropped."""
        return self.mapping(*arguments)

    def a_set(self, items=()):
        """A set of scalars."""
        self.budget.spend(len(items) * ITEM_BYTES)
        return {check_key(item) for item in items}

    def a_tuple(self, items=()):
        """A tuple of what a list or tuple holds."""
        self.budget.spend(len(items) * ITEM_BYTES)
        return tuple(items)

    def reconstruct(self, target, base, state):
        """An object of a class, as protocols 0 and 1 store it."""
        return self.instantiate(target, state)

    def byte_array(self, text="", encoding="latin1"):
        """Bytes that a pickle of protocol 2 holds as text."""
        if isinstance(text, bytes):
            return text
        if not isinstance(text, str) or shown(encoding) not in ("'latin1'", "'latin-1'"):
            raise ValueError(f"it holds bytes in the form of {shown(text)}, {shown(encoding)}")
        self.budget.spend(4 * len(text))
        return text.encode("latin-1")

    def tensor(self, storage, offset, size, stride, *rest):
        """A tensor of the type of its storage."""
        if not isinstance(storage, Storage):
            raise UnsafeFileError("a tensor has no storage")
        return self._strided(storage, storage.kind, offset, size, stride, rest[2:])

    def typed_tensor(self, storage, offset, size, stride, grad, hooks, dtype, *metadata):
        """A tensor that gives its own type to plain bytes."""
        if not isinstance(storage, Storage) or not isinstance(dtype, Global):
            raise UnsafeFileError("a tensor has no storage or no type")
        return self._strided(storage, dtype.name, offset, size, stride, metadata)

    def _strided(self, storage, kind, offset, size, stride, metadata):
        if metadata and metadata[0]:
            raise ValueError(f"a tensor is stored as {shown(metadata[0])}, which is not read here")
        if storage.data is None:
            return None
        return strided(storage.values(kind, self.budget), offset, size, stride)

    def pending_array(self, *_):
        """`numpy.core.multiarray._reconstruct(...)`, to be completed with everything."""

        def complete(state):
            _, shape, dtype, fortran, raw = state
            return self.numpy_buffer(raw, dtype, shape, "F" if fortran else "C")

        return Pending(complete)

    def numpy_scalar(self, dtype, raw):
        """A NumPy scalar."""
        return self.numpy_buffer(raw, dtype, ())[()]

    def numpy_buffer(self, raw, dtype, shape, order="C"):
        """A NumPy array, as protocol 5 stores it; Python 2 stored its bytes as text."""
        raw = self.byte_array(raw) if isinstance(raw, str) else raw
        order = "F" if isinstance(order, str) and order == "F" else "C"
        return numpy_array(raw, dtype, shape, order, self.budget)


def check_key(key):
    """A key of a dict or an item of a set: quick to hash and to compare, so never a tuple."""
    number = isinstance(key, int) and key.bit_length() < 64
    if not number and not isinstance(key, (str, bytes, float, type(None))):
        raise UnsafeFileError(f"it has a key that is {shown(key)}, not text or a number")
    return key


CALLS = {
    "collections.OrderedDict": Calls.mapping,
    "collections.Counter": Calls.mapping,
    "collections.defaultdict": Calls.default_dict,
    "builtins.set": Calls.a_set,
    "builtins.frozenset": lambda calls, *items: frozenset(calls.a_set(*items)),
    "builtins.complex": lambda calls, real, imag: complex(float(real), float(imag)),
    "builtins.bytearray": Calls.byte_array,
    "builtins.bytes": Calls.byte_array,
    "_codecs.encode": Calls.byte_array,
    "copyreg._reconstructor": Calls.reconstruct,
    "copyreg.__newobj__": Calls.instantiate,
    "torch.Size": Calls.a_tuple,
    "torch._utils._rebuild_tensor": Calls.tensor,
    "torch._utils._rebuild_tensor_v2": Calls.tensor,
    "torch._utils._rebuild_tensor_v3": Calls.typed_tensor,
    "torch._utils._rebuild_parameter": lambda calls, data, *_: data,
    "torch._utils._rebuild_parameter_with_state": lambda calls, data, *_: data,
    "torch._tensor._rebuild_from_type_v2": lambda calls, f, kind, args, state: calls.call(f, args),
    "numpy.dtype": lambda calls, *arguments: pending_dtype(*arguments),
    "numpy.core.multiarray._reconstruct": Calls.pending_array,
    "numpy.core.multiarray.scalar": Calls.numpy_scalar,
    "numpy.core.numeric._frombuffer": Calls.numpy_buffer,
}
