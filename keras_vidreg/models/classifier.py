"""The model class that every builder of this package returns."""

import dataclasses
import functools

import keras
import numpy as np
from keras import ops

from keras_vidreg.data import Clip, prepare, read_clip


@keras.saving.register_keras_serializable(package="keras_vidreg")
class VideoClassifier(keras.Model):
    """A Functional Keras model that knows its labels and how to feed itself.

    Args:
        inputs: symbolic video, `(B, T, H, W, 3)`, in the pixel range that `clip` states.
        outputs: symbolic logits, `(B, classes)`.
        labels: number of classes, or their names.
        clip: the `Clip` that the model was made for.
        features: name of the layer whose output is the backbone's.
        name: of the model.

    Raises:
        ValueError: if the labels do not fit the outputs.

    Example:

    >>> model = kv.models.movinet("a0", labels=["yes", "no"])
    >>> model.compile(optimizer="adamw")  # cross-entropy on logits, accuracy
    >>> model.classify(np.zeros((8, 64, 64, 3), "uint8"), top=1)
    [('yes', 0.5)]
    """

    def __init__(self, inputs, outputs, *, labels, clip, features, name=None):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self._labels = label_names(labels)
        self._clip = clip
        self._features = features
        if len(self._labels) != outputs.shape[-1]:
            raise ValueError(
                f"`labels` must name every output. Received {len(self._labels)} labels for "
                f"{outputs.shape[-1]} outputs"
            )

    @property
    def labels(self):
        """Names of the classes, in the order of the logits."""
        return self._labels

    @property
    def clip(self):
        """The `Clip`: everything needed to feed the model correctly."""
        return self._clip

    @functools.cached_property  # written to __dict__, so Keras does not track it as a layer
    def backbone(self):
        """The part in front of the head, `(B, T, H, W, 3)` to `(B, T, h, w, C)`; same weights."""
        features = self.get_layer(self._features).output
        return keras.Model(self.inputs[0], features, name=f"{self.name}_backbone")

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **kwargs):
        """As `keras.Model.compile`; without a loss, sparse cross-entropy on logits and accuracy."""
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            metrics = ["accuracy"] if metrics is None else metrics
        super().compile(optimizer, loss, metrics=metrics, **kwargs)

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def classify(self, video, top=5):
        """The most probable labels of one video.

        Args:
            video: path of a video file, or an array `(T, H, W, 3)`: uint8 as decoded, or floating
                point in the pixel range of `.clip`, which is fed as it is.
            top: how many labels. Defaults to 5.

        Returns:
            List of `(label, probability)`, the most probable first.

        Raises:
            VideoDecodeError: if the file holds no readable video.
            ValueError: for an array of another shape.
        """
        if isinstance(video, np.ndarray):
            if video.ndim != 4 or video.shape[-1] != 3:
                raise ValueError(
                    "`video` must be a path or an array of shape (T, H, W, 3). "
                    f"Received an array of shape {video.shape}"
                )
            if video.dtype == np.uint8:
                video = prepare(video, self.clip)
        else:
            video = read_clip(video, self.clip)
        logits = self.predict_on_batch(np.asarray(video, "float32")[None])[0]
        scores = ops.convert_to_numpy(ops.softmax(np.asarray(logits, "float32")))
        best = np.argsort(-scores, kind="stable")[:top]
        return [(self.labels[i], float(scores[i])) for i in best]

    def get_config(self):
        network = keras.Model(self.inputs[0], self.outputs[0], name=self.name)
        return {
            "network": network.get_config(),
            "labels": list(self.labels),
            "clip": dataclasses.asdict(self.clip),
            "features": self._features,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        network = keras.Model.from_config(config["network"], custom_objects=custom_objects)
        return cls(
            network.inputs[0],
            network.outputs[0],
            labels=config["labels"],
            clip=Clip.from_dict(config["clip"]),
            features=config["features"],
            name=network.name,
        )


def label_names(labels):
    """`labels` as a tuple of names: a number n gives "0" to "n-1"."""
    if isinstance(labels, int):
        labels = range(labels)
    elif isinstance(labels, str):
        raise ValueError(f"`labels` must be a number or several names. Received: {labels!r}")
    names = tuple(str(label) for label in labels)
    if not names or len(set(names)) < len(names):
        raise ValueError(f"`labels` must be one or more different names. Received: {names}")
    return names
