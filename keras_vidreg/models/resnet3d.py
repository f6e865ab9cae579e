"""The core of all 3D residual networks: tables of convolutions, and what is put between them."""

import dataclasses

import keras

from keras_vidreg.data import Clip
from keras_vidreg.layers import Conv3D, DepthwiseConv3D, SpatialMaxPooling
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.description import label_names

STAGES = ("res2", "res3", "res4", "res5")
# Depth of the network: blocks in each stage. Up to 34 they are basic blocks, then bottlenecks.
DEPTHS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


@dataclasses.dataclass(frozen=True)
class Stage:
    """Blocks of one resolution."""

    blocks: int
    width: int  # channels inside of a block
    outputs: int  # channels of its output
    time: int = 1  # temporal size of the kernels that have one
    strides: tuple = (1, 1, 1)  # of the first block


@dataclasses.dataclass(frozen=True)
class Unit:
    """A convolution and its normalization; all but the last of a block have an activation."""

    label: str  # of the layers: "1" gives conv1, norm1 and act1
    channels: int
    kernel: tuple
    strides: tuple = (1, 1, 1)
    depthwise: bool = False
    activation: bool = True


def basic(stage, strides):
    """Two full convolutions."""
    kernel = (stage.time, 3, 3)
    return (
        Unit("1", stage.outputs, kernel, strides),
        Unit("2", stage.outputs, kernel, activation=False),
    )


def bottleneck(stage, strides):
    """Time in the first convolution, space in the second."""
    time, *space = strides
    return (
        Unit("1", stage.width, (stage.time, 1, 1), (time, 1, 1)),
        Unit("2", stage.width, (1, 3, 3), (1, *space)),
        Unit("3", stage.outputs, (1, 1, 1), activation=False),
    )


def reduced(stage, strides):
    """Channels in the first and last convolution; time and space in between, per channel."""
    return (
        Unit("1", stage.width, (1, 1, 1)),
        Unit("2", stage.width, (stage.time, 3, 3), strides, depthwise=True),
        Unit("3", stage.outputs, (1, 1, 1), activation=False),
    )


def preserved(stage, strides):
    """The same with one more mixture of the channels in front of the depthwise convolution."""
    first, second, third = reduced(stage, strides)
    mixture = Unit("2_mix", stage.width, (1, 1, 1), activation=False)
    return first, mixture, second, third


def stage_table(depth, width, times, strides=(1, 2, 2), depths=DEPTHS):
    """`Stage`s of twice the width each; all but res2 begin with `strides`."""
    check_depth(depth, depths)
    expansion = 1 if depth < 50 else 4
    return tuple(
        Stage(
            blocks,
            width=width * 2**i,
            outputs=width * 2**i * expansion,
            time=time,
            strides=strides if i else (1, 1, 1),
        )
        for i, (blocks, time) in enumerate(zip(depths[depth], times, strict=True))
    )


BLOCKS = {
    "basic": basic,
    "bottleneck": bottleneck,
    "reduced": reduced,
    "preserved": preserved,
}


