"""Decoding: right frames at right times, upright, and one kind of error."""

import pickle
import re

import av
import numpy as np
import pytest
from video_files import grey, write_video

from keras_vidreg.data import Clip, VideoDecodeError, decode, read_clip
from keras_vidreg.data.decode import read_frames
from keras_vidreg.data.timeline import scan

LINE = re.compile(
    r"(?P<name>\S+) \| \d+ \| (?:\S+ (?P<width>\d+)x(?P<height>\d+) .*decoded=(?P<count>\d+) "
    r"rot=(?P<rotation>\S+)(?P<error> ERR .*)?|NO VIDEO STREAM|OPEN FAILS.*)$"
)


@pytest.fixture(scope="module")
def table(shared):
    """{file: what the table says about it}."""
    matches = map(LINE.match, (shared / "data/decoder/README.txt").read_text().splitlines())
    return {match["name"]: match.groupdict() for match in matches if match}


def test_every_file_decodes_as_listed_or_gives_the_one_error(shared, table):
    files = sorted(p for p in (shared / "data/decoder").iterdir() if p.name != "README.txt")
    assert set(table) == {path.name for path in files}
    wrong = []
    for path in files:
        row = table[path.name]
        count = 0 if row["error"] else int(row["count"] or 0)
        size = (int(row["height"] or 0), int(row["width"] or 0))
        upright = size[::-1] if row["rotation"] in ("90", "-90") else size
        try:
            shapes = []
            video = decode(path, size=lambda *size, shapes=shapes: shapes.append(size) or (16, 24))
            good = video.shape == (count, 16, 24, 3) and shapes == [upright]
        except VideoDecodeError as error:
            good = count == 0 and error.path == str(path) and bool(error.reason.strip())
        if not good:
            wrong.append(path.name)
    assert not wrong


@pytest.mark.parametrize("name", ["decord_corrupted.mp4", "gen_truncated_faststart_50pct.mp4"])
def test_a_damaged_file_gives_its_good_frames_on_demand(shared, table, name):
    path = shared / "data/decoder" / name
    video = decode(path, size=(16, 16), errors="partial")
    assert len(video) == int(table[name]["count"])
    with pytest.raises(VideoDecodeError, match=r"\d+"):
        decode(path, size=(16, 16))


@pytest.mark.parametrize("name", ["gen_longgop_bframes.mp4", "gen_mpegts.ts", "gen_vp9.webm"])
def test_a_late_frame_is_the_same_with_and_without_the_frames_before_it(shared, name):
    path = shared / "data/decoder" / name
    everything = decode(path, size=(24, 32))
    late = [len(everything) - 1, len(everything) - 5, len(everything) - 1]
    frames = read_frames(path, scan(path), late, lambda height, width: (24, 32))
    np.testing.assert_array_equal(frames, everything[late])


def test_rotated_phone_videos_are_upright(shared):
    folder = shared / "data/decoder"
    assert decode(folder / "decord_video_90.mov").shape == (3, 568, 320, 3)
    assert decode(folder / "decord_video_180.mov").shape == (3, 320, 568, 3)


@pytest.mark.parametrize("angle", [90, -90, 180])
def test_rotation_turns_the_picture_as_the_matrix_says(tmp_path, angle):
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:8, :8] = 255
    path = write_video(tmp_path / "a.mp4", 3, picture=picture, rotation=angle, codec="libx264")
    plain = write_video(tmp_path / "b.mp4", 3, picture=picture, codec="libx264")
    turn = rotation_seen(path)
    expected = np.rot90(decode(plain)[0], turn // 90)
    np.testing.assert_array_equal(decode(path)[0], expected)
    # Resizing comes before turning inside, and must not show.
    small = decode(path, size=(12, 20))
    assert small.shape == (3, 12, 20, 3)
    corner = {90: (-1, 0), -90: (0, -1), 180: (-1, -1), -180: (-1, -1)}[turn]
    assert small[0][corner].min() > 200 and small[0].mean() < 60


def rotation_seen(path):
    with av.open(path) as container:
        return next(container.decode(video=0)).rotation


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "ffv1"), ("a.mp4", "libx264"), ("a.avi", "ffv1")]
)
def test_all_frames_in_order(tmp_path, name, codec):
    path = write_video(tmp_path / name, 20, codec=codec)
    assert grey(decode(path)).tolist() == list(range(20))


