"""Files from strangers: read or refused, within bounds of time and memory, by one kind of error."""

import io
import pickle
import random
import struct
import time
import tracemalloc
import zipfile
import zlib

import foreign_files as write
import h5py
import keras
import numpy as np
import pytest
from damaged_weights import refusals
from once import once

from keras_vidreg._text import printable, shown
from keras_vidreg.checkpoints import Checkpoint, UnsafeFileError, read_state_dict
from keras_vidreg.checkpoints.layouts.grw_smoothing import network_sizes
from keras_vidreg.zoo.fill import build_from_file

pytestmark = once
MEGABYTE = 2**20
FINE = write.tensor(0, (6,), (1,))


def read_within(path, seconds=10, megabytes=160):
    """Read a file within bounds; gives the error, or `None` if it is fine."""
    tracemalloc.start()
    start = time.process_time()
    try:
        found, error = read_state_dict(path), None
        assert isinstance(found, Checkpoint) and len(repr(found)) < 1000
    except ValueError as caught:
        error = caught
        assert len(str(error)) < 1000 and str(error).isprintable() and str(path) in str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert time.process_time() - start < seconds
    assert peak < megabytes * MEGABYTE
    return error


@pytest.mark.parametrize(
    "name", ["p01.pt", "p02.pt", "p06.pt", "p11.pt", "n05.npz", "s02.safetensors"]
)
def test_collected_faults(shared, name):
    path = shared / "data" / "faults" / "weights" / name
    if not path.is_file():
        pytest.skip(f"not found: {path}")
    assert read_within(path, seconds=2, megabytes=64) is not None


def doubling(first, step, levels=60):
    """Operations that build a value with 2**levels parts."""
    return first + b"q\0" + b"".join(b"0h%ch%c%bq%c" % (n, n, step, n + 1) for n in range(levels))


TUPLES = doubling(b")", b"\x86")
LISTS = b"]q\0" + b"".join(b"0](h%ch%ceq%c" % (n, n, n + 1) for n in range(60))
DEEP = b")" + b"\x85" * 100_000  # overflows the stack of the interpreter when it is hashed
HOSTILE = {  # what stands in the place of the second entry of a state dict
    "tuple as a key": b"}" + TUPLES + b"Ns",
    "deep tuple as a key": b"}" + DEEP + b"Ns",
    "tuple in a set": b"\x8f(" + TUPLES + b"\x90",
    "tuple in a frozenset": b"(" + TUPLES + b"\x91",
    "tuple as a key of a dict of pairs": b"(" + TUPLES + b"Nd",
    "tuple as a key of an ordered dict": write.name("collections", "OrderedDict")
    + b"](" + TUPLES + b"N\x86e\x85R",
    "tuple in a set that is called": write.name("builtins", "set") + b"](" + TUPLES + b"e\x85R",
    "tuple as a key of an object": write.name("a", "B") + b")\x81" + TUPLES + b"Ns",
    "number as a key": b"}\x8a\xff" + b"\1" * 255 + b"Ns",
    "list as a size": write.tensor(0, (6,), (1,)).replace(b"K\x06\x85", LISTS + b"q\xf0", 1),
    "list as a stride": FINE.replace(b"K\x01\x85", LISTS, 1),
    "list as an offset": FINE.replace(b"K\0", LISTS, 1),
    "list as a storage": write.tensor(0, (6,), (1,), LISTS + b"Q"),
    "list as a key of a storage": write.tensor(0, (6,), (1,), write.storage()[:-2] + LISTS + b"tQ"),
    "list as a type of NumPy": write.name("numpy", "dtype") + b"(" + LISTS + b"tR",
    "list as bytes": write.name("_codecs", "encode") + b"(" + LISTS + LISTS + b"tR",
    "list that is called": LISTS + b")R",
    "list that is built": LISTS + b"0N" + LISTS + b"b",
    "list as metadata": FINE[:-3] + b"N" + LISTS + b"tR",
    "tuple of that size": TUPLES,
    "memo": b"r\xff\xff\xff\xff0N",
    "bytes of that length": b"\x96" + struct.pack("<Q", 2**62),
    "text of that length": b"\x8d" + struct.pack("<Q", 2**62),
    "frame of that length": b"\x95" + struct.pack("<Q", 2**62),
    "number of that length": b"\x8b" + struct.pack("<i", 2**31 - 1),
    "sets": b"(" + b"\x8f" * 600_000 + b"t",
    "marks": b"(" * 600_000 + b"N",
    "memo of nothing": b"N" + b"\x94" * 600_000,
    "arguments of many objects": b"(" + b"N" * 50_000 + b"tq\1" + write.name("a", "B") + b"q\2"
    + b"h\2h\1\x810" * 20_000 + b"N",
    "long names": b"c" + b"m" * 500_000 + b"\nX\nq\1" + b"h\1)R0" * 20_000 + b"N",
    "text that is no number": b"F" + b"x" * 600_000 + b"\n",
    "escapes": b"cos\x1b[31m\nsystem\x1b]0;owned\x07\n)R",
}  # fmt: skip


