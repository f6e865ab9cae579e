"""An interpreter of pickles that only builds data.

The standard unpickler imports what a file names, calls it and sets attributes on it. Here names are
data (`Global`), calls are answered by a table (`pickle_calls.py`), and nothing else exists that a
file could reach. `pickletools.genops` splits the file into operations.
"""

import pickletools

from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.numpy_pickles import Pending
from keras_vidreg.checkpoints.files.pickle_calls import Calls, check_key
from keras_vidreg.checkpoints.files.records import Record

MAX_STEPS = 1_000_000
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
CONTAINERS = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
NUMBERS_AND_TEXT = {
    "BINBYTES", "BINBYTES8", "BINFLOAT", "BININT", "BININT1", "BININT2", "BINSTRING", "BINUNICODE",
    "BINUNICODE8", "BYTEARRAY8", "FLOAT", "INT", "LONG", "LONG1", "LONG4", "SHORT_BINBYTES",
    "SHORT_BINSTRING", "SHORT_BINUNICODE", "STRING", "UNICODE",
}  # fmt: skip
PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
GETS = {"GET", "BINGET", "LONG_BINGET"}


def read_pickle(file, limit, persistent=None):
    """Build the data that one pickle describes.

    Args:
        file: Binary file at the start of a pickle; it is left behind its end.
        limit: Bytes that copies of parts of the file may take altogether.
        persistent: Function from a persistent id to what it stands for, or `None` where a pickle
            has no such ids.

    Returns:
        Numbers, text, lists, tuples, dicts, sets, arrays, `Global` and `Record`.

    Raises:
        UnsafeFileError: For a call of an unknown function, and for what unfolds beyond all bounds.
        ValueError: For a damaged pickle.
    """
    machine = _Machine(Calls(limit), persistent)
    steps = 0
    try:
        for operation, argument, _ in pickletools.genops(file):
            steps += 1
            if steps > MAX_STEPS:
                raise UnsafeFileError(f"it takes more than {MAX_STEPS} steps")
            machine.step(operation.name, argument)
        return machine.pop()
    except IndexError as error:
        raise ValueError("its pickle takes more from the stack than it has put there") from error


