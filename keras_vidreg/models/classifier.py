"""The model class that every builder of this package returns."""

import dataclasses
import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_vidreg._keras import MarksOutputs, flat_layers
from keras_vidreg.data import Clip
from keras_vidreg.data.batches import Batches
from keras_vidreg.models.description import Description, global_policy, label_names
from keras_vidreg.models.few_steps import warn_of_few_steps
from keras_vidreg.models.parts import layers_of
from keras_vidreg.models.read_input import read_videos

PREDICTING = threading.Lock()


@keras.saving.register_keras_serializable(package="keras_vidreg")
class VideoClassifier(MarksOutputs, keras.Model):
    """A Functional Keras model that knows its labels and how to feed itself.

    Args:
        inputs: Symbolic video, `(B, T, H, W, 3)`, in the pixel range that `clip` states.
        outputs: Symbolic logits, `(B, classes)`.
        name: String. Name of the model.
        labels: Integer or strings. Number of classes, or their names.
        clip: `kv.data.Clip`. What the model was made for.
        features: String. Name of the layer whose output is the backbone's.
        embeddings: String. Name of the layer whose output `embed` gives. Defaults to `features`.

    Raises:
        ValueError: If the labels do not fit the outputs.

    Example:

    >>> model = kv.models.movinet("a0", labels=["yes", "no"])
    >>> model.compile(optimizer="adamw")  # cross-entropy on logits, accuracy
    >>> model.classify(np.zeros((8, 64, 64, 3), "uint8"), top=1)
    [('yes', 0.5...)]
    """

    def __init__(
        self,
        inputs: keras.KerasTensor,
        outputs: keras.KerasTensor,
        name: str | None = None,
        *,
        labels: int | Sequence[str] | None = None,
        clip: Clip | None = None,
        features: str | None = None,
        embeddings: str | None = None,
    ):
        super().__init__(inputs=inputs, outputs=outputs, name=name)
        self._description: Description | None = None
        self._undescribed: str | None = "it is not known how it was built"
        self._origin: str | None = None
        if labels is None:
            self._clone_of(getattr(outputs, "classifier", None))
            return
        self._labels = label_names(labels)
        self._clip: Any = clip
        self._features = features
        self._embeddings = embeddings or features
        if len(self._labels) != outputs.shape[-1]:
            raise ValueError(
                f"`labels` must name every output. Received {len(self._labels)} labels for "
                f"{outputs.shape[-1]} outputs"
            )

    def _clone_of(self, model):
        """`keras.models.clone_model` gives a constructor tensors and a name, and no more."""
        if model is None:
            raise ValueError("`labels`, `clip` and `features` are needed")
        for name in ("_labels", "_clip", "_features", "_embeddings", "_origin", "_undescribed"):
            setattr(self, name, getattr(model, name))
        layers, theirs = (  # all but the input, which gets another name
            [x.get_config() for x in m.layers if not isinstance(x, keras.layers.InputLayer)]
            for m in (self, model)
        )
        if layers == theirs:
            self._description = model.description
        else:
            self._undescribed = "its layers are other than those that it was copied from"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self._labels

    @property
    def clip(self) -> Clip:
        """The `Clip`: everything needed to feed the model correctly."""
        return self._clip

    @functools.cached_property  # written to __dict__, so Keras does not track it as a layer
    def backbone(self) -> keras.Model:
        """The part in front of the head, `(B, T, H, W, 3)` to `(B, T, h, w, C)`; same weights."""
        features = self.get_layer(self._features).output
        return keras.Model(self.inputs[0], features, name=f"{self.name}_backbone")

    def compile(self, optimizer="rmsprop", loss=None, metrics=None, **kwargs):
        """As `keras.Model.compile`; without a loss, sparse cross-entropy on logits and accuracy."""
        if loss is None:
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
            metrics = ["accuracy"] if metrics is None else metrics
        super().compile(optimizer, loss, metrics=metrics, **kwargs)

    @functools.wraps(keras.Model.fit)
    def fit(self, x=None, *args, **kwargs):
        if isinstance(x, Batches):  # shuffled already; in their order they are decoded ahead
            kwargs.setdefault("shuffle", False)
        history = super().fit(x, *args, **kwargs)
        warn_of_few_steps(self)
        return history

    def quantize(self, mode=None, config=None, filters=None, **kwargs):
        """As `keras.Model.quantize`, but attention stays as it is unless `filters` are given.

        Keras saves the quantized parts of an attention layer and cannot load them.
        """
        if filters is None:
            attention = (x for x in self.layers if isinstance(x, keras.layers.MultiHeadAttention))
            kept = {id(part) for layer in attention for part in flat_layers(layer)}
            filters = lambda layer: id(layer) not in kept  # noqa: E731
        super().quantize(mode, config=config, filters=filters, **kwargs)

    def compile_from_config(self, config):
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def freeze(self, part: str = "backbone") -> list[str]:
        """Keep a part of the model as it is in training; call `compile` afterwards.

        Frozen batch normalizations use their moving statistics and leave them alone. What is
        frozen already stays frozen.

        Args:
            part: String. One of
                `"backbone"`: all layers in front of the head, as in `.backbone`;
                `"all_but_head"`: all but the last layer, which gives the logits;
                a word, such as `"res4"` or `"block2"`: the layers of that stage (those called so,
                or so and an underscore), and all that they depend on, from the input on;
                a regular expression that is more than a word, such as `"norm$"`: the layers in
                whose names it is found, and no others.
                Defaults to `"backbone"`.

        Returns:
            Names of the layers with weights that this call froze, from the input on.

        Raises:
            ValueError: If there is no such part.

        Example:

        >>> model = kv.zoo.load("movinet_a0_grw_airplanes", labels=["left", "right"])
        >>> frozen = model.freeze("backbone")
        >>> model.compile("adamw")
        """
        layers = layers_of(self, part)
        for layer in layers:
            layer.trainable = False
        return [layer.name for layer in layers]

    def unfreeze(self) -> None:
        """Let every layer be trained again; call `compile` afterwards."""
        for layer in self.layers:  # TensorFlow does not pass a value on that the model has already
            layer.trainable = True

    def classify(self, video: Any, top: int = 5) -> list[tuple[str, float]]:
        """The most probable labels of one video.

        Args:
            video: Path of a video file or of a folder of frames, or an array, tensor or list of
                frames `(T, H, W, 3)`: integers from 0 to 255 as decoded, or floating point in the
                pixel range of `.clip`, which is fed as it is.
            top: Integer. How many labels, at least 1. Defaults to 5.

        Returns:
            List of `(label, probability)`, the most probable first.

        Raises:
            VideoDecodeError: If the file holds no readable video.
            ValueError: If it is an array of another shape or with other numbers, or if `top` is no
                positive integer.
        """
        if isinstance(top, bool) or not isinstance(top, int) or top < 1:
            raise ValueError(f"`top` must be an integer of at least 1. Received: top={top!r}")
        videos, several = read_videos(video, self.clip)
        if several:
            raise ValueError(
                "`classify` takes one video, (T, H, W, 3). Received: several, of shape "
                f"{videos.shape}; call it for each"
            )
        (logits,) = self._predicted(self, videos)
        scores = ops.convert_to_numpy(ops.softmax(np.asarray(logits, "float32")))
        best = np.argsort(-scores, kind="stable")[:top]
        return [(self.labels[i], float(scores[i])) for i in best]

    def embed(self, video: Any, per_frame: bool = False) -> np.ndarray:
        """Features of a video, or of several: one vector a clip, or one a frame.

        They are what the backbone gives, averaged over space and time, or over space only. A GRW
        classifier gives its embeddings Z, averaged over time or as they are.

        Args:
            video: As in `classify`; or an array `(B, T, H, W, 3)` of several.
            per_frame: Boolean. Whether to keep time. Defaults to False.

        Returns:
            float32 array `(C,)`, or `(T', C)` if `per_frame`: T' is T, or less in backbones that
            subsample time. With `(B, ...)` in front for several videos.

        Raises:
            VideoDecodeError: If the file holds no readable video.
            ValueError: If it is an array of another shape or with other numbers.

        Example:

        >>> model = kv.models.movinet("a0")
        >>> model.embed(np.zeros((8, 64, 64, 3), "uint8"), per_frame=True).shape
        (8, 480)
        """
        videos, several = read_videos(video, self.clip)
        features = np.asarray(self._predicted(self._embedder, videos), "float32")
        if features.ndim == 5:  # (B, T', h, w, C)
            features = features.mean(axis=(2, 3))  # (B, T', C)
        if not per_frame:
            features = features.mean(axis=1)  # (B, C)
        return features if several else features[0]

    @functools.cached_property
    def _embedder(self):
        layer = self.get_layer(self._embeddings)
        return keras.Model(self.inputs[0], layer.output, name=f"{self.name}_embedder")

    @staticmethod
    def _predicted(model, videos):
        # On JAX a step gives its buffers away: of two threads, one would find them gone.
        with PREDICTING:
            return model.predict_on_batch(videos)

    @property
    def description(self) -> Description | None:
        """The `Description` that builds such a model; None if layers were put in or replaced."""
        return self._description

    @property
    def origin(self) -> str | None:
        """Name of the zoo entry, folder or address whose weights the model was given, or None."""
        return self._origin

    def described_by(self, what: Description | str, origin: str | None = None) -> None:
        """Say how the model was built: a `Description`, or in words why there is none."""
        self._description = what if isinstance(what, Description) else None
        self._undescribed = None if isinstance(what, Description) else what
        self._origin = origin

    @property
    def undescribed(self) -> str | None:
        """Why there is no description, in words; None if there is one."""
        return self._undescribed

    @classmethod
    def from_preset(cls, name: str | Path, **options: Any) -> "VideoClassifier":
        """The same as `kv.zoo.load`: a zoo entry, a folder, or `"hf://user/repo"`."""
        from keras_vidreg import zoo

        return zoo.load(name, **options)

    def save_to_preset(self, folder: str | Path, **facts: Any) -> Path:
        """The same as `kv.zoo.save`."""
        from keras_vidreg import zoo

        return zoo.save(self, folder, **facts)

    def get_config(self):
        config = {"origin": self._origin}
        if self._description is not None:
            config["description"] = self._description.to_dict()
        if self._description is None or any(layer.quantization_mode for layer in self.layers):
            network = keras.Model(self.inputs[0], self.outputs[0], name=self.name)
            return {
                **config,
                "network": network.get_config(),
                "labels": list(self.labels),
                "clip": dataclasses.asdict(self.clip),
                "features": self._features,
                "embeddings": self._embeddings,
            }
        frozen = [layer.name for layer in self.layers if not layer.trainable]
        return {
            **config,
            "frozen": frozen,
            "policy": keras.dtype_policies.serialize(self.dtype_policy),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        description = config.get("description")
        description = description and Description.from_dict(description)
        if "network" in config:
            network = keras.Model.from_config(config["network"], custom_objects=custom_objects)
            model = cls(
                network.inputs[0],
                network.outputs[0],
                labels=config["labels"],
                clip=Clip.from_dict(config["clip"]),
                features=config["features"],
                embeddings=config["embeddings"],
                name=network.name,
            )
        else:
            with global_policy(keras.dtype_policies.deserialize(config["policy"])):
                model = description.build()
            for name in config["frozen"]:
                model.get_layer(name).trainable = False
        if description is not None:
            model.described_by(description, config["origin"])
        return model
