"""What goes into residual branches: one value inside, flat arguments of every builder outside."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Sequence

from keras_vidreg.models.description import described
from keras_vidreg.models.insert import own_seeds

BRANCHES = """regularizer: Callable. What gives a new layer, `regularizer(name=...)`, for example
            `functools.partial(kv.layers.RandomMeanScaling, stddev=0.5)`. Defaults to none.
        positions: String or strings. In front of which layers of a block it goes: any of `"conv1"`,
            `"bn1"`, `"relu1"`, `"conv2"` and so on, or `"all_bns"`. Before the last ReLU of a block
            means before the addition: on the branch alone. Defaults to `"all_bns"` in basic blocks
            and to the last normalization, `"bn3"`, in bottlenecks.
        stages: String or strings. In which stages, of `"res2"` to `"res5"`. Defaults to
            `("res4", "res5")`.
        drop: Callable. What gives the last layer of a residual branch, `drop(rate, name=...)`, such
            as `kv.layers.StochasticDepth` or `kv.layers.ShakeDrop`. It goes into all stages.
            Defaults to {drop}.
        drop_rate: Float. Its rate in the last block;
            {schedule}. Defaults to {drop_rate:g}.
        norm_momentum: Float. Share of the moving statistics that a batch normalization keeps in a
            step. Defaults to {norm_momentum:g}."""
BY_BLOCK = "block `l` of `L` has `drop_rate * l / L`"


@dataclasses.dataclass(frozen=True)
class Branches:
    """What the user puts into residual branches, and the momentum of their normalizations."""

    regularizer: Callable | None = None
    positions: str | Sequence[str] | None = None
    stages: str | Sequence[str] = ("res4", "res5")
    drop: Callable | None = None
    drop_rate: float = 0.0
    norm_momentum: float = 0.9

    def __post_init__(self):
        for role in ("regularizer", "drop"):
            object.__setattr__(self, role, own_seeds(getattr(self, role)))


def residual(schedule: str = BY_BLOCK, **defaults) -> Callable[[Callable], Callable]:
    """Makes a builder of a function with an argument `branches`.

    Those who call the builder give the fields of `Branches` as arguments of their own. They are
    explained where the docstring says `{branches}`.

    Args:
        schedule: How the drop rate grows, in words.
        **defaults: Of these fields, where they are others than in `Branches`.
    """
    fields = {
        field.name: inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=defaults.get(field.name, field.default),
            annotation=field.type,
        )
        for field in dataclasses.fields(Branches)
    }
    values = {name: field.default for name, field in fields.items()}
    drop = values["drop"] and f"`kv.layers.{values['drop'].__name__}`"
    text = BRANCHES.format(**{**values, "drop": drop or "none", "schedule": schedule})

    def decorate(function):
        signature = inspect.signature(function)
        flat = []
        for name, parameter in signature.parameters.items():
            flat += fields.values() if name == "branches" else [parameter]

        @functools.wraps(function)
        def builder(*args, **kwargs):
            branches = Branches(**{name: kwargs.pop(name, values[name]) for name in fields})
            return function(*args, branches=branches, **kwargs)

        builder.__signature__ = signature.replace(parameters=flat)
        builder.__doc__ = function.__doc__ and function.__doc__.replace("{branches}", text)
        return described(builder)

    return decorate
