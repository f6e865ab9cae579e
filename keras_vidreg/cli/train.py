"""`keras-vidreg train`: a recipe on data."""

from pathlib import Path

from keras_vidreg.cli._arguments import SOURCE_HELP, VALIDATION, open_source, positive, splits


def add(commands):
    """Add the command to the parser."""
    parser = commands.add_parser("train", help="train a recipe on data")
    parser.add_argument("--recipe", required=True, help="name of a recipe")
    parser.add_argument("--data", required=True, metavar="SOURCE", help=SOURCE_HELP)
    parser.add_argument(
        "--validation",
        metavar="SOURCE",
        help="another source, or a share of the data such as 0.1, to measure on after every epoch; "
        "by default the split val or validation of SOURCE, where it has one",
    )
    parser.add_argument("--out", metavar="DIR", help="folder of the run (runs/RECIPE)")
    parser.add_argument("--seed", type=int, help="instead of the recipe's")
    parser.add_argument("--clips", type=positive, help="use so many of the training clips only")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="settings",
        help="change a setting of the recipe, for example grw.weight=0 or epochs=10",
    )
    parser.add_argument("--restart", action="store_true", help="start over where DIR holds a run")
    parser.add_argument("--on-error", choices=("skip", "raise"), default="skip")
    parser.set_defaults(run=run)


def run(arguments):
    """Train, then print what was measured."""
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
    result = training.train(
        recipe,
        source,
        validation,
        out=out,
        resume=not arguments.restart,
        seed=arguments.seed,
        on_error=arguments.on_error,
    )
    accuracy = ", ".join(f"{k} {v:.1%}" for k, v in result.log["accuracy"].items())
    skipped = sum(result.log["skipped"].values())
    print(f"accuracy: {accuracy}; {skipped} videos skipped; {out}/training.json has all numbers")


def _validation(arguments, source):
    """A source to validate on, a share of the training data, or `None`."""
    wanted = arguments.validation
    if wanted is not None:
        try:
            return float(wanted)
        except ValueError:
            names = splits(wanted)
    else:
        wanted, names = arguments.data, splits(arguments.data)
    split = next((name for name in VALIDATION if name in names), None)
    if split is None and arguments.validation is None:
        return None
    return open_source(wanted, split or "all", labels=source.labels)
