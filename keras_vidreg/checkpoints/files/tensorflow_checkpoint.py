"""TensorFlow checkpoints (`PREFIX.index`, `PREFIX.data-00000-of-00001`), read by TensorFlow.

Its reader is not made for hostile files: some end the process, others allocate what they declare.
So it runs in a process of its own (`tensorflow_reader.py`), which gives the arrays back as a file.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from keras_vidreg._text import printable, shown
from keras_vidreg.checkpoints.files import tensorflow_reader
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.npz import read_npz
from keras_vidreg.checkpoints.files.safe_zip import FREE, SafeZip

MAX_INDEX = 16 * 2**20
MAX_NOTE = 2**16
SECONDS = 600


def find_prefix(path: Path) -> Path | None:
    """The prefix of a checkpoint from a folder, from a prefix, or from one of its files.

    In a folder with several checkpoints, the file `checkpoint` says which one is the latest.

    Returns:
        A path, or `None` if there is no checkpoint.

    Raises:
        ValueError: If a folder has several checkpoints and does not say which.
    """
    if not path.is_dir():
        name = re.sub(r"\.(index|data-\d{5}-of-\d{5})$", "", path.name)
        if name == path.name and path.is_file():
            return None
        return path.with_name(name) if path.with_name(f"{name}.index").is_file() else None
    found = sorted(index.with_suffix("") for index in path.glob("*.index"))
    note = path / "checkpoint"
    if len(found) > 1 and note.is_file():
        with open(note, encoding="utf-8", errors="replace") as file:
            text = file.read(MAX_NOTE)
        latest = re.search(r'^model_checkpoint_path: "([^"\n]+)"', text, re.MULTILINE)
        name = latest[1].rpartition("/")[2] if latest else None
        found = [prefix for prefix in found if prefix.name == name] or found
    if len(found) > 1:
        names = ", ".join(shown(prefix.name) for prefix in found[:5])
        raise ValueError(f"{path} has several checkpoints: [{names}]")
    return found[0] if found else None


def read_tensorflow_checkpoint(prefix: Path, limit: int) -> tuple[dict[str, np.ndarray], dict]:
    """The variables by their keys, and the names of what is no variable.

    Keys are those of `tf.train.load_checkpoint` without `/.ATTRIBUTES/VARIABLE_VALUE`; variables of
    a model that was saved as `model=` are named by their path in it, whatever else was saved. Text
    and the slots of optimizers are not read.

    Args:
        prefix: Path without `.index`.
        limit: Bytes that all variables together may have.

    Raises:
        ImportError: If TensorFlow is not installed.
        ValueError: If the checkpoint is damaged or incomplete, or TensorFlow cannot read it.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            "A checkpoint of TensorFlow is read by TensorFlow. Install it with: "
            'pip install "keras-vidreg[tensorflow]"; what it is converted to needs it no more.'
        )
    if prefix.with_name(f"{prefix.name}.index").stat().st_size > MAX_INDEX:
        raise UnsafeFileError(f"its index has more than {MAX_INDEX} bytes")
    shards = [path for path in prefix.parent.iterdir() if _is_shard(path.name, prefix.name)]
    if not shards:
        name = printable(f"{prefix.name}.data-00000-of-00001")
        raise ValueError(f"its data file {name} is missing; put it next to the index")
    size = min(limit, sum(path.stat().st_size for path in shards))
    with tempfile.TemporaryDirectory() as folder:
        report, arrays = Path(folder, "report.json"), Path(folder, "arrays.npz")
        _run(prefix, size, report, arrays)
        said = json.loads(report.read_text(encoding="utf-8"))
        if "error" in said:
            raise ValueError(f"the TensorFlow reader says: {printable(said['error'])}")
        if not said["names"]:
            return {}, {"unread": tuple(said["unread"])}
        with SafeZip(arrays, 2 * size + FREE) as archive:  # bfloat16 grows to twice its size
            values = read_npz(archive)
    named = {name: values[str(number)] for number, name in enumerate(said["names"])}
    if len(named) < len(values):
        raise ValueError("its graph of objects gives two variables the same name")
    return named, {"unread": tuple(said["unread"])}


def _is_shard(name, prefix):
    return name.startswith(prefix) and re.fullmatch(
        r"\.data-\d{5}-of-\d{5}", name.removeprefix(prefix)
    )


def _run(prefix, size, report, arrays):
    """The reader, in a process that sees no accelerator."""
    script = [sys.executable, "-P", tensorflow_reader.__file__]
    quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
    try:
        done = subprocess.run(
            [*script, str(prefix), str(size), str(report), str(arrays)],
            env={**os.environ, **quiet},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"the TensorFlow reader took more than {SECONDS} s for it") from None
    if done.returncode or not report.is_file():
        raise ValueError(f"the TensorFlow reader ended with code {done.returncode} on it")
