"""Layer that pastes a box of one labelled clip into another."""

from typing import Any

import keras
from keras import ops

from keras_vidreg._arguments import check_number
from keras_vidreg.layers._clip_mixing import ClipMixing


@keras.saving.register_keras_serializable(package="keras_vidreg")
class VideoCutMix(ClipMixing):
    """Pastes a box of another clip into every clip of a batch, and mixes the labels, in training.

    ```
    video = video of partner inside of the box, video elsewhere
    label = kept * label + (1 - kept) * label of partner
    ```

    The box has `sqrt(1 - share)` of the height and of the width, `share ~ Beta(alpha, alpha)`, and
    a center that is uniform over the frame; what is outside of the frame is cut off. `kept` is the
    exact fraction of pixels that stay. A clip has one box, the same in all of its frames, and
    partners are a random permutation of the batch. The authors' program draws one box per
    mini-batch; a draw per clip has the same distribution and varies more within a step.

    Args:
        alpha: Float above 0, of the Beta distribution. Defaults to `1`, where `share` is uniform.
        probability: Float from 0 to 1, that a clip gets a box. Defaults to `1`.
        num_classes: Integer, the number of classes of integer labels. Defaults to `None`: labels
            are soft.
        seed: Integer, for reproducible draws. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Pair of videos `(B, T, H, W, C)` (or images `(B, H, W, C)`) and labels: integers
            `(B,)`, or one-hot or soft `(B, classes)`.
        training: Whether to mix; `False` only makes the labels soft. Defaults to `True`.

    Output shape:
        Those of the videos, in the compute dtype, and of labels `(B, classes)` in float32, for
        a loss such as `keras.losses.CategoricalCrossentropy(from_logits=True)`.

    Raises:
        ValueError: If an argument is out of range, or an input has another shape.

    Example:

    >>> videos, labels = np.zeros((4, 8, 32, 32, 3), "float32"), np.array([0, 2, 1, 2])
    >>> videos, labels = kv.layers.VideoCutMix(num_classes=3, seed=0)((videos, labels))

    Reference:
        Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
        Features", ICCV 2019, section 3.1.
    """

    def __init__(
        self,
        alpha: float = 1.0,
        probability: float = 1.0,
        num_classes: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(alpha, num_classes, seed, **kwargs)
        self.probability = check_number(
            "probability", probability, "from 0 to 1", lambda value: 0 <= value <= 1
        )

    def mix(self, videos: Any, partners: Any) -> Any:
        batch, *middle, _ = ops.shape(videos)
        side = ops.sqrt(1 - self.draw_shares(batch))  # (B,)
        side = ops.where(self.draw_uniform(batch) < self.probability, side, 0.0)
        rows, columns = (self._span(side, size) for size in middle[-2:])
        box = ops.logical_and(rows[:, :, None], columns[:, None, :])  # (B, H, W)
        kept = 1 - ops.mean(ops.cast(box, "float32"), axis=(1, 2))  # (B,)
        frames = (1,) * (len(videos.shape) - 4)
        box = ops.reshape(box, (batch, *frames, *middle[-2:], 1))  # (B, 1, H, W, 1)
        return ops.where(box, partners, videos), kept

    def _span(self, side, size):
        """Which of `size` rows or columns the box covers, `(B, size)`."""
        scale = ops.cast(size, "float32")
        length = ops.round(side * scale)
        start = ops.round(self.draw_uniform(ops.shape(side)[0]) * scale - length / 2)
        place = ops.cast(ops.arange(size), "float32")
        start, length = start[:, None], length[:, None]  # (B, 1)
        return ops.logical_and(place >= start, place < start + length)

    def get_config(self):
        return {**super().get_config(), "probability": self.probability}