def test_the_frame_on_screen_at_a_time(tmp_path):
    path = write_video(tmp_path / "a.mkv", 20, rate=10)
    assert grey(decode(path, [0.0, 0.1, 0.19, 1.5, 0.05])).tolist() == [0, 1, 1, 15, 0]
    with pytest.raises(VideoDecodeError, match="lasts 2 s"):
        decode(path, [2.5])


def test_variable_rate_goes_by_time_stamps(tmp_path):
    seconds = [0, 0.1, 0.2, 1.0, 1.05, 1.1, 2.0]
    path = write_video(tmp_path / "a.mkv", 7, seconds=seconds)
    assert len(scan(path)) == 7
    np.testing.assert_allclose(scan(path).times, seconds, atol=1e-9)
    asked = [0.0, 0.15, 0.5, 0.99, 1.0, 1.07, 1.5, 2.0]
    assert grey(decode(path, asked)).tolist() == [0, 1, 2, 2, 3, 4, 5, 6]


def test_rounded_stamps_of_a_constant_rate_are_taken_as_constant(tmp_path):
    path = write_video(tmp_path / "a.mkv", 30, rate=24)  # Matroska rounds to 1/1000 s
    np.testing.assert_allclose(np.diff(scan(path).times), 1 / scan(path).rate, atol=1e-12)
    clip = Clip(frames=12, fps=12, size=(32, 48))
    assert np.diff(grey(255 * read_clip(path, clip))).tolist() == [2] * 11


def test_size_is_exact_and_deterministic(tmp_path):
    path = write_video(tmp_path / "a.mkv", 3)
    assert decode(path, size=(17, 31)).shape == (3, 17, 31, 3)
    np.testing.assert_array_equal(decode(path, size=(17, 31)), decode(path, size=(17, 31)))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.mp4", None), ("a.mp4", b""), ("a.mp4", b"no video" * 99), ("a.txt", b"words\n" * 99)],
)
def test_what_is_no_video_gives_one_error(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VideoDecodeError, match=re.escape(str(path))):
        decode(path)
    with pytest.raises(VideoDecodeError):
        decode(tmp_path)


def test_flipped_bits_never_escape_as_another_error(tmp_path):
    good = write_video(tmp_path / "a.mp4", 20, codec="libx264")
    with open(good, "rb") as stream:
        content = bytearray(stream.read())
    rng = np.random.default_rng(0)
    outcomes = set()
    for trial in range(40):
        broken = bytearray(content)
        for place in rng.integers(len(broken), size=1 + trial):
            broken[place] ^= 1 << rng.integers(8)
        path = tmp_path / "broken.mp4"
        path.write_bytes(broken)
        try:
            outcomes.add(decode(path).dtype.name)
        except VideoDecodeError as error:
            outcomes.add(type(error).__name__)
    assert outcomes == {"uint8", "VideoDecodeError"}


def test_the_error_survives_pickling():
    error = pickle.loads(pickle.dumps(VideoDecodeError("a.mp4", "no frames")))
    assert (error.path, error.reason, str(error)) == ("a.mp4", "no frames", "a.mp4: no frames")


def test_bad_arguments_are_named(tmp_path):
    path = write_video(tmp_path / "a.mkv", 3)
    with pytest.raises(ValueError, match="errors='ignore'"):
        decode(path, errors="ignore")
    with pytest.raises(ValueError, match="timestamps"):
        decode(path, [-1.0])
