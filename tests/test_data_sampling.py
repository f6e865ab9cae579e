"""Which frames a clip takes, and how they are cropped and changed."""

import dataclasses
import json
import warnings

import numpy as np
import pytest
from video_files import grey, write_video

from keras_vidreg.data import (
    Augment,
    Clip,
    VideoDecodeError,
    decode,
    prepare,
    read_clip,
    read_views,
)
from keras_vidreg.data.augment import crop, resize
from keras_vidreg.data.sample import clip_indices, parse_views, uniform_indices


def constant(count, rate):
    return np.arange(count) / rate


@pytest.mark.parametrize("rate", [10, 24, 25, 29.97, 30, 60])
@pytest.mark.parametrize("share", [1, 0.999, 0.9, 0.5, 1 / 3, 0.21])
def test_no_frame_twice_when_the_rate_goes_down(rate, share):
    indices = clip_indices(constant(200, rate), 40, rate * share)
    steps = np.diff(indices)
    assert steps.min() >= 1 and steps.max() - steps.min() <= 1
    assert abs(indices[-1] - indices[0] - 39 / share) <= 1


def test_a_slow_file_gives_each_frame_once_and_a_warning():
    with pytest.warns(UserWarning, match="50 frames a second .* of 25:"):
        indices = clip_indices(constant(100, 25), 10, 50)
    assert np.diff(indices).tolist() == [1] * 9


def test_the_centre_is_the_centre():
    assert clip_indices(constant(11, 10), 5).tolist() == [3, 4, 5, 6, 7]
    assert clip_indices(constant(20, 10), 5, 5).tolist() == [5, 7, 9, 11, 13]


def test_views_go_from_the_first_start_to_the_last():
    times = constant(30, 25)
    starts = [clip_indices(times, 10, view=v, views=5)[0] for v in range(5)]
    assert starts == [0, 5, 10, 15, 20]
    last = clip_indices(times, 10, 12.5, view=4, views=5)
    assert last[-1] in (28, 29)


def test_random_starts_reach_both_ends_and_nothing_else():
    rng = np.random.default_rng(0)
    starts = [clip_indices(constant(14, 25), 10, rng=rng)[0] for _ in range(200)]
    assert set(starts) == {0, 1, 2, 3, 4}


def test_variable_rate_follows_the_clock():
    times = np.array([0, 0.1, 0.2, 1.0, 1.1, 1.2, 1.3, 2.0])
    indices = clip_indices(times, 4, 2.0)
    expected = [np.flatnonzero(times <= times[indices[0]] + i / 2 + 1e-6)[-1] for i in range(4)]
    assert indices.tolist() == expected


@pytest.mark.parametrize("fps", [None, 25, 12.5])
def test_short_videos_follow_the_rule(fps):
    times = constant(6, 25)
    order = np.arange(6)[:: 1 if fps != 12.5 else 2]
    loop = clip_indices(times, 8, fps, short="loop")
    hold = clip_indices(times, 8, fps, short="hold")
    assert loop.tolist() == np.resize(order, 8).tolist()
    assert hold.tolist() == [*order, *[order[-1]] * (8 - len(order))]
    with pytest.raises(VideoDecodeError, match=rf"x.mp4: .* has {len(order)} frames, needs 8"):
        clip_indices(times, 8, fps, short="error", path="x.mp4")