@pytest.mark.parametrize("where", ["zip", "stream", "keys of storages"])
@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_hostile_pickles(tmp_path, kind, where):
    path = tmp_path / "weights.pt"
    saved = write.state(FINE + b"sU\x01x" + HOSTILE[kind])
    if where == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.writestr("a/data.pkl", saved)
            file.writestr("a/data/0", np.arange(6, dtype="<f4").tobytes())
    elif where == "stream":
        path.write_bytes(write.torch_stream(saved))
    else:
        fine = write.torch_stream(write.state(FINE), keys=())
        keys = write.PROTO + b"](" + HOSTILE[kind] + b"e."
        path.write_bytes(fine.replace(pickle.dumps([], 2), keys, 1))
    assert read_within(path) is not None


def test_every_copy_of_a_storage_is_paid_for(tmp_path):
    """Plain bytes may be seen as any type; only some need a copy."""
    kinds = ["bfloat16", "bool", "uint8", "int8"]
    source = write.storage(kind="UntypedStorage", module="torch.storage", count=8 * MEGABYTE)
    rebuild = write.name("torch._utils", "_rebuild_tensor_v3")
    parts = b""
    for number, kind in enumerate(kinds):
        facts = b"".join(write.plain(v) for v in (0, (9,), (1,), False, None))
        parts += write.plain(str(number)) + rebuild + b"(" + source + facts
        parts += write.name("torch", kind) + b"tRs"
    path = tmp_path / "weights.pt"
    members = [("a/data.pkl", write.PROTO + b"}" + parts + b"."), ("a/data/0", bytes(8 * MEGABYTE))]
    write.zip_of(path, *members, compression=zipfile.ZIP_DEFLATED)
    assert "unfolds" in str(read_within(path, megabytes=64))


def test_one_storage_as_many_tensors(tmp_path):
    """Views of one storage cost nothing here, but every copy of them does."""
    large = write.tensor(0, (250_000,), (1,), write.storage(count=250_000))
    parts = b"".join(write.plain(f"w{i}") + large + b"s" for i in range(200))
    path = tmp_path / "weights.pt"
    saved = write.PROTO + b"}" + parts + b"."
    write.write_torch_zip(path, saved, {"data/0": bytes(4 * 250_000)})
    assert "share memory" in str(read_within(path, megabytes=64))


def test_a_member_is_read_up_to_the_size_that_it_declares(tmp_path):
    path = tmp_path / "weights.pt"
    write.write_torch_zip(path, write.state(FINE), {"data/0": bytes(24)})
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(100 * MEGABYTE)) + packer.flush()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", write.state(FINE))
        file.writestr("a/data/0", bytes(100 * MEGABYTE))
    declared = struct.pack("<II", len(packed), 100 * MEGABYTE)
    data = path.read_bytes()
    assert data.count(declared) == 2
    path.write_bytes(data.replace(declared, struct.pack("<II", len(packed), 24)))
    assert read_within(path, megabytes=16) is not None


