"""What reaches the terminal: text from files and strangers stays text."""

import sys

from rich.console import Console
from rich.table import Table
from rich.text import Text

from keras_vidreg._text import printable

WIDE = 400  # characters in a line where nobody looks at a terminal


def fail(error):
    """Report an error on stderr."""
    print(f"keras-vidreg: error: {lines(error)}", file=sys.stderr)


def lines(value):
    """A text of several lines, each fit for a terminal."""
    return "\n".join(map(printable, str(value).split("\n")))


def text(value):
    """A cell of a table: neither markup nor control characters in it have any effect."""
    return Text(printable(str(value)))


def table(columns, rows, *, title=None, header=True, right=()):
    """Print a table without lines; through a pipe its rows are not wrapped."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDE)
    if title is not None:
        console.print(text(title), soft_wrap=True)
    table = Table(box=None, show_header=header)
    for column in columns:
        table.add_column(text(column), justify="right" if column in right else "left")
    for row in rows:
        table.add_row(*map(text, row))
    console.print(table)
