"""The family of 3D residual networks: layers, shapes, parameters, and what is put in between."""

import functools

import keras
import numpy as np
import pytest

import keras_vidreg as kv
from keras_vidreg.models import resnet3d

RMS = functools.partial(kv.layers.RandomMeanScaling, stddev=0.5)


def names(model, ending):
    return [layer.name for layer in model.layers if layer.name.endswith(ending)]


def trainable(model):
    return sum(np.prod(w.shape) for w in model.trainable_weights)


@pytest.fixture
def one_block_a_stage(monkeypatch):
    """The same networks, quick to compile."""
    for depth in (18, 50):
        monkeypatch.setitem(resnet3d.DEPTHS, depth, (1, 1, 1, 1))


def lazily_built(make):
    """The model without values of its weights."""
    with keras.StatelessScope(initialize_variables=False):
        return make()


# Published: SlowOnly-50 32.45M, SlowFast-50 34.57M (8x8) and 34.48M (4x16), SlowFast-101 62.83M,
# ip-CSN-50, -101 and -152 14.4M, 24.5M and 32.8M, ir-CSN-101 22.21M, ir-CSN-152 29.70M, R3D-18
# 33.37M. The others are those of the implementations that weights are ported from.
@pytest.mark.parametrize(
    "make, parameters",
    [
        (lambda: kv.models.slowonly(18), 32_025_552),
        (lambda: kv.models.slowonly(34), 61_008_080),
        (lambda: kv.models.slowonly(50), 32_454_096),
        (lambda: kv.models.slowonly(101), 60_359_120),
        (lambda: kv.models.slowfast(50), 34_566_488),
        (lambda: kv.models.slowfast(50, alpha=8), 34_480_216),
        (lambda: kv.models.slowfast(101), 62_826_968),
        (lambda: kv.models.csn(50), 14_396_176),
        (lambda: kv.models.csn(101), 24_601_616),
        (lambda: kv.models.csn(152), 33_016_592),
        (lambda: kv.models.csn(101, interaction="reduced"), 22_213_776),
        (lambda: kv.models.csn(152, interaction="reduced"), 29_703_568),
        (lambda: kv.models.r3d(18), 33_371_472),
        (lambda: kv.models.resnet3d_rs(50), 48_129_840),
        (lambda: kv.models.resnet3d_rs(101), 48_129_840 + 17 * 2_167_040),  # blocks of res4
    ],
)
def test_number_of_parameters(make, parameters):
    assert trainable(lazily_built(make)) == parameters


def test_slowonly_names_and_shapes():
    model = lazily_built(lambda: kv.models.slowonly(18, labels=5, width=4))
    assert [layer.name for layer in model.layers[:5]] == [
        "video", "stem_conv", "stem_norm", "stem_act", "stem_pool",
    ]  # fmt: skip
    kernels = {name: model.get_layer(name).kernel.shape for name in names(model, "conv1")}
    assert kernels["res3_block0_conv1"] == (1, 3, 3, 4, 8)
    assert kernels["res4_block0_conv1"] == (3, 3, 3, 8, 16)
    assert names(model, "skip_conv") == [f"res{i}_block0_skip_conv" for i in (3, 4, 5)]
    assert [layer.name for layer in model.layers[-4:]] == [
        "res5_block1_act", "head_pool", "head_dropout", "logits",
    ]  # fmt: skip
    # time is never subsampled; space is, by 4 in the stem and 2 in each stage but the first
    assert model.backbone.compute_output_shape((1, 4, 64, 96, 3)) == (1, 4, 2, 3, 32)


def test_temporal_kernels_of_bottlenecks():
    model = lazily_built(lambda: kv.models.slowonly(50, width=4))
    for stage, time in zip(("res2", "res3", "res4", "res5"), (1, 1, 3, 3), strict=True):
        for block in (0, 1):
            conv1, conv2, conv3 = (
                model.get_layer(f"{stage}_block{block}_conv{i}") for i in (1, 2, 3)
            )
            assert conv1.kernel.shape[:3] == (time, 1, 1)
            assert conv1.strides == conv3.strides == (1, 1, 1)
            assert conv2.kernel.shape[:3] == (1, 3, 3)
            assert conv2.strides == ((1, 2, 2) if stage != "res2" and block == 0 else (1, 1, 1))


