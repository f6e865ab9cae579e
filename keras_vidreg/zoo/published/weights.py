"""What is known of weights that others have published."""

import dataclasses

from keras_vidreg.data import Clip
from keras_vidreg.zoo.labels import read_labels


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedWeights:
    """Where published weights are, what they are for, and who says so.

    What could not be found out is `None`.

    Args:
        name: of the zoo entry.
        family: `"grw"`, `"movinet"`, `"slowonly"`, `"slowfast"`, `"csn"` or `"resnet3d_rs"`.
        publisher: who published the file.
        builder: name in `kv.zoo.BUILDERS`.
        arguments: keyword arguments of the builder, but for those that the file itself states.
        clip: the input, as the publisher evaluates the network on a single view.
        channels: `"rgb"` or `"bgr"`, the order that the network wants.
        layout: name for `kv.zoo.port_weights`.
        container: `"torch"`, `"caffe2"` (a pickle of NumPy arrays) or `"tensorflow"` (a checkpoint
            folder in a `.tar.gz`).
        member: which item of the file holds the weights; `None`: the file is the state dict.
        classes: number of classes.
        labels: which of the lists in `keras_vidreg/zoo/labels` the logits follow.
        url: address of the file.
        repo, filename, revision: the same for a file on the Hugging Face Hub.
        sha256: of the file, or the first digits of it.
        git_blob: its object name in git.
        size_mb: megabytes, rounded as the publisher states them.
        data: what the network was trained on.
        license: SPDX name of the license that the publisher puts on what surrounds the weights.
        accuracy: `{"top1": 74.58, "top5": 91.63}`, in percent, as printed.
        views: how many views of a video that is the mean of, `"10 clips x 3 crops"`.
        reported_by: who measured it.
        references: `{fact: address}`, where the facts above stand.
        notes: what else to know, and where sources disagree.
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
    def published(self):
        """Whether there is a file to fetch."""
        return bool(self.url or self.repo)

    @property
    def label_names(self):
        """Names of the classes in the order of the logits; numbers where that is not known."""
        if self.labels is None:
            return tuple(str(i) for i in range(self.classes))
        return read_labels(self.labels)
