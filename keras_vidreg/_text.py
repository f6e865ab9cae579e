"""Words from outside, such as names in a file, made fit for an error message or a terminal."""

LONGEST = 80


def printable(text: str) -> str:
    """Text in which every character that is not to be seen stands as its escape sequence.

    Control characters, bidirectional marks and broken surrogates would be obeyed by a terminal.

    Example:

    >>> printable("a\\x1b[31m")
    'a\\\\x1b[31m'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def shown(value: object, longest: int = LONGEST) -> str:
    """A value for an error message: at most `longest` characters, in bounded time.

    Text, bytes, numbers and short sequences of numbers are shown, everything else by its type.

    Example:

    >>> shown("x" * 1000, longest=9), shown((2, 3)), shown([[]])
    ("'xxxxx...", '(2, 3)', 'a list of length 1')
    """
    if isinstance(value, (str, bytes)):
        text = repr(value[: longest + 1])
    elif _is_number(value) or _is_short(value):
        text = repr(value)
    elif isinstance(value, int):
        text = f"an integer of {value.bit_length()} bits"
    elif isinstance(value, (list, tuple, dict, set, frozenset)):
        text = f"a {type(value).__name__} of length {len(value)}"
    else:
        text = f"a {printable(type(value).__name__)}"
    return text if len(text) <= longest else f"{text[: longest - 3]}..."


def _is_short(value: object) -> bool:
    if type(value) is list or type(value) is tuple:
        return len(value) <= 8 and all(map(_is_number, value))
    return False


def _is_number(value: object) -> bool:
    if type(value) is int:
        return value.bit_length() <= 64
    return value is None or type(value) in (bool, float)
