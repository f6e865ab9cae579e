"""From a training run to a zoo entry, whose numbers are measured on exactly what is published."""

import json
import shutil
from pathlib import Path

from keras_vidreg._atomic import write_json, write_text
from keras_vidreg.evaluation._evaluate import evaluate
from keras_vidreg.evaluation._smoothness import smoothness
from keras_vidreg.zoo.check_input import logits_of
from keras_vidreg.zoo.load import load
from keras_vidreg.zoo.preset import Preset
from keras_vidreg.zoo.saved_card import input_of
from keras_vidreg.zoo.sizes import sizes
from keras_vidreg.zoo.weights import save_weights_half

LIMIT = 16 * 1024 * 1024
WITHOUT = "without.weights.h5"


def publish(
    run, zoo, name, source, *, summary, data, licence, train_command, evaluate_command,
    split="test", comparison=(), without=None, notes="",
):  # fmt: skip
    """Make a zoo entry: float16 weights, preset, log, and a card with what they measure.

    Args:
        run: Folder of a finished training run.
        zoo: Folder that gets the entry.
        name: Name of the entry; an entry of this name is replaced.
        source: `VideoSource` that `evaluate_command` measures on.
        summary: One sentence for the top of the card.
        data: What it was trained on, in a few words.
        licence: Licence of the weights.
        train_command: Command that trains such a model.
        evaluate_command: Command that gives the accuracy in the card.
        split: What that source is, for the preset's `accuracy`.
        comparison: Rows of measured values, dicts with the same keys, for the card's table of
            runs with and without the regularizer.
        without: Folder of the same run without it; its weights go into the entry as
            `without.weights.h5`.
        notes: Markdown for the end of the card: limits, sources of the data.

    Returns:
        Folder of the entry.

    Raises:
        ValueError: When the run is not finished, or its weights do not fit into 16 MB.

    Example:
    ```python
    kv.evaluation.publish(
        "runs/airplanes", "zoo", "movinet_a0_grw_airplanes", kv.data.airplanes("test", clips=300),
        summary="...", data="airplanes, 250 clips", licence="Apache-2.0",
        train_command="...", evaluate_command="...", without="runs/airplanes_without",
    )
    ```
    """
    run, entry = Path(run), Path(zoo, name)
    if not (run / "training.json").is_file():
        raise ValueError(f"{run} holds no training.json: the run is not finished.")
    log = json.loads((run / "training.json").read_text(encoding="utf-8"))
    # The entry appears complete or not at all.
    part = entry.with_name(f".{name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        found = Preset.read(run / "preset.json").to_dict()
        digest = save_weights_half(load(run), part / "model.weights.h5")
        found.update(name=name, weights="model.weights.h5", sha256=digest, data=data)
        found.update(licence=licence, accuracy={})
        if without is not None:
            save_weights_half(load(without), part / WITHOUT)
        for file in part.glob("*.h5"):
            if file.stat().st_size > LIMIT:
                raise ValueError(f"{file.name} has {file.stat().st_size} bytes; at most {LIMIT}.")

        Preset.from_dict(found).write(part / "preset.json")
        model = load(part)
        result = evaluate(model, source).to_dict()
        if any(layer.name == "grw_smoothing" for layer in model.layers):
            result["smoothness"] = smoothness(model, source)
        result["data_sha256"] = source.digest()
        size = sizes(found["builder"], found["arguments"], labels=model.labels, clip=model.clip)
        found.update(parameters=size.parameters, flops=size.flops, logits=logits_of(model))
        found["accuracy"] = {split: round(result["top1"], 4)}
        preset = Preset.from_dict(found)
        preset.write(part / "preset.json")
        log = {**log, split: result, "with_and_without": list(comparison)}
        write_json(part / "training.json", log)
        sections = [
            f"# {name}\n\n{summary}",
            _use(preset),
            _measured(result, split, evaluate_command),
            _table("## With and without the regularizer", comparison),
            _trained(log, data, train_command),
            f"## Licence\n\n{licence}",
            notes.strip(),
        ]
        write_text(part / "card.md", "\n\n".join(filter(None, sections)) + "\n")
        shutil.rmtree(entry, ignore_errors=True)
        part.rename(entry)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return entry


def _use(preset):
    return (
        "## Use\n\n```python\nimport keras_vidreg as kv\n\n"
        f'model = kv.zoo.load("{preset.name}")\nmodel.classify("clip.mp4", top=3)\n```\n\n'
        f"It looks at {input_of(preset.clip)}, and knows "
        f"{len(preset.labels)} classes: {', '.join(preset.labels)}."
    )


def _measured(result, split, command):
    rows = [{"": f"top-1 accuracy, {split}", "value": f"{result['top1']:.2%}"}]
    if result.get("top5") is not None and len(result["confusion"]) > 5:
        rows.append({"": f"top-5 accuracy, {split}", "value": f"{result['top5']:.2%}"})
    rows.append({"": "cross-entropy", "value": f"{result['loss']:.4f}"})
    if "smoothness" in result:
        text = "mean acceleration / mean velocity of the embeddings"
        rows.append({"": text, "value": f"{result['smoothness']:.3f}"})
    rows += [{"": f"accuracy of {k}", "value": f"{v:.2%}"} for k, v in result["per_class"].items()]
    return (
        _table("## Measured", rows)
        + f"\n\nOn {result['clips']} clips, one view each, with these float16 weights:\n\n"
        + f"```\n{command}\n```"
    )


def _table(title, rows):
    if not rows:
        return ""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([str(row[n]) for n in names] for row in rows)]
    return f"{title}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _trained(log, data, command):
    recipe, grw = log["recipe"], log["recipe"]["grw"]
    settings = []
    if grw:
        settings = [f"GRW weight {grw['weight']:g}, alpha {grw['alpha']:g}, window {grw['window']}"]
    for role in ("regularizer", "drop"):
        if layer := recipe["backbone"].get(role):
            settings.append(f"{role} {json.dumps(layer)}")
    settings = "".join(f", {setting}" for setting in settings)
    return (
        f"## Trained\n\nOn {data} ({log['data']['train']['clips']} clips), from random weights: "
        f"{recipe['epochs']} epochs, batch {recipe['batch_size']}, AdamW with a peak learning rate "
        f"of {recipe['learning_rate']:g}, weight decay {recipe['weight_decay']:g}{settings}, "
        f"seed {log['seed']}, on Keras {log['versions']['keras']} with {log['backend']}. "
        f"`training.json` has the whole log.\n\n```\n{command}\n```"
    )
