"""Weights that others have published: the table in `published.json`.

It has a group for what one publisher offers of one family: what all its weights have in `common`,
and what each one has of its own.
"""

import dataclasses
import functools
import json
from pathlib import Path

from keras_vidreg.data import Clip
from keras_vidreg.zoo.labels import read_labels

TABLE = Path(__file__).with_name("published.json")
SIZES = Path(__file__).with_name("published_sizes.json")  # written by benchmarks/zoo_sizes.py


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """Where published weights are, what they are for, and who says so.

    What could not be found out is `None`.

    Args:
        name: Of the zoo entry.
        family: `"grw"`, `"movinet"`, `"slowonly"`, `"slowfast"`, `"csn"` or `"resnet3d_rs"`.
        publisher: Who published the file.
        builder: Name in `kv.zoo.BUILDERS`.
        arguments: Keyword arguments of the builder, but for those that the file itself states.
        clip: The input, as the publisher evaluates the network on a single view.
        layout: Name for `kv.zoo.port_weights`.
        container: `"torch"`, `"caffe2"` (a pickle of NumPy arrays) or `"tensorflow"` (a checkpoint
            folder in a `.tar.gz`).
        classes: Number of classes.
        data: What the network was trained on.
        accuracy: `{"top1": 74.58, "top5": 91.63}`, in percent, as printed.
        views: How many views of a video that is the mean of, `"10 clips x 3 crops"`.
        reported_by: Who measured it.
        references: `{fact: address}`, where the facts above stand.
        channels: `"rgb"` or `"bgr"`, the order that the network wants.
        member: Which item of the file holds the weights; `None`: the file is the state dict.
        labels: Which of the lists in `keras_vidreg/zoo/labels` the logits follow.
        url: Address of the file.
        repo, filename, revision: The same for a file on the Hugging Face Hub.
        sha256: Of the file, or the first digits of it.
        git_blob: Its object name in git.
        size_mb: Megabytes, rounded as the publisher states them.
        license: SPDX name of the license that the publisher puts on what surrounds the weights.
        notes: What else to know, and where sources disagree.
    """

    name: str
    family: str
    publisher: str
    builder: str
    arguments: dict
    clip: Clip
    layout: str
    container: str
    classes: int
    data: str
    accuracy: dict
    views: str
    reported_by: str
    references: dict
    channels: str = "rgb"
    member: str | None = None
    labels: str | None = None
    url: str | None = None
    repo: str | None = None
    filename: str | None = None
    revision: str | None = None
    sha256: str | None = None
    git_blob: str | None = None
    size_mb: int | None = None
    license: str | None = None
    notes: str = ""

    @property
    def published(self) -> bool:
        """Whether there is a file to fetch."""
        return bool(self.url or self.repo)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classes in the order of the logits; numbers where that is not known."""
        if self.labels is None:
            return tuple(str(i) for i in range(self.classes))
        return read_labels(self.labels)


def _read(table):
    """The rows of the table; dicts in `common` and in a row are put together."""
    for group in json.loads(table.read_text(encoding="utf-8")):
        common = {"builder": group["common"]["family"], **group["common"]}
        for name, own in group["weights"].items():
            facts = {**common, **own}
            for key, value in common.items():
                if isinstance(value, dict):
                    facts[key] = {**value, **own.get(key, {})}
            yield (
                name,
                PublishedWeights(**{**facts, "name": name, "clip": Clip.from_dict(facts["clip"])}),
            )


PUBLISHED = dict(_read(TABLE))


@functools.cache
def published_sizes() -> dict[str, tuple[int, int]]:
    """`{name: (trainable parameters, multiply-adds for one clip)}`, measured on our builders."""
    table = json.loads(SIZES.read_text(encoding="utf-8"))
    return {name: tuple(numbers) for name, numbers in table.items()}