def test_slowfast_fuses_both_pathways():
    model = lazily_built(lambda: kv.models.slowfast(50, labels=5, width=16))
    assert model.get_layer("slow_stem_conv").kernel.shape == (1, 7, 7, 3, 16)
    assert model.get_layer("fast_stem_conv").kernel.shape == (5, 7, 7, 3, 2)
    lateral = model.get_layer("lateral_res2_conv")
    assert lateral.kernel.shape == (7, 1, 1, 8, 16)
    assert lateral.strides == (4, 1, 1)
    slow = model.get_layer("slow_res2_block2_act").output
    assert model.get_layer("lateral_res2_concat").input[0] is slow  # slow features come first
    assert model.get_layer("slow_res3_block0_conv1").kernel.shape[-2] == 16 * 4 + 16
    for stage in ("res2", "res3", "res4", "res5"):
        assert model.get_layer(f"fast_{stage}_block1_conv1").kernel.shape[0] == 3
    assert not names(model, "lateral_res5_conv")
    slower = lazily_built(lambda: kv.models.slowfast(50, alpha=8, width=16))
    assert slower.get_layer("lateral_res2_conv").kernel.shape[0] == 5
    plain = lazily_built(lambda: kv.models.slowfast(50, width=16, lateral_norm=False))
    assert names(plain, "lateral_res2_conv") and not names(plain, "lateral_res2_norm")


def test_slowfast_takes_any_number_of_frames(one_block_a_stage):
    model = kv.models.slowfast(50, labels=5, width=8)
    video = np.random.default_rng(0).random((1, 9, 33, 40, 3)).astype("float32")
    assert model.predict_on_batch(video).shape == (1, 5)
    assert model.backbone.compute_output_shape((1, 9, 64, 64, 3)) == (1, 3, 2, 2, 32 * 9)


def test_csn_separates_channels_from_space_and_time():
    model = lazily_built(lambda: kv.models.csn(50, width=8))
    conv = model.get_layer("res3_block0_conv2")
    assert isinstance(conv, kv.layers.DepthwiseConv3D)
    assert (conv.kernel_size, conv.strides) == ((3, 3, 3), (2, 2, 2))
    assert model.get_layer("res3_block0_conv2_mix").kernel.shape == (1, 1, 1, 16, 16)
    assert (
        model.get_layer("res3_block0_conv2").input
        is model.get_layer("res3_block0_norm2_mix").output
    )  # no activation in between
    assert model.get_layer("stem_norm").epsilon == 1e-3
    assert model.backbone.compute_output_shape((1, 16, 64, 64, 3)) == (1, 2, 2, 2, 256)
    reduced = lazily_built(lambda: kv.models.csn(50, interaction="reduced", width=8))
    assert not names(reduced, "conv2_mix")


def test_resnet3d_rs_gates():
    model = lazily_built(lambda: kv.models.resnet3d_rs(50, width=8))
    assert [model.get_layer(f"stem_conv{i}").kernel_size for i in (1, 2, 3)] == [
        (5, 3, 3), (1, 3, 3), (1, 3, 3),
    ]  # fmt: skip
    assert names(model, "self_gating") == [
        "res2_block2_self_gating", "res3_block3_self_gating",
        "res4_block5_self_gating", "res5_block2_self_gating",
    ]  # fmt: skip
    assert len(names(model, "squeeze_excite")) == 16
    assert model.get_layer("res5_block0_squeeze_excite").width == 64
    assert model.get_layer("res5_block2_drop").rate == pytest.approx(0.1)
    plain = lazily_built(lambda: kv.models.resnet3d_rs(50, width=8, drop=None))
    assert not names(plain, "_drop")
    assert plain.backbone.compute_output_shape((1, 8, 33, 64, 3)) == (1, 4, 2, 2, 256)
    assert lazily_built(lambda: kv.models.resnet3d_rs(200, width=8)).clip.frames == 48


