"""Paths of our models' variables, taken apart."""

import dataclasses
import re

RESNET3D = re.compile(
    r"(?:(?P<pathway>slow|fast|lateral)_)?(?:stem|res(?P<stage>\d))(?:_block(?P<block>\d+))?"
    r"_(?P<skip>skip_)?(?P<kind>conv|norm)(?P<unit>\w*)/(?P<leaf>\w+)"
)
MOVINET = re.compile(r"(?:(block\d_layer\d+)_)?(.*)/(\w+)")
TORCH_LEAVES = {
    "kernel": "weight",
    "gamma": "weight",
    "bias": "bias",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
COUNTERS = r"(num_batches_tracked|n_averaged)$"


@dataclasses.dataclass(frozen=True)
class ResNet3DPath:
    """Where a variable of a 3D residual network belongs."""

    pathway: str | None  # "slow", "fast", "lateral" or none
    stage: int  # 1 is the stem
    block: int | None
    skip: bool  # of the shortcut
    norm: bool  # of the normalization, and not of the convolution
    unit: str  # "1" to "3", "2_mix", or nothing
    leaf: str  # in PyTorch's words

    @property
    def letter(self):
        """The unit as a letter, a to c."""
        return "abc"[int(self.unit) - 1]


def resnet3d_path(path):
    """`res4_block0_norm2/beta` as a `ResNet3DPath`."""
    match = RESNET3D.fullmatch(path)
    if match is None:
        raise ValueError(f"This layout has no place for the model's variable {path!r}.")
    block = match["block"]
    return ResNet3DPath(
        pathway=match["pathway"],
        stage=int(match["stage"] or 1),
        block=None if block is None else int(block),
        skip=bool(match["skip"]),
        norm=match["kind"] == "norm",
        unit=match["unit"],
        leaf=TORCH_LEAVES[match["leaf"]],
    )


def movinet_path(path, model):
    """Block ("block1_layer0", or nothing), module, leaf, and whether the model is causal."""
    match = MOVINET.fullmatch(path.replace("stem_conv/conv/", "stem_conv/"))
    if match is None:
        raise ValueError(f"This layout has no place for the model's variable {path!r}.")
    _, arguments = network(model)
    return match[1] or "", match[2], match[3], bool(arguments.get("causal"))


def network(model):
    """Builder and arguments of what a model is at its bottom."""
    if model.description is None:
        raise ValueError(
            f"`model` must be as its builder made it, to know where its weights stand in a file: "
            f"{model.undescribed}. Port the weights first, then change the model."
        )
    return model.description.network
