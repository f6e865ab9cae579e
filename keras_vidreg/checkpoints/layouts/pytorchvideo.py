"""State dicts of PyTorchVideo (github.com/facebookresearch/pytorchvideo): slow, SlowFast, CSN."""

from keras_vidreg.checkpoints.layouts._paths import COUNTERS, TORCH_LEAVES, network, resnet3d_path
from keras_vidreg.checkpoints.layouts.layout import Layout


def pytorchvideo_key(path, model):
    """`res2_block0_norm1/beta` is `blocks.1.res_blocks.0.branch2.norm_a.bias`."""
    two_pathways = network(model)[0] == "slowfast"
    module, leaf = path.rsplit("/", 1)
    if module == "logits":  # SlowFast pools its pathways in a block of its own
        return f"blocks.{6 if two_pathways else 5}.proj.{TORCH_LEAVES[leaf]}"
    at = resnet3d_path(path)
    kind = "norm" if at.norm else "conv"
    prefix = f"blocks.{at.stage - 1}"
    if at.pathway == "lateral":
        return f"{prefix}.multipathway_fusion.{kind}{'' if at.norm else '_fast_to_slow'}.{at.leaf}"
    if two_pathways:
        prefix += f".multipathway_blocks.{int(at.pathway == 'fast')}"
    if at.block is None:
        return f"{prefix}.{kind}.{at.leaf}"
    branch = f"branch1_{kind}" if at.skip else f"branch2.{kind}_{at.letter}"
    return f"{prefix}.res_blocks.{at.block}.{branch}.{at.leaf}"


PYTORCHVIDEO = Layout(
    key=pytorchvideo_key, ignored=COUNTERS, outputs_first=True, epsilon=lambda model: 1e-5
)
