"""State dicts of MMAction2 (github.com/open-mmlab/mmaction2): SlowOnly, SlowFast, CSN."""

import re

import numpy as np

from keras_vidreg.checkpoints.layouts._paths import COUNTERS, TORCH_LEAVES, network, resnet3d_path
from keras_vidreg.checkpoints.layouts.layout import Layout

HEAD = "cls_head.fc_cls"


def mmaction2_key(path, model):
    """`res2_block0_norm1/beta` is `backbone.layer1.0.conv1.bn.bias`."""
    module, leaf = path.rsplit("/", 1)
    if module == "logits":
        return f"{HEAD}.{TORCH_LEAVES[leaf]}"
    at = resnet3d_path(path)
    part = f"{'bn' if at.norm else 'conv'}.{at.leaf}"
    stage = "conv1" if at.stage == 1 else f"layer{at.stage - 1}"
    if at.pathway == "lateral":
        return f"backbone.slow_path.{stage}_lateral.{part}"
    backbone = f"backbone.{at.pathway}_path" if at.pathway else "backbone"
    if at.block is None:
        return f"{backbone}.{stage}.{part}"
    unit = "downsample" if at.skip else f"conv{at.unit[0]}"
    builder, arguments = network(model)
    if unit == "conv2" and builder == "csn":  # a list, of two in ip-CSN
        two = arguments.get("interaction") != "reduced"
        unit = f"conv2.{int(two and at.unit == '2')}"
    return f"{backbone}.{stage}.{at.block}.{unit}.{part}"


def slow_features_first(state_dict, model):
    """Its SlowFast classifies the fast pathway's features with the slow ones behind them."""
    fast = [
        len(value)
        for key, value in state_dict.items()
        if re.fullmatch(r"backbone\.fast_path\.layer4\.0\.downsample\.conv\.weight", key)
        and np.ndim(value)
    ]
    key = f"{HEAD}.weight"
    if not fast or np.ndim(state_dict.get(key, 0)) < 2:
        return state_dict
    return {**state_dict, key: np.roll(np.asarray(state_dict[key]), -fast[0], axis=1)}


MMACTION2 = Layout(
    key=mmaction2_key,
    ignored=COUNTERS,
    prepare=slow_features_first,
    outputs_first=True,
    epsilon=lambda model: 1e-3 if network(model)[0] == "csn" else 1e-5,
)
