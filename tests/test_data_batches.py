"""Sources of videos, and batches that Keras trains on."""

import shutil

import keras
import numpy as np
import pytest
from video_files import grey, write_video

from keras_vidreg.data import Augment, Clip, VideoDecodeError, csv, folder

CLIP = Clip(frames=4, fps=12.5, size=16, resize=20)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two classes of five videos each."""
    root = tmp_path_factory.mktemp("videos")
    for label in ("a", "b"):
        (root / label).mkdir()
        for i in range(5):
            write_video(root / label / f"{i}.mkv", 20 + i)
    (root / "a" / "notes.txt").write_text("not a video")
    (root / "a" / ".hidden.mkv").write_text("not a video")
    return root


@pytest.fixture
def table(videos):
    lines = ["path,label,split,group"]
    for label in ("a", "b"):
        for i in range(5):
            lines.append(f"{label}/{i}.mkv,{label},{'train' if i < 4 else 'test'},g{i // 2}")
    file = videos / "table.csv"
    file.write_text("\n".join(lines))
    return file


def read(batches):
    return [(video.copy(), label.copy()) for video, label in batches]


def same(one, other):
    return len(one) == len(other) and all(
        np.array_equal(a, b)
        for x, y in zip(one, other, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def small_model():
    model = keras.Sequential(
        [
            keras.layers.Input((*CLIP.shape,)),
            keras.layers.GlobalAveragePooling3D(),
            keras.layers.Dense(2),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, metrics=["accuracy"])
    return model


def test_folder_reads_classes_from_sub_folders(videos):
    source = folder(videos, clip=CLIP)
    assert source.labels == ("a", "b") and len(source) == 10
    assert [record.label for record in source] == [0] * 5 + [1] * 5
    assert source[0].path.endswith("0.mkv") and source[-1].group == "b/4.mkv"
    assert [r.label for r in folder(videos, labels=["b", "c", "a"])] == [2] * 5 + [0] * 5


def test_csv_reads_a_split(table, videos):
    source = csv(table, split="train")
    assert len(source) == 8 and source.labels == ("a", "b") and source[0].group == "g0"
    assert len(csv(table)) == 10
    moved = videos / "elsewhere.csv"
    moved.write_text(f"label,path\n10,{videos}/a/0.mkv\n9,{videos}/a/1.mkv\n")
    assert csv(moved).labels == ("9", "10") and csv(moved)[0].group.endswith("a/0.mkv")


def test_wrong_sources_are_named(videos, table, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "t.csv").write_text("file,label\nx,y\n")
    (tmp_path / "lost.csv").write_text("path,label\nx.mp4,y\n")
    for call, message in (
        (lambda: folder(tmp_path / "no"), "not a folder"),
        (lambda: folder(tmp_path), "sub-folder"),
        (lambda: folder(videos, labels=["a"]), r"\['b'\].*labels=\('a',\)"),
        (lambda: csv(tmp_path / "no.csv"), "does not exist"),
        (lambda: csv(tmp_path / "t.csv"), r"no column \['path'\]; its columns are \['file', "),
        (lambda: csv(table, split="val"), r"split='val'; it has \['test', 'train'\]"),
        (lambda: csv(table, labels=["b"]), r"labels \['a'\]"),
        (lambda: csv(tmp_path / "lost.csv"), "x.mp4"),
        (lambda: folder(videos).batches(4), "clip=None"),
        (lambda: folder(videos, clip=CLIP).batches(0), "n=0"),
        (lambda: folder(videos, clip=CLIP).batches(4, on_error="ignore"), "on_error='ignore'"),
        (lambda: folder(videos, clip=CLIP).batches(4, augment="flip"), "augment='flip'"),
        (lambda: folder(videos, clip=CLIP).batches(4, views=3), "training=False"),
        (lambda: folder(videos).subset(11), "n=11"),
        (lambda: folder(videos).split(2), "fraction=2"),
        (lambda: folder(videos).select([True]), "mask"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_select_subset_split_and_digest(videos, table):
    source = folder(videos)
    assert [r.group for r in source.select([3, 0])] == ["a/3.mkv", "a/0.mkv"]
    some = source.subset(4, seed=1)
    assert [r.label for r in some] == [0, 0, 1, 1]
    assert list(source.subset(4, seed=1)) == list(some)
    rest, part = csv(table).split(0.4, seed=0)
    assert len(rest) + len(part) == 10 and 0 < len(part) < 8
    assert not {r.group for r in rest} & {r.group for r in part}
    rest, part = source.split(0.4)
    assert sorted(r.label for r in part) == [0, 0, 1, 1]
    assert source.digest() == source.select(range(9, -1, -1)).digest()
    assert source.digest() != source.subset(9).digest()


def test_evaluation_batches_are_in_order_with_a_small_last_one(videos):
    batches = folder(videos, clip=CLIP).batches(4, training=False)
    out = read(batches)
    assert [video.shape for video, _ in out] == [(4, *CLIP.shape)] * 2 + [(2, *CLIP.shape)]
    assert out[0][0].dtype == np.float32 and out[0][1].dtype == np.int32
    assert np.concatenate([label for _, label in out]).tolist() == [0] * 5 + [1] * 5
    assert grey(255 * out[0][0][0]).tolist() == [6, 8, 10, 12]
    assert same(out, read(batches)) and len(batches) == len(out)


def test_a_batch_depends_on_seed_epoch_and_number_alone(videos):
    options = {"augment": Augment(scale=(0.5, 1), flip=0.5, brightness=0.3)}
    source = folder(videos, clip=CLIP)
    one = source.batches(3, seed=5, workers=1, **options)
    other = folder(videos, clip=CLIP).batches(3, seed=5, workers=4, cache=True, **options)
    first, second = read(one), read(one.set_epoch(1))
    assert len(one) == len(first) == 3 and not same(first, second)
    assert same(first, read(other)) and same(first, read(other))
    assert same(second, [other.set_epoch(1)[i] for i in (0, 1, 2)])
    assert same([first[2], first[0], first[1]], [one.set_epoch(0)[i] for i in (-1, 0, 1)])
    assert same(first[1:], [one[i] for i in (1, 2)])
    assert not same(first, read(source.batches(3, seed=6, **options)))
    with pytest.raises(IndexError):
        one[3]


def test_an_epoch_is_a_permutation_of_its_own_for_every_seed(videos):
    source = folder(videos, clip=CLIP)
    orders = []
    for seed in range(3):
        batches = source.batches(5, seed=seed, augment=lambda video, rng: video)
        for epoch in range(3):
            shown = [batches._order[place] for place in range(10 * epoch, 10 * epoch + 10)]
            assert sorted(shown) == list(range(10))
            orders.append(tuple(shown))
    assert len(set(orders)) == 9


def test_on_epoch_end_moves_the_epoch_on(videos):
    batches = folder(videos, clip=CLIP).batches(5)
    first = batches[0]
    batches.on_epoch_end()
    assert not same([first], [batches[0]])
    assert same([first], [batches.set_epoch(0)[0]])
    for epoch in range(3):  # a loop such as that of Keras
        assert batches.epoch == epoch
        batches.on_epoch_begin()
        assert len(read(batches[i] for i in range(2))) == 2
        batches.on_epoch_end()


def test_cache_decodes_a_file_once(videos, tmp_path):
    shutil.copytree(videos / "a", tmp_path / "v/a")
    source = folder(tmp_path / "v", clip=CLIP)
    batches = source.batches(5, cache=True, augment=None)
    first = read(batches)
    shutil.rmtree(tmp_path / "v")
    assert same(first, read(batches.set_epoch(0)))
    with pytest.raises(VideoDecodeError, match="no such file"):
        read(source.batches(5))


def test_a_source_smaller_than_a_batch_is_one_batch(videos):
    assert [len(label) for _, label in folder(videos, clip=CLIP).batches(64)] == [10]


def test_own_augmentation_gets_the_resized_video(videos):
    seen = []

    def augment(video, rng):
        seen.append((video.shape, video.dtype, type(rng)))
        return video[:, 2:, 2:]

    read(folder(videos, clip=CLIP).batches(10, augment=augment))
    assert set(seen) == {((4, 20, 30, 3), np.dtype("uint8"), np.random.Generator)}


def test_views_add_an_axis(videos):
    batches = folder(videos, clip=CLIP).batches(4, training=False, views="2x3")
    assert next(iter(batches))[0].shape == (4, 6, *CLIP.shape)


def test_uniform_sampling_spreads_over_the_video(videos):
    batches = folder(videos, clip=CLIP).batches(1, training=False, sampling="uniform")
    assert grey(255 * next(iter(batches))[0][0]).tolist() == [2, 7, 12, 17]
