"""Words from outside, such as names in a file, made fit for an error message or a terminal."""


def printable(text: str) -> str:
    """Text in which every character that is not to be seen stands as its escape sequence.

    Control characters, bidirectional marks and broken surrogates would be obeyed by a terminal.

    Example:

    >>> printable("a\\x1b[31m")
    'a\\\\x1b[31m'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
