"""`keras-vidreg evaluate`: accuracy of a model on data."""

from keras_vidreg.cli._arguments import MODEL_HELP, add_data, open_source
from keras_vidreg.cli._print import table


def add(commands):
    """Add the command to the parser."""
    parser = commands.add_parser("evaluate", help="measure a model on data")
    parser.add_argument("--model", required=True, help=MODEL_HELP)
    add_data(parser, "measure")
    parser.add_argument("--views", default="1x1", help="places in time x crops, as in 10x3")
    parser.add_argument("--weights", metavar="FILE", help="weights instead of the model's own")
    parser.add_argument("--smoothness", action="store_true", help="also of the embeddings")
    parser.set_defaults(run=run)


def run(arguments):
    """Measure, print a table, and write the numbers where they are wanted."""
    from keras_vidreg import evaluation, zoo
    from keras_vidreg._atomic import write_json

    model = zoo.load(arguments.model, weights=arguments.weights or "default")
    source = open_source(arguments.data, arguments.split, clips=arguments.clips)
    result = evaluation.evaluate(
        model, source, views=arguments.views, batch_size=arguments.batch_size
    )
    values = {**result.to_dict(), "data_sha256": source.digest(), "split": arguments.split}
    rows = [(f"top-{k} accuracy", f"{accuracy:.2%}") for k, accuracy in result.top.items()]
    rows.append(("loss", f"{result.loss:.4f}"))
    if arguments.smoothness:
        values["smoothness"] = evaluation.smoothness(model, source)
        rows.append(("smoothness of embeddings", f"{values['smoothness']:.3f}"))
    rows.append(("videos skipped", result.skipped))
    rows += [(f"  {label}", f"{accuracy:.2%}") for label, accuracy in result.per_class.items()]
    table((f"measured on {result.clips} clips", ""), rows, right=("",))
    if arguments.json:
        write_json(arguments.json, values)
