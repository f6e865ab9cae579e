"""State dicts of the GRW paper's models (github.com/cmusatyalab/grw-smoothing)."""

import re
from typing import Any

import numpy as np

from keras_vidreg._text import shown
from keras_vidreg.checkpoints.layouts._paths import COUNTERS, TORCH_LEAVES
from keras_vidreg.checkpoints.layouts.layout import Layout
from keras_vidreg.checkpoints.layouts.movinet_pytorch import movinet_key

MAX_WINDOW = 1000
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
        match = re.fullmatch(r"(.*\.1)\.in_proj_(weight|bias)", key)
        if match and np.ndim(value) and len(value) % 3 == 0:
            parts = np.split(np.asarray(value), 3)
            for name, part in zip(("query", "key", "value"), parts, strict=True):
                arrays[f"{match[1]}.{name}.{match[2]}"] = part
        else:
            arrays[key] = value
    return arrays


def network_sizes(extras: dict, state_dict: dict) -> tuple[dict[str, int], int]:
    """Arguments of `grw_classifier`, and the number of classes, that a snapshot states.

    Whoever builds a network of these sizes may rely on them: the arrays are there.

    Args:
        extras: What a snapshot holds besides the weights: `T`, `transformer_params`.
        state_dict: Its weights.

    Raises:
        ValueError: If a size is missing, is no size, or is not that of the arrays.
    """
    stated = extras.get("transformer_params")
    names = ("embed_dim", "depth", "num_heads", "mlp_dim", "num_classes")
    sizes: dict[str, Any] = {
        "T": extras.get("T"),
        **{name: getattr(stated, name, None) for name in names},
    }
    for name, value in sizes.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} is {shown(value)}")
    window, width, depth, heads, mlp_dim, classes = sizes.values()
    if window > MAX_WINDOW or width % heads:
        raise ValueError(f"T is {shown(window)} and num_heads {shown(heads)}, which cannot be")
    shapes = {_without_module(key): np.shape(value) for key, value in state_dict.items()}
    wanted = {"attention.linear_head.weight": (classes, width)}
    for i in range(min(depth, len(shapes) + 1)):
        wanted[f"attention.transformer.layers.{i}.1.in_proj_weight"] = (3 * width, width)
        wanted[f"attention.transformer.layers.{i}.2.net.1.weight"] = (mlp_dim, width)
    for key, shape in wanted.items():
        if shapes.get(key) != shape:
            raise ValueError(f"{key} should have the shape {shown(shape)}")
    arguments = {"window": window, "embed_dim": width, "depth": depth, "heads": heads}
    return {**arguments, "mlp_dim": mlp_dim}, classes


def _without_module(key):  # of the average that was kept in training
    return key.removeprefix("module.")


GRW_SMOOTHING = Layout(
    key=grw_key,
    ignored=COUNTERS,
    canonical=_without_module,
    outputs_first=True,
    prepare=split_attention,
)
