"""TensorFlow checkpoints: in an archive, and with other objects saved next to the model."""

import importlib.util
import io
import json
import pathlib
import struct
import tarfile
from types import SimpleNamespace as Fields

import foreign_files as write
import numpy as np
import pytest
import recipe
from once import once

from keras_vidreg.checkpoints.files import UnsafeFileError, read_state_dict
from keras_vidreg.checkpoints.files.tar_checkpoint import unpacked_checkpoint
from keras_vidreg.checkpoints.files.tensorflow_reader import model_paths

pytestmark = once
GOLDEN = pathlib.Path(__file__).parent / "golden"
W = {"w": np.arange(6, dtype="f4").reshape(2, 3)}


def checkpoint(tmp_path, values=W, name="ckpt"):
    """The two files of a checkpoint, as pairs of name and bytes."""
    write.write_bundle(tmp_path / name, values)
    names = (f"{name}.index", f"{name}.data-00000-of-00001")
    pairs = [(part, (tmp_path / part).read_bytes()) for part in names]
    for part in names:
        (tmp_path / part).unlink()
    return pairs


@pytest.mark.parametrize("folder", ["", "./", "movinet_a0_base/", "a/b/"])
def test_archive(tmp_path, folder):
    pairs = [(f"{folder}{name}", data) for name, data in checkpoint(tmp_path)]
    note = (f"{folder}checkpoint", b'model_checkpoint_path: "ckpt"')
    others = (f"{folder}saved_model/graph.pb", b"ignored"), (f"{folder}README", b"ignored")
    path = write.tar_gz(tmp_path / "a.tar.gz", *others, note, *pairs)
    with unpacked_checkpoint(path, 2**20) as prefix:
        assert prefix.name == "ckpt"
        found = {
            file.name.removeprefix("ckpt"): file.read_bytes() for file in prefix.parent.iterdir()
        }
    assert found.pop("checkpoint") == note[1]
    assert found == {name.removeprefix("ckpt"): data for name, data in checkpoint(tmp_path)}
    assert [item.name for item in tmp_path.iterdir()] == ["a.tar.gz"]


def link(name, target, kind=tarfile.SYMTYPE):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


