"""What a pickle may ask for by name, and what is made of it.

1. The constructors in `CALLS` are known: tensors, plain containers, numbers. What they give is
   computed by the functions of this file.
2. A name from a module that reaches the system (`REFUSED`), and every builtin but the types of
   plain values, is refused as soon as it appears.
3. A class that is only instantiated becomes a `Record`. A name that is called counts as a class if
   it begins with a capital letter, or stands in `INERT`.
4. A call of anything else is refused.

Rules 2 and 4 are there to say early that a file is hostile or not understood. That nothing runs
does not depend on them: names are never looked up, and there is no code that could call them.
"""

from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.numpy_pickles import numpy_array, pending_array, pending_dtype
from keras_vidreg.checkpoints.files.records import Global, Record
from keras_vidreg.checkpoints.files.torch_tensors import Storage, strided

REFUSED = {
    "_io", "_pickle", "_posixsubprocess", "_thread", "asyncio", "bdb", "builtin", "cloudpickle",
    "codeop", "commands", "concurrent", "ctypes", "dill", "distutils", "ftplib", "imp", "importlib",
    "inspect", "io", "joblib", "linecache", "marshal", "mmap", "multiprocessing", "nt", "operator",
    "os", "pdb", "pickle", "pip", "pkgutil", "popen2", "posix", "posixpath", "pty", "pydoc",
    "requests", "runpy", "shelve", "shutil", "smtplib", "socket", "socketserver", "ssl",
    "subprocess", "sys", "sysconfig", "tempfile", "threading", "timeit", "urllib", "urllib2",
    "webbrowser", "zipimport",
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


class Calls:
    """Answers the names and calls of one pickle.

    Args:
        limit: Bytes that copies of parts of the file may take altogether.
    """

    def __init__(self, limit):
        self.left = limit

    def find(self, module, name):
        """What stands for a name."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise UnsafeFileError("it looks for a name that is not text")
        for old, new in ALIASES.items():
            if module == old or module.startswith(f"{old}."):
                module = new + module[len(old) :]
        found = Global(module, name)
        top = module.partition(".")[0]
        if top in REFUSED or (top == "builtins" and name not in BUILTINS):
            raise UnsafeFileError(f"it names {found}, which weights have no use for")
        return found

    def call(self, target, arguments):
        """What stands for the result of a call."""
        if not isinstance(target, Global) or not isinstance(arguments, tuple):
            raise UnsafeFileError("it calls something that is not a named class or function")
        if str(target) in CALLS:
            return CALLS[str(target)](self, *arguments)
        last = target.name.rpartition(".")[2].lstrip("_")
        if not last[:1].isupper() and str(target) not in INERT:
            raise UnsafeFileError(f"it calls the function {target}")
        return Record(target, arguments)

    def instantiate(self, target, *arguments):
        """What stands for an object of a class."""
        if not isinstance(target, Global):
            raise UnsafeFileError("it instantiates something that is not a named class")
        if str(target) in CALLS:
            return CALLS[str(target)](self, *arguments)
        return Record(target, arguments)

    def spend(self, size):
        """Count bytes that are copied."""
        self.left -= size
        if self.left < 0:
            raise UnsafeFileError("it unfolds to more than it may")

    def mapping(self, *arguments):
        """A dict from nothing, from another dict or from pairs."""
        items = arguments[-1] if arguments else {}
        self.spend(len(items) * ITEM_BYTES)
        items = items.items() if isinstance(items, dict) else items
        return {check_key(key): value for key, value in items}

    def default_dict(self, factory=None, *arguments):
        """A plain dict: what it would put in for missing keys is dropped."""
        return self.mapping(*arguments)

    def a_set(self, items=()):
        """A set of scalars."""
        self.spend(len(items) * ITEM_BYTES)
        return {check_key(item) for item in items}

    def a_tuple(self, items=()):
        """A tuple of what a list or tuple holds."""
        self.spend(len(items) * ITEM_BYTES)
        return tuple(items)

    def reconstruct(self, target, base, state):
        """An object of a class, as protocols 0 and 1 store it."""
        return self.instantiate(target, state)

    def byte_array(self, text="", encoding="latin1"):
        """Bytes that a pickle of protocol 2 holds as text."""
        if isinstance(text, bytes):
            return text
        if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
            raise ValueError(f"it holds bytes in the form of {type(text).__name__}, {encoding!r}")
        self.spend(4 * len(text))
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
            raise ValueError(f"a tensor is stored as {metadata[0]!r}, which is not read here")
        if storage.data is None:
            return None
        return strided(storage.values(kind), offset, size, stride)

    def numpy_scalar(self, dtype, raw):
        """A NumPy scalar."""
        return numpy_array(self.raw_bytes(raw), dtype, ())[()]

    def numpy_buffer(self, raw, dtype, shape, order="C"):
        """A NumPy array, as protocol 5 stores it."""
        return numpy_array(self.raw_bytes(raw), dtype, shape, "F" if order == "F" else "C")

    def raw_bytes(self, raw):
        """The bytes of an array, which Python 2 stored as text."""
        self.spend(len(raw))
        return self.byte_array(raw) if isinstance(raw, str) else raw


def check_key(key):
    """A key of a dict or an item of a set, which must be quick to compare with others."""
    for part in key if isinstance(key, tuple) and len(key) <= 8 else (key,):
        number = isinstance(part, int) and part.bit_length() < 64
        if not number and not isinstance(part, (str, bytes, float, type(None), Global)):
            raise UnsafeFileError(f"it has a key that is a {type(part).__name__} or too long")
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
    "numpy.core.multiarray._reconstruct": lambda calls, *_: pending_array(calls.raw_bytes),
    "numpy.core.multiarray.scalar": Calls.numpy_scalar,
    "numpy.core.numeric._frombuffer": Calls.numpy_buffer,
}
