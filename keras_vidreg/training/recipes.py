"""Recipes: one frozen dataclass holds everything that decides the result of a training run."""

import dataclasses
import json
from collections.abc import Iterable

from keras_vidreg.data import Augment, Clip
from keras_vidreg.models.description import Description, label_names
from keras_vidreg.training.learning_rate_groups import LearningRateGroups
from keras_vidreg.training.mix import mixing_layer


@dataclasses.dataclass(frozen=True)
class GRW:
    """Settings of the smoothing loss.

    Args:
        weight: Float. Weight in the total loss; 0 trains the same model without it. Defaults to
            0.1.
        alpha: Float. Weight of the small-velocity prior. Defaults to 0.5.
        window: Integer. Frames per window. Defaults to 5.
        smooth_at: String. Stage of the backbone to smooth. Defaults to the embeddings.
    """

    weight: float = 0.1
    alpha: float = 0.5
    window: int = 5
    smooth_at: str | None = None


@dataclasses.dataclass(frozen=True)
class Head:
    """Sizes of the attention head over per-frame embeddings.

    Args:
        embed_dim: Integer. Size of the embeddings. Defaults to 256.
        depth: Integer. Number of attention layers. Defaults to 2.
        heads: Integer. Attention heads per layer. Defaults to 4.
        mlp_dim: Integer. Hidden units of the feed-forward parts. Defaults to 512.
        dropout: Float. Rate in front of the last layer. Defaults to 0.
        drop_path: Float. Probability that a clip skips a part in training. Defaults to 0.
    """

    embed_dim: int = 256
    depth: int = 2
    heads: int = 4
    mlp_dim: int = 512
    dropout: float = 0.0
    drop_path: float = 0.0


