"""What layers that mix pairs of labelled clips have in common."""

import math
from typing import Any

import keras
from keras import ops

from keras_vidreg._arguments import check_integer, check_number
from keras_vidreg.layers._channels_last import ChannelsLast


class ClipMixing(ChannelsLast):
    """Mixes every clip of a batch with another: the labels here, the pixels in a subclass."""

    def __init__(
        self,
        alpha: float,
        num_classes: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(autocast=False, **kwargs)  # half precision would round the labels
        self.alpha = check_number("alpha", alpha, "above 0", lambda value: value > 0)
        if num_classes is not None:
            num_classes = check_integer("num_classes", num_classes, 2)
        self.num_classes = num_classes
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def mix(self, videos, partners):
        """Returns the mixed videos and `kept` (B,), the share of each clip that is its own."""
        raise NotImplementedError

    def call(self, inputs, training=True):
        videos, labels = inputs
        self.compute_output_shape((videos.shape, labels.shape))  # checks both
        videos = ops.cast(videos, self.compute_dtype)
        if len(labels.shape) == 1:
            labels = ops.one_hot(labels, self.num_classes)
        labels = ops.cast(labels, "float32")  # (B, classes)
        if not training:
            return videos, labels
        order = keras.random.shuffle(ops.arange(ops.shape(videos)[0]), seed=self.seed_generator)
        videos, kept = self.mix(videos, ops.take(videos, order, axis=0))
        kept = kept[:, None]
        return videos, kept * labels + (1 - kept) * ops.take(labels, order, axis=0)

    def draw_shares(self, batch):
        """`batch` draws from Beta(alpha, alpha), by Bailey's polar method for Student's t.

        For T of 2 alpha degrees of freedom, (1 + T / sqrt(2 alpha + T^2)) / 2 is such a draw. Two
        uniform numbers give one, without rejection, so that every backend can compile it.
        """
        u, v = (self.draw_uniform(batch) for _ in range(2))
        power, cosine = u ** (1 / self.alpha), ops.cos(2 * math.pi * v)
        shares = (1 + cosine / ops.sqrt(power / (1 - power) + cosine**2)) / 2
        return ops.clip(shares, 0.0, 1.0)  # against rounding

    def draw_uniform(self, batch):
        """`batch` numbers from 0 to below 1."""
        return keras.random.uniform((batch,), dtype="float32", seed=self.seed_generator)

    def compute_output_shape(self, input_shape):
        videos, labels = input_shape
        if len(videos) not in (4, 5):
            raise ValueError(
                f"`{self.name}` takes videos (B, T, H, W, C) or images (B, H, W, C). "
                f"Received: a shape of {tuple(videos)}"
            )
        if len(labels) == 1 and self.num_classes is None:
            raise ValueError(
                f"`{self.name}` needs `num_classes` to mix integer labels. Received: labels of "
                f"shape {tuple(labels)}, num_classes=None"
            )
        if len(labels) not in (1, 2) or labels[1:] == (1,):
            raise ValueError(
                f"`{self.name}` takes integer labels (B,) or soft labels (B, classes). "
                f"Received: a shape of {tuple(labels)}"
            )
        classes = labels[1] if len(labels) == 2 else self.num_classes
        if self.num_classes not in (None, classes):
            raise ValueError(
                f"`num_classes` must be that of the labels. Received: "
                f"num_classes={self.num_classes}, labels of shape {tuple(labels)}"
            )
        return tuple(videos), (labels[0], classes)

    def compute_output_spec(self, inputs, **kwargs):
        super().compute_output_spec(inputs, **kwargs)
        videos, labels = self.compute_output_shape([x.shape for x in inputs])
        return (
            keras.KerasTensor(videos, self.compute_dtype),
            keras.KerasTensor(labels, "float32"),
        )

    def get_config(self):
        return {
            **super().get_config(),
            "alpha": self.alpha,
            "num_classes": self.num_classes,
            "seed": self.seed,
        }
