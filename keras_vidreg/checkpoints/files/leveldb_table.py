"""The sorted tables of LevelDB, which TensorFlow uses as the index of a checkpoint."""

import struct

from keras_vidreg.checkpoints.files.errors import UnsafeFileError
from keras_vidreg.checkpoints.files.protobuf import read_varint

MAGIC = (0xDB4775248B80FB57).to_bytes(8, "little")
FOOTER = 48
TRAILER = 5  # type of compression and checksum behind each block
MAX_KEYS = 64 * 2**20  # bytes of all keys; each may repeat parts of the one before
ENTRY = 64  # bytes that an entry counts in addition


def read_table(data):
    """The entries of a table as a dict of bytes in the order of the keys.

    Checksums are not compared: whether a file is the right one is seen from its SHA-256.

    Raises:
        ValueError: When it is no such table, is damaged, or has compressed blocks.
    """
    if len(data) < FOOTER or data[-8:] != MAGIC:
        raise ValueError("it does not end as the index of a TensorFlow checkpoint does")
    data = memoryview(data)
    footer = data[-FOOTER:]
    _, position = _handle(footer, 0)
    index, _ = _handle(footer, position)
    entries, left = {}, MAX_KEYS
    for _, handle in _block(data, index):
        for key, value in _block(data, _handle(handle, 0)[0]):
            left -= len(key) + ENTRY
            if left < 0:
                raise UnsafeFileError(f"its keys take more than {MAX_KEYS} bytes")
            entries[key] = value
    return entries


def _handle(data, position):
    """Offset and size of a block, and the position behind them."""
    offset, position = read_varint(data, position)
    size, position = read_varint(data, position)
    return (offset, size), position


def _block(data, handle):
    """Pairs of key and value; a key is stored as what differs from the one before."""
    offset, size = handle
    if offset + size + TRAILER > len(data):
        raise ValueError("a block lies outside of the file")
    if data[offset + size] != 0:
        raise ValueError(
            "its blocks are compressed; write it again with tf.train.Checkpoint, which does not"
        )
    block = data[offset : offset + size]
    (restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 * (restarts + 1)
    key, position = b"", 0
    while position < end:
        shared, position = read_varint(block, position)
        fresh, position = read_varint(block, position)
        length, position = read_varint(block, position)
        if shared > len(key) or position + fresh + length > end:
            raise ValueError("an entry of a block lies outside of it")
        key = key[:shared] + bytes(block[position : position + fresh])
        position += fresh + length
        yield key, block[position - length : position]
