"""Train a recipe: resumable after every epoch, with a log of everything that was measured."""

import importlib.metadata
import json
import platform
import statistics
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

import keras_vidreg
from keras_vidreg._atomic import write_json
from keras_vidreg.training import checkpoint, optimization
from keras_vidreg.training._recalibrate import replace_statistics, warn_of_misfit
from keras_vidreg.training.callbacks import Bar, Checkpoint, EpochSeed
from keras_vidreg.training.mix import Mixed
from keras_vidreg.zoo._preset import Preset
from keras_vidreg.zoo.build import build
from keras_vidreg.zoo.weights import save_weights


class Run(NamedTuple):
    """A finished training run: the model and the values of its `training.json`."""

    model: keras.Model
    log: dict


def train(
    recipe,
    train_source,
    validation_source=None,
    *,
    out,
    resume=True,
    seed=None,
    on_error="skip",
    verbose=True,
):
    """Train the model of a recipe on a video source.

    `out` holds `checkpoint.npz` (replaced as one after every epoch) and, at the end,
    `model.weights.h5`, `preset.json` and `training.json`: a folder that `kv.zoo.load` takes.
    The statistics of batch normalization are recalibrated at the end, over `recipe.recalibrate`
    batches of training clips as evaluation sees them (see `recalibrate`; it warns if they were far
    off), and `accuracy` in `training.json` is then measured as evaluation does, on all clips. In
    the `history` of the epochs, `accuracy_in_training_mode` is what Keras counted while training,
    and `val_accuracy` rests on the moving statistics of that epoch.
    The same call on the same folder goes on after the last complete epoch, and ends with the
    result of a run that was never interrupted.

    Args:
        recipe: A `Recipe`.
        train_source: `VideoSource` to train on.
        validation_source: `VideoSource` to measure on after every epoch.
        out: Folder of the run.
        resume: Whether to go on from the checkpoint in `out`; `False` starts over.
        seed: Replaces the recipe's seed.
        on_error: `"skip"` leaves broken videos out and counts them, `"raise"` stops.
        verbose: Whether to show progress.

    Returns:
        A `Run` with `.model` and `.log`.

    Raises:
        ValueError: When `out` holds the run of another recipe, other data or another backend.

    Example:
    ```python
    recipe = kv.training.RECIPES["movinet_a0_grw_airplanes"]
    run = kv.training.train(recipe, kv.data.airplanes("train"), out="runs/airplanes")
    ```
    """
    seed = recipe.seed if seed is None else seed
    if validation_source is not None and validation_source.labels != train_source.labels:
        raise ValueError(
            "`validation_source` must have the labels of `train_source`, in the same order. "
            f"Received: {validation_source.labels} and {train_source.labels}"
        )
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    saved, logged = out / "checkpoint.npz", out / "training.json"
    meta = _what(recipe, seed, train_source, validation_source)
    history = _history(saved, meta) if resume else []
    if not history:
        logged.unlink(missing_ok=True)

    keras.utils.set_random_seed(seed)
    builder, arguments = recipe.model()
    model = build(builder, arguments, labels=train_source.labels, clip=recipe.clip)
    options = {"clip": recipe.clip, "on_error": on_error, "short": recipe.short}
    options["cache"] = recipe.cache
    batches = train_source.batches(
        recipe.batch_size, seed=seed, augment=recipe.augmentation(), **options
    )
    model.compile(
        optimizer=optimization.optimizer(recipe, model, len(batches)),
        loss=optimization.loss(recipe),
        metrics=[optimization.accuracy if recipe.mix else "accuracy"],
    )
    if len(history) == recipe.epochs:
        checkpoint.restore(saved, model)
    if history and logged.is_file():
        return Run(model, json.loads(logged.read_text(encoding="utf-8")))

    validation = validation_source and validation_source.batches(
        recipe.batch_size, training=False, **options
    )
    keeper = Checkpoint(saved, meta, history)
    callbacks = [EpochSeed(batches, seed), keeper]
    if verbose:
        callbacks.append(Bar(recipe.epochs, len(history), len(batches)))
    examples = batches
    if recipe.mix:
        examples = Mixed(batches, recipe.mix, len(train_source.labels), seed)
    if len(history) < recipe.epochs:
        _fit(model, examples, validation, recipe.epochs, len(history), callbacks)

    order = np.random.default_rng(seed).permutation(len(train_source))  # labels mixed in a batch
    shown = train_source.select(order[: recipe.recalibrate * recipe.batch_size])
    if len(shown):
        seen = shown.batches(recipe.batch_size, training=False, **options)
        warn_of_misfit(*replace_statistics(model, seen))
    splits = {"train": train_source.batches(recipe.batch_size, training=False, **options)}
    if validation is not None:
        splits["validation"] = validation
    accuracy = {
        split: model.evaluate(clips, verbose=0, return_dict=True)["accuracy"]
        for split, clips in splits.items()
    }
    checkpoint.save(saved, model, {**meta, "history": history})
    log = _log(meta, history, {"train": train_source, "validation": validation_source})
    log |= {"accuracy": accuracy, "recalibrated": {"clips": len(shown)}}
    _finish(out, model, recipe, log)
    return Run(model, log)


