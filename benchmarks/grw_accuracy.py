"""Accuracy with and without GRW smoothing: trains every combination and prints a table.

    python benchmarks/grw_accuracy.py airplanes --clips 250 --weights 0 0.1 0.3 --seeds 0 1 2 3 4

`kv.training.train` recalibrates the batch normalizations at the end; all accuracies, also that on
the training clips, are measured at inference after that. Finished runs in OUT/results.jsonl are not
repeated.
"""

import argparse
import dataclasses
import pathlib
import statistics

import small_cnn  # noqa: F401 (registers a builder)
from comparison import Results, paired, percent

import keras_vidreg as kv

BACKBONES = {
    "movinet_a0": {"builder": "movinet", "variant": "a0", "causal": True},
    "small_cnn": {"builder": "small_cnn"},
}


def sources(data, clips):
    """Training clips, and those that are measured."""
    if data == "airplanes":
        train = kv.data.airplanes("train", clips=clips or 1000)
        return train, {split: kv.data.airplanes(split, clips=300) for split in HELD_OUT}
    train = kv.data.csv(data, split="train")
    held_out = {"validation": "val", "test": "test"}
    held_out = {name: kv.data.csv(data, split=split) for name, split in held_out.items()}
    return train.subset(clips) if clips else train, held_out


HELD_OUT = ("validation", "test")


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", help="airplanes, or a csv file with a column `split`")
    parser.add_argument("--recipe", default="movinet_a0_grw_airplanes")
    parser.add_argument("--backbone", choices=BACKBONES, default="movinet_a0")
    parser.add_argument("--clips", type=int, help="train on so many clips only")
    parser.add_argument("--weights", type=float, nargs="+", default=[0.0, 0.1, 0.3])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--split", default="test", choices=HELD_OUT, help="of the table")
    parser.add_argument("--set", action="append", default=[], help="change a setting of the recipe")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/grw_accuracy"))
    arguments = parser.parse_args()

    results = Results(arguments.out)
    rows = {}
    for seed in arguments.seeds:
        for weight in arguments.weights:
            changes = [*arguments.set, f"grw.weight={weight:g}"]
            clips = arguments.clips or "all"
            run = " ".join(
                [arguments.recipe, arguments.backbone, f"clips={clips}", f"seed={seed}", *changes]
            )
            line = results.get(run, measure, arguments, changes, seed, run)
            rows.setdefault(weight, []).append(line)
    table(rows, arguments.split)


def measure(arguments, changes, seed, run):
    train, held_out = sources(arguments.data, arguments.clips)
    recipe = kv.training.override(kv.training.RECIPES[arguments.recipe], changes)
    recipe = dataclasses.replace(recipe, backbone=BACKBONES[arguments.backbone])
    folder = arguments.out / run.replace(" ", "_").replace("/", "_")
    model, log = kv.training.train(recipe, train, out=folder, seed=seed, verbose=False)
    found = {
        split: kv.evaluation.evaluate(model, source, batch_size=25, verbose=False)
        for split, source in {"train": train, **held_out}.items()
    }
    return {
        "data": arguments.data,
        "backbone": arguments.backbone,
        "clips": len(train),
        "weight": recipe.grw.weight,
        "seed": seed,
        **{split: round(result.top1, 4) for split, result in found.items()},
        "test loss": round(found["test"].loss, 4),
        "smoothness": round(kv.evaluation.smoothness(model, held_out["test"]), 4),
        "seconds per step": log["seconds_per_step"],
    }


def table(rows, split):
    print("| weight | accuracy, % | against the first | training, % | smoothness | runs |")
    print("|---|---|---|---|---|---|")
    first = [run[split] for run in next(iter(rows.values()))]
    for weight, runs in rows.items():
        accuracy, training = (percent(run[name] for run in runs) for name in (split, "train"))
        smooth = statistics.mean(run["smoothness"] for run in runs)
        difference = paired([run[split] for run in runs], first)
        print(
            f"| {weight:g} | {accuracy} | {difference} | {training} | {smooth:.2f} | {len(runs)} |"
        )


if __name__ == "__main__":
    main()
