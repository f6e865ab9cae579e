"""State dicts of the PyTorch port of MoViNet (github.com/Atze00/MoViNet-pytorch)."""

import re

from keras_vidreg.zoo.layouts.layout import Layout

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
NORM = {
    "gamma": "norm.weight",
    "beta": "norm.bias",
    "moving_mean": "norm.running_mean",
    "moving_variance": "norm.running_var",
}
COUNTERS = r"(num_batches_tracked|n_averaged)$"


def movinet_key(path, model):
    """`block1_layer0_expand_conv/kernel` is `blocks.b1_l0.expand.conv_1.conv3d.weight`."""
    causal = any(layer.name.endswith("_temporal_conv") for layer in model.layers)
    path = path.replace("stem_conv/conv/", "stem_conv/")
    block, module, leaf = re.fullmatch(r"(?:block(\d_layer\d+)_)?(.*)/(\w+)", path).groups()
    prefix = f"blocks.b{block.replace('layer', 'l')}." if block else ""
    if leaf == "alpha":
        return f"{prefix}alpha"
    stem = re.sub("_(conv|norm)$", "", module)
    if stem == "skip":
        pooled = any(layer.name == f"block{block}_skip_pool" for layer in model.layers)
        target = f"res.{int(pooled)}.conv_1"
    else:
        target = MODULES.get(stem, stem)
    if module.endswith("norm"):
        return f"{prefix}{target}.{NORM[leaf]}"
    parameter = {"kernel": "weight", "bias": "bias"}.get(leaf, leaf)
    return f"{prefix}{target}.conv{2 if causal else 3}d.{parameter}"


# The port has no positional encoding in its causal A3 to A5: ours with a scale of zero.
MOVINET_PYTORCH = Layout(
    key=movinet_key, ignored=COUNTERS, absent=r"/position/scale$", outputs_first=True
)
