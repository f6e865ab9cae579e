"""`keras-vidreg analyze frequency`: which frequencies of its features a model uses."""

from keras_vidreg.cli._arguments import MODEL_HELP, add_data, numbers, open_source
from keras_vidreg.cli._print import table


def add(commands):
    """Add the command to the parser."""
    kinds = commands.add_parser("analyze", help="look into a model").add_subparsers(
        required=True, metavar="WHAT"
    )
    parser = kinds.add_parser(
        "frequency", help="accuracy while the low or high frequencies of features are scaled"
    )
    parser.add_argument(
        "--model",
        required=True,
        action="append",
        dest="models",
        help=f"{MODEL_HELP}; several to compare them",
    )
    add_data(parser, "measure")
    parser.add_argument(
        "--layers",
        metavar="REGEX",
        help="batch normalizations to measure in front of (the last one of every stage)",
    )
    parser.add_argument("--scales", type=numbers, metavar="S,S,...", help="factors (0,0.25,...,2)")
    parser.add_argument("--low-pass", choices=("mean", "gaussian"), default="mean")
    parser.add_argument("--out", metavar="FILE", help="draw the accuracies there (.png, .pdf)")
    parser.set_defaults(run=run)


def run(arguments):
    """Measure every model, print a table of each, draw them together."""
    from keras_vidreg import evaluation, zoo
    from keras_vidreg._atomic import write_json

    source = open_source(arguments.data, arguments.split, clips=arguments.clips)
    options = {"scales": arguments.scales} if arguments.scales else {}
    results = {}
    for name in arguments.models:
        results[name] = result = evaluation.frequency_sensitivity(
            zoo.load(name),
            source,
            layers=arguments.layers,
            low_pass=arguments.low_pass,
            batch_size=arguments.batch_size,
            **options,
        )
        head, *rows = result.cells()
        title = f"{name}: accuracy {result.accuracy:.2%} on {result.clips} clips"
        table(head, rows, title=title, right=head[2:])
    if arguments.json:
        values = {name: result.to_dict() for name, result in results.items()}
        values = {"models": values, "data_sha256": source.digest(), "split": arguments.split}
        write_json(arguments.json, values)
    if arguments.out:
        evaluation.plot_frequency_sensitivity(results, arguments.out)
