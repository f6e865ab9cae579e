"""Operations counted by hand against those read from the graph, and the table in the docs."""

import pathlib
import sys

import keras
import numpy as np
import pytest
from keras import layers, ops

import keras_vidreg as kv

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "benchmarks"))
import model_table  # noqa: E402

pytestmark = pytest.mark.usefixtures("numpy_initializer")


def count(layer, *shapes, **options):
    """Multiply-adds of one layer on inputs of these shapes, without the batch axis."""
    inputs = [keras.Input(shape) for shape in shapes]
    model = keras.Model(inputs, layer(*inputs))
    return kv.models.flops(model, **options)


# multiply-adds: numbers in the output, times products that are summed into each
CASES = {
    "dense": (layers.Dense(5), (7,), 5 * 7),
    "dense of a video": (layers.Dense(5), (2, 3, 4, 7), 2 * 3 * 4 * 5 * 7),
    "1d": (layers.Conv1D(5, 3, strides=2), (9, 4), 4 * 5 * 3 * 4),
    "2d": (layers.Conv2D(5, 3, padding="same"), (6, 8, 4), 6 * 8 * 5 * 9 * 4),
    "groups": (layers.Conv2D(6, 3, groups=2), (6, 8, 4), 4 * 6 * 6 * 9 * 2),
    "3d": (layers.Conv3D(5, (1, 3, 2)), (3, 6, 8, 4), 3 * 4 * 7 * 5 * 6 * 4),
    "dilated": (layers.Conv2D(5, 3, dilation_rate=2), (7, 8, 4), 3 * 4 * 5 * 9 * 4),
    "depthwise": (
        layers.DepthwiseConv2D(3, depth_multiplier=2),
        (6, 8, 4),
        4 * 6 * 4 * 2 * 9,
    ),
    "depthwise 3d": (
        kv.layers.DepthwiseConv3D((3, 5, 5), (1, 2, 2), "causal"),
        (3, 6, 8, 4),
        3 * 3 * 4 * 4 * 75,
    ),
    "separable": (layers.SeparableConv2D(5, 3), (6, 8, 4), 4 * 6 * (4 * 9 + 4 * 5)),
    "transposed": (layers.Conv2DTranspose(5, 3, strides=2), (6, 8, 4), 6 * 8 * 4 * 5 * 9),
    "einsum": (
        layers.EinsumDense("btc,chd->bthd", output_shape=(None, 2, 3)),
        (6, 4),
        6 * 4 * 2 * 3,
    ),
    "einsum with dots": (
        layers.EinsumDense("...c,cd->...d", output_shape=(3,)),
        (6, 5, 4),
        6 * 5 * 4 * 3,
    ),
    "every frame": (
        kv.layers.PerFrame(layers.Conv2D(5, 3)),
        (3, 6, 8, 4),
        3 * 4 * 6 * 5 * 9 * 4,
    ),
    "every step": (
        layers.TimeDistributed(layers.Dense(5)),
        (3, 6, 4),
        3 * 6 * 5 * 4,
    ),
    "self-gating": (kv.layers.SelfGating(), (3, 6, 8, 4), 4 * 4),
    "squeeze and excite": (kv.layers.SqueezeExcite3D(2), (3, 6, 8, 4), 4 * 2 + 2 * 4),
    "causal squeeze and excite": (
        kv.layers.SqueezeExcite3D(2, causal=True),
        (3, 6, 8, 4),
        3 * (8 * 2 + 2 * 4),
    ),
    "norm": (layers.LayerNormalization(axis=(1, 2)), (3, 4), 0),
    "batch norm": (layers.BatchNormalization(), (3, 4), 0),
    "activation": (layers.Activation("gelu"), (3, 4), 0),
    "pool": (layers.AveragePooling2D(2), (4, 4, 2), 0),
}


@pytest.mark.parametrize("name", CASES)
def test_layer(name):
    layer, shape, expected = CASES[name]
    assert count(layer, shape) == expected
    assert count(layer, shape, per_multiply_add=2) == 2 * expected


def test_attention():
    heads, size, queries, keys, channels = 2, 3, 5, 7, 4
    attention = layers.MultiHeadAttention(heads, size, value_dim=6)
    query = queries * channels * heads * size
    key_and_value = keys * channels * heads * (size + 6)
    pairs = heads * queries * keys * (size + 6)
    output = queries * heads * 6 * channels
    assert count(attention, (queries, channels), (keys, channels)) == (
        query + key_and_value + pairs + output
    )


