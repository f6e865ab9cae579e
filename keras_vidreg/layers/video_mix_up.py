"""Layer that blends pairs of labelled clips."""

from typing import Any

import keras
from keras import ops

from keras_vidreg.layers._clip_mixing import ClipMixing


@keras.saving.register_keras_serializable(package="keras_vidreg")
class VideoMixUp(ClipMixing):
    """Blends every clip of a batch, and its label, with another of the same batch, in training.

    ```
    video = share * video + (1 - share) * video of partner        share ~ Beta(alpha, alpha)
    label = share * label + (1 - share) * label of partner
    ```

    Partners are a random permutation of the batch. A clip has one share for all of its frames.
    The authors' program draws one share per mini-batch; a draw per clip has the same distribution
    and varies more within a step.

    Args:
        alpha: Float above 0, of the Beta distribution; the larger, the closer are shares to a half.
            Defaults to `0.2`.
        num_classes: Integer, the number of classes of integer labels. Defaults to `None`: labels
            are soft.
        seed: Integer, for reproducible draws. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Pair of videos `(B, T, H, W, C)` (or images `(B, H, W, C)`) and labels: integers
            `(B,)`, or one-hot or soft `(B, classes)`.
        training: Whether to blend; `False` only makes the labels soft. Defaults to `True`.

    Output shape:
        Those of the videos, in the compute dtype, and of labels `(B, classes)` in float32, for
        a loss such as `keras.losses.CategoricalCrossentropy(from_logits=True)`.

    Raises:
        ValueError: If an argument is out of range, or an input has another shape.

    Example:

    >>> videos, labels = np.zeros((4, 8, 32, 32, 3), "float32"), np.array([0, 2, 1, 2])
    >>> videos, labels = kv.layers.VideoMixUp(num_classes=3, seed=0)((videos, labels))

    Reference:
        Zhang, Cisse, Dauphin and Lopez-Paz, "mixup: Beyond Empirical Risk Minimization", ICLR 2018,
        section 2.
    """

    def __init__(
        self,
        alpha: float = 0.2,
        num_classes: int | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(alpha, num_classes, seed, **kwargs)

    def mix(self, videos: Any, partners: Any) -> Any:
        share = ops.cast(self.draw_shares(ops.shape(videos)[0]), videos.dtype)
        kept = ops.cast(share, "float32")  # the labels get what the pixels got, rounding included
        share = ops.reshape(share, (-1,) + (1,) * (len(videos.shape) - 1))  # (B, 1, 1, 1, 1)
        return share * videos + (1 - share) * partners, kept
