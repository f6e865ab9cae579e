"""`.npz` files: a zip of NumPy arrays."""

import io
import math

import numpy as np

from keras_vidreg._text import shown
from keras_vidreg.checkpoints.files.decode import lengths
from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.safe_zip import SafeZip

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(archive: SafeZip) -> dict[str, np.ndarray]:
    """The arrays by their names."""
    others = [name for name in archive.names if not name.endswith(".npy")]
    if others or not archive.names:
        names = f"a member {shown(others[0])}" if others else "nothing"
        raise ValueError(f"it is a zip of {names}, not of NumPy arrays")
    return {name.removesuffix(".npy"): _read(archive.read(name), name) for name in archive.names}


def _read(data, name):
    """NumPy's reader, after a look whether the array that it would allocate is there."""
    file, name = io.BytesIO(data), shown(name)
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"{name} has the version {version} of NumPy's format")
    shape, _, dtype = HEADERS[version](file)
    if dtype.hasobject:
        raise UnsafeFileError(f"{name} holds Python objects, which would have to be unpickled")
    if dtype.kind not in "biufc":
        raise ValueError(f"{name} holds {shown(str(dtype))}, not numbers")
    there = len(data) - file.tell()
    if math.prod(lengths(shape, f"the shape of {name}")) * dtype.itemsize != there:
        raise UnsafeFileError(f"{name} declares the shape {shown(shape)} for {there} bytes")
    values = np.load(io.BytesIO(data), allow_pickle=False)
    return values.astype(dtype.newbyteorder("="), copy=False)