def test_uniform_takes_one_frame_from_each_part():
    assert uniform_indices(12, 4).tolist() == [1, 4, 7, 10]
    rng = np.random.default_rng(0)
    drawn = np.array([uniform_indices(12, 4, rng=rng) for _ in range(100)])
    assert (drawn // 3 == np.arange(4)).all() and len(np.unique(drawn)) == 12
    assert uniform_indices(2, 4, short="hold").tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize(("views", "parsed"), [(1, (1, 1)), ("3", (3, 1)), ("10x3", (10, 3))])
def test_views_parse(views, parsed):
    assert parse_views(views) == parsed


@pytest.mark.parametrize("views", [0, "x3", "10x3x2", -1, 1.5])
def test_bad_views_are_named(views):
    with pytest.raises(ValueError, match="views="):
        parse_views(views)


def test_clip_round_trip_and_checks():
    clip = Clip(8, None, (48, 64), 50, (-1, 1), [0.1, 0.2, 0.3], (1, 2, 3))
    assert Clip.from_dict(clip.to_dict()) == clip and hash(clip) == hash(Clip(**clip.to_dict()))
    with pytest.raises(ValueError, match="speed"):
        Clip.from_dict({"speed": 1})
    with pytest.raises(ValueError, match="fps.*missing"):
        Clip.from_dict({"frames": 1, "size": 2})
    with pytest.raises(ValueError, match="dictionary"):
        Clip.from_dict([1, 2])


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("frames", [0, 2.5, True, "8", None, 2**40, float("nan")]),
        ("fps", [-1, 0, float("inf"), float("nan"), "5", True, 10**400]),
        ("size", ["32", 0, (0, 2), (2,), (2, 3, 4), 32.5, (1.5, 2), None, 2**40, [[1, 2], 3]]),
        ("resize", ["50", 0, -1, (40, 64), (60, 50), (60,), float("inf"), True]),
        ("pixel_range", [(0,), (1, 1), (1, 0), (0, float("nan")), (0, float("inf")), "01", None]),
        ("mean", [(1, 2), float("nan"), (0, 0, float("nan")), "abc", (0, 0, None)]),
        ("std", [(1, 0, 1), (1, 1, -1), (1, 1, float("inf")), (1, 1), 1.0]),
    ],
)
def test_a_clip_that_makes_no_sense_is_refused_by_name(name, values):
    good = Clip(8, None, (48, 64), 50).to_dict()
    for value in values:
        with pytest.raises(ValueError, match=f"Clip: {name}=.*give "):
            Clip.from_dict(good | {name: value})


def test_an_error_about_a_clip_is_short():
    with pytest.raises(ValueError) as error:
        Clip(8, None, 32, mean="\x1b" * 10**6)
    assert len(str(error.value)) < 200 and "\x1b" not in str(error.value)


def test_normalize_is_the_formula():
    clip = Clip(1, None, 2, None, (-1, 1), (0.1, 0.2, 0.3), (0.5, 1.0, 2.0))
    video = np.random.default_rng(0).integers(0, 256, (1, 2, 2, 3), np.uint8)
    expected = (video / 255 * 2 - 1 - np.array(clip.mean)) / np.array(clip.std)
    np.testing.assert_allclose(clip.normalize(video), expected, atol=1e-6)
    assert clip.normalize(video).dtype == np.float32


def test_frame_size_keeps_the_aspect_and_holds_the_crop():
    assert Clip(1, None, 112, 128).frame_size(240, 320) == (128, 171)
    assert Clip(1, None, (64, 128), 64).frame_size(100, 100) == (128, 128)
    assert Clip(1, None, 112).frame_size(240, 320) == (112, 112)
    assert Clip(1, None, 172, (200, 220)).frame_size(240, 320) == (200, 220)