def test_r3d_is_3d_everywhere():
    model = lazily_built(lambda: kv.models.r3d(18, width=8))
    assert not names(model, "stem_pool")
    for name in names(model, "conv1") + names(model, "conv2"):
        assert model.get_layer(name).kernel_size == (3, 3, 3)
    assert model.backbone.compute_output_shape((1, 16, 64, 64, 3)) == (1, 2, 4, 4, 64)


@pytest.mark.parametrize(
    "make, count",
    [
        (lambda **options: kv.models.slowfast(50, width=8, **options), 2 * (6 + 3)),
        (lambda **options: kv.models.csn(50, width=8, **options), 6 + 3),
        (lambda **options: kv.models.resnet3d_rs(50, width=8, **options), 6 + 3),
        (lambda **options: kv.models.r3d(18, width=8, **options), 2 * (2 + 2)),
    ],
)
def test_every_family_takes_a_regularizer(make, count):
    model = lazily_built(lambda: make(regularizer=RMS, drop=kv.layers.ShakeDrop, drop_rate=0.5))
    assert len(names(model, "_regularizer")) == count
    assert {model.get_layer(n).rate for n in names(model, "res5_block1_drop")} <= {
        0.5,
        0.5 * 15 / 16,
    }
    assert max(model.get_layer(n).rate for n in names(model, "_drop")) == 0.5


def test_default_positions():
    basic = lazily_built(lambda: kv.models.slowonly(18, width=4, regularizer=RMS))
    assert names(basic, "_regularizer") == [
        f"res{stage}_block{block}_norm{i}_regularizer"
        for stage in (4, 5) for block in (0, 1) for i in (1, 2)
    ]  # fmt: skip
    bottleneck = lazily_built(lambda: kv.models.slowonly(50, width=4, regularizer=RMS))
    assert names(bottleneck, "_regularizer") == [
        f"res{stage}_block{block}_norm3_regularizer"
        for stage, blocks in ((4, 6), (5, 3)) for block in range(blocks)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "position, layer",
    [
        ("conv1", "conv1"), ("bn1", "norm1"), ("relu1", "act1"),
        ("conv2", "conv2"), ("bn2", "norm2"), ("relu2", "add"),
    ],
)  # fmt: skip
def test_regularizer_stands_before_its_layer(position, layer):
    model = lazily_built(
        lambda: kv.models.slowonly(18, width=4, regularizer=RMS, positions=position, stages="res3")
    )
    assert names(model, "_regularizer") == [f"res3_block{i}_{layer}_regularizer" for i in (0, 1)]
    follower = model.get_layer(f"res3_block1_{layer}")
    branch = follower.input[1] if layer == "add" else follower.input
    assert branch is model.get_layer(f"res3_block1_{layer}_regularizer").output
    if position == "conv1":  # of the branch, not of the shortcut
        add = model.get_layer("res3_block1_add")
        assert add.input[0] is model.get_layer("res3_block0_act").output


def test_before_the_last_relu_is_on_the_branch_in_front_of_the_drop():
    model = lazily_built(
        lambda: kv.models.slowonly(
            50, width=4, regularizer=RMS, positions="relu3", drop=kv.layers.StochasticDepth
        )
    )
    regularizer = model.get_layer("res4_block1_add_regularizer")
    assert regularizer.input is model.get_layer("res4_block1_norm3").output
    assert model.get_layer("res4_block1_drop").input is regularizer.output
    assert model.get_layer("res4_block1_add").input[0] is model.get_layer("res4_block0_act").output


def test_drop_rates_of_resnet3d_rs_grow_with_the_stages():
    model = lazily_built(lambda: kv.models.resnet3d_rs(50, width=8, drop_rate=0.2))
    for stage, rate in zip((2, 3, 4, 5), (0.08, 0.12, 0.16, 0.2), strict=True):
        drops = [name for name in names(model, "_drop") if name.startswith(f"res{stage}_")]
        np.testing.assert_allclose([model.get_layer(name).rate for name in drops], rate)


def test_stem_for_small_images():
    model = lazily_built(lambda: kv.models.slowonly(18, width=4, stem="small"))
    assert not names(model, "stem_pool")
    conv = model.get_layer("stem_conv")
    assert (conv.kernel_size, conv.strides) == ((1, 3, 3), (1, 1, 1))
    assert model.backbone.compute_output_shape((1, 4, 32, 32, 3)) == (1, 4, 4, 4, 32)


