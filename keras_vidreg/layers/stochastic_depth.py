"""Layer that drops a residual branch at random."""

from typing import Any

import keras
from keras import ops

from keras_vidreg._arguments import check_number


@keras.saving.register_keras_serializable(package="keras_vidreg")
class StochasticDepth(keras.layers.Layer):
    """Drops a residual branch, whole clips at a time, in training.

    `y = b / (1 - rate) * x`, `b ~ Bernoulli(1 - rate)` once per clip, and `y = x` at inference.

    The layer stands at the end of a branch, before it is added to its shortcut. The paper leaves
    the kept branch as it is in training and multiplies it by `1 - rate` at inference; here, as in
    `keras.layers.Dropout`, the division in training makes up for that, so that the expected output
    is that of inference. The paper draws once per mini-batch; a draw per clip has the same mean and
    averages more of them in every step. (Drawn once per mini-batch, with the factor at inference,
    it is `ShakeDrop(rate, alpha=0, beta=0, level="batch")`.)

    Args:
        rate: Float from 0 to below 1, the probability that a clip's branch is dropped. The paper
            lets it grow in a line with depth: `rate * block / blocks` for blocks 1, 2, … Defaults
            to `0.5`.
        seed: Integer, for reproducible draws. Defaults to `None`.
        **kwargs: Arguments of `keras.layers.Layer`.

    Input shape:
        `(B, ...)`, any rank from 2.

    Output shape:
        That of the input.

    Raises:
        ValueError: If `rate` is out of range.

    Example:

    >>> branch = np.ones((4, 8, 7, 7, 16))
    >>> y = kv.layers.StochasticDepth(0.5, seed=0)(branch, training=True)
    >>> sorted(set(keras.ops.convert_to_numpy(y).flat))
    [np.float32(0.0), np.float32(2.0)]

    Reference:
        Huang et al., "Deep Networks with Stochastic Depth", ECCV 2016, section 3.
    """

    def __init__(self, rate: float = 0.5, seed: int | None = None, **kwargs: Any):
        super().__init__(**kwargs)
        self.rate = check_number("rate", rate, "from 0 to below 1", lambda value: 0 <= value < 1)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        shape = (ops.shape(inputs)[0],) + (1,) * (len(inputs.shape) - 1)  # (B, 1, 1, 1, 1)
        kept = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator) >= self.rate
        scale = ops.cast(kept, "float32") / (1 - self.rate)
        return inputs * ops.cast(scale, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
