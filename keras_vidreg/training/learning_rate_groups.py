"""An optimizer with a learning rate of its own for every group of layers."""

import re

import keras
from keras import ops

from keras_vidreg._keras import moving_averages


@keras.saving.register_keras_serializable(package="keras_vidreg")
class LearningRateGroups(keras.optimizers.Optimizer):
    r"""Gives groups of layers learning rates of their own.

    ```
    rate(w) = groups[first pattern found in the path of w], else that of `optimizer`
    ```

    Each group is updated by its own copy of `optimizer`: its steps, and AdamW's weight decay, are
    those of that optimizer with the group's learning rate. Only `global_clipnorm` is taken over all
    groups together.

    Args:
        optimizer: Name or instance of a Keras optimizer. It is copied, not used itself.
        groups: `{regular expression: learning rate}`, a positive number, 0, or a
            `LearningRateSchedule`. Patterns are searched in the paths of the weights, which begin
            with the name of their layer: `"^logits/"`, `"^block[01]_"`, `"attention|mlp"`. The
            first that is found counts.
        name: Of the optimizer.

    To set `learning_rate` afterwards, as `keras.callbacks.ReduceLROnPlateau` and
    `LearningRateScheduler` do, gives every group the same multiple of the rate it was made with: a
    number, or a schedule. `keras.optimizers.MultiOptimizer` has no `learning_rate`, clips no norm
    of all gradients together and excludes nothing from weight decay, so it does not serve here.

    Raises:
        ValueError: If a pattern is no regular expression or is found in no weight that is
            trained, or the optimizer has no learning rate of its own.

    Example:

    >>> cosine = keras.optimizers.schedules.CosineDecay
    >>> optimizer = kv.training.LearningRateGroups(
    ...     keras.optimizers.AdamW(cosine(1e-4, 2000, alpha=0.01)),  # 1e-4 to 1e-6
    ...     {"^(embedding|attention|mlp|logits)": cosine(1e-3, 2000, alpha=0.01)},
    ... )
    >>> model = kv.zoo.load("movinet_a0_grw_airplanes")
    >>> model.compile(optimizer)

    Reference:
        Goldman, Giryes, Satyanarayanan, "Smooth Regularization for Efficient Video Recognition",
        NeurIPS 2025 (fine-tuning at different rates).
    """

    def __init__(
        self,
        optimizer: str | keras.optimizers.Optimizer = "adamw",
        groups: dict | None = None,
        name: str = "learning_rate_groups",
    ) -> None:
        optimizer = keras.optimizers.get(optimizer)
        config = optimizer.get_config()
        if "learning_rate" not in config or isinstance(optimizer, LearningRateGroups):
            raise ValueError(
                "`optimizer` must have a learning rate of its own; wrap LearningRateGroups in the "
                f"other one instead. Received: optimizer={optimizer!r}"
            )
        clip, steps = config["global_clipnorm"], config["gradient_accumulation_steps"]
        if clip and steps:
            raise ValueError(
                "`optimizer` may have only one of `global_clipnorm` and "
                f"`gradient_accumulation_steps`. Received: global_clipnorm={clip}, "
                f"gradient_accumulation_steps={steps}"
            )
        super().__init__(
            learning_rate=0.0,
            global_clipnorm=clip,
            loss_scale_factor=config["loss_scale_factor"],
            name=name,
        )
        config = {**config, "global_clipnorm": None, "loss_scale_factor": None}
        groups = groups or {}
        self._patterns = [_pattern(pattern) for pattern in groups]
        rates = [config["learning_rate"], *(_rate(*group) for group in groups.items())]
        self._rates = rates  # the first is for the weights of no group
        self._optimizers = [
            type(optimizer).from_config({**config, "learning_rate": rate, "name": f"{name}_{i}"})
            for i, rate in enumerate(rates)
        ]
        self._group_of = {}
        self._weight_decay = config["weight_decay"]

    def build(self, variables):
        if self.built:
            return
        super().build(variables)
        members = [[] for _ in self._optimizers]
        for variable in variables:
            found = (i for i, p in enumerate(self._patterns, 1) if p.search(variable.path))
            group = next(found, 0)
            members[group].append(variable)
            self._group_of[self._var_key(variable)] = group
        for pattern, group in zip(self._patterns, members[1:], strict=True):
            if not group:
                raise ValueError(
                    f"`groups` has {pattern.pattern!r}, but no weight that is trained and in no "
                    "group before it has such a path. Correct the pattern, or leave it out if the "
                    f"layers are frozen. Paths: {', '.join(v.path for v in variables[:5])} …"
                )
        for optimizer, group in zip(self._optimizers, members, strict=True):
            optimizer.build(group)
            if not any(map(optimizer._use_weight_decay, group)):
                optimizer.weight_decay = None  # torch cannot do it for an empty list

    @property
    def _model_variables_moving_average(self):  # what `SwapEMAWeights` asks for
        averages = {}
        for optimizer in self._optimizers:
            averages |= moving_averages(optimizer)
        return [averages[self._var_key(variable)] for variable in self._trainable_variables]

    @property
    def variables(self):
        return [*self._variables, *(v for inner in self._optimizers for v in inner.variables)]

    def apply(self, grads, trainable_variables=None):
        if trainable_variables is not None:
            trainable_variables = list(trainable_variables)
            self.build(trainable_variables)
        pairs = list(zip(grads, trainable_variables or self._trainable_variables, strict=True))
        members = [[] for _ in self._optimizers]
        for gradient, variable in self._scaled(pairs):
            members[self._group_of[self._var_key(variable)]].append((gradient, variable))
        for optimizer, group in zip(self._optimizers, members, strict=True):
            if any(gradient is not None for gradient, _ in group):
                optimizer.apply(*zip(*group, strict=True))
        self._iterations.assign_add(1)

    def _scaled(self, pairs):
        """Gradients of the unscaled loss, clipped by the norm of all of them together."""
        factor = 1.0
        if self.loss_scale_factor is not None:
            factor = 1.0 / self.loss_scale_factor
        if self.global_clipnorm is not None:
            squares = [ops.sum(ops.square(g * factor)) for g, _ in pairs if g is not None]
            norm = ops.sqrt(ops.sum(ops.stack(squares)))
            factor = factor * self.global_clipnorm / ops.maximum(norm, self.global_clipnorm)
        elif self.loss_scale_factor is None:
            return pairs
        return [(g if g is None else g * factor, variable) for g, variable in pairs]

    @property
    def learning_rates(self) -> dict[str, float]:
        """The learning rates of now: `{pattern: float}`, and `""` for what is in no group."""
        patterns = ["", *(pattern.pattern for pattern in self._patterns)]
        return {
            pattern: float(ops.convert_to_numpy(optimizer.learning_rate))
            for pattern, optimizer in zip(patterns, self._optimizers, strict=True)
        }

    @property
    def learning_rate(self):
        return self._optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate):
        first = self._rates[0]
        if any(map(_is_schedule, self._rates)) or not first:
            raise ValueError(
                "`learning_rate` can be set if all rates were made as numbers and that of "
                f"`optimizer` is not 0. It was made with {self._rates!r}"
            )
        for optimizer, rate in zip(self._optimizers, self._rates, strict=True):
            if isinstance(learning_rate, keras.optimizers.schedules.LearningRateSchedule):
                optimizer.learning_rate = ScaledSchedule(learning_rate, rate / first)
            else:
                optimizer.learning_rate = float(learning_rate) * (rate / first)

    def exclude_from_weight_decay(self, var_list=None, var_names=None):
        for optimizer in self._optimizers:
            optimizer.exclude_from_weight_decay(var_list, var_names)

    def finalize_variable_values(self, var_list):
        for i, optimizer in enumerate(self._optimizers):
            group = [v for v in var_list if self._group_of[self._var_key(v)] == i]
            optimizer.finalize_variable_values(group)

    def save_own_variables(self, store):  # those of the groups are saved as their own
        for i, variable in enumerate(self._variables):
            store[str(i)] = ops.convert_to_numpy(variable)

    def load_own_variables(self, store):
        for i, variable in enumerate(self._variables):
            variable.assign(store[str(i)])

    def get_config(self):
        optimizer = keras.optimizers.serialize(self._optimizers[0])
        optimizer["config"]["global_clipnorm"] = self.global_clipnorm
        optimizer["config"]["loss_scale_factor"] = self.loss_scale_factor
        optimizer["config"]["weight_decay"] = self._weight_decay
        now = optimizer["config"]["learning_rate"]
        first, *rates = map(_serialized, self._rates)
        optimizer["config"]["learning_rate"] = first
        patterns = [pattern.pattern for pattern in self._patterns]
        return {
            "optimizer": optimizer,
            "groups": dict(zip(patterns, rates, strict=True)),
            "learning_rate": None if now == first else now,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        optimizer = keras.optimizers.deserialize(dict(config["optimizer"]), custom_objects)
        made = cls(optimizer, config["groups"], config["name"])
        if (now := config.get("learning_rate")) is not None:
            schedule = isinstance(now, dict)
            made.learning_rate = keras.saving.deserialize_keras_object(now) if schedule else now
        return made


@keras.saving.register_keras_serializable(package="keras_vidreg")
class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule times a number."""

    def __init__(self, schedule, factor):
        self.schedule, self.factor = schedule, factor

    def __call__(self, step):
        return self.schedule(step) * self.factor

    def get_config(self):
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["factor"])


def _is_schedule(rate):
    return callable(rate) or isinstance(rate, dict)


def _serialized(rate):
    return keras.saving.serialize_keras_object(rate) if callable(rate) else rate


def _pattern(pattern):
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(
            f"`groups` must have regular expressions as keys. Received: {pattern!r} ({error})"
        ) from error


def _rate(pattern, rate):
    if _is_schedule(rate):  # or what one is saved as
        return rate
    if not 0 <= rate < float("inf"):
        raise ValueError(
            "`groups` must have learning rates as values: numbers from 0, or schedules. "
            f"Received: {pattern!r}: {rate!r}"
        )
    return float(rate)
