"""The commands `keras-vidreg zoo ...`."""

import json

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

COLUMNS = (
    "name", "family", "input", "parameters, M", "GFLOPs", "data", "reported, %", "by",
    "measured here", "licence", "MB", "here",
)  # fmt: skip
NUMBERS = ("parameters, M", "GFLOPs", "MB")
WIDE = 400  # characters in a line where nobody looks at a terminal


def add_zoo(commands):
    """Add `zoo` and its actions to the commands of a parser."""
    zoo = commands.add_parser("zoo", help="models that come with the package")
    actions = zoo.add_subparsers(required=True, metavar="ACTION")
    actions.add_parser("list", help="all entries").set_defaults(run=_list)
    show = actions.add_parser("show", help="the card of an entry")
    show.add_argument("name")
    show.set_defaults(run=_show)
    verify = actions.add_parser("verify", help="compare an entry with what is known of it")
    verify.add_argument("name", help="entry, folder or hf://user/repo")
    verify.set_defaults(run=_verify)
    convert = actions.add_parser("convert", help="a file in a published format to Keras weights")
    convert.add_argument("file", metavar="FILE")
    convert.add_argument(
        "--model", required=True, metavar="NAME", help="published entry whose network it is for"
    )
    convert.add_argument("--layout", help="how its keys are named (that of the entry)")
    convert.add_argument("--out", required=True, metavar="DIR")
    convert.set_defaults(run=_convert)


def _list(arguments):
    from keras_vidreg import zoo

    table = Table(box=None)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in NUMBERS else "left")
    for name in zoo.names():
        table.add_row(*_row(zoo.info(name)))
    console = Console()
    (console if console.is_terminal else Console(width=WIDE)).print(table)


def _row(info):
    """What the list says of an entry."""
    from keras_vidreg.zoo.front_matter import short_licence

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
        short_licence(info.licence or "not stated"),
        "?" if info.size_mb is None else f"{info.size_mb:g}",
        "yes" if info.here else "no",
    )


def _show(arguments):
    from keras_vidreg import zoo

    card = zoo.card(arguments.name)
    console = Console()
    # Through a pipe the card stays the Markdown that it is.
    if console.is_terminal:
        console.print(Markdown(card))
    else:
        print(card)
    if arguments.name in zoo.SOURCES:
        source = zoo.SOURCES[arguments.name]
        labels, clip = source.label_names, source.clip
    else:
        preset = zoo.preset(arguments.name)
        labels, clip = preset.labels, preset.clip
    print(json.dumps({"labels": labels, "clip": clip.to_dict()}, ensure_ascii=False))


def _verify(arguments):
    from keras_vidreg import zoo

    print(zoo.verify(arguments.name))


def _convert(arguments):
    from keras_vidreg import zoo

    out = zoo.convert(arguments.file, arguments.model, arguments.out, arguments.layout)
    print(f'{out}: all weights found, all shapes equal; kv.zoo.load("{out}") loads it')