@pytest.mark.parametrize(
    "header",
    [
        b"(" * 9000,
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 0)}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296)}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,)}",
        b"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,)}",
        b"{'descr': '<f8', 'fortran_order': False, 'shape': (1, ",
        b"\xff" * 100,
        b"",
    ],
)
def test_headers_of_numpy_arrays(tmp_path, header):
    path = tmp_path / "weights.npz"
    data = b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + bytes(8)
    write.zip_of(path, ("w.npy", data))
    assert read_within(path) is not None


def test_the_same_key_twice(tmp_path):
    path = tmp_path / "weights.safetensors"
    entry = b'"w":{"dtype":"F32","shape":[6],"data_offsets":[0,24]}'
    for text in (b"{" + entry + b"," + entry + b"}", b'{"w":' + b"[" * 50_000):
        path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(24))
        assert read_within(path) is not None


def grammar_made(rng):
    """Operations of a pickle that no honest program writes, but that go together somehow."""
    values = [
        b"N", b"\x88", b"K\5", b"]", b"}", b")", b"\x8f", b"U\1w", b"X\2\0\0\0ab", b"G" + bytes(8),
        b"\x8a\x08" + bytes(range(8)), b"C\4abcd", FINE, write.storage(), b"",
        write.name("a.b", "Thing"), write.name("collections", "OrderedDict"),
        write.name("torch._utils", "_rebuild_tensor_v2"), write.name("numpy", "dtype"),
        write.name("numpy.core.multiarray", "_reconstruct"), write.name("builtins", "set"),
        write.name("_codecs", "encode"), write.plain(np.zeros(2)), write.plain(np.float32(1)),
    ]  # fmt: skip
    steps = [b"(", b"0", b"1", b"2", b"t", b"l", b"d", b"\x85", b"\x86", b"\x87", b"a", b"e", b"s",
             b"u", b"\x90", b"\x91", b"R", b"b", b"\x81", b"\x92", b"o", b"Q", b"\x93", b"\x94",
             b"\x97", b"\x98"]  # fmt: skip
    out = b""
    for _ in range(rng.randrange(1, 40)):
        place = bytes([rng.randrange(4)])
        memo = rng.choice([b"q" + place, b"h" + place])
        out += rng.choice([rng.choice(values), rng.choice(steps), memo])
    return out


def test_pickles_made_by_a_grammar(tmp_path):
    rng = random.Random(0)
    path = tmp_path / "weights.pt"
    refused = 0
    for number in range(800):
        saved = write.state(FINE + b"sU\x01x" + grammar_made(rng))
        if number % 2:
            write.write_torch_zip(path, saved)
        else:
            path.write_bytes(write.torch_stream(saved))
        refused += read_within(path, seconds=2, megabytes=64) is not None
    assert 400 < refused < 800


def test_flipped_bytes_of_every_format(tmp_path):
    rng = np.random.default_rng(1)
    two = FINE + b"sU\x01v" + write.tensor(2, (2,), (2,))
    file = io.BytesIO()
    np.savez_compressed(file, w=np.arange(99.0))
    formats = {
        "stream": write.torch_stream(write.state(two)),
        "safetensors": write.safetensors({"w": np.ones(6, "f4"), "v": np.ones(3)}, {"a": "b"}),
        "npz": write.npz(w=np.ones(6), v=np.ones(3)),
        "compressed npz": file.getvalue(),
        "pickle": pickle.dumps({"w": np.ones(6), "v": np.ones(3)}, 5),
        "caffe2": write.caffe2({"w": np.ones(6), "v": np.ones(3)}),
    }
    write.write_torch_zip(tmp_path / "zip", write.state(two))
    formats["zip"] = (tmp_path / "zip").read_bytes()
    for name, data in formats.items():
        path = tmp_path / name
        whole = np.frombuffer(data, "u1")
        for _ in range(200):
            changed = whole.copy()
            changed[rng.integers(len(whole), size=rng.integers(1, 6))] ^= np.uint8(
                rng.integers(1, 256)
            )
            path.write_bytes(changed.tobytes())
            read_within(path, seconds=2, megabytes=64)


