"""Image networks over frames against `keras.applications`, and the temporal shift."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

import keras_vidreg as kv
from keras_vidreg.models._frame_cnn import ARCHITECTURES, CLIP

RNG = np.random.default_rng(0)
pytestmark = pytest.mark.usefixtures("numpy_initializer")


@given(
    time=st.sampled_from([1, 3]),
    channels=st.sampled_from([4, 7]),
    fraction=st.sampled_from([0.25, 0.3, 0.5]),
    causal=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_shift(time, channels, fraction, causal):
    x = np.arange(1.0, 1 + 2 * time * 3 * channels, dtype="float32")
    x = x.reshape(2, time, 3, channels)
    count = int(fraction * channels)
    expected = np.zeros_like(x)
    for t in range(time):
        for c in range(channels):
            if causal:
                source = t - 1 if c < count else t
            else:
                source = t + 1 if c < count else t - 1 if c < 2 * count else t
            if 0 <= source < time:
                expected[:, t, :, c] = x[:, source, :, c]
    got = kv.layers.TemporalShift(fraction, causal)(x)
    np.testing.assert_array_equal(ops.convert_to_numpy(got), expected)


def test_published_shift_is_an_eighth():
    x = RNG.random((1, 3, 2, 2, 16)).astype("float32")
    y = ops.convert_to_numpy(kv.layers.TemporalShift()(x))
    assert [c for c in range(16) if (y[..., c] != x[..., c]).any()] == [0, 1, 2, 3]


def image_network(variant, size, path):
    """A network of `keras.applications` whose statistics are not those it starts with; its file."""
    images = ARCHITECTURES[variant].images(
        input_shape=(*size, 3), include_top=False, weights=None, include_preprocessing=False
    )
    for weight in images.weights:
        if len(weight.shape) == 1:
            weight.assign(RNG.uniform(0.5, 1.5, weight.shape))
    images.save_weights(path)
    return images


@pytest.mark.parametrize("variant", ARCHITECTURES)
def test_features_are_those_of_the_image_network(variant, tmp_path):
    path = str(tmp_path / "images.weights.h5")
    images = image_network(variant, (41, 64), path)  # odd and even: padding differs
    model = kv.models.frame_cnn(variant, labels=3, weights=path)
    video = RNG.uniform(-1, 1, (2, 2, 41, 64, 3)).astype("float32")
    got = model.backbone.predict_on_batch(video)
    expected = images.predict_on_batch(video.reshape(4, 41, 64, 3))
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got, expected.reshape(got.shape), atol=2e-6 * scale)


@pytest.fixture(scope="module")
def shifted(numpy_initializer):
    """Small networks with a shift, both ways and causal, of the same weights."""
    models = [
        kv.models.Description(
            "frame_cnn",
            {"temporal_shift": True, "causal": causal},
            ["a", "b"],
            CLIP,
        ).build()
        for causal in (False, True)
    ]
    models[1].set_weights(models[0].get_weights())
    return models


@pytest.mark.parametrize("variant, count", [("mobilenet_v3_small", 6), ("mobilenet_v3_large", 9)])
def test_number_of_shifts(variant, count):
    blocks = ARCHITECTURES[variant].blocks
    inputs = [16, *(block[2] for block in blocks)]
    with_shortcut = [
        stride == 1 and before == channels and expanded != before
        for (_, expanded, channels, _, _, stride), before in zip(blocks, inputs, strict=False)
    ]
    assert sum(with_shortcut) == count


def test_shortcuts_are_not_shifted(shifted):
    shifts = [layer for layer in shifted[0].layers if isinstance(layer, kv.layers.TemporalShift)]
    assert len(shifts) == 6
    for shift in shifts:
        block = shift.name.removesuffix("_shift")
        shortcut, _ = shifted[0].get_layer(f"{block}_add").input
        assert shift.input is shortcut
        assert shifted[0].get_layer(f"{block}_expand").input is shift.output
    assert shifted[0].count_params() == shifted[1].count_params()


def test_frames_see_their_neighbours(shifted):
    video = RNG.uniform(-1, 1, (1, 16, 32, 32, 3)).astype("float32")
    changed = video.copy()
    changed[:, 8] = 0
    for model, first in zip(shifted, (2, 8), strict=True):  # six shifts, each way or causal
        features = model.backbone
        differ = features.predict_on_batch(video) != features.predict_on_batch(changed)
        reached = set(np.flatnonzero(differ.any(axis=(0, 2, 3, 4))))
        assert reached <= set(range(first, 15))  # far away the influence drowns in rounding
        assert reached >= set(range(max(first, 7), 10))


def test_smoothed_frame_cnn(shifted):
    model = kv.models.grw_classifier(
        shifted[1], window=4, embed_dim=8, depth=1, heads=2, mlp_dim=8, labels=3
    )
    assert model.clip == shifted[1].clip
    assert model.clip.pixel_range == (-1.0, 1.0)
    assert model.output_shape == (None, 3)
    assert model.get_layer("conv") is shifted[1].get_layer("conv")


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: kv.models.frame_cnn("mobilenet_v2"), "variant.*mobilenet_v2"),
        (lambda: kv.layers.TemporalShift(0.6), "fraction.*0.6"),
        (lambda: kv.layers.TemporalShift()(np.zeros((1, 2, 4), "float32")), "fraction.*0.125"),
    ],
)
def test_errors_say_what_came(make, words):
    with pytest.raises(ValueError, match=words):
        make()
