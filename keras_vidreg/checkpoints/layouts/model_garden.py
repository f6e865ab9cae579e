"""Variables of the TensorFlow Model Garden (tf-models-official): MoViNet, 3D ResNet-RS."""

import re

from keras_vidreg.checkpoints.layouts._paths import movinet_path, network
from keras_vidreg.checkpoints.layouts.layout import Layout
from keras_vidreg.checkpoints.layouts.model_garden_checkpoint import from_checkpoint
from keras_vidreg.checkpoints.layouts.model_garden_resnet3d import resnet3d_rs_key

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


def model_garden_key(path, model):
    builder, _ = network(model)
    return (resnet3d_rs_key if builder == "resnet3d_rs" else movinet_key)(path, model)


def movinet_key(path, model):
    """`block1_layer0_expand_conv/kernel` is `block1_layer0/bneck/expansion/conv3d/kernel`."""
    block, module, leaf, causal = movinet_path(path, model)
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
    """Without `:0`, and in MoViNet without the numbers that unnamed layers get when built."""
    key = key.removesuffix(":0")
    if re.match(r"stem/|block\d|head/|classifier_head/", key):
        return re.sub(r"(conv[23]d)_\d+", r"\1", key)
    return key


def prepare(state_dict, model):
    """Names of a checkpoint as names of the model, if the state dict has those."""
    return from_checkpoint(state_dict, [model_garden_key(v.path, model) for v in model.weights])


MODEL_GARDEN = Layout(key=model_garden_key, canonical=canonical, prepare=prepare)