def _what(recipe, seed, train_source, validation_source):
    """What decides the result: a checkpoint is only continued by a run that agrees in this."""
    sources = {"train": train_source, "validation": validation_source}
    return {
        "recipe": recipe.to_dict(),
        "seed": seed,
        "backend": keras.backend.backend(),
        "labels": list(train_source.labels),
        "data": {
            split: {"sha256": source.digest(), "clips": len(source)}
            for split, source in sources.items()
            if source is not None
        },
    }


def _history(path, meta):
    if not path.is_file():
        return []
    stored = checkpoint.read_meta(path)
    plain = json.loads(json.dumps(meta))
    changed = _differences({key: stored.get(key) for key in plain}, plain)
    if changed:
        raise ValueError(
            f"{path.parent} holds another run; it differs in {', '.join(changed[:5])}. "
            "Pass --restart (resume=False) to start over, or another output folder."
        )
    return stored["history"]


def _differences(old, new, prefix=""):
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(set(old) | set(new))
        parts = [_differences(old.get(k), new.get(k), f"{prefix}{k}.") for k in keys]
        return [line for part in parts for line in part]
    return [] if old == new else [f"{prefix[:-1]} ({str(old)[:24]} there, {str(new)[:24]} now)"]


def _fit(model, batches, validation, epochs, first, callbacks):
    try:
        keras.Model.fit(  # without the warning of a VideoClassifier: `train` recalibrates
            model,
            batches,
            validation_data=validation,
            epochs=epochs,
            initial_epoch=first,
            callbacks=callbacks,
            shuffle=False,  # the batches are shuffled already
            verbose=0,
        )
    finally:
        for callback in callbacks:
            if isinstance(callback, Bar):
                callback.close()


def _log(meta, history, sources):
    # The first epoch of a process compiles; it is left out where there are others.
    paces = [record["seconds"] / record["steps"] for record in history if record["steps"]]
    packages = ("keras", "numpy", "av", "grain", keras.backend.backend())
    return {
        **meta,
        "skipped": {
            split: len(source.errors) for split, source in sources.items() if source is not None
        },
        "seconds_per_step": round(statistics.median(paces[1:] or paces), 4),
        "versions": {"python": platform.python_version(), **_versions(packages)},
        "history": history,
    }


def _versions(packages):
    return {
        "keras_vidreg": keras_vidreg.__version__,
        **{package: importlib.metadata.version(package) for package in packages},
    }


def _finish(out, model, recipe, log):
    """Write weights, preset and, last of all, the log: its presence means a complete run."""
    digest = save_weights(model, out / "model.weights.h5")
    builder, arguments = recipe.model()
    Preset(
        name=recipe.name,
        builder=builder,
        arguments=arguments,
        labels=tuple(log["labels"]),
        clip=recipe.clip,
        weights="model.weights.h5",
        sha256=digest,
        accuracy=log["accuracy"],
    ).write(out / "preset.json")
    write_json(out / "training.json", log)
