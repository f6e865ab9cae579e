"""Protocol buffer messages as lists of fields, without their descriptions."""


def read_varint(data, position):
    """A variable-length integer, and the position behind it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a variable-length integer has more than ten bytes")


def read_message(data):
    """The fields of a message: `{number: [values]}`, integers or bytes.

    Raises:
        ValueError: For a damaged message.
    """
    fields, position = {}, 0
    while position < len(data):
        tag, position = read_varint(data, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, position = read_varint(data, position)
        elif kind in (1, 2, 5):
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                size, position = read_varint(data, position)
            value = data[position : position + size]
            if len(value) < size:
                raise ValueError("a message ends within a field")
            position += size
        else:
            raise ValueError(f"a message has a field of the kind {kind}")
        fields.setdefault(number, []).append(value)
    return fields


def last_int(fields, number):
    """The value of an integer field; zero if it is missing, as protocol buffers have it."""
    value = fields.get(number, [0])[-1]
    if not isinstance(value, int):
        raise ValueError(f"the field {number} of a message is not an integer")
    return value - 2**64 if value >= 2**63 else value
