"""From a builder's name and plain arguments to a model."""

import functools

from keras_vidreg import layers, models
from keras_vidreg.models.record import LAYERS, record

BUILDERS = {
    "csn": models.csn,
    "frame_cnn": models.frame_cnn,
    "grw_classifier": models.grw_classifier,
    "movinet": models.movinet,
    "r3d": models.r3d,
    "resnet3d_rs": models.resnet3d_rs,
    "slowfast": models.slowfast,
    "slowonly": models.slowonly,
}


def build(builder, arguments, *, labels, clip):
    """Build a model from plain values, as a preset or a recipe holds them.

    Args:
        builder: Name in `BUILDERS`.
        arguments: Keyword arguments of that builder. `"backbone"` may be a dict
            `{"builder": name, **arguments}`; it is built first. `"regularizer"` and `"drop"` may
            be the name of a layer, or a dict `{"layer": name, **arguments}`.
        labels: Number of classes, or their names.
        clip: The `kv.data.Clip` that the model is to be fed with.

    Returns:
        A `kv.models.VideoClassifier`.

    Raises:
        ValueError: When there is no such builder or layer.

    Example:
    ```python
    clip = kv.data.Clip(frames=8, fps=5, size=64, resize=72)
    model = kv.zoo.build("movinet", {"variant": "a0"}, labels=3, clip=clip)
    ```
    """
    if builder not in BUILDERS:
        raise ValueError(f"There is no builder {builder!r}; there are {sorted(BUILDERS)}.")
    stated = arguments
    arguments = dict(arguments)
    if isinstance(arguments.get("backbone"), dict):
        backbone = dict(arguments["backbone"])
        arguments["backbone"] = build(backbone.pop("builder"), backbone, labels=1, clip=clip)
    for role in LAYERS:
        if isinstance(arguments.get(role), (str, dict)):
            arguments[role] = _layer_factory(role, arguments[role])
    model = BUILDERS[builder](**arguments, labels=labels, clip=clip)
    if model._record is None:  # a builder of the caller's own
        model._record = record(builder, stated)
    return model


def _layer_factory(role, settings):
    """`{"layer": "ShakeDrop", "level": "batch"}` as a function that makes such layers."""
    settings = {"layer": settings} if isinstance(settings, str) else dict(settings)
    name = settings.pop("layer", None)
    if name not in layers.__all__:
        raise ValueError(
            f'`{role}` must name a layer in its "layer", one of {", ".join(layers.__all__)}. '
            f"Received: {name!r}"
        )
    return functools.partial(getattr(layers, name), **settings)
