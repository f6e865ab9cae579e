"""State dicts of the GRW paper's models (github.com/cmusatyalab/grw-smoothing)."""

import re

import numpy as np

from keras_vidreg.checkpoints.layouts._paths import COUNTERS, TORCH_LEAVES
from keras_vidreg.checkpoints.layouts.layout import Layout
from keras_vidreg.checkpoints.layouts.movinet_pytorch import movinet_key

HEAD = {
    "embedding": "video_backbone._encoder.classifier",
    "embedding_norm": "ln",
    "attention_norm": "attention.transformer.norm",
    "logits": "attention.linear_head",
}
ATTENTION = {
    r"attention(\d+)_norm": r"\1.0",
    r"attention(\d+)/(query|key|value)": r"\1.1.\2",
    r"attention(\d+)/attention_output": r"\1.1.out_proj",
    r"mlp(\d+)_norm": r"\1.2.net.0",
    r"mlp(\d+)_expand": r"\1.2.net.1",
    r"mlp(\d+)_project": r"\1.2.net.3",
}


def grw_key(path, model):
    """Head and attention here; everything else is MoViNet's."""
    module, leaf = path.rsplit("/", 1)
    if module in HEAD:
        return f"{HEAD[module]}.{TORCH_LEAVES[leaf]}"
    for pattern, target in ATTENTION.items():
        if match := re.fullmatch(pattern, module):
            return f"attention.transformer.layers.{match.expand(target)}.{TORCH_LEAVES[leaf]}"
    return f"video_backbone._encoder.{movinet_key(path, model)}"


def split_attention(state_dict, model):
    """Queries, keys and values are stored in one array, one after the other."""
    arrays = {}
    for key, value in state_dict.items():
        if match := re.fullmatch(r"(.*\.1)\.in_proj_(weight|bias)", key):
            parts = np.split(np.asarray(value), 3)
            for name, part in zip(("query", "key", "value"), parts, strict=True):
                arrays[f"{match[1]}.{name}.{match[2]}"] = part
        else:
            arrays[key] = value
    return arrays


GRW_SMOOTHING = Layout(
    key=grw_key,
    ignored=COUNTERS,
    canonical=lambda key: key.removeprefix("module."),  # of the average that was kept in training
    outputs_first=True,
    prepare=split_attention,
)