_INFINITY = float("inf")
_RANGES = {  # from, to below
    "learning_rate": (1e-30, _INFINITY),
    "warmup_epochs": (0, _INFINITY),
    "final_share": (0, 1),
    "weight_decay": (0, _INFINITY),
    "clip_norm": (1e-30, _INFINITY),
    "ema": (0, 1),
    "label_smoothing": (0, 1),
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides the result of a training run, apart from the data.

    Args:
        name: Name of the recipe.
        clip: Frames, rate and size of what the model sees.
        backbone: `{"builder": name, **arguments}` of the backbone.
        head: Sizes of the head; `None` trains the backbone with its own head.
        grw: Smoothing of the embeddings; needs a head.
        epochs: Passes over the training clips.
        batch_size: Clips per step.
        learning_rate: Peak of the schedule.
        warmup_epochs: Epochs of linear warm-up from 0; then half a cosine down.
        final_share: Share of the peak rates that the cosine ends at.
        group_rates: `{regular expression: peak}`: other peaks for weights whose path it is found
            in, see `LearningRateGroups`.
        weight_decay: Of AdamW, on kernels only (not on biases and scales).
        clip_norm: Largest norm of the whole gradient, or `None`.
        ema: Momentum of an exponential moving average of the weights; the model has the averages
            at the end. `None` for none.
        init: Folder of a finished run, or name of a zoo entry, whose backbone's weights the model
            starts from; the head starts anew.
        label_smoothing: Share of the target spread over all classes.
        augment: `"default"` or `None`, as in `VideoSource.batches`, or a dict of the fields of
            `kv.data.Augment`.
        mix: `{"layer": "VideoCutMix" or "VideoMixUp", **arguments}` mixes the clips of every
            training batch in pairs, and their labels.
        short: What happens to clips that are too short: `"loop"`, `"hold"` or `"error"`.
        recalibrate: Number of batches that batch normalization is recalibrated over at the end; 0
            keeps the moving statistics.
        cache: Keep the decoded videos in memory.
        seed: Seed of the initial weights, of dropout and of the order of the clips.

    Example:

    >>> recipe = kv.training.RECIPES["movinet_a0_grw"]
    >>> kv.training.override(recipe, ["epochs=10", "grw.weight=0.3"]).grw.weight
    0.3
    """

    name: str
    clip: Clip
    backbone: dict
    head: Head | None = None
    grw: GRW | None = None
    epochs: int = 30
    batch_size: int = 16
    learning_rate: float = 1e-3
    warmup_epochs: float = 1.0
    final_share: float = 0.0
    group_rates: dict | None = None
    weight_decay: float = 0.05
    clip_norm: float | None = 1.0
    ema: float | None = None
    init: str | None = None
    label_smoothing: float = 0.0
    augment: str | dict | None = "default"
    mix: dict | None = None
    short: str = "loop"
    recalibrate: int = 100
    cache: bool = False
    seed: int = 0

    def __post_init__(self):
        if (self.head is None) != (self.grw is None):
            raise ValueError("A recipe has both `head` and `grw`, or neither.")
        for field in ("epochs", "batch_size", "recalibrate", "seed"):
            value, least = getattr(self, field), int(field in ("epochs", "batch_size"))
            if type(value) is not int or value < least:
                raise ValueError(f"`{field}` must be an integer from {least}. Received: {value!r}")
        for field, (least, below) in _RANGES.items():
            value = getattr(self, field)
            if value is None and field in ("clip_norm", "ema"):
                continue
            if isinstance(value, bool | str) or not least <= value < below:
                raise ValueError(
                    f"`{field}` must be a number from {least:g} to below {below:g}. "
                    f"Received: {value!r}"
                )
        if not self.warmup_epochs < self.epochs:
            raise ValueError(
                "`warmup_epochs` must be less than `epochs`. "
                f"Received: {self.warmup_epochs!r} of {self.epochs!r}"
            )
        if self.group_rates is not None:
            LearningRateGroups("sgd", self.group_rates)  # are they such?
        if self.grw is not None and self.grw.window > self.clip.frames:
            raise ValueError(
                "`grw.window` must be `clip.frames` at most. "
                f"Received: {self.grw.window!r} of {self.clip.frames!r}"
            )
        if self.mix is not None:
            mixing_layer(self.mix, num_classes=2, seed=0)  # is it one?

    def description(self, labels: Iterable[str] | int) -> Description:
        """The `kv.models.Description` of the model, for classes of these names."""
        labels = label_names(labels)
        if self.head is None or self.grw is None:
            arguments = dict(self.backbone)
            return Description(arguments.pop("builder"), arguments, labels, self.clip)
        arguments = {
            "backbone": dict(self.backbone),
            **dataclasses.asdict(self.head),
            **dataclasses.asdict(self.grw),
        }
        return Description("grw_classifier", arguments, labels, self.clip)

    def augmentation(self) -> Augment | str | None:
        """The augmentation, as `VideoSource.batches` takes it."""
        return Augment(**self.augment) if isinstance(self.augment, dict) else self.augment

    def to_dict(self) -> dict:
        """The recipe as a dict of JSON values."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {
            **values,
            "clip": self.clip.to_dict(),
            "backbone": dict(self.backbone),
            "head": self.head and dataclasses.asdict(self.head),
            "grw": self.grw and dataclasses.asdict(self.grw),
            "mix": self.mix and dict(self.mix),
            "group_rates": self.group_rates and dict(self.group_rates),
        }


def override(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """A recipe with some settings changed.

    Args:
        recipe: A `Recipe`.
        settings: Strings `"name=value"`; a dot leads into a part of the recipe
            (`"grw.weight=0"`, `"backbone.variant=a2"`, `"clip.frames=20"`). Values are read as
            JSON, and as plain text where they are not JSON.

    Raises:
        ValueError: If there is a name that the recipe does not have, or a value of another kind.
    """
    # All are applied at once, since `epochs` and `warmup_epochs` may only fit together.
    changes = {f.name: getattr(recipe, f.name) for f in dataclasses.fields(recipe)}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"A setting reads name=value. Received: {setting!r}")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = None if text == "None" else text
        first, *rest = name.split(".")
        if first not in changes:
            raise ValueError(f"{setting!r}: no setting {first!r}; there are {sorted(changes)}.")
        old = changes[first]
        if first == "mix" and old is None and rest:
            old = {}  # unlike other groups it needs no more than one setting
        changes[first] = _replaced(old, rest, value, setting)
    return dataclasses.replace(recipe, **changes)


