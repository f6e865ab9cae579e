"""Files that used to give wrong frames without a word, or ate the machine."""

import itertools
import os
import pathlib
import struct
import warnings

import av
import numpy as np
import pytest
from video_files import cut, number, numbered, write_gif, write_numbered, write_video

from keras_vidreg.data import Clip, FrameCache, VideoDecodeError, decode, read_clip, read_views
from keras_vidreg.data.decode import _Decoding, read_frames
from keras_vidreg.data.sample import clip_indices
from keras_vidreg.data.timeline import scan

# --- 1: cut without encoding anew ---


@pytest.mark.parametrize("seconds", [0.2, 1.0, 1.5])
def test_a_cut_file_starts_with_the_frame_that_a_player_shows(tmp_path, seconds):
    path = cut(write_numbered(tmp_path / "a.mp4"), tmp_path / "b.mp4", seconds)
    first = round(25 * seconds)
    assert number(decode(path)) == list(range(first, 60))
    assert number(decode(path, [0.0])) == [first]
    for late in (0.12, 0.48, 0.79):
        assert number(decode(path, [late])) == [first + int(25 * late + 1e-6)]


# --- 2: variable rate ---


def test_a_pause_does_not_make_a_file_slow():
    times = np.append(np.arange(60) / 30, 60.0)
    for place in ({}, {"view": 0, "views": 3}, {"view": 2, "views": 3}):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            indices = clip_indices(times, 8, 5, **place)
        np.testing.assert_allclose(np.diff(times[indices]), 0.2, atol=0.034)


def test_an_idle_beginning_and_pauses_are_skipped():
    times = np.concatenate([[0.0, 20.0], 40 + np.arange(60) / 30, [99.0]])
    drawn = [clip_indices(times, 8, 5, rng=np.random.default_rng(i)) for i in range(30)]
    for indices in drawn:
        np.testing.assert_allclose(np.diff(times[indices]), 0.2, atol=0.034)


def test_where_every_stretch_pauses_frames_come_once_and_not_too_fast():
    times = np.cumsum(np.tile([0.02, 0.02, 0.5, 0.02, 0.3], 20))
    with pytest.warns(UserWarning, match="5 frames a second"):
        indices = clip_indices(times, 16, 5)
    assert np.diff(indices).min() >= 1 and times[indices[-1]] - times[indices[0]] > 15 / 5 - 0.2
    with pytest.raises(VideoDecodeError, match="too short"):
        clip_indices(times, 90, 5, short="error")


def test_a_recording_with_a_pause_is_read_at_the_rate(tmp_path):
    seconds = [*(i / 30 for i in range(30)), 30.0]
    path = write_video(tmp_path / "a.mkv", 31, seconds=seconds)
    video = read_clip(path, Clip(4, 5, (32, 48), pixel_range=(0, 255)))
    steps = np.diff(np.rint(video.mean(axis=(1, 2, 3)) / 7))
    assert set(steps) == {6.0}


# --- 3: streams put one behind the other ---


def test_concatenated_streams_give_all_frames_once_in_order(tmp_path):
    parts = [write_numbered(tmp_path / f"{i}.ts", 25, first=25 * i, gop=8) for i in range(3)]
    path = tmp_path / "all.ts"
    path.write_bytes(b"".join(pathlib.Path(part).read_bytes() for part in parts))
    assert number(decode(path)) == list(range(75))
    assert scan(path).duration == pytest.approx(3.0, abs=0.01)
    assert number(decode(path, [2.3, 0.5, 1.5])) == [57, 12, 37]
    clip = Clip(10, 5, (32, 48), pixel_range=(0, 255))
    assert number(read_clip(path, clip)) == list(range(14, 60, 5))


# --- 4: display matrices ---


