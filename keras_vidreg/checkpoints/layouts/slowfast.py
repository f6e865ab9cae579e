"""State dicts of PySlowFast (github.com/facebookresearch/SlowFast): SlowOnly and SlowFast."""

from keras_vidreg.checkpoints.layouts._paths import COUNTERS, TORCH_LEAVES, resnet3d_path
from keras_vidreg.checkpoints.layouts.layout import Layout
from keras_vidreg.checkpoints.layouts.slowfast_caffe2 import from_caffe2


def slowfast_key(path, model):
    """`res2_block0_norm1/beta` is `s2.pathway0_res0.branch2.a_bn.bias`."""
    module, leaf = path.rsplit("/", 1)
    if module == "logits":
        return f"head.projection.{TORCH_LEAVES[leaf]}"
    at = resnet3d_path(path)
    if at.pathway == "lateral":
        return f"s{at.stage}_fuse.{'bn' if at.norm else 'conv_f2s'}.{at.leaf}"
    pathway = f"s{at.stage}.pathway{int(at.pathway == 'fast')}"
    if at.block is None:
        return f"{pathway}_stem.{'bn' if at.norm else 'conv'}.{at.leaf}"
    branch = "branch1" if at.skip else f"branch2.{at.letter}"
    return f"{pathway}_res{at.block}.{branch}{'_bn' if at.norm else ''}.{at.leaf}"


def prepare(state_dict, model):
    """Names of Caffe2 as those of PySlowFast, if the state dict has those."""
    return from_caffe2(state_dict, [slowfast_key(v.path, model) for v in model.weights])


SLOWFAST = Layout(
    key=slowfast_key,
    ignored=COUNTERS,
    prepare=prepare,
    outputs_first=True,
    epsilon=lambda model: 1e-5,
)
