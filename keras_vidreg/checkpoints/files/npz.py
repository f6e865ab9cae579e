"""`.npz` files: a zip of NumPy arrays."""

import io
import math

import numpy as np

from keras_vidreg.checkpoints.files.errors import UnsafeFileError

HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(archive):
    """The arrays by their names.

    Args:
        archive: A `SafeZip`.
    """
    others = [name for name in archive.names if not name.endswith(".npy")]
    if others or not archive.names:
        raise ValueError(f"it is a zip of {others or 'nothing'}, not of NumPy arrays")
    return {name.removesuffix(".npy"): _read(archive.read(name), name) for name in archive.names}


def _read(data, name):
    file = io.BytesIO(data)
    version = np.lib.format.read_magic(file)
    if version not in HEADERS:
        raise ValueError(f"{name} has the version {version} of NumPy's format")
    shape, fortran, dtype = HEADERS[version](file)
    if dtype.hasobject:
        raise UnsafeFileError(f"{name} holds Python objects, which would have to be unpickled")
    if dtype.kind not in "biufc":
        raise ValueError(f"{name} holds {dtype}, not numbers")
    offset = file.tell()
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data) - offset:
        raise UnsafeFileError(f"{name} declares the shape {shape} for {len(data) - offset} bytes")
    values = np.frombuffer(data, dtype, offset=offset).reshape(shape, order="FC"[not fortran])
    return values.astype(dtype.newbyteorder("="), copy=False)
