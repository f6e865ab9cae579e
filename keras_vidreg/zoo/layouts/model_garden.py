"""Variables of the TensorFlow Model Garden's MoViNet (tf-models-official, projects/movinet)."""

import re

from keras_vidreg.zoo.layouts.layout import Layout

MODULES = {
    "stem": "stem/stem",
    "expand": "bneck/expansion",
    "feature": "bneck/feature",
    "project": "bneck/projection",
    "skip": "bneck/skip/skip_project",
    "squeeze_excite/reduce": "bneck/se/se_reduce",
    "squeeze_excite/expand": "bneck/se/se_expand",
    "head": "head/project",
    "head_dense": "classifier_head/head",
    "logits": "classifier_head/classifier",
}


def movinet_key(path, model):
    """`block1_layer0_expand_conv/kernel` is `block1_layer0/bneck/expansion/conv3d/kernel`."""
    causal = any(layer.name.endswith("_temporal_conv") for layer in model.layers)
    path = path.replace("stem_conv/conv/", "stem_conv/")
    block, module, leaf = re.fullmatch(r"(?:(block\d_layer\d+)_)?(.*)/(\w+)", path).groups()
    prefix = f"{block}/" if block else ""
    if leaf == "alpha":
        return f"{prefix}scale"
    if module == "squeeze_excite/position":
        return f"{prefix}bneck/se/pos_encoding/rezero/scale"
    part, _, kind = module.rpartition("_")
    if kind not in ("conv", "norm"):
        part, kind = module, "conv"
    if part == "temporal":
        target, norm, conv = "bneck/feature/conv2d_temporal", "bn_temporal", "depthwise_conv2d"
        depthwise = True
    else:
        target = MODULES.get(part, part) + ("/conv2d" if causal else "")
        depthwise = causal and part == "feature"
        norm, conv = "bn", "depthwise_conv2d" if depthwise else "conv2d" if causal else "conv3d"
    if kind == "norm":
        return f"{prefix}{target}/{norm}/{leaf}"
    if depthwise and leaf == "kernel":
        leaf = "depthwise_kernel"
    return f"{prefix}{target}/{conv}/{leaf}"


def canonical(key):
    """Without `:0`, and without the numbers that unnamed layers get in the order of building."""
    return re.sub(r"(conv[23]d)_\d+", r"\1", key.removesuffix(":0"))


MODEL_GARDEN = Layout(key=movinet_key, canonical=canonical)