class ResNet3D:
    """Adds the parts of a residual network to a graph, and the layers that the user wants in them.

    Args:
        block: Name in `BLOCKS`.
        table: Four `Stage`s, res2 to res5.
        branches: `Branches`.
        padding: `"symmetric"` (PyTorch's rule) or `"same"` (TensorFlow's).
        epsilon: Of the normalization.
        drop_by: Whether the drop rate grows with every `"block"` or with every `"stage"`.
        prefix: Of all layers' names.
        finish: Called with the branch, the stage, whether the block is its stage's last one, and
            the block's name; returns the branch as it is added to the shortcut.
    """

    def __init__(
        self,
        block,
        table,
        branches,
        *,
        padding="symmetric",
        epsilon=1e-5,
        drop_by="block",
        prefix="",
        finish=None,
    ):
        self.block = BLOCKS[block]
        self.table = table
        self.branches = branches
        self.padding = padding
        self.epsilon = epsilon
        self.drop_by = drop_by
        self.prefix = prefix
        self.finish = finish
        self.stages = _chosen("stages", branches.stages, STAGES)
        units = self.block(table[0], (1, 1, 1))
        norms = [f"bn{unit.label}" for unit in units]
        order = [f"{kind}{unit.label}" for unit in units for kind in ("conv", "bn", "relu")]
        order = [name for name in order if name != "relu2_mix"]
        positions = branches.positions
        if positions is None:
            positions = "all_bns" if block == "basic" else norms[-1]
        positions = _chosen("positions", positions, ("all_bns", *order))
        self.positions = {
            name for chosen in positions for name in (norms if chosen == "all_bns" else [chosen])
        }
        if branches.drop is None and branches.drop_rate:
            raise ValueError(
                "`drop_rate` needs `drop`, a layer such as `kv.layers.StochasticDepth`. "
                f"Received: drop_rate={branches.drop_rate}, drop=None"
            )

    @property
    def features(self):
        """Name of the last layer."""
        return f"{self.prefix}res5_block{self.table[-1].blocks - 1}_act"

    def stem(self, x, channels, kernel, strides=(1, 2, 2), pool=True):
        """One convolution, and the maximum over 3 x 3 windows of every other row and column."""
        x = self.unit(x, Unit("", channels, kernel, strides), "stem_")
        return self.pool(x) if pool else x

    def pool(self, x):
        return SpatialMaxPooling(3, 2, self.padding, name=f"{self.prefix}stem_pool")(x)

    def stage(self, x, name):
        """All blocks of one stage."""
        index = STAGES.index(name)
        stage = self.table[index]
        for i in range(stage.blocks):
            x = self.residual(
                x,
                stage,
                stage.strides if i == 0 else (1, 1, 1),
                f"{name}_block{i}_",
                rate=self.branches.drop_rate * self.depth(index, i),
                regularized=self.branches.regularizer is not None and name in self.stages,
                last=i == stage.blocks - 1,
            )
        return x

    def depth(self, stage, block):
        """How deep in the network a block lies: 1 for the last one."""
        if self.drop_by == "stage":
            return (stage + 2) / 5  # stage 0 is res2
        before = sum(other.blocks for other in self.table[:stage])
        return (before + block + 1) / sum(other.blocks for other in self.table)

    def residual(self, x, stage, strides, name, rate, regularized, last):
        """`activation(shortcut(x) + branch(x))`."""

        def at(x, position, layer):
            if not regularized or position not in self.positions:
                return x
            return self.branches.regularizer(name=f"{self.prefix}{name}{layer}_regularizer")(x)

        shortcut = x
        units = self.block(stage, strides)
        for unit in units:
            x = self.unit(x, unit, name, at)
        if self.finish is not None:
            x = self.finish(x, stage, last, f"{self.prefix}{name}")
        x = at(x, f"relu{units[-1].label}", "add")  # before the sum that the last ReLU takes
        if self.branches.drop is not None:
            x = self.branches.drop(rate, name=f"{self.prefix}{name}drop")(x)
        if max(strides) > 1 or shortcut.shape[-1] != stage.outputs:
            skip = Unit("", stage.outputs, (1, 1, 1), strides, activation=False)
            shortcut = self.unit(shortcut, skip, f"{name}skip_")
        x = keras.layers.Add(name=f"{self.prefix}{name}add")([shortcut, x])
        return self.activation(x, f"{name}act")

    def unit(self, x, unit, name, at=lambda x, position, layer: x):
        """Convolution, normalization and activation, and what `at` puts in front of them."""
        label = unit.label
        x = self.conv(at(x, f"conv{label}", f"conv{label}"), unit, name)
        x = self.norm(at(x, f"bn{label}", f"norm{label}"), f"{name}norm{label}")
        if not unit.activation:
            return x
        return self.activation(at(x, f"relu{label}", f"act{label}"), f"{name}act{label}")

    def conv(self, x, unit, name):
        options = {
            "padding": self.padding,
            "use_bias": False,
            "name": f"{self.prefix}{name}conv{unit.label}",
        }
        if unit.depthwise:
            return DepthwiseConv3D(
                unit.kernel, unit.strides, depthwise_initializer="he_normal", **options
            )(x)
        return Conv3D(
            unit.channels, unit.kernel, unit.strides, kernel_initializer="he_normal", **options
        )(x)

    def norm(self, x, name):
        return keras.layers.BatchNormalization(
            momentum=self.branches.norm_momentum, epsilon=self.epsilon, name=f"{self.prefix}{name}"
        )(x)

    def activation(self, x, name):
        return keras.layers.Activation("relu", name=f"{self.prefix}{name}")(x)


def one_pathway(network, inputs, x, *, labels, dropout, clip, name):
    """The classifier whose stem gives `x`: res2 to res5, and the head."""
    for stage in STAGES:
        x = network.stage(x, stage)
    options = {"labels": labels, "dropout": dropout, "clip": clip, "name": name}
    return with_head(inputs, x, features=network.features, **options)


def with_head(inputs, x, *, features, labels, dropout, clip, name):
    """The classifier: mean over time and space, and a linear layer in float32."""
    labels = label_names(labels)
    x = keras.layers.GlobalAveragePooling3D(data_format="channels_last", name="head_pool")(x)
    x = keras.layers.Dropout(dropout, name="head_dropout")(x)
    x = keras.layers.Dense(len(labels), name="logits", dtype="float32")(x)
    return VideoClassifier(inputs, x, labels=labels, clip=clip, features=features, name=name)


def kinetics_clip(frames, fps):
    """The frames' size and normalization of the published networks for Kinetics."""
    return Clip(frames, fps, size=224, resize=256, mean=(0.45,) * 3, std=(0.225,) * 3)


def check_depth(depth, known):
    if depth not in known:
        raise ValueError(
            f"`depth` must be one of {', '.join(map(str, known))}. Received: depth={depth!r}"
        )


def _chosen(argument, names, known):
    """`names`, one string or several, as a tuple of known ones."""
    names = (names,) if isinstance(names, str) else tuple(names)
    if unknown := [name for name in names if name not in known]:
        raise ValueError(
            f"`{argument}` must be of {', '.join(known)}. Received: {', '.join(map(str, unknown))}"
        )
    return names