def test_flipped_bytes_of_keras_weights(tmp_path):
    """A damaged `.weights.h5` is refused by one sentence, or what it holds is what was damaged."""

    def make(labels):
        inputs = keras.Input((4,))
        hidden = keras.layers.BatchNormalization(name="norm")(inputs)
        return keras.Model(inputs, keras.layers.Dense(len(labels), name="logits")(hidden))

    labels = ("a", "b")
    path = tmp_path / "model.weights.h5"
    make(labels).save_weights(path)
    whole = np.frombuffer(path.read_bytes(), "u1")
    rng = np.random.default_rng(2)

    def changed():
        for _ in range(100):
            spoiled = whole.copy()
            begin = rng.integers(len(whole))
            part = spoiled[begin : begin + rng.integers(1, 200)]
            part[:] = rng.integers(256, size=len(part))
            yield spoiled.tobytes()

    assert refusals(path, changed(), make, labels) > 20


def test_links_in_keras_weights(tmp_path):
    path = tmp_path / "model.weights.h5"
    with h5py.File(path, "w") as file:
        file["secret"] = h5py.ExternalLink("/etc/passwd", "/")
    with pytest.raises(ValueError, match="link"):
        build_from_file(lambda _: keras.Sequential([keras.Input((1,))]), path, ("a",), ("a",))


class Sizes:
    embed_dim, depth, num_heads, mlp_dim, num_classes = 4, 1, 2, 8, 3


def snapshot():
    layer = "attention.transformer.layers.0"
    shapes = {
        "module.attention.linear_head.weight": (3, 4),
        f"module.{layer}.1.in_proj_weight": (12, 4),
        f"module.{layer}.2.net.1.weight": (8, 4),
    }
    return {key: np.zeros(shape) for key, shape in shapes.items()}


def test_sizes_of_a_snapshot_are_those_of_its_arrays():
    sizes, classes = network_sizes({"T": 5, "transformer_params": Sizes()}, snapshot())
    assert sizes == {"window": 5, "embed_dim": 4, "depth": 1, "heads": 2, "mlp_dim": 8}
    assert classes == 3


@pytest.mark.parametrize(
    "name, value",
    [
        ("depth", 10**6), ("depth", 10**30), ("embed_dim", 200_000), ("T", float("inf")),
        ("T", 10**9), ("num_heads", 0), ("num_heads", 3), ("num_heads", -2), ("mlp_dim", 9),
        ("num_classes", 10**9), ("num_classes", True), ("depth", None), ("T", "5"),
        ("embed_dim", np.float32(4)),
    ],
)  # fmt: skip
def test_sizes_that_are_not_believed(name, value):
    sizes, extras = Sizes(), {"T": 5}
    if name == "T":
        extras["T"] = value
    else:
        setattr(sizes, name, value)
    with pytest.raises(ValueError):
        network_sizes({**extras, "transformer_params": sizes}, snapshot())


def test_values_from_outside_in_messages():
    lists = [[]]
    for _ in range(60):
        lists = [lists, lists]
    for value in (
        lists,
        "x" * 10**6,
        b"\0" * 10**6,
        10**10_000,
        (10**10_000,),
        {1: lists},
        "\x1b[",
    ):
        assert len(shown(value)) <= 80 and shown(value).isprintable()
    assert shown((2, 3)) == "(2, 3)" and shown("w") == "'w'" and shown(None) == "None"
    assert printable("a\x1b[31m\u202eé\n") == "a\\x1b[31m\\u202eé\\n"


def test_a_file_name_with_escapes(tmp_path):
    with pytest.raises(ValueError) as caught:
        read_state_dict(tmp_path / "a\x1b[31m.pt")
    assert str(caught.value).isprintable()


def test_unsafe_is_a_value_error():
    assert issubclass(UnsafeFileError, ValueError)
