"""Variables of the TensorFlow Model Garden's 3D ResNet-RS (tf-models-official)."""

import re

from keras_vidreg.checkpoints.layouts._paths import RESNET3D

GATES = {
    "squeeze_excite/reduce": "squeeze_excitation/conv2d",
    "squeeze_excite/expand": "squeeze_excitation/conv2d_1",
    "self_gating/gate": "self_gating/conv3d_4",
}


def resnet3d_rs_key(path, model):
    """`res2_block1_norm1/beta` is `bottleneck_block3d_1/batch_normalization_1/beta`."""
    module, leaf = path.rsplit("/", 1)
    if module == "logits":
        return f"dense/{leaf}"
    if match := re.fullmatch(r"res(\d)_block(\d+)_(\w+/\w+)", module):
        return f"{_block(int(match[1]), int(match[2]), model)}/{GATES[match[3]]}/{leaf}"
    match = RESNET3D.fullmatch(path)
    kind = "conv3d" if match["kind"] == "conv" else "batch_normalization"
    if match["block"] is None:
        return f"{_numbered(kind, int(match['unit']) - 1)}/{leaf}"
    block = _block(int(match["stage"]), int(match["block"]), model)
    return f"{block}/{_numbered(kind, int(match['unit'] or 0))}/{leaf}"  # the shortcut is first


def _block(stage, block, model):
    """Blocks are numbered through all stages."""
    firsts = (re.fullmatch(r"res(\d)_block\d+_conv1", layer.name) for layer in model.layers)
    before = sum(1 for match in firsts if match and int(match[1]) < stage)
    return _numbered("bottleneck_block3d", before + block)


def _numbered(name, number):
    return f"{name}_{number}" if number else name
