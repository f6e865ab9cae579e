"""State dicts of the PyTorch port of MoViNet (github.com/Atze00/MoViNet-pytorch)."""

import re

from keras_vidreg.checkpoints.layouts._paths import COUNTERS, TORCH_LEAVES, movinet_path
from keras_vidreg.checkpoints.layouts.layout import Layout

MODULES = {
    "stem": "conv1.conv_1",
    "expand": "expand.conv_1",
    "feature": "deep.conv_1",
    "temporal": "deep.conv_2",
    "project": "project.conv_1",
    "head": "conv7.conv_1",
    "head_dense": "classifier.0.conv_1",
    "logits": "classifier.3.conv_1",
    "squeeze_excite/reduce": "se.fc1.conv_1",
    "squeeze_excite/expand": "se.fc2.conv_1",
}


def movinet_key(path, model):
    """`block1_layer0_expand_conv/kernel` is `blocks.b1_l0.expand.conv_1.conv3d.weight`."""
    block, module, leaf, causal = movinet_path(path, model)
    prefix = re.sub(r"block(\d)_layer(\d+)", r"blocks.b\1_l\2.", block)
    if leaf == "alpha":
        return f"{prefix}alpha"
    stem = re.sub("_(conv|norm)$", "", module)
    if stem == "skip":
        pooled = any(layer.name == f"{block}_skip_pool" for layer in model.layers)
        target = f"res.{int(pooled)}.conv_1"
    else:
        target = MODULES.get(stem, stem)
    if module.endswith("norm"):
        return f"{prefix}{target}.norm.{TORCH_LEAVES[leaf]}"
    leaf = TORCH_LEAVES.get(leaf, leaf)
    return f"{prefix}{target}.conv{2 if causal else 3}d.{leaf}"


# The port has no positional encoding in its causal A3 to A5: ours with a scale of zero.
MOVINET_PYTORCH = Layout(
    key=movinet_key, ignored=COUNTERS, absent=r"/position/scale$", outputs_first=True
)
