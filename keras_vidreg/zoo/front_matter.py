"""What the Hugging Face Hub reads at the top of a model's page."""

import json
import re

# Names of licences that the Hub knows; others are called "other" and named beside it.
KNOWN = (
    "agpl-3.0", "apache-2.0", "bsd-2-clause", "bsd-3-clause", "cc-by-2.0", "cc-by-3.0",
    "cc-by-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc0-1.0", "gpl-2.0", "gpl-3.0", "isc",
    "lgpl-3.0", "mit", "mpl-2.0", "odbl", "openrail", "unlicense", "wtfpl", "zlib",
)  # fmt: skip


def with_front_matter(card, address, preset):
    """A card as the page of a model on the Hub: YAML on top, loaded by its address."""
    lines = ["library_name: keras", "pipeline_tag: video-classification"]
    licence = short_licence(preset.licence)
    name = re.sub(r"[^a-z0-9.]+", "-", licence.lower()).strip("-.")
    if name in KNOWN:
        lines.append(f"license: {name}")
    elif name:
        lines += ["license: other", f"license_name: {json.dumps(name)}"]
    tags = ("keras", "keras_vidreg", "video-classification", preset.builder)
    lines += ["tags:", *(f"- {json.dumps(tag)}" for tag in dict.fromkeys(tags))]
    card = re.sub(
        r'kv\.zoo\.load\("[^"\n]*"\)(  # the path of this folder)?',
        lambda _: f'kv.zoo.load("{address}")',
        without_front_matter(card),
    )
    return "---\n" + "\n".join(lines) + f"\n---\n\n{card}"


def without_front_matter(card):
    """The card alone."""
    return re.sub(r"\A---\n.*?\n---\n+", "", card, count=1, flags=re.DOTALL)


def short_licence(text):
    """The name of the licence in front of what else is said of it."""
    return re.split(r"[.;,]\s", text)[0].removeprefix("Weights: ").strip(" .")
