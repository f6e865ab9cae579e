"""Random access to labelled videos."""

import hashlib
import os
from typing import NamedTuple

import numpy as np

from keras_vidreg.data.batches import Batches
from keras_vidreg.data.read import FrameCache


class Record(NamedTuple):
    """One video: its file, the number of its label, and the group it must not be parted from."""

    path: str
    label: int
    group: str


class VideoSource:
    """Labelled videos: `len(source)`, `source[i] -> Record(path, label, group)`, `.batches(n)`.

    Args:
        records: `Record`s.
        labels: names of the classes.
        clip: the `Clip` that `batches` reads by default.
        root: folder that `digest` takes paths relative to.

    Attributes:
        errors: {path: reason} of the files that were skipped so far.

    Example:

    >>> source = folder("videos", clip=model.clip)
    >>> train, validation = source.split(0.2)
    >>> model.fit(train.batches(16), validation_data=validation.batches(16, training=False))
    """

    def __init__(self, records, labels, clip=None, root="", memory=None):
        self.records = tuple(records)
        self.labels = tuple(labels)
        self.clip = clip
        self.root = os.fspath(root)
        self.errors = {}
        self.memory = memory or FrameCache(threads=1)

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return self.records[index]

    def __repr__(self):
        return f"VideoSource({len(self)} videos, {len(self.labels)} labels, root={self.root!r})"

    def select(self, which):
        """The videos with these numbers, in that order, or where a mask is True."""
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

    def subset(self, n, seed=0):
        """`n` videos, as many of each label as its share; in the order of the source."""
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

    def split(self, fraction, seed=0):
        """(rest, part): `part` has about `fraction` of the videos of each label, and no group of
        videos lies on both sides."""
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

    def digest(self):
        """SHA-256 over the sorted (relative path, label, file size): which data this is."""
        lines = sorted(
            f"{self._relative(record.path)}\t{self.labels[record.label]}\t"
            f"{os.path.getsize(record.path)}\n"
            for record in self.records
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    def class_weights(self):
        """{label number: weight} that makes every class that occurs count the same in a loss.

        ```
        weight = videos / (classes that occur * videos of the class)
        ```

        The mean over the videos is 1. Use them in `model.fit(..., class_weight=...)`, or in
        `batches(n, class_weights=...)` for a loop of your own.
        """
        classes, counts = np.unique([record.label for record in self.records], return_counts=True)
        weights = len(self) / (len(classes) * counts)
        return dict(zip(classes.tolist(), weights.tolist(), strict=True))

    def batches(self, n, **options):
        """`keras.utils.PyDataset` of (video (n, T, H, W, 3), label (n,)); see `Batches`."""
        return Batches(self, n, **options)

    def _relative(self, path):
        path = os.path.relpath(path, self.root) if self.root else path
        return path.replace(os.sep, "/")
