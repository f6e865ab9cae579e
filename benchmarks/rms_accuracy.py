"""Random Mean Scaling against its rivals: trains every combination and prints tables.

    python benchmarks/rms_accuracy.py ../shared/data/grid12/split.csv --share 0.1 0.25 --seeds 0 1 2

Every method has the same network, schedule and seeds. The statistics of the batch normalizations
are recalibrated at the end. Accuracy on the training clips is measured after that, on the center of
the clips as in the test, so that the gap between the two says how far the network has learned
its clips by heart. Finished runs in OUT/results.jsonl are not repeated.
"""

import argparse
import itertools
import json
import pathlib
import shutil

from comparison import Results, paired, percent

import keras_vidreg as kv

REGULARIZER, DROP = "backbone.regularizer", "backbone.drop"
METHODS = {
    "none": {},
    "RMS": {REGULARIZER: {"layer": "RandomMeanScaling"}},
    "RMS-GF": {REGULARIZER: {"layer": "RandomMeanScaling", "low_pass": "gaussian"}},
    "RS on x": {REGULARIZER: {"layer": "RandomMeanScaling", "component": "input"}},
    "RS on r": {REGULARIZER: {"layer": "RandomMeanScaling", "component": "residual"}},
    # The settings of table 2 of the paper, in terms of ShakeDrop's equation 6.
    "RandomDrop": {
        DROP: {"layer": "ShakeDrop", "alpha": [0, 0], "beta": [0, 0], "level": "batch"},
        "backbone.drop_rate": 0.5,
    },
    "ShakeDrop": {
        DROP: {"layer": "ShakeDrop", "alpha": [0, 0], "beta": [0, 0.5], "level": "pixel"},
        "backbone.drop_rate": 0.5,
    },
    "CutMix": {"mix": {"layer": "VideoCutMix"}},
}


def settings(method, more):
    changes = {REGULARIZER: None, **METHODS[method]}
    return [f"{name}={json.dumps(value)}" for name, value in changes.items()] + more


def sources(data, split):
    if data == "airplanes":
        return kv.data.airplanes("train"), kv.data.airplanes(split)
    split = {"validation": "val"}.get(split, split)
    return kv.data.csv(data, split="train"), kv.data.csv(data, split=split)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", help="airplanes, or a csv file with a column `split`")
    parser.add_argument("--recipe", default="slowonly_18_rms_grid12")
    parser.add_argument("--share", type=float, nargs="+", default=[1.0], help="of training clips")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--split", default="test", choices=["validation", "test"])
    parser.add_argument("--set", action="append", default=[], help="change a setting of the recipe")
    parser.add_argument("--keep", action="store_true", help="keep the folders of the runs")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/rms_accuracy"))
    arguments = parser.parse_args()

    train, held_out = sources(arguments.data, arguments.split)
    results = Results(arguments.out)
    for share in arguments.share:
        rows = {}
        for seed, method in itertools.product(arguments.seeds, arguments.methods):
            part = train.subset(round(share * len(train)), seed)
            changes = settings(method, arguments.set)
            run = f"{arguments.recipe} {len(part)} clips, {arguments.split}, seed {seed}: "
            run += " ".join([method, *arguments.set])
            folder = arguments.out / "".join(c if c.isalnum() else "_" for c in run)
            line = results.get(run, measure, arguments, changes, part, held_out, seed, folder)
            rows.setdefault(method, []).append(line)
        table(rows, len(part))


def measure(arguments, changes, train, held_out, seed, folder):
    recipe = kv.training.override(kv.training.RECIPES[arguments.recipe], changes)
    model, log = kv.training.train(recipe, train, out=folder, seed=seed, verbose=False)
    accuracy = {
        split: kv.evaluation.evaluate(model, source, batch_size=32, verbose=False).top1
        for split, source in {"train": train, "test": held_out}.items()
    }
    if not arguments.keep:
        shutil.rmtree(folder)
    return {**accuracy, "seed": seed, "seconds per step": log["seconds_per_step"]}


def table(rows, clips):
    print(f"| {clips} clips | test, % | against the first | train, % | gap | runs |")
    print("|---|---|---|---|---|---|")
    first = [run["test"] for run in next(iter(rows.values()))]
    for method, runs in rows.items():
        test, train = percent(run["test"] for run in runs), percent(run["train"] for run in runs)
        gap = percent(run["train"] - run["test"] for run in runs)
        difference = paired([run["test"] for run in runs], first)
        print(f"| {method} | {test} | {difference} | {train} | {gap} | {len(runs)} |")


if __name__ == "__main__":
    main()
