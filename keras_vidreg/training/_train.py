"""Train a recipe: resumable after every epoch, with a log of everything that was measured."""

import importlib.metadata
import json
import os
import platform
import statistics
import warnings
from pathlib import Path
from typing import Literal, NamedTuple

import filelock
import keras
import numpy as np
from keras import ops

import keras_vidreg
from keras_vidreg._atomic import write_json
from keras_vidreg.data.source import VideoSource
from keras_vidreg.training import checkpoint, optimization
from keras_vidreg.training._recalibrate import replace_statistics, warn_of_misfit
from keras_vidreg.training.callbacks import Bar, Checkpoint, EpochSeed
from keras_vidreg.training.mix import Mixed
from keras_vidreg.training.recipes import Recipe
from keras_vidreg.zoo._load import load
from keras_vidreg.zoo._preset import Preset, sha256
from keras_vidreg.zoo.weights import save_weights


class Run(NamedTuple):
    """A finished training run.

    Args:
        model: The model.
        log: Values of its `training.json`.
    """

    model: keras.Model
    log: dict


def train(
    recipe: Recipe,
    train_source: VideoSource,
    validation_source: VideoSource | None = None,
    *,
    out: str | os.PathLike,
    resume: bool = True,
    seed: int | None = None,
    on_error: Literal["skip", "raise"] = "skip",
    verbose: bool = True,
) -> Run:
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
        validation_source: `VideoSource` to measure on after every epoch. Defaults to none.
        out: Folder of the run.
        resume: Whether to go on from the checkpoint in `out`; `False` deletes it and starts over.
            Defaults to `True`.
        seed: Integer instead of the recipe's seed. Defaults to that.
        on_error: `"skip"` leaves broken videos out and counts them, `"raise"` stops. Defaults to
            `"skip"`.
        verbose: Whether to show progress. Defaults to `True`.

    Returns:
        A `Run` with `.model` and `.log`.

    Raises:
        ValueError: If `out` holds the run of another recipe, other data or another backend, or a
            damaged one; if another process trains there; or if labels do not fit.
        FloatingPointError: If a loss or weight is not finite. The last good checkpoint is kept.

    Example:

    >>> recipe = kv.training.RECIPES["slowonly_18_rms_grid12"]
    >>> recipe = kv.training.override(recipe, ["epochs=1", "warmup_epochs=0", "backbone.width=4"])
    >>> source = kv.data.folder("videos/train")
    >>> run = kv.training.train(recipe, source, out="runs/mine", verbose=False)
    >>> sorted(run.log["accuracy"])
    ['train']
    """
    seed = recipe.seed if seed is None else seed
    sources = {"train": train_source, "validation": validation_source}
    sources = {split: source for split, source in sources.items() if source is not None}
    _check_labels(sources)
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    try:
        with filelock.FileLock(out / ".lock", timeout=0):
            return _train(recipe, sources, out, resume, seed, on_error, verbose)
    except filelock.Timeout as error:
        raise ValueError(
            f"Another process trains in {out} now. Give another folder (out, --out), or wait for it"
        ) from error


def _train(recipe, sources, out, resume, seed, on_error, verbose):
    saved, logged = out / "checkpoint.npz", out / "training.json"
    train_source = sources["train"]
    meta = _what(recipe, seed, sources)
    stored = _stored(saved, meta) if resume else {"history": []}
    history = stored["history"]
    if not resume:
        saved.unlink(missing_ok=True)  # first: what is killed here is no run of before
    if not history:
        logged.unlink(missing_ok=True)
    for split, errors in stored.get("skipped", {}).items():
        sources[split].errors |= errors

    keras.utils.set_random_seed(seed)
    model = recipe.description(train_source.labels).build()
    if recipe.init and not history:
        _start_from(model, recipe.init)
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
    done = len(history) == recipe.epochs
    if done:
        checkpoint.restore(saved, model)
        if log := _finished(out):
            return Run(model, log)

    seen = {
        split: source.batches(recipe.batch_size, training=False, **options)
        for split, source in sources.items()
    }
    keeper = Checkpoint(
        saved, meta, history, lambda: {split: dict(s.errors) for split, s in sources.items()}
    )
    callbacks = [EpochSeed(batches, seed), keeper]
    if verbose:
        callbacks.append(Bar(recipe.epochs, len(history), len(batches)))
    examples = batches
    if recipe.mix:
        examples = Mixed(batches, recipe.mix, len(train_source.labels), seed)
    if not done:
        if "validation" in seen:
            seen["validation"][0]  # no good file in it? not after an epoch
        _fit(model, examples, seen.get("validation"), recipe.epochs, len(history), callbacks)
    model.optimizer.finalize_variable_values(model.trainable_variables)  # averages, again
    for variable in model.trainable_variables:  # JAX: the optimizer holds the very same arrays
        variable.assign(ops.convert_to_numpy(variable))

    order = np.random.default_rng(seed).permutation(len(train_source))  # labels mixed in a batch
    shown = train_source.select(order[: recipe.recalibrate * recipe.batch_size])
    if len(shown):
        shown.errors = train_source.errors
        clips = shown.batches(recipe.batch_size, training=False, **options)
        warn_of_misfit(*replace_statistics(model, clips))
    accuracy = {
        split: model.evaluate(clips, verbose=0, return_dict=True)["accuracy"]
        for split, clips in seen.items()
    }
    keeper.set_model(model)
    keeper.save()
    log = _log(meta, history, sources)
    log |= {"accuracy": accuracy, "recalibrated": {"clips": len(shown)}}
    _finish(out, model, recipe, log)
    return Run(model, log)


def _check_labels(sources):
    labels = sources["train"].labels
    for source in sources.values():
        if source.labels != labels:
            raise ValueError(
                "`validation_source` must have the labels of `train_source`, in the same order. "
                f"Received: {source.labels} and {labels}"
            )


def _start_from(model, name):
    """Gives the layers of a model's backbone the weights of those of a run or entry."""
    known = {layer.name: layer for layer in load(name).backbone.layers if layer.weights}
    layers = [layer for layer in model.backbone.layers if layer.weights]
    missing = [layer.name for layer in layers if layer.name not in known]
    if missing or not layers:
        raise ValueError(
            f"`init` must have the backbone of the recipe. {name} has no layers {missing[:5]}"
        )
    for layer in layers:
        try:
            layer.set_weights(known[layer.name].get_weights())
        except ValueError as error:
            raise ValueError(
                f"`init` must have the backbone of the recipe. {name}, `{layer.name}`: {error}"
            ) from error


