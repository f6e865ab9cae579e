"""Files that are no weights, or that are damaged: one error that says what is wrong."""

import pickle
import re

import foreign_files as write
import numpy as np
import pytest
from once import once

from keras_vidreg.checkpoints.files import read_state_dict

pytestmark = once
W = np.arange(6, dtype="f4")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"shape": [2**40]}, "library says"),
        ({"shape": [2**32, 2**32]}, "library says"),
        ({"shape": [-6]}, "library says"),
        ({"shape": [True] * 6}, "library says"),
        ({"data_offsets": [0, 2**40]}, "library says"),
        ({"data_offsets": [4, 24]}, "library says"),
        ({"data_offsets": [0, 20], "shape": [5]}, "library says"),
        ({"data_offsets": "04"}, "library says"),
        ({"dtype": "F8_E4M3", "shape": [24]}, "F8_E4M3"),
        ({"dtype": ["F32"]}, "library says"),
    ],
)
def test_damaged_safetensors(tmp_path, changes, reason):
    path = tmp_path / "weights.safetensors"
    path.write_bytes(write.safetensors({"w": W}, w=changes))
    with pytest.raises(ValueError, match=reason):
        read_state_dict(path)


def test_tensorflow_checkpoint_without_its_data(tmp_path):
    write.write_bundle(tmp_path / "ckpt", {"w": W})
    (tmp_path / "ckpt.data-00000-of-00001").unlink()
    with pytest.raises(ValueError, match="ckpt.data-00000-of-00001 is missing"):
        read_state_dict(tmp_path / "ckpt")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>Not found</html>", "web page"),
        (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "git lfs pull"),
        (b"\x89HDF\r\n", "HDF5"),
        (b"\x1f\x8b\x08", "gzip"),
        (bytes(257) + b"ustar" + bytes(250), "tar archive"),
        (b"cos\nsystem\n(S'touch canary'\ntR.", "begins with"),
        (b"PK\x03\x04", "damaged"),
        (b"\x80", "damaged|cannot be read"),
        (b"\x80\x02N.", "NoneType, not a dict"),
        (b"\x80\x02N.N.", "something behind"),
    ],
)
def test_what_is_no_weights_file(tmp_path, content, reason):
    path = tmp_path / "weights.pt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=reason) as caught:
        read_state_dict(path)
    assert str(path) in str(caught.value)


def test_what_is_no_file(tmp_path):
    for path in (tmp_path, tmp_path / "absent.pt"):
        with pytest.raises(ValueError, match="`path` must be a file"):
            read_state_dict(path)


def test_zips_of_something_else(tmp_path):
    path = tmp_path / "weights.zip"
    write.zip_of(path, ("readme.txt", b""))
    with pytest.raises(ValueError, match="readme.txt"):
        read_state_dict(path)
    write.zip_of(path, ("m/data.pkl", b""), ("m/constants.pkl", b""))
    with pytest.raises(ValueError, match="TorchScript"):
        read_state_dict(path)


def written(path):
    """A small file of each format, and the file that is to be damaged."""
    two = write.tensor(0, (3, 2), (1, 3)) + b"sU\x01v" + write.tensor(2, (2,), (2,))
    formats = {
        "stream": write.torch_stream(write.state(two)),
        "safetensors": write.safetensors({"w": W, "v": np.ones(3)}),
        "npz": write.npz(w=W, v=np.ones(3)),
        "pickle": pickle.dumps({"w": W, "v": np.ones(3)}, 4),
    }
    write.write_torch_zip(path / "zip", write.state(two))
    for name, data in formats.items():
        (path / name).write_bytes(data)
    return ["zip", *formats]


def test_cut_off_files(tmp_path):
    for name in written(tmp_path):
        whole = (tmp_path / name).read_bytes()
        assert len(read_state_dict(tmp_path / name).arrays) == 2
        for size in range(0, len(whole), 1 + len(whole) // 60):
            (tmp_path / name).write_bytes(whole[:size])
            with pytest.raises(ValueError, match=re.escape(str(tmp_path / name))):
                read_state_dict(tmp_path / name)
