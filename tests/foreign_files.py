"""Writers of small files in foreign formats, also of ones that no honest program writes."""

import io
import json
import pickle
import struct
import tarfile
import zipfile

import numpy as np

PROTO = b"\x80\x02"


def name(module, attribute):
    """The pickle operation that names a class or function."""
    return f"c{module}\n{attribute}\n".encode()


def plain(value):
    """The operations that build a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def call(module, attribute, *arguments):
    """The operations of a call."""
    return name(module, attribute) + plain(arguments) + b"R"


def storage(key="0", count=6, kind="FloatStorage", module="torch", tag="storage"):
    """The operations that refer to a storage."""
    parts = plain(tag), name(module, kind), plain(key), plain("cpu"), plain(count)
    return b"(" + b"".join(parts) + b"tQ"


def tensor(offset, size, stride, source=None):
    """The operations that build a tensor."""
    rest = b"".join(plain(value) for value in (offset, size, stride, False))
    source = storage() if source is None else source
    rebuild = name("torch._utils", "_rebuild_tensor_v2")
    return rebuild + b"(" + source + rest + plain(None) + b"tR"


def state(operations):
    """A pickle of `{"w": ...}`."""
    return PROTO + b"}" + plain("w") + operations + b"s."


def zip_of(path, *members, **options):
    """A zip of pairs of name and bytes."""
    with zipfile.ZipFile(path, "w", **options) as file:
        for member, data in members:
            file.writestr(member, data)


def write_torch_zip(path, operations, members=None):
    """A file as `torch.save` writes it; the storage `0` holds 0 to 5 unless `members` says else."""
    members = {"data/0": np.arange(6, dtype="<f4").tobytes()} if members is None else members
    pairs = [(f"archive/{member}", data) for member, data in members.items()]
    zip_of(path, ("archive/data.pkl", operations), ("archive/byteorder", b"little"), *pairs)


def torch_stream(operations, *, header=None, keys=("0",), data=None, count=6):
    """The bytes of a file as `torch.save` wrote it before PyTorch 1.6."""
    header = pickle.dumps({"little_endian": True}, 2) if header is None else header
    data = np.arange(6, dtype="<f4").tobytes() if data is None else data
    magic, version = pickle.dumps(0x1950A86A20F9469CFC6C, 2), pickle.dumps(1001, 2)
    tail = pickle.dumps(list(keys), 2) + struct.pack("<q", count) + data
    return magic + version + header + operations + tail


def safetensors(arrays, metadata=None, **changes):
    """The bytes of a safetensors file; `changes` replaces what the header says of an array."""
    codes = {"f4": "F32", "f8": "F64", "i8": "I64", "u2": "BF16", "b1": "BOOL"}
    header, data = ({"__metadata__": metadata} if metadata else {}), b""
    for key, value in arrays.items():
        ends = [len(data), len(data) + value.nbytes]
        entry = {"dtype": codes[value.dtype.str[1:]], "shape": value.shape, "data_offsets": ends}
        header[key] = {**entry, **changes.get(key, {})}
        data += value.tobytes()
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def npz(**arrays):
    """The bytes of an `.npz` file."""
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def varint(value):
    """A variable-length integer."""
    parts = []
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def message(*fields):
    """A protocol buffer message from pairs of number and value."""
    out = b""
    for number, value in fields:
        if isinstance(value, bytes):
            out += varint(number << 3 | 2) + varint(len(value)) + value
        else:
            out += varint(number << 3) + varint(value)
    return out


def checksum(data):
    """The masked CRC-32C that TensorFlow stores."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def block(entries):
    """A block of a sorted table, with keys stored in full, and its trailer."""
    body = b""
    for key, value in entries:
        body += varint(0) + varint(len(key)) + varint(len(value)) + key + value
    body += struct.pack("<II", 0, 1) + bytes(1)
    return body + checksum(body)


def table(content):
    """A sorted table with one block of entries."""
    index = block([(b"\xff", varint(0) + varint(len(content) - 5))])
    footer = varint(0) * 2 + varint(len(content)) + varint(len(index) - 5)
    return content + index + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def write_bundle(prefix, values, **changes):
    """A TensorFlow checkpoint of float32 arrays; `changes` replaces fields of the first one."""
    entries, data = [(b"", message((1, 1)))], bytearray()
    for number, (key, value) in enumerate(sorted(values.items())):
        axes = message(*((2, message((1, n))) for n in value.shape))
        facts = {"kind": 1, "shape": axes, "shard": 0, "offset": len(data), "size": value.nbytes}
        facts.update(changes if number == 0 else {})
        fields = message(*((i + 1, field) for i, field in enumerate(facts.values())))
        fields += varint(6 << 3 | 5) + checksum(value.tobytes())
        entries.append((key.encode(), fields))
        data += value.tobytes()
    prefix.with_name(f"{prefix.name}.index").write_bytes(table(block(entries)))
    prefix.with_name(f"{prefix.name}.data-00000-of-00001").write_bytes(data)


def text2(value):
    """The operation that pushes a text or bytes of Python 2."""
    value = value if isinstance(value, bytes) else value.encode()
    head = b"U" + bytes([len(value)]) if len(value) < 256 else b"T" + struct.pack("<I", len(value))
    return head + value


def array2(value):
    """The operations with which Python 2 pickles an array of float32."""
    kind = name("numpy", "dtype") + b"(" + text2("f4") + b"K\0K\1tR(K\3" + text2("<")
    kind += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    empty = name("numpy.core.multiarray", "_reconstruct") + b"(" + name("numpy", "ndarray")
    empty += b"K\0\x85" + text2("b") + b"tR"
    return empty + b"(K\1" + plain(value.shape) + kind + b"\x89" + text2(value.tobytes()) + b"tb"


def caffe2(arrays):
    """A file as Python 2 and Caffe2 wrote it: a pickle of `{"blobs": {name: array}}`."""
    pairs = b"".join(text2(key) + array2(np.asarray(value, "<f4")) for key, value in arrays.items())
    return PROTO + b"}" + text2("blobs") + b"}(" + pairs + b"us."


def tar_gz(path, *members, level=1):
    """A `.tar.gz` of pairs of name, or `TarInfo`, and bytes."""
    with tarfile.open(path, "w:gz", compresslevel=level) as archive:
        for member, data in members:
            info = member if isinstance(member, tarfile.TarInfo) else tarfile.TarInfo(member)
            info.size = info.size or len(data)
            archive.addfile(info, io.BytesIO(data))
    return path
