"""Names of the Model Garden's variables inside of a checkpoint.

A checkpoint names a variable by the attributes that lead to it, and layers by their number.
"""

import re

from keras_vidreg.checkpoints.files.tensorflow_reader import SUFFIX

ROOT = "model/"
BACKBONE, HEAD = "layer_with_weights-0/layer_with_weights-{}", "layer_with_weights-1"
MOVINET_MODULES = {
    "stem/stem": "_stem",
    "bneck/expansion": "_expansion",
    "bneck/feature": "_feature",
    "bneck/projection": "_projection",
    "bneck/skip/skip_project": "_skip/_projection",
    "bneck/se/se_reduce": "_attention/_se_reduce",
    "bneck/se/se_expand": "_attention/_se_expand",
    "bneck/se/pos_encoding/rezero": "_attention/_pos_encoding/_rezero",
    "head/project": "_project",
    "classifier_head/head": "_head",
    "classifier_head/classifier": "_classifier",
}
MOVINET_PARTS = {
    "bn": "_batch_norm",
    "conv3d": "_conv",
    "conv2d/bn": "_batch_norm",
    "conv2d/conv2d": "_conv/_conv",
    "conv2d/depthwise_conv2d": "_conv/_conv",
    "conv2d_temporal/bn_temporal": "_batch_norm_temporal",
    "conv2d_temporal/depthwise_conv2d": "_conv_temporal/_conv",
}
RESNET_MODULES = {
    "conv3d": "_shortcut_conv",
    "conv3d_1": "_temporal_conv",
    "conv3d_2": "_spatial_conv",
    "conv3d_3": "_expand_conv",
    "batch_normalization": "_norm0",
    "batch_normalization_1": "_norm1",
    "batch_normalization_2": "_norm2",
    "batch_normalization_3": "_norm3",
    "squeeze_excitation/conv2d": "_squeeze_excitation/_se_reduce",
    "squeeze_excitation/conv2d_1": "_squeeze_excitation/_se_expand",
    "self_gating/conv3d_4": "_self_gating/_transformer_w",
}
RESNET_STEM = 6  # layers with weights: three convolutions, each with a normalization


def from_checkpoint(state_dict, keys):
    """The variables of a model in a checkpoint, under the names that they have in the model.

    A state dict that has these names already is returned as it is. Counters, optimizers and
    whatever else was saved next to the model are left out.

    Args:
        state_dict: `{key: array}`.
        keys: The model's names, all of them.
    """
    if not any("layer_with_weights-" in key for key in state_dict):
        return state_dict
    root = ROOT if any(key.startswith(ROOT) for key in state_dict) else "layer_with_weights-"
    blocks = sorted({key.split("/")[0] for key in keys if key.startswith("block")}, key=_numbers)
    names = {ROOT + checkpoint_key(key, blocks): key for key in keys}
    arrays = {}
    for key, value in state_dict.items():
        if key.startswith(root):
            key = ROOT + key.removeprefix(ROOT).removesuffix(SUFFIX)
            arrays[names.get(key, key)] = value
    return arrays


def checkpoint_key(key, blocks):
    """`stem/stem/bn/gamma` is `layer_with_weights-0/layer_with_weights-0/_stem/_batch_norm/gamma`.

    Args:
        key: Name in the model.
        blocks: Names of a MoViNet's blocks in their order.
    """
    layer, _, rest = key.partition("/")
    if layer in blocks:
        number = 1 + blocks.index(layer)
        inner = "_mobile_bottleneck/_rezero/scale" if rest == "scale" else _movinet(rest)
        return f"{BACKBONE.format(number)}/{inner}"
    if layer in ("stem", "head"):
        return f"{BACKBONE.format(0 if layer == 'stem' else len(blocks) + 1)}/{_movinet(key)}"
    if layer == "classifier_head":
        return f"{HEAD}/{_movinet(key)}"
    return _resnet(layer, rest)


def _movinet(key):
    module = next(name for name in MOVINET_MODULES if key.startswith(f"{name}/"))
    part, _, leaf = key.removeprefix(f"{module}/").rpartition("/")
    return "/".join(filter(None, (MOVINET_MODULES[module], MOVINET_PARTS.get(part), leaf)))


def _resnet(layer, rest):
    kind, number = re.fullmatch(r"(\w+?)(?:_(\d+))?", layer).groups()
    number = int(number or 0)
    if kind == "dense":
        return f"{HEAD}/{rest}"
    if kind == "bottleneck_block3d":
        module, _, leaf = rest.rpartition("/")
        return f"{BACKBONE.format(RESNET_STEM + number)}/{RESNET_MODULES[module]}/{leaf}"
    return f"{BACKBONE.format(2 * number + (kind == 'batch_normalization'))}/{rest}"


def _numbers(block):
    return [int(number) for number in re.findall(r"\d+", block)]
