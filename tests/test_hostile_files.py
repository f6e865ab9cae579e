"""Files that want to run something, to fill the memory or to lead astray: refused, and harmless."""

import copyreg
import io
import os
import pathlib
import pickle
import re
import struct
import subprocess
import tracemalloc
import zipfile

import foreign_files as write
import numpy as np
import pytest
from once import once

from keras_vidreg.checkpoints.files import (
    UnsafeFileError,
    read_state_dict,
    safe_zip,
    unpickler,
)

pytestmark = once
MEGABYTE = 2**20
CODE = "import pathlib; pathlib.Path({!r}).touch()"


@pytest.fixture
def canary(tmp_path):
    """A file that every hostile pickle tries to make; there must be none in the end."""
    path = tmp_path / "canary"
    yield path
    assert not path.exists()


@pytest.fixture
def extension():
    """A number of the extension registry that stands for `os.system`."""
    copyreg.add_extension("os", "system", 0xF0)
    yield
    copyreg.remove_extension("os", "system", 0xF0)


class Reduced:
    """Pickled as a call."""

    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


def reduced(*call):
    return pickle.dumps(Reduced(*call), 2)[2:-1]


def calls(canary):
    """Operations that run `touch canary`, or Python code like it, in the standard unpickler."""
    command, code = f"touch {canary}", CODE.format(str(canary))
    text = write.plain(command)
    imported = write.call("builtins", "__import__", "os")
    attribute = write.name("builtins", "getattr") + b"(" + imported + write.plain("system") + b"tR"
    quoted = f"S'{command}'\n".encode()
    state = write.plain("__setstate__") + write.name("os", "system")
    thing = write.name("tests_of", "Thing") + b")\x81"
    return {
        "os.system": reduced(os.system, (command,)),
        "eval": write.call("builtins", "eval", f"__import__('os').system({command!r})"),
        "exec, by its old name": write.call("__builtin__", "exec", code),
        "exec of compiled code": write.name("builtins", "exec")
        + b"("
        + write.call("builtins", "compile", code, "", "exec")
        + b"tR",
        "getattr": attribute + b"(" + text + b"tR",
        "subprocess.Popen": reduced(subprocess.Popen, (["touch", str(canary)],)),
        "INST": b"(" + quoted + b"ios\nsystem\n",
        "OBJ": b"(" + write.name("os", "system") + quoted + b"o",
        "dotted name": b"\x80\x04\x8c\x07os.path\x8c\x09os.system\x93(" + text + b"tR",
        "dotted class": b"\x80\x04\x8c\x07pathlib\x8c\x09os.system\x93(" + text + b"tR",
        "extension registry": b"\x82\xf0(" + text + b"tR",
        "__setstate__": thing + b"}" + state + b"sb" + text + b"b",
        "runpy": write.call("runpy", "run_path", str(canary)),
        "numpy": write.call("numpy.testing._private.utils", "runstring", code, {}),
        "torch.hub": write.call("torch.hub", "load", "a/b", "c"),
        "pickle in a pickle": write.call("_pickle", "loads", b"cos\nsystem\n."),
        "torch file in a pickle": write.call("torch.storage", "_load_from_bytes", b"cos\n"),
        "copyreg": write.call("copyreg", "add_extension", "os", "system", 0xF1),
        "reconstructor": write.name("copyreg", "_reconstructor")
        + b"("
        + write.name("subprocess", "Popen")
        + text
        + b"NtR",
        "state of a class": write.name("collections", "OrderedDict") + b"}" + state + b"sb",
        "a function that is returned": write.name("torch._tensor", "_rebuild_from_type_v2")
        + b"("
        + write.name("os", "system")
        + b"N("
        + text
        + b"tNtR",
        "call of a tensor": write.tensor(0, (6,), (1,)) + b"(" + text + b"tR",
        "call of a result": write.call("some.module", "Thing") + b"(" + text + b"tR",
    }


CALLS = sorted(calls(pathlib.Path("canary")))
HARMLESS_ELSEWHERE = {  # need what is not here, or do nothing by themselves
    "__setstate__", "a function that is returned", "call of a result", "call of a tensor",
    "copyreg", "numpy", "pickle in a pickle", "reconstructor", "runpy", "state of a class",
    "torch file in a pickle", "torch.hub",
}  # fmt: skip


