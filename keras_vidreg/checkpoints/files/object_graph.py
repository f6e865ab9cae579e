"""The graph of objects that TensorFlow stores in a checkpoint: which variable belongs where."""

from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.protobuf import last_int, read_message, read_varint

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
VALUE = "VARIABLE_VALUE"
SUFFIX = f"/.ATTRIBUTES/{VALUE}"  # of every variable's key
ROOT = "model"
MAX_GRAPH = 16 * 2**20
MAX_PATHS = 64 * 2**20  # bytes of all paths; each repeats those above it
CHECKSUM = 4


def model_paths(stored):
    """Names of a model's variables that do not depend on what else was saved.

    A checkpoint names a variable by its shortest path from everything that was saved, so that the
    backbone's variables have other names if somebody saved `backbone=` next to `model=`. Here the
    path begins at `model`, and prefers layers with weights, as the names without `backbone=` do.

    Args:
        stored: The text tensor with the graph, as bytes.

    Returns:
        `{key in the file: path}`, without `/.ATTRIBUTES/VARIABLE_VALUE`; empty if no `model` was
        saved.

    Raises:
        ValueError: For a damaged graph.
    """
    nodes = [read_message(node) for node in read_message(_text(stored)).get(1, [])]
    found, left = {}, MAX_PATHS
    level = [(i, name) for name, i in _children(nodes[0]) if name == ROOT] if nodes else []
    done = {0}
    while level:
        below = []
        for i, path in level:
            if i in done:
                continue
            if not 0 <= i < len(nodes):
                raise ValueError(f"its graph of objects refers to the object {i}, which is missing")
            done.add(i)
            left -= len(path)
            if left < 0:
                raise UnsafeFileError(f"its graph of objects has paths of over {MAX_PATHS} bytes")
            if key := _variable(nodes[i]):
                found[key] = path
            below += [(j, f"{path}/{name}") for name, j in _children(nodes[i]) if j not in done]
        level = below
    return found


def _text(stored):
    """The only string of a text tensor: its length, a checksum, its bytes."""
    size, position = read_varint(stored, 0)
    if size != len(stored) - position - CHECKSUM:
        raise ValueError("its graph of objects has another length than it declares")
    return stored[position + CHECKSUM :]


def _children(node):
    """Pairs of a name and the number of an object, layers with weights first."""
    messages = map(read_message, node.get(1, []))
    pairs = [(_name(message, 2), last_int(message, 1)) for message in messages]
    return sorted(pairs, key=lambda pair: not pair[0].startswith("layer_with_weights-"))


def _variable(node):
    """The key of a node's value, if it is a variable."""
    for message in map(read_message, node.get(2, [])):
        if _name(message, 1) == VALUE:
            return _name(message, 3).removesuffix(SUFFIX)
    return None


def _name(message, number):
    value = message.get(number, [b""])[-1]
    if isinstance(value, int):
        raise ValueError(f"the field {number} of a message is not text")
    return bytes(value).decode("utf-8")
