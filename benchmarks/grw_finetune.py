"""GRW smoothing in fine-tuning, as its paper uses it: trains every combination and prints a table.

    python benchmarks/grw_finetune.py --clips 60 120 250 --seeds 0 1 2 3 4

A causal MoViNet-A0 learns direction and speed of the rotation from airplanes of another seed, and
is then fine-tuned to tell the axis: with its own head, with the attention head, and with that and
smoothing. Backbone from 1e-4 to 1e-6, new layers from 1e-3 to 1e-5 along a cosine, drop path, a
moving average of the weights, recalibrated statistics. Finished runs in OUT/results.jsonl are not
repeated.
"""

import argparse
import dataclasses
import itertools
import pathlib

import keras
from comparison import Results, paired, percent
from keras import ops

import keras_vidreg as kv

METHODS = {"no head": None, "head": 0.0, "head + GRW 0.1": 0.1, "head + GRW 0.3": 0.3}
NEW = "^(embedding|attention|mlp|logits|head_dense)"
HEAD = {"window": 5, "embed_dim": 128, "depth": 2, "heads": 4, "mlp_dim": 256}
EPOCHS, BATCH, DROP_PATH = 14, 10, 0.1


class Average(keras.callbacks.Callback):
    """Puts an exponential moving average of the weights in their place at the end."""

    def on_train_begin(self, logs=None):
        self.step = 0
        self.values = [ops.copy(w.value) for w in self.model.trainable_variables]

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        keep = min(0.99, self.step / (self.step + 10))
        weights = self.model.trainable_variables
        self.values = [
            ops.stop_gradient(keep * old + (1 - keep) * weight.value)
            for old, weight in zip(self.values, weights, strict=True)
        ]

    def on_train_end(self, logs=None):
        for weight, value in zip(self.model.trainable_variables, self.values, strict=True):
            weight.assign(value)


def pretrain(out, seed):
    """Folder of the network that knows direction and speed."""
    recipe = dataclasses.replace(
        kv.training.RECIPES["movinet_a0_grw_airplanes"], head=None, grw=None, epochs=30
    )
    train = kv.data.airplanes("train", task="motion", seed=1)
    validation = kv.data.airplanes("validation", task="motion", seed=1)
    _, log = kv.training.train(recipe, train, validation, out=out, seed=seed, verbose=False)
    print("pretrained:", log["accuracy"], flush=True)
    return out


def measure(pretrained, weight, clips, seed):
    keras.utils.set_random_seed(seed)
    train, test = kv.data.airplanes("train", clips=clips), kv.data.airplanes("test", clips=300)
    model = kv.zoo.load(pretrained, labels=train.labels, drop_path=DROP_PATH)
    if weight is not None:
        model = kv.models.grw_classifier(
            model, **HEAD, labels=train.labels, weight=weight, drop_path=DROP_PATH
        )
    batches = train.batches(BATCH, clip=model.clip, seed=seed, augment=None, cache=True)
    steps = EPOCHS * max(1, len(train) // BATCH)

    def cosine(rate):
        return keras.optimizers.schedules.CosineDecay(rate, steps, alpha=0.01)

    optimizer = keras.optimizers.AdamW(cosine(1e-4), global_clipnorm=1.0)
    model.compile(kv.training.LearningRateGroups(optimizer, {NEW: cosine(1e-3)}))
    seen = train.batches(25, clip=model.clip, training=False)
    callbacks = [Average(), kv.training.Recalibrate(seen)]
    model.fit(batches, epochs=EPOCHS, callbacks=callbacks, verbose=0)
    return {
        split: kv.evaluation.evaluate(model, source, batch_size=25, verbose=False).top1
        for split, source in {"train": train, "test": test}.items()
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", type=int, nargs="+", default=[60, 120, 250])
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/grw_finetune"))
    arguments = parser.parse_args()

    pretrained = pretrain(arguments.out / "pretrained", seed=0)
    results, rows = Results(arguments.out), {}
    for seed, clips, method in itertools.product(
        arguments.seeds, arguments.clips, arguments.methods
    ):
        run = f"{method}, {clips} clips, seed {seed}"
        facts = pretrained, METHODS[method], clips, seed
        line = results.get(run, measure, *facts)
        rows.setdefault(clips, {}).setdefault(method, []).append(line)
    for clips, methods in rows.items():
        print(f"| {clips} clips | test, % | against the head | train, % | runs |")
        print("|---|---|---|---|---|")
        base = [run["test"] for run in methods.get("head", next(iter(methods.values())))]
        for method, runs in methods.items():
            test, train = (percent(run[split] for run in runs) for split in ("test", "train"))
            difference = paired([run["test"] for run in runs], base)
            print(f"| {method} | {test} | {difference} | {train} | {len(runs)} |")


if __name__ == "__main__":
    main()
