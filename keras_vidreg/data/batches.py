"""Shuffled, decoded in parallel, batched: what `model.fit` takes."""

import functools
import math
import os
import threading
import warnings
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Literal

import grain
import keras
import numpy as np

from keras_vidreg.data.augment import Augment
from keras_vidreg.data.clip import Clip
from keras_vidreg.data.errors import VideoDecodeError
from keras_vidreg.data.read import read_clip, read_views
from keras_vidreg.data.sample import SAMPLING, SHORT, Sampling, Short, parse_views

if TYPE_CHECKING:
    from keras_vidreg.data.source import VideoSource


class Batches(keras.utils.PyDataset):
    """Batches of (video (n, T, H, W, 3) float32, label (n,) int32) that know their number.

    `batches[i]` is a function of the seed, the epoch and `i` alone, whatever the number of
    threads. Going through them by hand leaves the epoch as it is; `on_epoch_end`, which Keras
    calls, moves it on, and `set_epoch` sets it.

    In training, a broken video (with `on_error="skip"`) is replaced by another one, drawn from the
    seed, the epoch and its place: one that the epoch leaves out where there is any, else one that
    another batch shows too. The number of batches and their size stay. In evaluation every readable
    video comes once, in order: a batch is smaller by those that are broken, and a batch without any
    readable video does not exist. To know that, `len` reads one video of each batch, once.

    Keras shuffles the batches once more unless it is told `fit(..., shuffle=False)`. That gives
    other orders with every run, and videos are decoded ahead of the training step only where
    batches are taken in order.

    Args:
        source: `VideoSource`.
        n: Integer, videos in a batch.
        clip: `Clip`. Defaults to `source.clip`.
        training: `True`: shuffled, at a random place in time, augmented, and without the last
            batch if it is smaller than `n` and not the only one. `False`: every video, in order,
            at the centre, the last batch as small as it comes.
        seed: Integer from 0, of the order and the draws.
        augment: In training, `"default"`: a crop of the clip's size at a random place where
            `clip.resize` leaves room, else a random 70 to 100 % of the frame's area; never a flip,
            since left and right may matter. `None`: the centre crop. Or an `Augment`, or a function
            of (video (T, H, W, 3) uint8, rng) to a video.
        on_error: `"raise"` stops at a video that cannot be decoded with `VideoDecodeError` (which
            TensorFlow wraps in its own error, with the same text). `"skip"` goes on without it,
            warns once, lists it in `source.errors`, and says at the end of the epoch how many there
            were. Only frames that are wanted count: a file damaged near its end still gives clips
            of its beginning, but one that is cut off is broken as a whole.
        short: Rule for videos with too few frames, see `read_clip`.
        sampling: `"clip"` or `"uniform"`, see `read_clip`.
        views: With `training=False`, 10 or "10x3": all views of a video, (n, V, T, H, W, 3).
        class_weights: {label number: weight} of the loss of a video, such as
            `source.class_weights()`: a batch is then (video, label, weight (n,) float32). Keras's
            own `fit(class_weight=...)` does the same.
        cache: Whether to keep the decoded, resized frames of every video in memory (as bytes, all
            frames), so that later epochs do not decode.
        workers: Integer, threads that decode. Defaults to one a core. They are Grain's: Keras's own
            queue, which this argument starts in other datasets, gives batches of the first epoch
            twice.
        max_queue_size: Integer, batches made ahead of the training step. Defaults to 2.

    Raises:
        ValueError: If an argument is none of its choices, or no clip is known.

    Example:

    >>> batches = kv.data.folder("videos", clip=model.clip).batches(8)  # doctest: +SKIP
    >>> model.fit(batches, epochs=3)  # doctest: +SKIP
    >>> model.fit(batches.set_epoch(3))  # goes on in another run  # doctest: +SKIP
    """

    def __init__(
        self,
        source: "VideoSource",
        n: int,
        *,
        clip: Clip | None = None,
        training: bool = True,
        seed: int = 0,
        augment: Callable | Literal["default"] | None = "default",
        on_error: Literal["raise", "skip"] = "raise",
        short: Short = "loop",
        sampling: Sampling = "clip",
        views: int | str = 1,
        class_weights: Mapping[int, float] | None = None,
        cache: bool = False,
        workers: int | None = None,
        max_queue_size: int = 2,
    ):
        super().__init__()
        clip = clip or source.clip
        if clip is None:
            raise ValueError(
                "batches: clip=None and the source has none; give clip=model.clip or "
                "kv.data.Clip(frames=16, fps=5, size=112)."
            )
        for name, value, choices in (
            ("on_error", on_error, ("raise", "skip")),
            ("short", short, SHORT),
            ("sampling", sampling, SAMPLING),
        ):
            if value not in choices:
                raise ValueError(f"batches: {name}={value!r}; give one of {choices}.")
        for name, value, least in (("n", n, 1), ("seed", seed, 0)):
            if not value >= least:
                raise ValueError(f"batches: {name}={value}; give a whole number from {least}.")
        if len(source) == 0:
            raise ValueError("batches: the source has no videos.")
        self._several_views = math.prod(parse_views(views)) > 1
        if self._several_views and training:
            raise ValueError(f"batches: views={views!r} are for evaluation; add training=False.")
        present = set() if class_weights is None else {record.label for record in source}
        if missing := sorted(present.difference(class_weights or ())):
            raise ValueError(
                f"batches: class_weights has no weight for the labels {missing}; give one for each "
                "label number, such as source.class_weights()."
            )
        if augment == "default":
            augment = Augment(scale=None if clip.resize else (0.7, 1.0))
        elif not (augment is None or callable(augment)):
            raise ValueError(
                f"batches: augment={augment!r}; give 'default', None, an Augment or a function."
            )
        self.source, self.n, self.clip, self.training, self.seed = source, n, clip, training, seed
        self.augment = augment if training else None
        self.on_error, self.short, self.sampling, self.views = on_error, short, sampling, views
        self.class_weights = class_weights
        self.memory = source.memory.sharing(cache)
        self.threads = workers or os.cpu_count() or 1
        self.ahead = max_queue_size
        self.epoch = 0

        order = grain.MapDataset.range(len(source))
        if training:
            # Grain adds the epoch to the seed: neighbouring seeds must not be neighbours there.
            order = order.shuffle(int(np.random.SeedSequence(seed).generate_state(1)[0]))
        self._order = order.repeat()  # place epoch * videos + slot: number of the video
        self._examples = self._order.map_with_index(self._example)
        self._lock, self._error_lock = threading.Lock(), threading.Lock()
        self._reader: Generator | None = None
        self._next: tuple[int, int] | None = None
        self._seen, self._ended, self._early, self._reported = None, False, False, 0

    def __len__(self) -> int:
        return len(self._filled)

    def __getitem__(self, index: int) -> tuple[np.ndarray, ...]:
        index = range(len(self))[index]
        with self._lock:
            place = (self.epoch, index)
            in_order = index == 0 or place == self._next
            if self._reader is None or place != self._next:
                self._close()
                stop = self._filled[-1 if in_order else index] + 1
                self._reader = self._read(self.epoch, self._filled[index], stop)
            self._next = (self.epoch, index + 1)
            try:
                batch = next(self._reader)
            except BaseException:
                self._close()
                raise
            if not in_order or index + 1 == len(self):
                self._close()
            if self._seen is not None:
                self._seen.add(index)
            return batch

    def __iter__(self):
        batch = None
        for batch in self._read(self.epoch, 0, self._count):
            yield batch
        if batch is None:
            raise self._nothing()
        self._report()

    def set_epoch(self, epoch: int) -> "Batches":
        """Goes on with an epoch.

        Args:
            epoch: Integer from 0.

        Returns:
            The batches themselves.
        """
        self.epoch, self._early, self._seen = int(epoch), False, None
        return self

    def on_epoch_begin(self):
        if self._early:
            # Keras ends an epoch before the first one, or one that goes on (`steps_per_epoch`).
            self.epoch, self._early = self.epoch - 1, False
        self._seen = self._seen or set()

    def on_epoch_end(self):
        # Before the first epoch Keras looks at up to two batches, to see their shapes.
        whole = self._seen is not None and len(self._seen) == len(self)
        self._early = not (whole and (self._ended or len(self) > 2))
        self._seen = self._seen if self._early else None
        self._ended = True
        self.epoch += 1
        if not self._early:
            self._report()

    @property
    def _count(self):
        """Batches where none is broken as a whole."""
        whole, rest = divmod(len(self.source), self.n)
        return whole + bool(rest and not (self.training and whole))

    @functools.cached_property
    def _filled(self):
        """Which of these have a video that can be read."""
        filled = range(self._count)
        if not self.training and self.on_error == "skip":
            readable = grain.MapDataset.range(self._count).map(self._readable)
            readable = readable.to_iter_dataset(grain.ReadOptions(self.threads, 2 * self.threads))
            filled = np.flatnonzero(list(readable)).tolist()
            if not filled:
                raise self._nothing()
        return filled

    def _readable(self, batch):
        numbers = range(batch * self.n, min((batch + 1) * self.n, len(self.source)))
        return any(self._load(number, (0,)) is not None for number in numbers)

    def _read(self, epoch, start, stop):
        """The batches `start` to `stop` of an epoch, made ahead by threads."""
        videos = len(self.source)
        first, last = (epoch * videos + min(batch * self.n, videos) for batch in (start, stop))
        options = grain.ReadOptions(self.threads, max(self.n, 2 * self.threads))
        batches = self._examples[first:last].to_iter_dataset(options)
        batches = batches.batch(self.n, batch_fn=self._join)
        batches = iter(
            grain.experimental.ThreadPrefetchIterDataset(batches, prefetch_buffer_size=self.ahead)
        )
        try:
            yield from (batch for batch in batches if batch is not None)
        finally:
            batches.close()

    def _close(self):
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def _example(self, place, number):
        epoch = place // len(self.source)
        return place, number, self._load(number, (self.seed, epoch, number))

    def _join(self, examples):
        shown = {number for _, number, _ in examples}
        examples = [
            self._stand_in(place, shown) if example is None and self.training else example
            for place, _, example in examples
        ]
        columns = zip(*(example for example in examples if example is not None), strict=True)
        return tuple(np.stack(column) for column in columns) or None

    def _stand_in(self, place, shown):
        """A video for the place of a broken one: if possible none that the epoch has already."""
        epoch, slot = divmod(place, len(self.source))
        rng = np.random.default_rng((self.seed, epoch, slot, 1))
        unused = range(self._count * self.n, len(self.source))
        unused = [self._order[epoch * len(self.source) + slot] for slot in unused]
        numbers = dict.fromkeys([*rng.permutation(unused), *rng.permutation(len(self.source))])
        for number in sorted(map(int, numbers), key=shown.__contains__):
            example = self._load(number, (self.seed, epoch, number, 1 + slot))
            if example is not None:
                shown.add(number)
                return example
        raise self._nothing()

    def _load(self, number, draws):
        """(video, label), with a weight if there are any, or None for a video that is broken."""
        path, label, _, start, end = self.source[number]
        options = {"sampling": self.sampling, "short": self.short, "memory": self.memory}
        options |= {"start": start, "end": end}
        try:
            if self._several_views:
                video = read_views(path, self.clip, self.views, **options)
            else:
                video = read_clip(
                    path,
                    self.clip,
                    training=self.training,
                    rng=np.random.default_rng(draws),
                    augment=self.augment,
                    **options,
                )
        except VideoDecodeError as error:
            if self.on_error == "raise":
                raise
            # Tried again in every epoch, so that an epoch does not depend on those before it.
            with self._error_lock:
                new = path not in self.source.errors
                self.source.errors[path] = error.reason
            if new:
                warnings.warn(f"skipped: {error}", stacklevel=2)
            return None
        if self.class_weights is not None:
            return video, np.int32(label), np.float32(self.class_weights[label])
        return video, np.int32(label)

    def _report(self):
        errors = len(self.source.errors)
        if errors > self._reported:
            self._reported = errors
            warnings.warn(
                f"{errors} of {len(self.source)} videos were skipped: they cannot be decoded "
                "(source.errors says why)"
                + ("; others were shown in their place" if self.training else ""),
                stacklevel=3,
            )

    def _nothing(self):
        path, reason = next(iter(self.source.errors.items()))
        return ValueError(
            f"batches: none of the {len(self.source)} videos could be decoded; the first: "
            f"{path}: {reason}"
        )