def test_a_stretched_frame_is_cropped_and_comes_back_from_json(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    path = write_video(tmp_path / "a.mkv", 4, picture=picture)
    clip = Clip.from_dict(json.loads(json.dumps(Clip(2, None, 20, (24, 24), (0, 255)).to_dict())))
    assert clip.resize == (24, 24)
    stretched = decode(path, size=(24, 24))
    np.testing.assert_array_equal(read_clip(path, clip)[0], stretched[0, 2:22, 2:22])
    assert prepare(decode(path), clip).shape == (4, 20, 20, 3)
    crops = read_views(path, clip, "1x3")[:, 0]
    np.testing.assert_array_equal(crops[0], stretched[0, 2:22, :20])
    with pytest.raises(ValueError, match="nothing is left to crop"):
        read_views(path, dataclasses.replace(clip, size=24), "1x3")


def test_three_crops_of_another_size_than_the_model_was_made_for(tmp_path):
    path = write_video(tmp_path / "a.mkv", 20)
    clip = dataclasses.replace(Clip(4, None, 224, 256), size=256, resize=256)
    assert read_views(path, clip, "10x3").shape == (30, 4, 256, 256, 3)


def test_read_clip_gives_the_centre_in_the_pixel_range(tmp_path):
    path = write_video(tmp_path / "a.mkv", 20)
    video = read_clip(path, Clip(6, 12.5, 24, 28, (-1, 1)))
    assert video.shape == (6, 24, 24, 3) and video.dtype == np.float32
    assert grey((video + 1) * 127.5).tolist() == [4, 6, 8, 10, 12, 14]


def test_all_views_at_once_are_the_views_one_by_one(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    path = write_video(tmp_path / "a.mkv", 20, picture=picture)
    clip = Clip(4, 12.5, 32, 32)
    together = read_views(path, clip, "2x3")
    one_by_one = [read_clip(path, clip, view=v, views="2x3") for v in range(6)]
    np.testing.assert_array_equal(together, np.stack(one_by_one))
    assert not np.array_equal(together[0], together[2])
    with pytest.raises(ValueError, match="view=6"):
        read_clip(path, clip, view=6, views="2x3")
    with pytest.raises(ValueError, match="resize=None"):
        read_views(path, Clip(4, 12.5, 32), "2x3")


def test_crop_moves_along_the_longer_side():
    video = np.arange(6 * 10).reshape(1, 6, 10, 1)
    assert crop(video, (4, 4), 0.0)[0, 0, 0, 0] == 10
    assert crop(video, (4, 4), 0.5)[0, 0, 0, 0] == 13
    assert crop(video, (4, 4), 1.0)[0, 0, 0, 0] == 16
    with pytest.raises(ValueError, match="8 x 4 .* 6 x 10"):
        crop(video, (8, 4))


@pytest.mark.parametrize("size", [(20, 30), (7, 9), (12, 16), (3, 40)])
def test_resize_keeps_ramps_and_constants(size):
    assert (resize(np.full((2, 12, 16, 3), 200, np.uint8), size) == 200).all()
    ramp = np.broadcast_to((np.arange(16) * 15)[:, None], (2, 12, 16, 3)).astype(np.uint8)
    columns = ((np.arange(size[1]) + 0.5) * 16 / size[1] - 0.5) * 15
    inner = slice(size[1] // 5, -(size[1] // 5))
    error = resize(ramp, size)[0, 0, :, 0][inner] - columns[inner]
    assert np.abs(error).max() <= 1.5  # a tenth of a pixel


@pytest.mark.parametrize(
    "augment",
    [
        Augment(),
        Augment(scale=(0.3, 1.0)),
        Augment(flip=0.5),
        Augment(brightness=0.4, contrast=0.4, saturation=0.4),
    ],
)
def test_augmentation_draws_once_per_clip(augment):
    rng = np.random.default_rng(3)
    frame = rng.integers(0, 256, (40, 50, 3), np.uint8)
    video = np.stack([frame] * 4)
    results = []
    for seed in range(8):
        result = Augment(**vars(augment) | {"size": (32, 32)})(video, np.random.default_rng(seed))
        assert result.shape == (4, 32, 32, 3) and result.dtype == np.uint8
        assert (result == result[:1]).all()
        results.append(result[0].tobytes())
    again = Augment(**vars(augment) | {"size": (32, 32)})(video, np.random.default_rng(7))
    assert again[0].tobytes() == results[7] and len(set(results)) > 1


def test_flips_only_when_asked():
    video = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    for seed in range(20):
        same = Augment()(video, np.random.default_rng(seed))
        np.testing.assert_array_equal(same, video)
    flipped = Augment(flip=1.0)(video, np.random.default_rng(0))
    np.testing.assert_array_equal(flipped, video[:, :, ::-1])


@pytest.mark.parametrize(
    "wrong", [{"scale": (0.5, 2)}, {"flip": 1.5}, {"contrast": -1}, {"ratio": (2, 1)}]
)
def test_bad_augmentations_are_named(wrong):
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}="):
        Augment(**wrong)


def test_a_file_at_its_own_rate_does_not_warn(tmp_path):
    path = write_video(tmp_path / "a.mkv", 20, rate=24)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.diff(grey(255 * read_clip(path, Clip(8, 24, 32)))).tolist() == [1] * 7