@pytest.mark.parametrize(
    "operation, shapes, expected",
    [
        (ops.matmul, [(2, 3, 4), (2, 4, 5)], 2 * 3 * 4 * 5),
        (lambda x, y: ops.einsum("bij,bkj->bik", x, y), [(3, 4), (5, 4)], 3 * 4 * 5),
        (lambda x, y: ops.relu(x + y) * 2, [(3, 4), (3, 4)], 0),
    ],
)
def test_operations(operation, shapes, expected):
    assert count(operation, *shapes) == expected


def test_shared_and_nested_layers():
    dense = layers.Dense(4)
    x = keras.Input((4,))
    inner = keras.Model(x, dense(dense(x)), name="inner")
    outer = keras.Sequential([keras.Input((4,)), inner, layers.Dense(3), inner_of(3)])
    assert kv.models.flops(inner) == 2 * 16
    assert kv.models.flops(outer) == 2 * 16 + 12 + 9
    frames = keras.Input((5, 6, 6, 2))
    images = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(3, 3), layers.Flatten()])
    model = keras.Model(frames, kv.layers.PerFrame(images)(frames))
    assert kv.models.flops(model) == 5 * 4 * 4 * 3 * 9 * 2


def inner_of(units):
    return keras.Sequential([keras.Input((units,)), layers.Dense(units)])


def test_any_clip():
    inputs = keras.Input((None, None, None, 3))
    x = kv.layers.PerFrame(layers.Conv2D(2, 1), name="features")(inputs)
    x = layers.Dense(2)(layers.GlobalAveragePooling3D()(x))
    clip = kv.data.Clip(frames=4, fps=5, size=(6, 8))
    model = kv.models.VideoClassifier(inputs, x, labels=2, clip=clip, features="features")
    assert kv.models.flops(model) == 4 * 6 * 8 * 6 + 4
    assert kv.models.flops(model, clip=(1, 2, 2, 3)) == 4 * 6 + 4
    assert kv.models.flops(model, clip=kv.data.Clip(2, 5, 2)) == 2 * 4 * 6 + 4
    assert kv.models.flops(model.backbone, clip=(1, 2, 2, 3)) == 4 * 6
    with pytest.raises(ValueError, match="clip.*None"):
        kv.models.flops(model.backbone)


class Outer(layers.Layer):
    """`x -> (x, kernel)`: a layer that no rule knows."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 5))

    def call(self, x):
        return ops.matmul(x, self.kernel)


def test_what_is_not_known_is_an_error_that_a_rule_ends():
    with pytest.raises(ValueError, match="Outer.*rules"):
        count(Outer(), (3, 4))
    rules = {Outer: lambda layer, inputs, output: np.prod(output) * inputs[0][-1]}
    assert count(Outer(), (3, 4), rules=rules) == 3 * 5 * 4
    with pytest.raises(ValueError, match="Tensordot"):
        count(lambda x: ops.tensordot(x, x, axes=1), (3, 3))
    with pytest.raises(ValueError, match="Functional or Sequential.*Subclassed"):
        kv.models.flops(type("Subclassed", (keras.Model,), {})(), clip=(3,))


def test_counting_leaves_the_model_alone():
    model = inner_of(3)
    nodes = len(model.layers[0]._inbound_nodes)
    kv.models.flops(model)
    assert len(model.layers[0]._inbound_nodes) == nodes


TABLE = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in (ROOT / "docs" / "models.md").read_text().splitlines()
    if line.startswith("| `")
]


def test_the_table_in_the_docs_has_all_rows():
    calls = [(call, " x ".join(map(str, clip))) for call, clip, *_ in model_table.ROWS]
    assert [(row[0].strip("`"), row[1]) for row in TABLE] == calls
    builders = {call.partition("(")[0] for call, _ in calls}
    assert builders == {"resnet_cifar"} | set(kv.models.BUILDERS) - {"tiny"}


@pytest.mark.parametrize(
    "call",
    [
        'movinet("a0")',
        'frame_cnn("mobilenet_v3_small", labels=1000)',
        "slowonly(18)",
        "slowfast(50)",
        'csn(50, interaction="reduced")',
        "resnet_cifar(20, labels=10)",
    ],
)
def test_rows_of_the_table_in_the_docs(call):
    [row] = [row for row in model_table.ROWS if row[0] == call]
    assert model_table.line(row) in (ROOT / "docs" / "models.md").read_text()


def test_published_figures_hold():
    """Within the rounding and the other ways of counting that the page explains."""
    for call, _, parameters, published_parameters, flops, published_flops, _ in TABLE:
        if published_flops != "–" and "causal" not in call and call != '`movinet("a2")`':
            assert float(flops) == pytest.approx(float(published_flops), rel=0.03), call
        if published_parameters != "–" and "movinet" not in call:
            assert float(parameters) == pytest.approx(float(published_parameters), rel=0.02), call
