"""Fine-tuning against training from scratch, in accuracy per number of clips: a table and a curve.

    python benchmarks/finetune_accuracy.py ../shared/data/grid12/split.csv --words red white

Trains a recipe on all classes but two, and then tells these two apart from a few clips of each:
from scratch, with all but the head frozen, and with small steps of the backbone. Same network,
clips, batches and number of steps. Finished runs in OUT/results.jsonl are not repeated.
"""

import argparse
import itertools
import pathlib

import keras
from comparison import Results, percent

import keras_vidreg as kv

HEAD = "^(embedding|attention|mlp|logits)"
BATCH = 10
METHODS = ("from scratch", "head only", "fine-tuned")


def only(source, labels):
    """The videos of some classes, which are numbered anew."""
    number = {source.labels.index(label): i for i, label in enumerate(labels)}
    records = [r._replace(label=number[r.label]) for r in source.records if r.label in number]
    return kv.data.VideoSource(records, labels, root=source.root)


def optimizer(method, steps):
    def cosine(rate):
        return keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.01)

    if method == "from scratch":
        return keras.optimizers.AdamW(cosine(2e-3), global_clipnorm=1.0)
    head, backbone = keras.optimizers.AdamW(cosine(1e-3), global_clipnorm=1.0), cosine(1e-4)
    if method == "head only":
        return head
    return kv.training.LearningRateGroups(head, {HEAD: cosine(1e-3), ".": backbone})


def measure(pretrained, method, train, test, steps, seed):
    keras.utils.set_random_seed(seed)
    weights = None if method == "from scratch" else "default"
    model = kv.zoo.load(pretrained, labels=train.labels, weights=weights)
    if method == "head only":
        model.freeze("all_but_head")
    batches = train.batches(BATCH, clip=model.clip, seed=seed, cache=True)
    epochs = round(steps / len(batches))
    model.compile(optimizer(method, epochs * len(batches)))
    seen = train.batches(2 * BATCH, clip=model.clip, training=False)
    model.fit(batches, epochs=epochs, callbacks=[kv.training.Recalibrate(seen)], verbose=0)
    result = kv.evaluation.evaluate(model, test, verbose=False)
    return {"method": method, "seed": seed, "accuracy": result.top1}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", help="a csv file with a column `split`")
    parser.add_argument("--words", nargs=2, required=True, help="classes to keep for fine-tuning")
    parser.add_argument("--recipe", default="movinet_a0_grw_grid12")
    parser.add_argument("--set", action="append", default=[], help="change a setting of the recipe")
    parser.add_argument("--clips", type=int, nargs="+", default=[10, 25, 100], help="each")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/finetune_accuracy"))
    parser.add_argument("--plot", metavar="FILE", help="draw the curve there")
    arguments = parser.parse_args()

    train = kv.data.csv(arguments.data, split="train")
    test = only(kv.data.csv(arguments.data, split="test"), arguments.words)
    others = [label for label in train.labels if label not in arguments.words]
    recipe = kv.training.override(kv.training.RECIPES[arguments.recipe], arguments.set)
    pretrained = arguments.out / "pretrained"
    kv.training.train(recipe, only(train, others), out=pretrained, verbose=False)

    results, rows = Results(arguments.out), {}
    words = only(train, arguments.words)
    for seed, clips, method in itertools.product(
        arguments.seeds, arguments.clips, arguments.methods
    ):
        run = f"{' '.join(arguments.words)}: {clips} clips each, {arguments.steps} steps, "
        run += f"seed {seed}, {method}"
        part = words.subset(2 * clips, seed)
        line = results.get(run, measure, pretrained, method, part, test, arguments.steps, seed)
        rows.setdefault(method, {}).setdefault(clips, []).append(line["accuracy"])
    table(rows, len(test))
    if arguments.plot:
        plot(rows, arguments.plot)


def table(rows, clips):
    numbers = list(next(iter(rows.values())))
    print(f"| accuracy on {clips} clips, % | {' | '.join(f'{n} clips each' for n in numbers)} |")
    print("|---" * (1 + len(numbers)) + "|")
    for method, by_clips in rows.items():
        print(f"| {method} | {' | '.join(percent(by_clips[n]) for n in numbers)} |")


def plot(rows, file):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for method, by_clips in rows.items():
        means = [100 * sum(values) / len(values) for values in by_clips.values()]
        (line,) = axes.plot(list(by_clips), means, marker="o", label=method)
        for clips, values in by_clips.items():
            axes.plot([clips] * len(values), [100 * v for v in values], ".", color=line.get_color())
    axes.axhline(50, color="grey", linewidth=0.8, linestyle="--", label="chance")
    axes.set(xscale="log", xlabel="training clips of each class", ylabel="test accuracy, %")
    axes.set_xticks(list(by_clips), [str(n) for n in by_clips])
    axes.minorticks_off()
    axes.legend()
    figure.savefig(file, dpi=120)


if __name__ == "__main__":
    main()
