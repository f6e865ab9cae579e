"""Cards: what is known of an entry, in Markdown for people, and as a page of the Hub."""

import json
import re
import textwrap

MOST_LABELS = 30
# Names of licenses that the Hub knows; others are called "other" and named beside it.
KNOWN = (
    "agpl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-2.0", "cc-by-3.0",
    "cc-by-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "gpl-2.0", "gpl-3.0", "isc",
    "lgpl-3.0", "mit", "mpl-2.0", "odbl", "openrail", "unlicense", "wtfpl", "zlib",
)  # fmt: skip


def saved_card(preset, origin=None):
    """The card of a model of one's own; `origin` is what its training started from, if anything."""
    accuracy = ", ".join(f"{split} {value:.2%}" for split, value in preset.accuracy.items())
    more = len(preset.labels) - MOST_LABELS
    names = ", ".join(preset.labels[:MOST_LABELS]) + (f" and {more} more" if more > 0 else "")
    return _card(
        preset.name,
        "A model for videos, saved by keras_vidreg.",
        {
            "builder": f"`{preset.builder}`, `{json.dumps(preset.arguments)}`",
            "started from": origin and f"the weights of `{origin}`",
            "input": input_of(preset.clip),
            "pixels": _pixels(preset.clip),
            "parameters": preset.parameters and f"{preset.parameters / 1e6:.2f} million",
            "multiply-adds for a clip": preset.flops and f"{preset.flops / 1e9:.4g} billion",
            "data": preset.data or "not stated",
            "license": preset.license or "not stated",
            "accuracy": accuracy or "not measured",
        },
        '  # the path of this folder\nmodel.classify("clip.mp4", top=3)',
        f"## Labels\n\n{len(preset.labels)}: {names}",
    )


def published_card(weights):
    """The card of `PublishedWeights`: what is known, and who says so."""
    return _card(
        weights.name,
        "Weights published by others, converted exactly. Nothing in this table was measured here.",
        {
            "published by": weights.publisher,
            "data": f"{weights.data}, {weights.classes} classes",
            "input": input_of(weights.clip),
            "license": weights.license or "not stated by the publisher",
            "file": weights.url
            or (f"{weights.repo}, {weights.filename}" if weights.repo else "none"),
            **{
                f"{key.replace('top', 'top-')} accuracy": f"{value:g} %, {weights.views}"
                for key, value in weights.accuracy.items()
            },
            "accuracy reported by": weights.reported_by,
        },
        "",
        "\n".join(textwrap.wrap(weights.notes, 100)),
        "## Where this stands\n\n"
        + "\n".join(f"- {fact}: {address}" for fact, address in weights.references.items()),
    )


def input_of(clip):
    """What a model looks at: frames, their rate, their size."""
    _, height, width, _ = clip.shape
    rate = "the video's own rate" if clip.fps is None else f"{clip.fps:g} frames a second"
    return f"{clip.frames} frames at {rate}, {height} x {width} pixels"


def hub_page(card, address, preset):
    """A card as the page of a model on the Hub: YAML on top, loaded by its address."""
    lines = ["library_name: keras", "pipeline_tag: video-classification"]
    name = re.sub(r"[^a-z0-9.]+", "-", short_license(preset.license).lower()).strip("-.")
    if name in KNOWN:
        lines.append(f"license: {name}")
    elif name:
        lines += ["license: other", f"license_name: {json.dumps(name)}"]
    tags = ("keras", "keras_vidreg", "video-classification", preset.builder)
    lines += ["tags:", *(f"- {json.dumps(tag)}" for tag in dict.fromkeys(tags))]
    card = re.sub(
        r'kv\.zoo\.load\("[^"\n]*"\)(  # the path of this folder)?',
        lambda _: f'kv.zoo.load("{address}")',
        card_of_page(card),
    )
    return "---\n" + "\n".join(lines) + f"\n---\n\n{card}"


def card_of_page(page):
    """The card alone."""
    return re.sub(r"\A---\n.*?\n---\n+", "", page, count=1, flags=re.DOTALL)


def short_license(text):
    """The name of the license in front of what else is said of it."""
    return re.split(r"[.;,]\s", text)[0].removeprefix("Weights: ").strip(" .")


def _card(name, summary, facts, after_load, *sections):
    rows = [f"| {key} | {_cell(value)} |" for key, value in facts.items() if value]
    use = f'import keras_vidreg as kv\n\nmodel = kv.zoo.load("{name}"){after_load}'
    head = (f"# {name}", summary, "\n".join(["|  |  |", "| --- | --- |", *rows]))
    sections = (*head, f"## Use\n\n```python\n{use}\n```", *sections)
    return "\n\n".join(filter(None, sections)) + "\n"


def _pixels(clip):
    low, high = clip.pixel_range
    text = f"in [{low:g}, {high:g}]"
    return text if clip.mean is None else f"{text}, then minus {clip.mean} over {clip.std}"


def _cell(text):
    return " ".join(text.replace("|", "\\|").split())
