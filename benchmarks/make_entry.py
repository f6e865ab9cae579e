"""From a training run to an entry of `zoo/`, whose numbers are measured on what is in it."""

import json
import tempfile
from pathlib import Path

import keras_vidreg as kv
from keras_vidreg.zoo._cards import input_of

LIMIT = 16 * 1024 * 1024


def make_entry(
    run, zoo, name, source, *, summary, data, license, train_command, evaluate_command,
    split="test", comparison=(), notes="",
):  # fmt: skip
    """Make a zoo entry: float16 weights, preset, log, and a card with what they measure.

    Args:
        run: Folder of a finished training run.
        zoo: Folder that gets the entry.
        name: Name of the entry; an entry of this name is replaced.
        source: `VideoSource` that `evaluate_command` measures on.
        summary: One sentence for the top of the card.
        data: What it was trained on, in a few words.
        license: License of the weights.
        train_command: Command that trains such a model.
        evaluate_command: Command that gives the accuracy in the card.
        split: What that source is, for the preset's `accuracy`.
        comparison: Rows of measured values, dicts with the same keys, for the card's table of
            runs with and without the regularizer.
        notes: Markdown for the end of the card: limits, sources of the data.

    Returns:
        Folder of the entry.

    Raises:
        ValueError: If the run is not finished, or its weights do not fit into 16 MB.
    """
    log_file = Path(run, "training.json")
    if not log_file.is_file():
        raise ValueError(f"{run} holds no training.json: the run is not finished.")
    log = json.loads(log_file.read_text(encoding="utf-8"))
    facts = {"name": name, "half": True, "data": data, "license": license}
    with tempfile.TemporaryDirectory() as parent:  # what is measured are the float16 weights
        model = kv.zoo.load(kv.zoo.write_entry(kv.zoo.load(run), Path(parent, name), **facts))
        size = Path(parent, name, "model.weights.h5").stat().st_size
    if size > LIMIT:
        raise ValueError(f"The weights have {size} bytes; at most {LIMIT}.")
    result = kv.evaluation.evaluate(model, source).to_dict()
    if any(layer.name == "grw_smoothing" for layer in model.layers):
        result["smoothness"] = kv.evaluation.smoothness(model, source)
    result["data_sha256"] = source.digest()

    def card(preset):
        sections = [
            f"# {name}\n\n{summary}",
            _use(preset),
            _measured(result, split, evaluate_command),
            _table("## With and without the regularizer", comparison),
            _trained(log, data, train_command),
            f"## License\n\n{license}",
            notes.strip(),
        ]
        return "\n\n".join(filter(None, sections)) + "\n"

    log = {**log, split: result, "with_and_without": list(comparison)}
    return kv.zoo.write_entry(
        model, Path(zoo, name), accuracy={split: round(result["top1"], 4)},
        card=card, files={"training.json": log}, **facts,
    )  # fmt: skip


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
