"""Pickles read as data: nothing that a file names is imported, called or changed.

The stack, the memo and the operations on plain values are those of the standard library's unpickler
in Python. Every operation that acts is replaced here: names are data (`Global`), calls are answered
by a table (`pickle_calls.py`), and only lists, dicts, sets and inert objects are ever filled.

The one in C cannot be used. It hashes tuples of tuples as keys of dicts, which takes for ever or
overflows the stack; it allocates what a memo index or a byte array declares; and it takes objects
from the cache of the extension registry without asking.
"""

import pickle

from keras_vidreg._text import shown
from keras_vidreg.checkpoints.files.decode import Budget
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.inert import InertObject
from keras_vidreg.checkpoints.files.numpy_pickles import Pending
from keras_vidreg.checkpoints.files.pickle_calls import Calls, check_key

MAX_STEPS = 1_000_000
FREE_STEPS = 150_000  # each takes up to 200 bytes of memory
STEP_BYTES = 8  # of a file; one more step is allowed for each of them


class InertUnpickler(pickle._Unpickler):
    """Builds the data that one pickle describes: `InertUnpickler(file, budget, size).load()`.

    What comes out are numbers, text, lists, tuples, dicts, sets, arrays, `Global`, `InertObject`.

    Args:
        file: Binary file at the start of a pickle, no longer than what is there to be read.
        budget: Pays for copies.
        size: Bytes of the whole file on the disk.
        persistent: Function from a persistent id to what it stands for, or `None` where a pickle
            has no such ids.
    """

    def __init__(self, file, budget: Budget, size: int, persistent=None):
        super().__init__(file, fix_imports=False, encoding="latin1")
        self.memo = _Memo()
        steps = min(MAX_STEPS, FREE_STEPS + size // STEP_BYTES)
        self.dispatch = _Operations(steps)  # type: ignore[assignment,misc]
        self.calls = Calls(budget)
        self.persistent = persistent

    def find_class(self, module, name):
        return self.calls.find(module, name)

    def persistent_load(self, pid):
        if self.persistent is None:
            raise UnsafeFileError("it refers to data outside of the file")
        return self.persistent(pid)

    def get_extension(self, code):
        raise UnsafeFileError("it uses the extension registry, which weights never need")

    def load_next_buffer(self):
        raise UnsafeFileError("it refers to buffers outside of the file")

    load_readonly_buffer = load_next_buffer

    def load_bytearray8(self):
        size = int.from_bytes(self.read(8), "little")
        data = self.read(min(size, 2**62))
        if len(data) < size:
            raise ValueError("its pickle ends within an array of bytes")
        self.append(data)

    def load_reduce(self):
        arguments, target = self.stack.pop(), self.stack.pop()
        self.append(self.calls.call(target, arguments))

    def load_newobj(self):
        arguments, target = self.stack.pop(), self.stack.pop()
        self.append(self.calls.instantiate(target, *arguments))

    def load_newobj_ex(self):
        names, arguments, target = self.stack.pop(), self.stack.pop(), self.stack.pop()
        self.append(self.calls.instantiate(target, arguments, names))

    def _instantiate(self, target, arguments):  # of the operations OBJ and INST
        self.append(self.calls.call(target, tuple(arguments)))

    def load_build(self):
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, InertObject):
            target.state = state
        elif isinstance(target, Pending):
            self.stack[-1] = target.complete(state)
            for index in target.memo:
                if self.memo[index] is target:
                    self.memo[index] = self.stack[-1]
            target.memo.clear()
        elif not isinstance(target, (dict, list, set)):
            # The attributes of a container, such as `_metadata` of a state dict, are not kept.
            raise UnsafeFileError(f"it sets attributes of {shown(target)}")

    def load_append(self):
        item = self.stack.pop()
        self._filled(list).append(item)

    def load_appends(self):
        items = self.pop_mark()
        self._filled(list).extend(items)

    def load_setitem(self):
        value, key = self.stack.pop(), self.stack.pop()
        self._filled(dict)[check_key(key)] = value

    def load_setitems(self):
        items = self.pop_mark()
        self._filled(dict).update(_pairs(items))

    def load_dict(self):
        items = self.pop_mark()
        self.append(_pairs(items))

    def load_additems(self):
        items = self.pop_mark()
        self._filled(set).update(map(check_key, items))

    def load_frozenset(self):
        items = self.pop_mark()
        self.append(frozenset(map(check_key, items)))

    def _filled(self, kind):
        """The container of a kind on top of the stack, or of an object that is one."""
        target = self.stack[-1]
        if isinstance(target, InertObject):
            target = {list: target.items, dict: target.entries}.get(kind)
        if type(target) is not kind:
            raise ValueError(f"its pickle fills {shown(target)} like a {kind.__name__}")
        return target


def _pairs(items):
    return dict(zip(map(check_key, items[::2]), items[1::2], strict=True))


# The standard table binds the standard steps; here each stands for our step of the same name.
STEPS = {
    operation: getattr(InertUnpickler, step.__name__)
    for operation, step in pickle._Unpickler.dispatch.items()
}


class _Operations:
    """The steps by their operation, and a limit of how many are taken."""

    def __init__(self, limit):
        self.limit = self.left = limit

    def __getitem__(self, operation):
        self.left -= 1
        if self.left < 0:
            raise UnsafeFileError(f"it takes more than {self.limit} steps")
        if operation not in STEPS:
            raise ValueError(f"its pickle has the unknown operation {operation}")
        return STEPS[operation]


class _Memo(dict):
    """What is referred to again; a value that is yet to be completed knows where it stands."""

    def __setitem__(self, index, value):
        if isinstance(value, Pending):
            value.memo.append(index)
        super().__setitem__(index, value)
