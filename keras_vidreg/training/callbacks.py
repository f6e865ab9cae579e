"""What happens between the steps of a training run: bar, clock, checkpoints."""

import math
import time

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from keras_vidreg.ops import seed_global_state
from keras_vidreg.training import checkpoint


class EpochSeed(keras.callbacks.Callback):
    """Gives every epoch its own order and random numbers, also when an earlier process ran the
    epochs before it.

    Args:
        batches: `Batches` to train on.
        seed: Seed of the run.
    """

    def __init__(self, batches, seed):
        super().__init__()
        self.batches = batches
        self.seed = seed

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.set_epoch(epoch)
        seed_global_state((self.seed * 1_000_003 + epoch + 1) % 2**32)


class Checkpoint(keras.callbacks.Callback):
    """Restores the state where there is one, keeps the history, writes the state every epoch.

    It stops training with `FloatingPointError` at the first loss that is not finite; the file then
    still holds the last good state.

    Args:
        path: File of the checkpoint.
        meta: JSON values that say what is trained on what.
        history: Records of the epochs that are done already.
        skipped: Function that gives JSON values of the videos skipped so far.
    """

    def __init__(self, path, meta, history, skipped):
        super().__init__()
        self.path = path
        self.meta = meta
        self.history = history
        self.skipped = skipped
        self.steps = 0

    def on_train_begin(self, logs=None):
        # Not earlier: `fit` tries the model out first, which may draw from its seeds.
        if self.history:
            checkpoint.restore(self.path, self.model)

    def on_epoch_begin(self, epoch, logs=None):
        self.began = self.ended = time.perf_counter()
        self.epoch = epoch
        self.steps = 0

    def on_train_batch_end(self, batch, logs=None):
        self.steps = batch + 1
        self.ended = time.perf_counter()
        self._check(logs, f"step {self.steps} of epoch {self.epoch + 1}")

    def on_epoch_end(self, epoch, logs=None):
        values = {name: float(value) for name, value in (logs or {}).items()}
        if "accuracy" in values:
            values["accuracy_in_training_mode"] = values.pop("accuracy")
        clock = {"seconds": round(self.ended - self.began, 3), "steps": self.steps}
        self._check(logs, f"the end of epoch {epoch + 1}")
        self.history.append({"epoch": epoch, **values, **clock})
        self.save()

    def save(self):
        """Write the state as it is now."""
        values = {**self.meta, "history": self.history, "skipped": self.skipped()}
        checkpoint.save(self.path, self.model, values)

    def _check(self, logs, place):
        for name, value in (logs or {}).items():
            if not math.isfinite(value):
                done = len(self.history)
                kept = f"holds the state after epoch {done}" if done else "was not written yet"
                raise FloatingPointError(
                    f"`{name}` is {float(value)} at {place}: training stops, and {self.path} "
                    f"{kept}. Try a smaller learning_rate or clip_norm (with --restart)"
                )


class Bar(keras.callbacks.Callback):
    """One bar for the whole run on a terminal, one line per epoch anywhere else.

    Args:
        epochs: Number of epochs.
        first: First epoch of this process.
        steps: Steps of one epoch.
    """

    def __init__(self, epochs, first, steps):
        super().__init__()
        self.epochs, self.steps = epochs, steps
        self.console = Console()
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/" + str(epochs)),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[logs]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.progress.add_task(
            "", total=epochs * steps, completed=first * steps, epoch=first + 1, logs=""
        )

    def on_train_begin(self, logs=None):
        self.progress.start()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.progress.update(self.task, epoch=epoch + 1, completed=epoch * self.steps)

    def on_train_batch_end(self, batch, logs=None):
        if self.console.is_terminal:
            done = self.epoch * self.steps + batch + 1
            self.progress.update(self.task, completed=done, logs=_text(logs))

    def on_epoch_end(self, epoch, logs=None):
        self.progress.update(self.task, completed=(epoch + 1) * self.steps)
        self.console.print(f"epoch {epoch + 1}/{self.epochs}  {_text(logs)}", highlight=False)

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Give the terminal back; also called when training is interrupted."""
        self.progress.stop()


def _text(logs):
    return "  ".join(f"{name} {float(value):.4f}" for name, value in (logs or {}).items())
