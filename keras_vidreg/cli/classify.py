"""`keras-vidreg classify`: what happens in video files."""

from keras_vidreg.cli._arguments import MODEL_HELP, positive
from keras_vidreg.cli._print import fail, table


def add(commands):
    """Add the command to the parser."""
    parser = commands.add_parser("classify", help="say what happens in video files")
    parser.add_argument("files", nargs="+", metavar="FILE")
    parser.add_argument("--model", required=True, help=MODEL_HELP)
    parser.add_argument("--top", type=positive, default=5, help="labels per file (5)")
    parser.set_defaults(run=run)


def run(arguments):
    """A broken file does not keep the others from being classified."""
    from keras_vidreg import zoo
    from keras_vidreg.data import VideoDecodeError

    model = zoo.load(arguments.model)
    failed = 0
    for file in arguments.files:
        try:
            found = model.classify(file, top=arguments.top)
        except (VideoDecodeError, OSError) as error:
            failed += 1
            fail(error)
            continue
        rows = [(label, f"{probability:.1%}") for label, probability in found]
        table(("label", "probability"), rows, title=file, header=False)
    return 1 if failed else 0