@pytest.mark.parametrize("matrix", itertools.product([1, -1], [1, -1], [False, True]))
def test_turned_and_mirrored_cameras_are_upright(tmp_path, matrix):
    across, down, turned = matrix
    picture = np.zeros((32, 48, 3), np.uint8)
    picture[:8, :8] = 255
    picture[:8, -16:] = 128
    path = write_video(tmp_path / "a.mp4", 2, picture=picture, codec="libx264")
    plain = decode(path)[0]
    content = bytearray(pathlib.Path(path).read_bytes())
    place = content.index(b"tkhd") + 44
    linear = (0, down, across, 0) if turned else (across, 0, 0, down)
    values = (linear[0] << 16, linear[1] << 16, 0, linear[2] << 16, linear[3] << 16)
    content[place : place + 20] = struct.pack(">5i", *values)
    pathlib.Path(path).write_bytes(content)
    expected = plain.swapaxes(0, 1) if turned else plain
    expected = expected[::down, ::across]
    np.testing.assert_array_equal(decode(path)[0], expected)
    assert decode(path, size=(20, 12)).shape == (2, 20, 12, 3)


# --- 5: damage ---

SILENT = ["sil11_gen_mpegts.ts", "sil13_gen_mpegts.ts", "sil1_gen_faststart.mp4"]
SILENT += ["sil3_gen_mpegts.ts", "sil5_grid-s1_letter-a_bgaa6n.mp4", "sil9_gen_h264.mkv"]


@pytest.mark.parametrize("name", SILENT)
def test_damage_that_ffmpeg_reports_is_an_error_or_a_warning(shared, name):
    path = shared / "data/faults/videos" / name
    for threads in (0, 1):
        with pytest.raises(VideoDecodeError):
            decode(path, size=(16, 16), threads=threads)
    with pytest.warns(UserWarning, match=name):
        assert len(decode(path, size=(16, 16), errors="partial")) > 10


def test_damage_counts_only_where_frames_are_wanted(shared):
    path = shared / "data/faults/videos/sil9_gen_h264.mkv"
    timeline = scan(path)
    assert read_frames(path, timeline, [0, 5], lambda *_: (16, 16)).shape == (2, 16, 16, 3)


@pytest.mark.parametrize("name", ["a.mkv", "a.webm", "a.ts", "a.mp4", "a.avi", "a.gif", "a.flv"])
@pytest.mark.parametrize("share", [0.501, 0.8, 0.98])
def test_a_truncated_file_is_seen(tmp_path, name, share):
    path = tmp_path / name
    codec = {".webm": "libvpx", ".avi": "mpeg4", ".flv": "flv1"}.get(path.suffix, "libx264")
    if path.suffix == ".gif":
        write_gif(path, 3)
    else:
        write_numbered(path, 40, codec=codec)
    assert len(decode(path)) in (3, 40)
    content = path.read_bytes()
    length = int(share * len(content))
    path.write_bytes(content[: length - (length % 188 == 0)])
    with pytest.raises(VideoDecodeError):
        decode(path)


def test_a_transport_stream_that_ends_between_two_of_its_packets_is_seen(shared, tmp_path):
    content = (shared / "data/decoder/gen_mpegts.ts").read_bytes()
    path = tmp_path / "a.ts"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(VideoDecodeError):
        decode(path)


# --- 6: names and playlists ---