@pytest.mark.parametrize("where", ["zip", "stream", "stream header", "pickle"])
@pytest.mark.parametrize("kind", CALLS)
def test_no_call_is_made(tmp_path, canary, extension, kind, where):
    path = tmp_path / "weights.pt"
    operations = calls(canary)[kind]
    saved = write.state(write.tensor(0, (6,), (1,)) + b"sU\x01x" + operations)
    if where == "zip":
        write.write_torch_zip(path, saved)
    elif where == "stream":
        path.write_bytes(write.torch_stream(saved))
    elif where == "stream header":
        header = write.PROTO + operations + b"."
        path.write_bytes(write.torch_stream(write.state(b"N"), header=header))
    else:
        path.write_bytes(write.PROTO + operations + b".")
    with pytest.raises(UnsafeFileError, match=f"{path} is refused: it "):
        read_state_dict(path)


@pytest.mark.parametrize("kind", sorted(set(CALLS) - HARMLESS_ELSEWHERE))
def test_the_standard_unpickler_would_make_the_call(tmp_path, extension, kind):
    target = tmp_path / "made"
    result = pickle.loads(write.PROTO + calls(target)[kind] + b".")
    if isinstance(result, subprocess.Popen):
        result.wait()
    assert target.exists()


def test_the_error_names_file_and_function(tmp_path, canary):
    path = tmp_path / "a0s_grw.pt"
    write.write_torch_zip(path, write.state(calls(canary)["numpy"]))
    with pytest.raises(ValueError, match=r"a0s_grw.pt.*numpy.testing._private.utils.runstring"):
        read_state_dict(path)


def huge_numbers():
    """Sizes that a tensor or storage may not declare."""
    fine = 0, (6,), (1,)
    return {
        "negative stride": write.tensor(5, (6,), (-1,)),
        "negative size": write.tensor(0, (-2, -3), (3, 1)),
        "negative offset": write.tensor(-1, (6,), (1,)),
        "offset": write.tensor(1, (6,), (1,)),
        "stride": write.tensor(0, (2, 3), (4, 1)),
        "axes": write.tensor(0, (2, 3), (1,)),
        "many axes": write.tensor(0, (1,) * 99, (1,) * 99),
        "repetition": write.tensor(0, (2**40,), (0,)),
        "overflow": write.tensor(0, (2**32, 2**32), (2**62, 2**62)),
        "float": write.tensor(0, (2.0,), (1,)),
        "text": write.tensor(0, "33", "11"),
        "no storage": write.tensor(0, (1,), (1,), write.plain([1, 2])),
        "huge storage": write.tensor(*fine, write.storage(count=2**61)),
        "small storage": write.tensor(*fine, write.storage(count=5)),
        "negative storage": write.tensor(*fine, write.storage(count=-6)),
        "wider storage": write.tensor(*fine, write.storage(kind="DoubleStorage")),
        "kind of storage": write.tensor(*fine, write.storage(module="os")),
        "name of storage": write.tensor(*fine, write.storage(kind="Module")),
        "text as storage": write.tensor(*fine, write.plain("0") + b"Q"),
        "module as storage": write.tensor(*fine, write.storage(tag="module")),
        "count as text": write.tensor(*fine, write.storage(count="6")),
        "short reference": write.tensor(*fine, write.plain(("storage", "x")) + b"Q"),
    }


@pytest.mark.parametrize("where", ["zip", "stream"])
@pytest.mark.parametrize("kind", sorted(huge_numbers()))
def test_no_tensor_leaves_its_storage(tmp_path, kind, where):
    path = tmp_path / "weights.pt"
    operations = write.state(huge_numbers()[kind])
    if where == "zip":
        write.write_torch_zip(path, operations)
    else:
        path.write_bytes(write.torch_stream(operations))
    with pytest.raises(UnsafeFileError, match="storage|tensor"):
        read_state_dict(path)


def test_a_storage_is_only_looked_for_inside(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(24))
    path = tmp_path / "weights.pt"
    source = write.storage(key="../../secret")
    write.write_torch_zip(path, write.state(write.tensor(0, (6,), (1,), source)))
    with pytest.raises(ValueError, match="no member 'archive/data/../../secret'"):
        read_state_dict(path)


def bombs():
    """Small pickles that grow, or that take long."""
    laughs = b"]q\0" + b"".join(b"0](" + b"h%c" % n * 10 + b"eq%c" % (n + 1) for n in range(20))
    tuples = b")q\0" + b"".join(b"0h%ch%c\x86q%c" % (n, n, n + 1) for n in range(60))
    encode = write.name("_codecs", "encode") + b"q\1" + write.plain("x" * MEGABYTE)
    encode += b"q\2U\6latin1q\3" + b"(" + b"h\1h\2h\3\x86R" * 20_000 + b"t"
    array = write.plain(np.zeros(1))
    return {
        "billion laughs": laughs,
        "hash of tuples": tuples + b"0}h<Ns",
        "contains itself": b"]q\0h\0a",
        "nesting": b"(" * 5000 + b"t" * 5000,
        "lists in lists": b"]" * 3000 + b"a" * 2999,
        "steps": b"N0" * 100_000 + b"N",
        "copies": encode,
        "long key": b"}\x8a\x64" + bytes(99) + b"\1Ns",
        "wide key": b"}(" + b"N" * 9 + b"tNs",
        "buffers of elsewhere": b"\x97",
        "objects in an array": array.replace(b"f8", b"O8"),
        "shape of an array": array.replace(b"K\1\x85", b"J\0\0\0\x40\x85"),
        "unfinished array": b"",
    }


