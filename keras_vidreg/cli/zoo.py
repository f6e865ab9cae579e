"""`keras-vidreg zoo list | show | verify | convert`."""

import json

from rich.console import Console
from rich.markdown import Markdown

from keras_vidreg._text import printable
from keras_vidreg.cli._print import lines, table

COLUMNS = (
    "name", "family", "input", "parameters, M", "GFLOPs", "data", "reported, %", "by",
    "measured here", "license", "MB", "here",
)  # fmt: skip


def add(commands):
    """Add the command and its actions to the parser."""
    parser = commands.add_parser("zoo", help="models that come with the package")
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("list", help="all entries").set_defaults(run=run_list)
    show = actions.add_parser("show", help="the card of an entry")
    show.add_argument("name")
    show.set_defaults(run=run_show)
    verify = actions.add_parser("verify", help="compare an entry with what is known of it")
    verify.add_argument("name", help="entry, folder or hf://user/repo")
    verify.set_defaults(run=run_verify)
    convert = actions.add_parser("convert", help="a file in a published format to Keras weights")
    convert.add_argument("file", metavar="FILE")
    convert.add_argument(
        "--model", required=True, metavar="NAME", help="published entry whose network it is for"
    )
    convert.add_argument("--layout", help="how its keys are named (that of the entry)")
    convert.add_argument("--out", required=True, metavar="DIR")
    convert.set_defaults(run=run_convert)


def run_list(arguments):
    """A line for every entry."""
    from keras_vidreg import zoo

    rows = [_row(zoo.info(name)) for name in zoo.names()]
    table(COLUMNS, rows, right=("parameters, M", "GFLOPs", "MB"))


def _row(info):
    """What the list says of an entry."""
    from keras_vidreg.zoo._cards import short_license

    _, height, width, _ = info.clip.shape
    measured = ", ".join(f"{split} {value:.1%}" for split, value in info.measured.items())
    return (
        info.name,
        info.family,
        f"{info.clip.frames} x {height} x {width}",
        f"{info.parameters / 1e6:.2f}" if info.parameters else "?",
        f"{info.flops / 1e9:#.3g}".rstrip(".") if info.flops else "?",  # 276 and 2.63
        info.data,
        "" if info.reported is None else f"{info.reported:g}",
        (info.reported_by or "").partition(" (")[0],
        measured or "not measured here",
        short_license(info.license or "not stated"),
        "?" if info.size_mb is None else f"{info.size_mb:g}",
        "yes" if info.here else "no",
    )


def run_show(arguments):
    """The card, then labels and clip as JSON."""
    from keras_vidreg import zoo

    card = lines(zoo.card(arguments.name))
    console = Console()
    # Through a pipe the card stays the Markdown that it is.
    if console.is_terminal:
        console.print(Markdown(card))
    else:
        print(card)
    info = zoo.info(arguments.name)
    values = {"labels": info.labels, "clip": info.clip.to_dict()}
    print(printable(json.dumps(values, ensure_ascii=False)))


def run_verify(arguments):
    """What was compared, and that it agrees."""
    from keras_vidreg import zoo

    print(lines(zoo.verify(arguments.name)))


def run_convert(arguments):
    """Where the converted entry is."""
    from keras_vidreg import zoo

    out = zoo.convert(arguments.file, arguments.model, arguments.out, arguments.layout)
    print(f'{out}: all weights found, all shapes equal; kv.zoo.load("{out}") loads it')
