"""A script: `python tensorflow_reader.py PREFIX SIZE REPORT ARRAYS` reads one checkpoint.

It writes the variables to the file `ARRAYS` (`.npz`, under their numbers) and what it has to say to
`REPORT`: `{"names": [...], "unread": [...]}`, or `{"error": "..."}`. Nothing of this package is
imported, so that it starts without Keras.
"""

import contextlib
import json
import math
import sys

GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"  # of every variable's key
SLOT = "/.OPTIMIZER_SLOT/"
ROOT = "model"
MAX_PATHS = 64 * 2**20  # bytes of all paths; each repeats those above it
FREE_MEMORY = 16 * 2**30  # address space that TensorFlow itself may take


def read(prefix: str, size: int, arrays: str) -> dict:
    """The report on a checkpoint whose variables may have so many bytes altogether."""
    import numpy as np
    import tensorflow as tf
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    reader = tf.train.load_checkpoint(prefix)
    shapes = reader.get_variable_to_shape_map()
    types = reader.get_variable_to_dtype_map()
    paths, values, unread, left = {}, {}, [], size
    if shapes.get(GRAPH) == []:
        paths = model_paths(TrackableObjectGraph.FromString(reader.get_tensor(GRAPH)))
    for key in sorted(shapes):
        name = key.removesuffix(SUFFIX)
        number = types[key].is_floating or types[key].is_integer or types[key].is_complex
        if SLOT in name or types[key].is_quantized or not (number or types[key].is_bool):
            unread.append(name)
            continue
        left -= types[key].size * math.prod(int(n) for n in shapes[key])
        if left < 0:  # before it is allocated
            raise ValueError(f"the variable {name} is larger than the data files")
        value = reader.get_tensor(key)
        name = paths.get(name, name)
        if name in values:
            raise ValueError("its graph of objects gives two variables the same name")
        values[name] = value.astype("float32") if types[key] == tf.bfloat16 else value
    np.savez(arrays, **{str(i): value for i, value in enumerate(values.values())})
    return {"names": list(values), "unread": unread}


def model_paths(graph) -> dict[str, str]:
    """Names of a model's variables that do not depend on what else was saved.

    A checkpoint names a variable by its shortest path from everything that was saved, so that the
    backbone's variables have other names if somebody saved `backbone=` next to `model=`. Here the
    path begins at `model`, and prefers layers with weights, as the names without `backbone=` do.

    Args:
        graph: The `TrackableObjectGraph` that the checkpoint holds.

    Returns:
        `{key in the file: path}`, without `/.ATTRIBUTES/VARIABLE_VALUE`; empty if no `model` was
        saved.
    """
    nodes = graph.nodes
    found, left, done = {}, MAX_PATHS, {0}
    level = [(i, name) for name, i in _children(nodes[0]) if name == ROOT] if nodes else []
    while level:
        below = []
        for i, path in level:
            if i in done:
                continue
            if not 0 <= i < len(nodes):
                raise ValueError(f"its graph of objects refers to the object {i}, which is missing")
            done.add(i)
            for attribute in nodes[i].attributes:
                if attribute.name == "VARIABLE_VALUE":
                    found[attribute.checkpoint_key.removesuffix(SUFFIX)] = path
            for name, j in _children(nodes[i]):
                left -= len(path) + len(name)
                if left < 0:
                    raise ValueError(f"its graph of objects has paths of over {MAX_PATHS} bytes")
                below.append((j, f"{path}/{name}"))
        level = below
    return found


def _children(node):
    """Pairs of a name and the number of an object, layers with weights first."""
    pairs = [(child.local_name, child.node_id) for child in node.children]
    return sorted(pairs, key=lambda pair: not pair[0].startswith("layer_with_weights-"))


def _limit_memory(size):
    with contextlib.suppress(ImportError, ValueError, OSError):  # as on Windows
        import resource

        limit = FREE_MEMORY + 8 * size
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


if __name__ == "__main__":
    prefix, size, report, arrays = sys.argv[1:]
    _limit_memory(int(size))
    try:
        said = read(prefix, int(size), arrays)
    except Exception as error:  # TensorFlow raises its own, and those of C++
        said = {"error": f"{type(error).__name__}: {str(error)[:500]}"}
    with open(report, "w", encoding="utf-8") as file:
        json.dump(said, file)