@pytest.mark.parametrize(
    "extra, error, reason",
    [
        ([("../ckpt-2.index", b"x")], UnsafeFileError, "leads out"),
        ([("/tmp/ckpt-2.index", b"x")], UnsafeFileError, "leads out"),
        ([("a\\..\\b.index", b"x")], UnsafeFileError, "leads out"),
        ([("other/ckpt-2.index", b"x")], ValueError, "2 folders"),
        ([("other/ckpt.index", b"x")], ValueError, "several files ckpt.index"),
        ([("ckpt-2.index", b"x")], ValueError, "several checkpoints"),
        ([(f"{i}.txt", b"") for i in range(1001)], UnsafeFileError, "more than 1000"),
        ([("zeros.bin", bytes(40 * 2**20))], UnsafeFileError, "far more"),
    ],
)
def test_bad_archives(tmp_path, extra, error, reason):
    path = write.tar_gz(tmp_path / "a.tar.gz", *checkpoint(tmp_path), *extra)
    with pytest.raises(error, match=reason) as caught:
        read_state_dict(path)
    assert str(path) in str(caught.value)
    assert [item.name for item in tmp_path.iterdir()] == ["a.tar.gz"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_no_files(tmp_path, kind):
    secret = tmp_path / "secret.index"
    secret.write_bytes(checkpoint(tmp_path)[0][1])
    path = write.tar_gz(tmp_path / "a.tar.gz", link("ckpt.index", str(secret), kind))
    with pytest.raises(ValueError, match="without a checkpoint"):
        read_state_dict(path)


def test_a_sparse_file_that_declares_terabytes(tmp_path):
    info = tarfile.TarInfo("ckpt.data-00000-of-00001")
    info.pax_headers = {
        "GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.size": str(2**43),
        "GNU.sparse.map": "0,0", "GNU.sparse.name": info.name,
    }  # fmt: skip
    path = tmp_path / "a.tar.gz"
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as archive:
        archive.addfile(info, io.BytesIO(b""))
    with pytest.raises(UnsafeFileError, match="its files take more"):
        read_state_dict(path)


def test_an_archive_cut_off(tmp_path):
    whole = write.tar_gz(tmp_path / "a.tar.gz", *checkpoint(tmp_path)).read_bytes()
    path = tmp_path / "b.tar.gz"
    for end in (3, 40, len(whole) // 2):
        path.write_bytes(whole[:end])
        with pytest.raises(ValueError, match="not a whole tar"):
            read_state_dict(path)


def test_the_limit_holds_for_archives(tmp_path):
    path = write.tar_gz(tmp_path / "a.tar.gz", *checkpoint(tmp_path))
    with pytest.raises(UnsafeFileError):
        read_state_dict(path, limit=2000)


def graph(*nodes):
    """A graph of objects: each node is a pair of children `[(name, number)]` and a key, or `None`.

    As plain objects with the fields of the protocol buffer, so that no TensorFlow is needed.
    """
    objects = []
    for children, key in nodes:
        attributes = [] if key is None else [Fields(name="VARIABLE_VALUE", checkpoint_key=key)]
        pairs = [Fields(local_name=name, node_id=number) for name, number in children]
        objects.append(Fields(children=pairs, attributes=attributes))
    return Fields(nodes=objects)


def test_paths_begin_at_the_model():
    value = "/.ATTRIBUTES/VARIABLE_VALUE"
    stored = graph(
        ([("backbone", 1), ("model", 2), ("step", 4)], None),
        ([("stem", 3)], None),
        ([("aaa", 1), ("layer_with_weights-0", 1), ("self", 2)], None),
        ([], f"backbone/stem{value}"),
        ([], f"step{value}"),
    )
    assert model_paths(stored) == {"backbone/stem": "model/layer_with_weights-0/stem"}
    assert model_paths(graph(([("net", 1)], None), ([], f"net{value}"))) == {}
    assert model_paths(graph()) == {}


@pytest.mark.parametrize("number", [7, -1])
def test_damaged_graphs(number):
    with pytest.raises(ValueError, match=f"refers to the object {number}"):
        model_paths(graph(([("model", 1)], None), ([("x", number)], None)))


def test_long_paths_do_not_fill_the_memory(monkeypatch):
    monkeypatch.setattr("keras_vidreg.checkpoints.files.tensorflow_reader.MAX_PATHS", 10_000)
    chain = [([("model" if i == 0 else "x" * 50, i + 1)], None) for i in range(100)]
    with pytest.raises(ValueError, match="paths"):
        model_paths(graph(*chain, ([], "end")))


def test_names_of_a_model_that_was_saved_with_its_backbone_and_optimizer(tmp_path):
    """As the Model Garden's training loop does: the backbone's variables get shorter names."""
    tf = pytest.importorskip("tensorflow")
    facts = json.loads((GOLDEN / "tf_movinet_a0_stream.json").read_text())
    state = recipe.fill_state(facts["state"], gain=facts["gain"])
    keys = {row[0]: row[4] for row in facts["state"]}
    root = tf.Module()
    for name, value in state.items():
        *path, leaf = keys[name].removeprefix("model/").split("/")
        at = root
        for part in path:
            if not hasattr(at, part):
                setattr(at, part, tf.Module())
            at = getattr(at, part)
        setattr(at, leaf, tf.Variable(value))
    backbone = getattr(root, "layer_with_weights-0")
    root._backbone = backbone
    parts = {"backbone": backbone, "global_step": tf.Variable(3, dtype=tf.int64)}
    prefix = tf.train.Checkpoint(model=root, **parts).save(tmp_path / "ckpt")
    stored = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
    assert any(key.startswith("backbone/layer_with_weights-1/_expansion") for key in stored)
    arrays = read_state_dict(tmp_path).arrays
    assert arrays.pop("global_step") == 3 and arrays.pop("save_counter") == 1
    assert set(arrays) == set(keys.values())
    for name, value in state.items():
        assert arrays[keys[name]].tobytes() == value.tobytes(), name


def test_what_ends_the_reader_of_tensorflow_does_not_end_us(tmp_path):
    """An entry that ends far behind its block."""
    pytest.importorskip("tensorflow")
    body = write.varint(0) + write.varint(2**31) * 2 + struct.pack("<II", 0, 1) + b"\0"
    (tmp_path / "ckpt.index").write_bytes(write.table(body + write.checksum(body)))
    (tmp_path / "ckpt.data-00000-of-00001").write_bytes(bytes(24))
    with pytest.raises(ValueError, match=r"the TensorFlow reader ended with code -\d+"):
        read_state_dict(tmp_path)


def test_shapes_are_not_believed(tmp_path):
    pytest.importorskip("tensorflow")
    axes = write.message((2, write.message((1, 2**40))))
    write.write_bundle(tmp_path / "ckpt", W, shape=axes)
    with pytest.raises(ValueError, match="larger than the data files"):
        read_state_dict(tmp_path)


def test_without_tensorflow(tmp_path, monkeypatch):
    write.write_bundle(tmp_path / "ckpt", W)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "keras-vidreg\[tensorflow\]"'):
        read_state_dict(tmp_path)
