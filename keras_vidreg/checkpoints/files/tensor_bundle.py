"""TensorFlow checkpoints (`PREFIX.index`, `PREFIX.data-00000-of-00001`), without TensorFlow."""

import contextlib
import re

from keras_vidreg.checkpoints.files.decode import decode_shape
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.leveldb_table import read_table
from keras_vidreg.checkpoints.files.object_graph import GRAPH, MAX_GRAPH, SUFFIX, model_paths
from keras_vidreg.checkpoints.files.protobuf import last_int, read_message

DTYPES = {
    1: "f4", 2: "f8", 3: "i4", 4: "u1", 5: "i2", 6: "i1", 8: "c8", 9: "i8", 10: "?",
    14: "bfloat16", 17: "u2", 18: "c16", 19: "f2", 22: "u4", 23: "u8",
}  # fmt: skip
SLOT = "/.OPTIMIZER_SLOT/"
MAX_INDEX = 16 * 2**20
MAX_SHARDS = 1000


def find_prefix(path):
    """The prefix of a checkpoint from a folder, from a prefix, or from one of its files.

    In a folder with several checkpoints, the file `checkpoint` says which one is the latest.

    Returns:
        A path, or `None` when there is no checkpoint.

    Raises:
        ValueError: When a folder has several checkpoints and does not say which.
    """
    if not path.is_dir():
        name = re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", path.name)
        if name == path.name and path.is_file():
            return None
        return path.with_name(name) if path.with_name(f"{name}.index").is_file() else None
    found = sorted(index.with_suffix("") for index in path.glob("*.index"))
    note = path / "checkpoint"
    if len(found) > 1 and note.is_file():
        text = note.read_text(encoding="utf-8", errors="replace")
        latest = re.search(r'^model_checkpoint_path: "(?:.*/)?([^"/]+)"', text, re.MULTILINE)
        found = [prefix for prefix in found if latest and prefix.name == latest[1]] or found
    if len(found) > 1:
        raise ValueError(f"{path} has several checkpoints: {[prefix.name for prefix in found]}")
    return found[0] if found else None


def read_tensor_bundle(prefix, limit):
    """The variables by their keys, and the names of what is no variable.

    Keys are those of `tf.train.load_checkpoint` without `/.ATTRIBUTES/VARIABLE_VALUE`; variables of
    a model that was saved as `model=` are named by their path in it, whatever else was saved. Text
    and the slots of optimizers are not read.

    Args:
        prefix: Path without `.index`.
        limit: Bytes that all variables together may have.
    """
    index = prefix.with_name(f"{prefix.name}.index")
    if index.stat().st_size > MAX_INDEX:
        raise UnsafeFileError(f"its index has more than {MAX_INDEX} bytes")
    entries = read_table(index.read_bytes())
    header = read_message(entries.pop(b"", b""))
    order = ">" if last_int(header, 2) else "<"
    paths = _shards(prefix, last_int(header, 1))
    left = min(limit, sum(path.stat().st_size for path in paths))
    arrays, unread, names = {}, [], {}
    with contextlib.ExitStack() as stack:
        files = [stack.enter_context(open(path, "rb")) for path in paths]
        for key, message in entries.items():
            name = key.decode("utf-8").removesuffix(SUFFIX)
            entry = read_message(message)
            code = DTYPES.get(last_int(entry, 1))
            if (code is None and name != GRAPH) or SLOT in name:
                unread.append(name)
                continue
            if 7 in entry:
                raise ValueError(f"the variable {name} is stored in slices, which are not read")
            shard, offset, size = (last_int(entry, field) for field in (3, 4, 5))
            left -= size
            if not 0 <= shard < len(files) or min(offset, size, left) < 0:
                raise UnsafeFileError(f"the variable {name} is in no data file, or beyond limit")
            if name == GRAPH and size > MAX_GRAPH:
                raise UnsafeFileError(f"its graph of objects has more than {MAX_GRAPH} bytes")
            file = files[shard]
            file.seek(min(offset, paths[shard].stat().st_size))
            data = file.read(size)
            if name == GRAPH:
                unread.append(name)
                names = model_paths(data)
                continue
            try:
                arrays[name] = decode_shape(data, code, _shape(entry), order)
            except ValueError as error:
                raise ValueError(f"the variable {name}: {error}") from error
    renamed = {names.get(name, name): value for name, value in arrays.items()}
    if len(renamed) < len(arrays):
        raise ValueError("its graph of objects gives two variables the same name")
    return renamed, {"unread": tuple(unread)}


def _shape(entry):
    """The lengths of the axes: a message of messages, empty for a scalar."""
    axes = read_message(entry.get(2, [b""])[-1]).get(2, [])
    return [last_int(read_message(axis), 1) for axis in axes]


def _shards(prefix, count):
    """The data files of a checkpoint."""
    if not 1 <= count <= MAX_SHARDS:
        raise ValueError(f"it declares {count} data files")
    names = [f"{prefix.name}.data-{i:05d}-of-{count:05d}" for i in range(count)]
    missing = [name for name in names if not prefix.with_name(name).is_file()]
    if missing:
        raise ValueError(f"its data file {missing[0]} is missing; put it next to the index")
    return [prefix.with_name(name) for name in names]
