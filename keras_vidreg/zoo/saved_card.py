"""A card for a model of one's own, from what its preset knows."""

import json

MOST_LABELS = 30


def saved_card(preset, origin=None):
    """Markdown with the facts of a `Preset`.

    Args:
        preset: The `Preset`.
        origin: What the training started from, if anything.
    """
    clip = preset.clip
    accuracy = ", ".join(f"{split} {value:.2%}" for split, value in preset.accuracy.items())
    facts = {
        "builder": f"`{preset.builder}`, `{json.dumps(preset.arguments)}`",
        "started from": f"the weights of `{origin}`" if origin else None,
        "input": input_of(clip),
        "pixels": _pixels(clip),
        "parameters": preset.parameters and f"{preset.parameters / 1e6:.2f} million",
        "multiply-adds for a clip": preset.flops and f"{preset.flops / 1e9:.4g} billion",
        "data": preset.data or "not stated",
        "licence": preset.licence or "not stated",
        "accuracy": accuracy or "not measured",
    }
    rows = [f"| {key} | {_cell(value)} |" for key, value in facts.items() if value]
    names = ", ".join(preset.labels[:MOST_LABELS])
    more = len(preset.labels) - MOST_LABELS
    sections = [
        f"# {preset.name}",
        "A model for videos, saved by keras_vidreg.",
        "\n".join(["|  |  |", "| --- | --- |", *rows]),
        "## Use\n\n```python\nimport keras_vidreg as kv\n\n"
        f'model = kv.zoo.load("{preset.name}")  # the path of this folder\n'
        'model.classify("clip.mp4", top=3)\n```',
        f"## Labels\n\n{len(preset.labels)}: {names}{f' and {more} more' if more > 0 else ''}",
    ]
    return "\n\n".join(sections) + "\n"


def input_of(clip):
    """What a model looks at, for a card: frames, their rate, their size."""
    _, height, width, _ = clip.shape
    rate = "the video's own rate" if clip.fps is None else f"{clip.fps:g} frames a second"
    return f"{clip.frames} frames at {rate}, {height} x {width} pixels"


def _pixels(clip):
    low, high = clip.pixel_range
    text = f"in [{low:g}, {high:g}]"
    return text if clip.mean is None else f"{text}, then minus {clip.mean} over {clip.std}"


def _cell(text):
    return " ".join(text.replace("|", "\\|").split())