def _replaced(old, names, value, setting):
    """`old` with the part that `names` lead to set to `value`."""
    if not names:
        return _same_kind(old, value, setting)
    first, *rest = names
    if isinstance(old, dict):
        # The arguments of a builder or layer: there may be more than the recipe lists.
        return {**old, first: _replaced(old.get(first), rest, value, setting)}
    if not dataclasses.is_dataclass(old):
        raise ValueError(f"{setting!r}: there is nothing below {old!r} to set.")
    known = sorted(f.name for f in dataclasses.fields(old))
    if first not in known:
        raise ValueError(f"{setting!r}: no setting {first!r}; there are {known}.")
    return dataclasses.replace(old, **{first: _replaced(getattr(old, first), rest, value, setting)})


def _same_kind(old, value, setting):
    if isinstance(value, list):
        value = tuple(value)
    if dataclasses.is_dataclass(old) and value is not None:
        raise ValueError(f"{setting!r}: this is a group of settings, set one of its parts.")
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    kinds = (bool, int, float, str)
    kind = next((k for k in kinds if isinstance(old, k)), None)
    received = next((k for k in kinds if isinstance(value, k)), None)
    if kind and received and kind is not received and {kind, received} != {int, float}:
        raise ValueError(f"{setting!r}: a {kind.__name__} is needed, as in {old!r}.")
    return value


_A0 = {"builder": "movinet", "variant": "a0", "causal": True}

RECIPES = {
    recipe.name: recipe
    for recipe in (
        # Frames, size, head and window of the published A0 model ("a0s_grw").
        Recipe(
            name="movinet_a0_grw",
            clip=Clip(frames=50, fps=5.0, size=172, resize=192),
            backbone=_A0,
            head=Head(),
            grw=GRW(weight=0.1, alpha=0.5, window=5),
        ),
        Recipe(
            name="movinet_a0_grw_block3",  # smoothed at an intermediate layer
            clip=Clip(frames=50, fps=5.0, size=172, resize=192),
            backbone=_A0,
            head=Head(),
            grw=GRW(weight=0.1, alpha=0.5, window=5, smooth_at="block3"),
        ),
        Recipe(
            name="movinet_a0_grw_airplanes",
            clip=Clip(frames=15, fps=None, size=48),
            backbone=_A0,
            head=Head(embed_dim=128, depth=2, heads=4, mlp_dim=256),
            grw=GRW(weight=0.3, alpha=0.5, window=5),
            epochs=40,
            batch_size=25,
            learning_rate=2e-3,
            warmup_epochs=3,
            augment=None,
            cache=True,
        ),
        Recipe(
            name="movinet_a0_grw_grid12",
            clip=Clip(frames=10, fps=12.5, size=48, resize=56),
            backbone=_A0,
            head=Head(embed_dim=128, depth=2, heads=4, mlp_dim=256),
            grw=GRW(weight=0.01, alpha=0.5, window=5),
            epochs=20,
            batch_size=16,
            learning_rate=2e-3,
            warmup_epochs=1,
            cache=True,
        ),
        Recipe(
            name="slowonly_18_rms_grid12",
            clip=Clip(frames=8, fps=10.0, size=32, resize=36),
            backbone={
                "builder": "slowonly",
                "depth": 18,
                "width": 16,
                "dropout": 0.0,
                "regularizer": {"layer": "RandomMeanScaling", "stddev": 0.5},
            },
            epochs=25,
            batch_size=16,
            learning_rate=2e-3,
            warmup_epochs=2,
            augment=None,
            cache=True,
        ),
    )
}
