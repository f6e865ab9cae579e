"""What a recipe minimises, and how."""

from typing import Any

import keras
from keras import ops

from keras_vidreg.training.learning_rate_groups import LearningRateGroups


def optimizer(recipe, model, steps_per_epoch):
    """AdamW with linear warm-up and cosine decay, no decay of biases and scales, built.

    Args:
        recipe: A `Recipe`.
        model: The model that it will train.
        steps_per_epoch: Steps of one epoch.
    """
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    total = recipe.epochs * steps_per_epoch

    def schedule(peak):
        return keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else peak,
            decay_steps=max(1, total - warmup),
            alpha=recipe.final_share,
            warmup_target=peak if warmup else None,
            warmup_steps=warmup,
        )

    result = keras.optimizers.AdamW(
        schedule(recipe.learning_rate),
        weight_decay=recipe.weight_decay,
        global_clipnorm=recipe.clip_norm,
        use_ema=recipe.ema is not None,
        ema_momentum=recipe.ema or 0.0,
    )
    if recipe.group_rates:
        rates = {pattern: schedule(rate) for pattern, rate in recipe.group_rates.items()}
        result = LearningRateGroups(result, rates)
    variables = model.trainable_variables
    result.exclude_from_weight_decay(var_list=[v for v in variables if len(v.shape) < 2])
    result.build(variables)
    return result


@keras.saving.register_keras_serializable(package="keras_vidreg")
class SmoothedCrossentropy(keras.losses.Loss):
    r"""Cross-entropy from logits with label smoothing, for integer or soft labels.

    ```
    loss = (1 - s) * -log p[label] + s * mean_k(-log p[k])            label (B,)
    loss = (1 - s) * -sum_k(label[k] * log p[k]) + s * mean_k(-log p[k])    label (B, classes)
    ```

    Args:
        smoothing: Share `s` of the target that is spread over all classes, from 0 to below 1.
        name: Of the loss.

    Example:

    >>> model = kv.models.resnet_cifar(8, labels=10)
    >>> model.compile("adamw", loss=kv.training.SmoothedCrossentropy(0.1))

    Reference:
        Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2016,
        section 7.
    """

    def __init__(
        self, smoothing: float = 0.1, name: str = "smoothed_crossentropy", **kwargs: Any
    ) -> None:
        super().__init__(name=name, **kwargs)
        if not 0 <= smoothing < 1:
            raise ValueError(f"`smoothing` must be from 0 to below 1. Received: {smoothing!r}")
        self.smoothing = smoothing

    def call(self, y_true, y_pred):
        log_probabilities = ops.log_softmax(y_pred, axis=-1)  # (B, classes)
        if _soft(y_true):
            labels = ops.cast(y_true, log_probabilities.dtype)  # (B, classes)
            own = ops.sum(labels * log_probabilities, axis=-1)  # (B,)
        else:
            labels = ops.cast(ops.reshape(y_true, (-1, 1)), "int32")  # (B, 1)
            own = ops.take_along_axis(log_probabilities, labels, axis=-1)[:, 0]  # (B,)
        mean = ops.mean(log_probabilities, axis=-1)  # (B,)
        return -(1 - self.smoothing) * own - self.smoothing * mean

    def get_config(self):
        return {**super().get_config(), "smoothing": self.smoothing}


def accuracy(y_true, y_pred):
    """Whether the most probable label is the right one, or the one with the largest share."""
    labels = ops.argmax(y_true, axis=-1) if _soft(y_true) else ops.reshape(y_true, (-1,))
    found = ops.equal(ops.cast(labels, "int32"), ops.cast(ops.argmax(y_pred, axis=-1), "int32"))
    return ops.cast(found, "float32")


def _soft(labels):
    """Whether labels are (B, classes), and not integers (B,) or (B, 1)."""
    return len(labels.shape) == 2 and labels.shape[-1] != 1


def loss(recipe):
    """Loss of a recipe: cross-entropy from logits, smoothed or of mixed labels where it says so."""
    if recipe.label_smoothing or recipe.mix:
        return SmoothedCrossentropy(recipe.label_smoothing)
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
