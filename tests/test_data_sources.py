"""Which videos have which label: folders and tables that are incomplete, odd or wrong."""

import os
import unicodedata
import warnings

import numpy as np
import pytest
from video_files import grey, write_video

from keras_vidreg.data import Clip, LabeledVideo, VideoSource, csv, folder

CLIP = Clip(frames=4, fps=None, size=16)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"-")
    return path


@pytest.fixture
def classes(tmp_path):
    for name in ("bow", "clap", "wave"):
        touch(tmp_path / name / "1.mp4")
    return tmp_path


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        yield


def test_an_empty_class_keeps_its_number(classes):
    (classes / "bow" / "1.mp4").unlink()
    with pytest.warns(UserWarning, match="no videos in 'bow'"):
        source = folder(classes)
    assert source.labels == ("bow", "clap", "wave") and [v.label for v in source] == [1, 2]
    (classes / "other").mkdir()
    with pytest.warns(UserWarning, match="no videos in 'bow', 'other'"):
        assert [v.label for v in folder(classes, labels=["wave", "bow", "clap"])] == [2, 0]


def test_links_are_followed(classes, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    touch(elsewhere / "2.mp4"), touch(elsewhere / "deep" / "3.mp4")
    (classes / "jump").symlink_to(elsewhere)
    (classes / "wave" / "more").symlink_to(elsewhere)
    (elsewhere / "deep" / "round").symlink_to(classes / "wave")
    source = folder(classes)
    assert source.labels == ("bow", "clap", "jump", "wave")
    groups = [video.group for video in source]
    assert "jump/2.mp4" in groups and "wave/more/deep/3.mp4" in groups
    assert groups.count("wave/1.mp4") == 1


def test_files_that_are_not_read_are_said_once_with_their_number(classes):
    for name in ("a.txt", "b.TXT", "c.dat", ".hidden", "Makefile"):
        touch(classes / "bow" / name)
    with pytest.warns(UserWarning, match=r"4 files are not read.*: 2 \.txt, 1 ") as caught:
        assert len(folder(classes)) == 3
    assert len(caught) == 1


def test_a_folder_of_pictures_is_a_video(classes):
    for i in range(3):
        touch(classes / "clap" / "take1" / f"frame_{i:05d}.jpg")
    assert [v.group for v in folder(classes) if v.label == 1] == ["clap/1.mp4", "clap/take1"]


def test_a_single_class_is_warned_about(tmp_path):
    touch(tmp_path / "bow" / "1.mp4")
    with pytest.warns(UserWarning, match="'bow' is the only class"):
        folder(tmp_path)


def test_unicode_forms_of_a_name_are_one_label(classes):
    composed, decomposed = (unicodedata.normalize(form, "überholen") for form in ("NFC", "NFD"))
    touch(classes / decomposed / unicodedata.normalize("NFD", "ä.mp4"))
    assert folder(classes).labels == ("bow", "clap", composed, "wave")
    assert folder(classes, labels=["bow", "clap", decomposed, "wave"])[2].label == 2
    touch(classes / composed / "1.mp4")
    with pytest.raises(ValueError, match="two sub-folders 'überholen'"):
        folder(classes)


def test_names_that_are_not_utf8(classes):
    name = os.fsdecode(b"caf\xe9.mkv")
    write_video(classes / "x.mkv", 5)
    os.rename(classes / "x.mkv", classes / "bow" / name)
    source = folder(classes, clip=CLIP)
    assert len(source.digest()) == 64
    assert len(source.select([1]).batches(1)[0][1]) == 1
    touch(classes / os.fsdecode(b"caf\xe9") / "1.mp4")
    with pytest.raises(ValueError, match=r"b'caf\\xe9'.*not UTF-8"):
        folder(classes)


def test_labels_out_of_range_are_named():
    for label in (-1, 2):
        with pytest.raises(ValueError, match=f"label={label} of 'a.mp4'.*from 0 to 1"):
            VideoSource([LabeledVideo("a.mp4", label, "a")], ["x", "y"])
    with pytest.raises(ValueError, match="'x' more than once"):
        VideoSource([], ["x", "y", "x"])


def test_two_segments_of_a_file_give_their_own_frames(tmp_path):
    write_video(tmp_path / "a.mkv", 30, rate=10)
    table = tmp_path / "t.csv"
    table.write_text("path,label,start,end\na.mkv,x,0.0,1.0\na.mkv,y,2,3\na.mkv,x,,\n")
    source = csv(table, clip=CLIP)
    assert source[1] == LabeledVideo(str(tmp_path / "a.mkv"), 1, "a.mkv", 2.0, 3.0)
    assert source[2][3:] == (None, None)
    for cache in (False, True):
        video, label = source.select([0, 1]).batches(2, training=False, cache=cache)[0]
        frames = [grey(255 * clip) for clip in video]
        assert frames[0].max() < 10 and frames[1].min() >= 20 and frames[1].max() < 30
        drawn = [
            source.select([1]).batches(1, cache=cache, augment=None, seed=s)[0] for s in (0, 1)
        ]
        assert all(grey(255 * x[0]).min() >= 20 for x, _ in drawn)
    table.write_text("path,label,start,end\na.mkv,x,0.0,1.0\na.mkv,y,1,3\na.mkv,x,,\n")
    assert source.digest() != csv(table).digest()
    assert source.select([2]).digest() == csv(table).select([2]).digest()


@pytest.mark.parametrize("name", ["12:30:00.mkv", "concat:a|b.mkv", "pipe:0", "http:/a.mkv"])
def test_names_that_look_like_protocols_are_paths(tmp_path, monkeypatch, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    write_video(tmp_path / "x.mkv", 5)
    os.rename(tmp_path / "x.mkv", tmp_path / name)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(f"path,label\n{name},x\n")
    for table, root in (("t.csv", None), ("t.csv", ""), (tmp_path / "t.csv", None)):
        video, _ = csv(table, clip=CLIP, root=root).batches(1, training=False)[0]
        assert np.isfinite(video).all()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.mp4", "line 3 .* has no label"),
        ("a.mp4,,,", "line 3 .* has no label"),
        (",x,,", "line 3 .* has no path"),
        ("a.mp4,x,1,2,3", "line 3 .* has 1 cells more"),
        ("a.mp4,x,one,2", "line 3 .* has start='one', which is no number of seconds"),
        ("a.mp4,x,nan,2", "start='nan'"),
        ("a.mp4,x,0,inf", "end='inf'"),
        ("a.mp4,x,-1,2", "start='-1'"),
        ("a.mp4,x,2,2", "line 3 .* ends at 2 s, not after its start at 2 s"),
        ("a.mp4,z,,", r"labels \['z'\] .*line 3"),
        ("b.mp4,x,,", "b.mp4.*root="),
    ],
)
def test_wrong_rows_are_named_with_their_line(tmp_path, row, message):
    touch(tmp_path / "a.mp4")
    (tmp_path / "t.csv").write_text(f"path,label,start,end\na.mp4,x,,\n{row}\n")
    with pytest.raises(ValueError, match=message):
        csv(tmp_path / "t.csv", labels=["x", "y"])


def test_tables_that_are_none(tmp_path):
    table = tmp_path / "t.csv"
    for content in (b"path,label\na\xff.mp4,x\n", b'path,label\n"a\n'):
        table.write_bytes(content)
        with pytest.raises(ValueError, match="t.csv"):
            csv(table)
    touch(tmp_path / "a.mp4")
    table.write_text("path,label\na.mp4,--5\na.mp4,²\n")
    assert csv(table).labels == ("--5", "²")