@pytest.mark.parametrize("name", ["12:30:00.mp4", "concat:a|b", "pipe:0", "http:", "data:,x", "%d"])
def test_names_are_paths(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(VideoDecodeError, match="no such file"):
        decode(name)
    os.rename(write_numbered("good.mp4", 5), name)
    assert number(decode(name)) == list(range(5))
    assert len(decode(os.fsencode(name))) == 5


def test_names_that_are_not_utf8(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.mp4"
    os.rename(write_numbered(tmp_path / "good.mp4", 5), path)
    assert number(decode(path)) == number(decode(os.fsdecode(path))) == list(range(5))


PLAYLISTS = {
    "ffconcat": "ffconcat version 1.0\nfile {file}\n",
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{file}\n",
    "mpd": '<?xml version="1.0"?><MPD><Period><AdaptationSet><Representation><BaseURL>{file}'
    "</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("ending", ["mp4", "txt", None])
def test_playlists_are_refused_and_open_nothing(tmp_path, kind, ending):
    os.mkfifo(tmp_path / "neighbor.ts")  # whoever opens it waits for ever
    path = tmp_path / f"a.{ending or kind}"
    path.write_text(PLAYLISTS[kind].format(file="neighbor.ts"))
    with pytest.raises(VideoDecodeError):
        decode(path)


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    for path in (tmp_path / "a.mp4", "/dev/zero"):
        with pytest.raises(VideoDecodeError, match="regular file"):
            decode(path)


def test_playlists_of_the_collection(shared):
    for name in ("playlist_concat.mp4", "playlist_no_end.m3u8"):
        with pytest.raises(VideoDecodeError, match="playlists"):
            decode(shared / "data/faults/videos" / name)
    assert len(decode(shared / "data/faults/videos/good.ts", size=(8, 8))) == 60


# --- 7: sizes ---


def resized_gif(path, width, height, count=3):
    """A small GIF whose screen and pictures say that they are larger."""
    content = bytearray(pathlib.Path(write_gif(path, count)).read_bytes())
    content[6:10] = struct.pack("<HH", width, height)
    path.write_bytes(content)
    return path


def test_frames_have_a_largest_size_before_they_are_decoded(tmp_path):
    path = resized_gif(tmp_path / "a.gif", 16000, 16000)
    for function in (scan, decode, lambda p: read_clip(p, Clip(2, None, 32, 32))):
        with pytest.raises(VideoDecodeError, match="pixels"):
            function(path)
    small = resized_gif(tmp_path / "b.gif", 400, 300)
    assert decode(small, size=(16, 16)).shape == (3, 16, 16, 3)
    with pytest.raises(VideoDecodeError, match="pixels"):
        decode(small, max_pixels=400 * 299)


def test_frames_have_a_largest_size_after_resizing(tmp_path):
    path = resized_gif(tmp_path / "a.gif", 4000, 2)
    with pytest.raises(VideoDecodeError, match="resized frames of 256 x 512000 .* max_pixels"):
        read_clip(path, Clip(2, None, 224, 256))
    assert read_clip(path, Clip(2, None, 224)).shape == (2, 224, 224, 3)
    large = {"max_pixels": 2 * 10**6}
    for options in (large, {"memory": FrameCache(**large)}):
        assert read_clip(path, Clip(1, None, 12, 12), **options).shape == (1, 12, 12, 3)
        with pytest.raises(VideoDecodeError, match="resized"):
            read_clip(path, Clip(1, None, 30, 20), **options)
    path = resized_gif(tmp_path / "b.gif", 4000, 2, count=40)
    with pytest.raises(VideoDecodeError, match="40 frames, together"):
        decode(path, max_pixels=8000)


# --- 8: the rest ---


def test_the_last_frame_has_its_own_duration(tmp_path):
    path = write_gif(tmp_path / "a.gif", seconds=[0.1, 0.1, 3.0])
    assert scan(path).duration == pytest.approx(3.2)
    frames = decode(path, [0.05, 0.15, 0.25, 3.1])[:, 0, 0, 0].astype(int)
    assert frames[2] == frames[3] > frames[1] > frames[0]
    with pytest.raises(VideoDecodeError, match="lasts 3.2 s"):
        decode(path, [3.3])


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=25)
        cover.height, cover.width, cover.pix_fmt = 64, 64, "yuvj420p"
        video = container.add_stream("libx264", rate=25)
        video.height, video.width, video.pix_fmt = 32, 48, "yuv420p"
        picture = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8))
        container.mux(cover.encode(picture))
        for i in range(10):
            container.mux(video.encode(numbered(i)))
        container.mux(video.encode())
        container.mux(cover.encode())
    assert number(decode(path)) == list(range(10))