class _Machine:
    def __init__(self, calls, persistent):
        self.calls = calls
        self.persistent = persistent
        self.stack = []
        self.below = []  # the stacks under each mark
        self.memo = {}

    def step(self, name, argument):
        if name in NUMBERS_AND_TEXT:
            self.push(argument)
        elif name in CONSTANTS:
            self.push(CONSTANTS[name])
        elif name in CONTAINERS:
            self.push(CONTAINERS[name]())
        elif name in PUTS:
            self.put(argument)
        elif name in GETS:
            self.get(argument)
        elif name in STEPS:
            STEPS[name](self)
        elif name in STEPS_WITH_ARGUMENT:
            STEPS_WITH_ARGUMENT[name](self, argument)
        else:
            raise UnsafeFileError(f"it uses the pickle operation {name}, which weights never need")

    def push(self, value):
        self.stack.append(value)

    def pop(self):
        return self.stack.pop()

    def pop_mark(self):
        items = self.stack
        self.stack = self.below.pop()
        return items

    def mark(self):
        self.below.append(self.stack)
        self.stack = []

    def drop(self):
        if self.stack:
            self.stack.pop()
        else:
            self.pop_mark()

    def tuple_of(self, count):
        if len(self.stack) < count:
            raise IndexError
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def put(self, index):
        self.memo[index] = self.stack[-1]
        if isinstance(self.stack[-1], Pending):
            self.stack[-1].memo.append(index)

    def get(self, index):
        if index not in self.memo:
            raise ValueError(f"its pickle refers to {index}, which is not there")
        self.push(self.memo[index])

    def extend(self, items):
        target = self.stack[-1]
        if isinstance(target, Record):
            target = target.items
        if not isinstance(target, list):
            raise ValueError(f"its pickle appends to a {type(target).__name__}")
        target.extend(items)

    def add(self, items):
        target = self.stack[-1]
        if not isinstance(target, set):
            raise ValueError(f"its pickle adds to a {type(target).__name__}")
        target.update(map(check_key, items))

    def store(self, items):
        target = self.stack[-1]
        if isinstance(target, Record):
            target = target.entries
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError(f"its pickle stores {len(items)} items in a {type(target).__name__}")
        target.update(zip(map(check_key, items[::2]), items[1::2], strict=True))

    def store_one(self):
        value, key = self.pop(), self.pop()
        self.store([key, value])

    def new_dict(self):
        items = self.pop_mark()
        self.push({})
        self.store(items)

    def append_one(self):
        item = self.pop()
        self.extend([item])

    def name(self, argument):
        self.push(self.calls.find(*argument.split(" ", 1)))

    def name_from_stack(self):
        name, module = self.pop(), self.pop()
        self.push(self.calls.find(module, name))

    def reduce(self):
        arguments, target = self.pop(), self.pop()
        self.push(self.calls.call(target, arguments))

    def new_object(self):
        arguments, target = self.pop(), self.pop()
        if not isinstance(arguments, tuple):
            raise ValueError("its pickle gives a constructor something else than arguments")
        self.push(self.calls.instantiate(target, *arguments))

    def new_object_with_names(self):
        names, arguments, target = self.pop(), self.pop(), self.pop()
        self.push(self.calls.instantiate(target, arguments, names))

    def object_of_mark(self):
        target, *arguments = self.pop_mark()
        self.push(self.calls.call(target, tuple(arguments)))

    def instance(self, argument):
        target = self.calls.find(*argument.split(" ", 1))
        self.push(self.calls.call(target, tuple(self.pop_mark())))

    def build(self):
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, Record):
            target.state = state
        elif isinstance(target, Pending):
            self.stack[-1] = target.complete(state)
            for index in target.memo:
                if self.memo[index] is target:
                    self.memo[index] = self.stack[-1]
            target.memo.clear()
        elif not isinstance(target, (dict, list, set)):
            # The attributes of a container, such as `_metadata` of a state dict, are not kept.
            raise UnsafeFileError(f"it sets attributes of a {type(target).__name__}")

    def reference(self, identifier):
        if self.persistent is None:
            raise UnsafeFileError("it refers to data outside of the file")
        self.push(self.persistent(identifier))


STEPS = {
    "MARK": _Machine.mark,
    "POP": _Machine.drop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": lambda machine: machine.push(machine.stack[-1]),
    "TUPLE": lambda machine: machine.push(tuple(machine.pop_mark())),
    "TUPLE1": lambda machine: machine.tuple_of(1),
    "TUPLE2": lambda machine: machine.tuple_of(2),
    "TUPLE3": lambda machine: machine.tuple_of(3),
    "LIST": lambda machine: machine.push(machine.pop_mark()),
    "DICT": _Machine.new_dict,
    "FROZENSET": lambda machine: machine.push(frozenset(map(check_key, machine.pop_mark()))),
    "APPEND": _Machine.append_one,
    "APPENDS": lambda machine: machine.extend(machine.pop_mark()),
    "ADDITEMS": lambda machine: machine.add(machine.pop_mark()),
    "SETITEM": _Machine.store_one,
    "SETITEMS": lambda machine: machine.store(machine.pop_mark()),
    "MEMOIZE": lambda machine: machine.put(len(machine.memo)),
    "STACK_GLOBAL": _Machine.name_from_stack,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.new_object,
    "NEWOBJ_EX": _Machine.new_object_with_names,
    "OBJ": _Machine.object_of_mark,
    "BUILD": _Machine.build,
    "BINPERSID": lambda machine: machine.reference(machine.pop()),
    "STOP": lambda machine: None,
}
STEPS_WITH_ARGUMENT = {
    "PROTO": lambda machine, version: None,
    "FRAME": lambda machine, size: None,
    "GLOBAL": _Machine.name,
    "INST": _Machine.instance,
    "PERSID": _Machine.reference,
}