def test_drop_rates_grow_in_a_line():
    model = lazily_built(
        lambda: kv.models.slowonly(18, width=4, drop=kv.layers.StochasticDepth, drop_rate=0.4)
    )
    drops = names(model, "_drop")
    assert drops[0] == "res2_block0_drop"
    rates = [model.get_layer(name).rate for name in drops]
    np.testing.assert_allclose(rates, 0.4 * np.arange(1, 9) / 8)
    add = model.get_layer("res5_block1_add")
    assert add.input[1] is model.get_layer("res5_block1_drop").output


def test_a_fixed_seed_still_gives_every_layer_its_own_numbers():
    rms = functools.partial(RMS, seed=3)
    model = lazily_built(lambda: kv.models.slowfast(50, width=8, regularizer=rms))
    seeds = [layer.seed for layer in model.layers if layer.name.endswith("_regularizer")]
    assert sorted(seeds) == list(range(3, 3 + len(seeds))) and len(seeds) == 18


def test_regularizer_disturbs_training_only_and_the_model_is_saved(tmp_path, one_block_a_stage):
    options = {"labels": 3, "width": 4, "dropout": 0.0}
    model = kv.models.slowonly(
        18, regularizer=RMS, drop=functools.partial(kv.layers.ShakeDrop, level="batch"),
        drop_rate=0.3, **options,
    )  # fmt: skip
    video = np.random.default_rng(0).random((2, 3, 32, 32, 3)).astype("float32")
    model.save(tmp_path / "model.keras")
    copy = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(copy.predict_on_batch(video), model.predict_on_batch(video), 1e-5)
    model.compile(keras.optimizers.SGD(0.0))
    losses = {float(model.train_on_batch(video, np.array([0, 2]))[0]) for _ in range(3)}
    assert len(losses) == 3 and np.isfinite(list(losses)).all()


def test_plain_values_of_a_recipe():
    arguments = {
        "depth": 18, "width": 4, "positions": ["bn1"], "drop": "StochasticDepth",
        "drop_rate": 0.2, "regularizer": {"layer": "RandomMeanScaling", "stddev": 0.25},
    }  # fmt: skip
    clip = kv.data.Clip(frames=4, fps=5, size=32)
    model = lazily_built(kv.models.Description("slowonly", arguments, 2, clip).build)
    assert model.get_layer("res4_block0_norm1_regularizer").stddev == 0.25
    assert model.get_layer("res5_block1_drop").rate == 0.2
    assert model.clip.frames == 4


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: kv.models.slowonly(19), "depth.*18.*19"),
        (lambda: kv.models.slowonly(18, positions="bn3"), "positions.*all_bns.*bn2.*bn3"),
        (lambda: kv.models.slowonly(50, positions=("bn4",)), "positions.*bn3.*bn4"),
        (lambda: kv.models.slowonly(18, stages=("res6",)), "stages.*res5.*res6"),
        (lambda: kv.models.slowonly(18, drop_rate=0.1), "drop_rate.*drop"),
        (lambda: kv.models.slowonly(18, stem="tiny"), "stem.*small.*tiny"),
        (lambda: kv.models.csn(50, positions="relu2_mix"), "positions.*conv2_mix.*bn2_mix"),
        (lambda: kv.models.csn(50, interaction="lost"), "interaction.*lost"),
        (lambda: kv.models.csn(34), "depth.*34"),
        (lambda: kv.models.r3d(50), "depth.*50"),
        (lambda: kv.models.slowfast(18), "depth.*18"),
        (lambda: kv.models.slowfast(50, beta=0.001), "beta.*0.001"),
        (lambda: kv.models.resnet3d_rs(51), "depth.*350.*51"),
        (
            kv.models.Description(
                "slowonly", {"regularizer": {"layer": "RMS"}}, 2, kv.data.Clip(8, 5, 64)
            ).build,
            "regularizer.*RandomMeanScaling.*RMS",
        ),
    ],
)
def test_errors_say_what_there_is(make, words):
    with pytest.raises(ValueError, match=words):
        make()
