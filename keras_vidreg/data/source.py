"""Random access to labeled videos."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_vidreg.data.batches import Batches
from keras_vidreg.data.clip import Clip
from keras_vidreg.data.read import FrameCache


class LabeledVideo(NamedTuple):
    """One video, or a part of one.

    Args:
        path: Its file.
        label: The number of its label.
        group: Word for what it must not be parted from by `VideoSource.split`.
        start: Seconds at which the part begins. Defaults to `None`, the beginning.
        end: Seconds at which it ends. Defaults to `None`, the end.
    """

    path: str
    label: int
    group: str
    start: float | None = None
    end: float | None = None


class VideoSource:
    """Labeled videos: `len(source)`, `source[i]` -> `LabeledVideo`, `.batches(n)`.

    Args:
        records: `LabeledVideo`s.
        labels: Names of the classes, each once.
        clip: The `Clip` that `batches` reads by default.
        root: Folder that `digest` takes paths relative to.
        memory: What is known of the files already, from another source of the same.

    Attributes:
        errors: {path: reason} of the files that were skipped so far.

    Raises:
        ValueError: If a label is none of the classes, or two classes have the same name.

    Example:

    >>> videos = [kv.data.LabeledVideo(f"{i}.mp4", i % 2, str(i)) for i in range(10)]
    >>> source = kv.data.VideoSource(videos, labels=["no", "yes"])
    >>> [len(part) for part in source.split(0.2)]
    [8, 2]
    """

    def __init__(
        self,
        records: Iterable[LabeledVideo],
        labels: Sequence[str],
        clip: Clip | None = None,
        root: str | os.PathLike = "",
        memory: FrameCache | None = None,
    ):
        self.records = tuple(records)
        self.labels = tuple(labels)
        if len(set(self.labels)) < len(self.labels):
            twice = next(name for name in self.labels if self.labels.count(name) > 1)
            raise ValueError(f"VideoSource: labels have {twice!r} more than once.")
        for record in self.records:
            if not 0 <= record.label < len(self.labels):
                raise ValueError(
                    f"VideoSource: label={record.label} of {record.path!r}; with "
                    f"{len(self.labels)} labels give a number from 0 to {len(self.labels) - 1}."
                )
        self.clip = clip
        self.root = os.fspath(root)
        self.errors = {}
        self.memory = memory or FrameCache(threads=1)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> LabeledVideo:
        return self.records[index]

    def __iter__(self) -> Iterator[LabeledVideo]:
        return iter(self.records)

    def __repr__(self):
        return f"VideoSource({len(self)} videos, {len(self.labels)} labels, root={self.root!r})"

    def select(self, which: Sequence[int] | np.ndarray) -> "VideoSource":
        """The videos with these numbers, in that order, or where a mask is True.

        Args:
            which: Numbers, or a truth value for each video.

        Returns:
            `VideoSource` that shares what is known of the files.

        Raises:
            ValueError: If a mask does not have one value for each video.
        """
        which = np.asarray(which)
        if which.dtype == bool:
            if which.shape != (len(self),):
                raise ValueError(
                    f"select: a mask of shape {which.shape} for {len(self)} videos; give one "
                    "truth value for each."
                )
            which = np.flatnonzero(which)
        records = [self.records[i] for i in which]
        return VideoSource(records, self.labels, self.clip, self.root, self.memory)

    def subset(self, n: int, seed: int = 0) -> "VideoSource":
        """`n` videos, as many of each label as its share; in the order of the source.

        Args:
            n: Integer, how many.
            seed: Integer from 0, of the choice. Defaults to 0.

        Returns:
            `VideoSource`.

        Raises:
            ValueError: If the source has fewer.
        """
        if not 1 <= n <= len(self):
            raise ValueError(f"subset: n={n}; the source has {len(self)} videos.")
        rng = np.random.default_rng(seed)
        label = np.array([record.label for record in self.records])
        classes, counts = np.unique(label, return_counts=True)
        share = counts * n / len(self)
        take = np.floor(share).astype(int)
        take[np.argsort(take - share, kind="stable")[: n - take.sum()]] += 1
        chosen = [
            rng.permutation(np.flatnonzero(label == c))[:t]
            for c, t in zip(classes, take, strict=True)
        ]
        return self.select(np.sort(np.concatenate(chosen)))

    def split(self, fraction: float, seed: int = 0) -> tuple["VideoSource", "VideoSource"]:
        """Two parts; no group of videos lies on both sides.

        Args:
            fraction: Number between 0 and 1, the second part's share of the videos of each label.
            seed: Integer from 0, of the choice. Defaults to 0.

        Returns:
            `(rest, part)`, two `VideoSource`s.

        Raises:
            ValueError: If `fraction` is no such number, or there is only one group.
        """
        if not 0 < fraction < 1:
            raise ValueError(f"split: fraction={fraction}; give a number between 0 and 1.")
        groups = {}
        for i, record in enumerate(self.records):
            groups.setdefault(record.group, []).append(i)
        if len(groups) < 2:
            raise ValueError(f"split: {len(groups)} group of videos cannot lie on two sides.")
        missing = fraction * np.bincount(
            [record.label for record in self.records], minlength=len(self.labels)
        )
        names, part = list(groups), []
        for k in np.random.default_rng(seed).permutation(len(names)):
            members = groups[names[k]]
            held = np.bincount([self.records[i].label for i in members], minlength=len(missing))
            # Taken if that brings the counts nearer to what they should be.
            if 2 * np.minimum(held, np.maximum(missing, 0)).sum() >= held.sum():
                part += members
                missing = missing - held
        in_part = np.zeros(len(self), bool)
        in_part[part] = True
        return self.select(~in_part), self.select(in_part)

    def digest(self) -> str:
        """SHA-256 over the sorted (relative path, label, file size, segment if it is one).

        Returns:
            64 hexadecimal digits: which data this is.
        """
        lines = []
        for path, label, _, *segment in self.records:
            cells = [self._relative(path), self.labels[label], os.path.getsize(path)]
            cells += segment if any(time is not None for time in segment) else []
            lines.append("\t".join(map(str, cells)) + "\n")
        return hashlib.sha256(os.fsencode("".join(sorted(lines)))).hexdigest()

    def class_weights(self) -> dict[int, float]:
        """{label number: weight} that makes every class that occurs count the same in a loss.

        ```
        weight = videos / (classes that occur * videos of the class)
        ```

        The mean over the videos is 1. Use them in `model.fit(..., class_weight=...)`, or in
        `batches(n, class_weights=...)` for a loop of your own.

        Returns:
            A weight for each label number that occurs.
        """
        classes, counts = np.unique([record.label for record in self.records], return_counts=True)
        weights = len(self) / (len(classes) * counts)
        return dict(zip(classes.tolist(), weights.tolist(), strict=True))

    def batches(self, n: int, **options: Any) -> Batches:
        """`keras.utils.PyDataset` of (video (n, T, H, W, 3), label (n,)).

        Args:
            n: Integer, videos in a batch.
            **options: Those of `Batches`.

        Returns:
            `Batches`.
        """
        return Batches(self, n, **options)

    def _relative(self, path):
        path = os.path.relpath(path, self.root) if self.root else path
        return path.replace(os.sep, "/")