def test_a_new_size_in_the_middle_keeps_its_shape(tmp_path):
    parts = [
        write_numbered(tmp_path / "0.ts", 10, size=(32, 64), first=100),
        write_numbered(tmp_path / "1.ts", 10, size=(64, 64), first=100),
        write_numbered(tmp_path / "2.ts", 10, size=(64, 128), first=100),
    ]
    path = tmp_path / "all.ts"
    path.write_bytes(b"".join(pathlib.Path(part).read_bytes() for part in parts))
    video = decode(path)
    assert video.shape == (30, 32, 64, 3)
    assert (video[[0, 25]] > 90).all()  # the same shape twice as large fills the frame
    assert (video[15, :, 16:48] > 90).all() and (video[15, :, :15] == 0).all()


def test_clips_spread_over_a_long_file_jump(tmp_path, monkeypatch):
    path = write_numbered(tmp_path / "a.mp4", 110, gop=5)
    timeline, decoded = scan(path), []
    wanted = [3, 4, 57, 58, 106]
    step = _Decoding._decode
    monkeypatch.setattr(_Decoding, "_decode", lambda self: decoded.append(1) or step(self))
    assert number(read_frames(path, timeline, wanted)) == wanted
    assert len(decoded) < 40


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.webm", "a.avi"])
def test_jumps_give_the_same_frames(tmp_path, name):
    codec = {"webm": "libvpx", "avi": "mpeg4"}.get(name[2:], "libx264")
    path = write_numbered(tmp_path / name, 100, codec=codec)
    everything = decode(path)
    wanted = [2, 30, 31, 77, 99]
    for threads in (0, 1):
        frames = read_frames(path, scan(path), wanted, threads=threads)
        np.testing.assert_array_equal(frames, everything[wanted])


def test_two_segments_of_one_file_give_their_own_frames(tmp_path):
    path = write_numbered(tmp_path / "a.mp4", 100)
    clip = Clip(5, 25, (32, 48), pixel_range=(0, 255))
    memory = FrameCache(keep=True)
    assert number(read_clip(path, clip, start=0.4, end=0.6, memory=memory)) == [10, 11, 12, 13, 14]
    assert number(read_clip(path, clip, start=2.0, end=2.2, memory=memory)) == [50, 51, 52, 53, 54]
    views = read_views(path, clip, 2, start=2.0, end=2.4)
    assert number(views[0]) == [50, 51, 52, 53, 54] and number(views[1]) == [55, 56, 57, 58, 59]
    uniform = read_clip(path, clip, sampling="uniform", start=2.0, end=3.0)
    assert number(uniform) == [52, 57, 62, 67, 72]
    assert number(decode(path, start=3.8)) == [95, 96, 97, 98, 99]
    assert number(decode(path, [0.0, 0.1], start=2.0, end=3.0)) == [50, 52]
    with pytest.raises(VideoDecodeError, match="lasts 4 s"):
        read_clip(path, clip, start=5.0)
    with pytest.raises(VideoDecodeError, match="lasts 3 s"):
        decode(path, [1.5], start=2.0, end=3.0)
    with pytest.raises(ValueError, match="start=2, end=1"):
        decode(path, start=2, end=1)


def test_a_folder_of_frames_is_a_video(tmp_path):
    plain = decode(write_numbered(tmp_path / "a.mp4", 12))
    folder = tmp_path / "frames"
    folder.mkdir()
    (folder / "notes.txt").write_text("not a picture")
    for i, picture in enumerate(plain):
        with av.open(str(folder / f"frame_{i}.png"), "w", format="image2") as container:
            stream = container.add_stream("png", rate=25)
            stream.height, stream.width, stream.pix_fmt = 32, 48, "rgb24"
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture)))
            container.mux(stream.encode())
    np.testing.assert_array_equal(decode(folder), plain)
    np.testing.assert_array_equal(decode(folder, [0.4], frame_rate=10), plain[4:5])
    clip = Clip(5, 12.5, (32, 48), pixel_range=(0, 255))
    assert number(read_clip(folder, clip)) == [1, 3, 5, 7, 9]
    assert number(decode(folder / "frame_3.png")) == [3]
    (folder / "frame_4.png").write_bytes(b"no picture")
    with pytest.raises(VideoDecodeError, match=r"frames: frame_4.png"):
        decode(folder)
    assert number(decode(folder, [0.0, 0.3])) == [0, 7]