@pytest.mark.parametrize("kind", sorted(bombs()))
def test_no_pickle_grows(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(unpickler, "MAX_STEPS", 150_000)
    path = tmp_path / "weights.pt"
    write.write_torch_zip(
        path, write.state(write.tensor(0, (6,), (1,)) + b"sU\x01x" + bombs()[kind])
    )
    tracemalloc.start()
    with pytest.raises(ValueError if kind == "unfinished array" else UnsafeFileError) as caught:
        read_state_dict(path, limit=8 * MEGABYTE)
    assert tracemalloc.get_traced_memory()[1] < 64 * MEGABYTE
    tracemalloc.stop()
    assert str(path) in str(caught.value)


def zip_bomb(path):
    write.zip_of(path, ("w.npy", bytes(64 * MEGABYTE)), compression=zipfile.ZIP_DEFLATED)


def two_of_a_name(path):
    with pytest.warns(UserWarning, match="Duplicate"):
        write.zip_of(path, ("archive/data.pkl", b"N."), ("archive/data.pkl", b"N."))


def patched(path, pattern, replacement):
    data = path.read_bytes()
    assert re.search(pattern, data, re.DOTALL)
    path.write_bytes(re.sub(pattern, replacement, data, flags=re.DOTALL))


def encrypted(path):
    write.zip_of(path, ("w.npy", b"x"))
    patched(path, rb"(PK\x01\x02.{4})\0\0", b"\\g<1>\x01\0")


def overlapping(path):
    """Every entry of the directory points to the same large member."""
    write.zip_of(path, *((f"{n}.npy", bytes(1000 if n == 0 else 0)) for n in range(9)))
    big = struct.pack("<II", 1000, 1000)
    patched(path, rb"(PK\x01\x02.{16}).{8}(.{14}).{4}", rb"\g<1>" + big + rb"\g<2>" + bytes(4))


ZIPS = {
    "zip bomb": (zip_bomb, "zip bomb"),
    "out of the folder": (lambda path: write.zip_of(path, ("../../w.npy", b"")), "leads out"),
    "absolute": (lambda path: write.zip_of(path, ("/etc/w.npy", b"")), "leads out"),
    "a drive": (lambda path: write.zip_of(path, ("C:\\w.npy", b"")), "leads out"),
    "two of a name": (two_of_a_name, "same name"),
    "encrypted": (encrypted, "encrypted"),
    "overlapping": (overlapping, "members take"),
}


@pytest.mark.parametrize("kind", sorted(ZIPS))
def test_no_member_of_a_zip_is_more_than_it_seems(tmp_path, kind):
    make, reason = ZIPS[kind]
    make(tmp_path / "weights.npz")
    tracemalloc.start()
    with pytest.raises(UnsafeFileError, match=reason):
        read_state_dict(tmp_path / "weights.npz")
    assert tracemalloc.get_traced_memory()[1] < 8 * MEGABYTE
    tracemalloc.stop()


def test_limit(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    np.savez_compressed(path, w=np.zeros(MEGABYTE))
    assert read_state_dict(path).arrays["w"].shape == (MEGABYTE,)
    with pytest.raises(UnsafeFileError, match="unpacks to .* limit=4000000"):
        read_state_dict(path, limit=4_000_000)
    with pytest.raises(ValueError, match="has .* bytes, more than limit=99"):
        read_state_dict(path, limit=99)
    monkeypatch.setattr(safe_zip, "FREE", 0)
    with pytest.raises(UnsafeFileError, match="zip bomb"):
        read_state_dict(path)


def test_npz_with_objects(tmp_path, canary):
    path = tmp_path / "weights.npz"
    np.savez(path, w=np.array([Reduced(os.system, (f"touch {canary}",))], dtype=object))
    with pytest.raises(UnsafeFileError, match="Python objects"):
        read_state_dict(path)


def test_npz_with_a_huge_shape(tmp_path):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": (2**40,)}
    )
    write.zip_of(tmp_path / "weights.npz", ("w.npy", file.getvalue()))
    with pytest.raises(UnsafeFileError, match="declares the shape"):
        read_state_dict(tmp_path / "weights.npz")