def _finished(out):
    """The log of a finished run; None, with a warning, where one of its files is damaged."""
    logged = out / "training.json"
    if not logged.is_file():
        return None
    try:
        log = json.loads(logged.read_text(encoding="utf-8"))
        path = out / "model.weights.h5"
        if sha256(path) != Preset.read(out / "preset.json").sha256:
            raise ValueError(f"{path} is damaged")
        return log
    except (ValueError, OSError) as error:
        warnings.warn(f"Written again from the checkpoint: {error}", stacklevel=4)
        return None


def _what(recipe, seed, sources):
    """What decides the result: a checkpoint is only continued by a run that agrees in this."""
    train_source = sources["train"]
    return {
        "recipe": recipe.to_dict(),
        "seed": seed,
        "backend": keras.backend.backend(),
        "labels": list(train_source.labels),
        "data": {
            split: {"sha256": source.digest(), "clips": len(source)}
            for split, source in sources.items()
        },
    }


def _stored(path, meta):
    if not path.is_file():
        return {"history": []}
    stored = checkpoint.read_meta(path)
    plain = json.loads(json.dumps(meta))
    changed = _differences({key: stored.get(key) for key in plain}, plain)
    if changed:
        raise ValueError(
            f"{path.parent} holds another run; it differs in {', '.join(changed[:5])}. "
            "Pass --restart (resume=False) to start over, or another output folder."
        )
    return stored


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
        "skipped": {split: len(source.errors) for split, source in sources.items()},
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
    Preset(
        name=recipe.name,
        **vars(recipe.description(log["labels"])),
        weights="model.weights.h5",
        sha256=digest,
        accuracy=log["accuracy"],
    ).write(out / "preset.json")
    write_json(out / "training.json", log)
