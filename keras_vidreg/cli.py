"""The command line: classify, train, evaluate, analyse, and look at the zoo."""

import argparse
import csv
import os
import signal
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from keras_vidreg.cli_zoo import add_zoo

SOURCE_HELP = (
    "a folder with one sub-folder per class, a .csv table (path,label[,split]), or airplanes"
)
# Names that data sets use for the split that settings are chosen on.
VALIDATION = ("val", "validation", "valid")


def main(argv=None):
    """Run the command; returns the exit code.

    Args:
        argv: Arguments, without the name of the program; `None` takes those of the process.

    Returns:
        0, or 1 after an error that was reported in one line, 2 for wrong usage (as `argparse`),
        130 when interrupted.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        print("\nStopped. The same train command goes on after the last epoch.", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read our output is gone; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, ImportError) as error:
        print(f"keras-vidreg: error: {error}", file=sys.stderr)
        return 1


def _parser():
    parser = argparse.ArgumentParser(prog="keras-vidreg", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    classify = commands.add_parser("classify", help="say what happens in video files")
    classify.add_argument("files", nargs="+", metavar="FILE")
    classify.add_argument("--model", required=True, help="zoo entry, or folder of a training run")
    classify.add_argument("--top", type=_positive, default=5, help="labels per file (5)")
    classify.set_defaults(run=_classify)

    train = commands.add_parser("train", help="train a recipe on data")
    train.add_argument("--recipe", required=True, help="name of a recipe")
    train.add_argument("--data", required=True, metavar="SOURCE", help=SOURCE_HELP)
    train.add_argument(
        "--validation",
        metavar="SOURCE",
        help="another source, or a share of the data such as 0.1, to measure on after every epoch; "
        "by default the split val or validation of SOURCE, where it has one",
    )
    train.add_argument("--out", metavar="DIR", help="folder of the run (runs/RECIPE)")
    train.add_argument("--seed", type=int, help="instead of the recipe's")
    train.add_argument("--clips", type=_positive, help="use so many of the training clips only")
    train.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="change a setting of the recipe, for example grw.weight=0 or epochs=10",
    )  # fmt: skip
    train.add_argument("--restart", action="store_true", help="start over where DIR holds a run")
    train.add_argument("--on-error", choices=("skip", "raise"), default="skip")
    train.set_defaults(run=_train)

    evaluate = commands.add_parser("evaluate", help="measure a model on data")
    evaluate.add_argument("--model", required=True, help="zoo entry, or folder of a training run")
    evaluate.add_argument("--data", required=True, metavar="SOURCE", help=SOURCE_HELP)
    evaluate.add_argument(
        "--split", default="test", help="split of SOURCE, where it has any (test)"
    )
    evaluate.add_argument("--views", default="1x1", help="places in time x crops, as in 10x3")
    evaluate.add_argument("--batch-size", type=_positive, default=8)
    evaluate.add_argument("--clips", type=_positive, help="measure on so many clips only")
    evaluate.add_argument("--weights", metavar="FILE", help="weights instead of the model's own")
    evaluate.add_argument("--smoothness", action="store_true", help="also of the embeddings")
    evaluate.add_argument("--json", metavar="FILE", help="write the numbers there too")
    evaluate.set_defaults(run=_evaluate)

    analyse = commands.add_parser("analyse", help="look into a model")
    kinds = analyse.add_subparsers(required=True, metavar="WHAT")
    frequency = kinds.add_parser(
        "frequency", help="accuracy while the low or high frequencies of features are scaled"
    )
    frequency.add_argument(
        "--model", required=True, action="append", dest="models",
        help="zoo entry, or folder of a training run; several to compare them",
    )  # fmt: skip
    frequency.add_argument("--data", required=True, metavar="SOURCE", help=SOURCE_HELP)
    frequency.add_argument(
        "--split", default="test", help="split of SOURCE, where it has any (test)"
    )
    frequency.add_argument(
        "--layers", metavar="REGEX",
        help="batch normalizations to measure in front of (the last one of every stage)",
    )  # fmt: skip
    frequency.add_argument(
        "--scales", type=_numbers, metavar="S,S,...", help="factors (0,0.25,...,2)"
    )
    frequency.add_argument("--low-pass", choices=("mean", "gaussian"), default="mean")
    frequency.add_argument("--batch-size", type=_positive, default=8)
    frequency.add_argument("--clips", type=_positive, help="measure on so many clips only")
    frequency.add_argument("--out", metavar="FILE", help="draw the accuracies there (.png, .pdf)")
    frequency.add_argument("--json", metavar="FILE", help="write the numbers there too")
    frequency.set_defaults(run=_analyse_frequency)

    add_zoo(commands)
    return parser


def _positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above 0 is needed, not {text!r}")
    return int(text)


def _numbers(text):
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        message = f"numbers with commas between are needed, not {text!r}"
        raise argparse.ArgumentTypeError(message) from None


def open_source(where, split, *, labels=None, clips=None):
    """A `VideoSource` from what the command line names.

    Args:
        where: A folder, a `.csv` file, or `"airplanes"`.
        split: Split to take where the source has splits; a source without any is taken whole.
        labels: Names of the classes in order, where another source has fixed them.
        clips: Number of clips to take.

    Returns:
        A `VideoSource`.

    Raises:
        ValueError: When there is no such source.
    """
    from keras_vidreg import data

    if where == "airplanes":
        split = "validation" if split in VALIDATION else split
        return data.airplanes(split, clips=clips)
    path = Path(where)
    if path.is_dir():
        inner = path / split
        source = data.folder(inner if inner.is_dir() else path, labels=labels)
    elif path.suffix == ".csv":
        has_split = "split" in _columns(path)
        source = data.csv(path, split=split if has_split else None, labels=labels)
    else:
        raise ValueError(f"There is no data at {where!r}: give {SOURCE_HELP}.")
    return source if clips is None else source.subset(clips)


def _columns(path):
    with open(path, newline="", encoding="utf-8-sig") as file:
        return next(csv.reader(file), [])


def _splits(where):
    """Names of the splits that a source has; empty where it has none."""
    path = Path(where)
    if where == "airplanes":
        return {"train", "validation", "test"}
    if path.is_dir():
        return {name for name in ("train", "test", *VALIDATION) if (path / name).is_dir()}
    with open(path, newline="", encoding="utf-8-sig") as file:
        return {row.get("split") for row in csv.DictReader(file)} - {None}


def _train(arguments):
    from keras_vidreg import training

    if arguments.recipe not in training.RECIPES:
        raise ValueError(
            f"There is no recipe {arguments.recipe!r}; there are {', '.join(training.RECIPES)}."
        )
    recipe = training.override(training.RECIPES[arguments.recipe], arguments.settings)
    source = open_source(arguments.data, "train", clips=arguments.clips)
    validation = _validation(arguments, source)
    if isinstance(validation, float):
        source, validation = source.split(validation)
    out = Path(arguments.out or Path("runs", recipe.name))
    run = training.train(
        recipe,
        source,
        validation,
        out=out,
        resume=not arguments.restart,
        seed=arguments.seed,
        on_error=arguments.on_error,
    )
    accuracy = ", ".join(f"{k} {v:.1%}" for k, v in run.log["accuracy"].items())
    skipped = sum(run.log["skipped"].values())
    print(f"accuracy: {accuracy}; {skipped} videos skipped; {out}/training.json has all numbers")


def _validation(arguments, source):
    """A source to validate on, a share of the training data, or `None`."""
    wanted = arguments.validation
    if wanted is not None:
        try:
            return float(wanted)
        except ValueError:
            splits = _splits(wanted)
    else:
        wanted, splits = arguments.data, _splits(arguments.data)
    split = next((name for name in VALIDATION if name in splits), None)
    if split is None and arguments.validation is None:
        return None
    return open_source(wanted, split or "all", labels=source.labels)


def _evaluate(arguments):
    from keras_vidreg import evaluation, zoo
    from keras_vidreg._atomic import write_json

    model = zoo.load(arguments.model, weights=arguments.weights or "default")
    source = open_source(arguments.data, arguments.split, clips=arguments.clips)
    result = evaluation.evaluate(
        model, source, views=arguments.views, batch_size=arguments.batch_size
    )
    values = {**result.to_dict(), "data_sha256": source.digest(), "split": arguments.split}
    table = Table(box=None)
    table.add_column("measured on " + str(result.clips) + " clips")
    table.add_column("", justify="right")
    for k, accuracy in result.top.items():
        table.add_row(f"top-{k} accuracy", f"{accuracy:.2%}")
    table.add_row("loss", f"{result.loss:.4f}")
    if arguments.smoothness:
        values["smoothness"] = evaluation.smoothness(model, source)
        table.add_row("smoothness of embeddings", f"{values['smoothness']:.3f}")
    table.add_row("videos skipped", str(result.skipped))
    for label, accuracy in result.per_class.items():
        table.add_row(f"  {label}", f"{accuracy:.2%}")
    Console().print(table)
    if arguments.json:
        write_json(arguments.json, values)


def _analyse_frequency(arguments):
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
        print(f"{name}: accuracy {result.accuracy:.2%} on {result.clips} clips")
        head, *lines = result.cells()
        table = Table(box=None)
        for column in head:
            table.add_column(column, justify="left" if column in ("layer", "band") else "right")
        for line in lines:
            table.add_row(*line)
        Console().print(table)
    if arguments.json:
        values = {name: result.to_dict() for name, result in results.items()}
        values = {"models": values, "data_sha256": source.digest(), "split": arguments.split}
        write_json(arguments.json, values)
    if arguments.out:
        evaluation.plot_frequency_sensitivity(results, arguments.out)


def _classify(arguments):
    from keras_vidreg import zoo
    from keras_vidreg.data import VideoDecodeError

    model = zoo.load(arguments.model)
    failed = 0
    for file in arguments.files:
        try:
            found = model.classify(file, top=arguments.top)
        except (VideoDecodeError, OSError) as error:
            failed += 1
            print(f"keras-vidreg: error: {error}", file=sys.stderr)
            continue
        table = Table(title=file, title_justify="left", box=None, show_header=False)
        for label, probability in found:
            table.add_row(label, f"{probability:.1%}")
        Console().print(table)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
