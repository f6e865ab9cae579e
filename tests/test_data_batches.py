"""Sources of videos, and batches that Keras trains on."""

import shutil
import warnings

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
    assert same(out, read(batches)) and batches.steps == len(out)


def test_training_is_reproducible_whatever_the_threads(videos):
    options = {"augment": Augment(scale=(0.5, 1), flip=0.5, brightness=0.3)}
    source = folder(videos, clip=CLIP)
    one = source.batches(4, seed=5, threads=1, **options)
    other = folder(videos, clip=CLIP).batches(4, seed=5, threads=4, cache=True, **options)
    first, second = read(one), read(one)
    assert same(first, read(other)) and same(second, read(other))
    assert not same(first, second)
    assert not same(first, read(source.batches(4, seed=6, **options)))
    assert same(second, read(source.batches(4, seed=5, **options).set_epoch(1)))
    assert one.steps == len(first) == 2


def test_an_epoch_counts_only_when_read_to_its_end(videos):
    batches = folder(videos, clip=CLIP).batches(5)
    peek = next(iter(batches))
    assert batches.epoch == 0
    first = read(batches)
    assert np.array_equal(peek[0], first[0][0]) and batches.epoch == 1
    iterator = iter(batches)
    next(iterator), next(iterator)  # the last one counts, without asking for more
    assert batches.epoch == 2


def test_an_iterator_goes_on_from_its_state(videos):
    batches = folder(videos, clip=CLIP).batches(2)
    iterator = iter(batches)
    next(iterator)
    state = iterator.get_state()
    rest = read(iterator)
    again = iter(batches)
    again.set_state(state)
    assert len(rest) == 4 and same(rest, read(again))


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


@pytest.fixture
def mixed(shared, tmp_path):
    """Good and broken files of the decoder collection in two classes, and the broken names."""
    broken = [
        *("gen_truncated_60pct.mp4", "gen_truncated_faststart_50pct.mp4", "gen_zero_byte.mp4"),
        *("gen_text_not_video.mp4", "small_FlashVideo.flv", "small_Mpeg4.mp4"),
        "small_WindowsMediaVideo.wmv",
    ]
    good = [
        *("gen_faststart.mp4", "gen_h264.mkv", "gen_vp9.webm", "gen_mpegts.ts"),
        *("gen_oneframe.mp4", "small_webm.webm", "torchcodec_av1_video.mkv"),
    ]
    for i, name in enumerate(broken + good):
        target = tmp_path / "mixed" / "ab"[i % 2] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(shared / "data/decoder" / name, target)
    return tmp_path / "mixed", set(broken)


def test_training_skips_broken_files_and_says_how_many(mixed):
    directory, broken = mixed
    source = folder(directory, clip=CLIP)
    batches = source.batches(2, on_error="skip")
    with pytest.warns(UserWarning) as caught:
        history = small_model().fit(batches, epochs=2, verbose=0)
    assert len(history.history["loss"]) == 2 and batches.epoch == 2
    assert {path.rsplit("/", 1)[1] for path in source.errors} == broken
    messages = [str(warning.message) for warning in caught]
    assert sum("7 of 14 videos were skipped" in message for message in messages) == 1
    assert sum(message.startswith("skipped: ") for message in messages) == 7


def test_raise_stops_at_the_first_broken_file(mixed):
    batches = folder(mixed[0], clip=CLIP).batches(14, training=False)
    with pytest.raises(VideoDecodeError, match="gen_t|gen_z|small_"):
        small_model().fit(batches, verbose=0)


def test_nothing_but_broken_files_is_an_error(mixed):
    source = folder(mixed[0], clip=CLIP)
    bad = source.select([r.path.rsplit("/", 1)[1] in mixed[1] for r in source])
    with warnings.catch_warnings(), pytest.raises(ValueError, match="none of the 7 videos"):
        warnings.simplefilter("ignore")
        read(bad.batches(2, on_error="skip"))


def test_fit_evaluate_predict(videos):
    source = folder(videos, clip=CLIP)
    orders = []

    def note(video, rng):
        orders.append(rng.integers(1 << 30))
        return video

    train = source.batches(3, augment=note, threads=1)
    validation = source.batches(4, training=False)
    model = small_model()
    history = model.fit(train, epochs=3, validation_data=validation, verbose=0).history
    assert len(history["val_loss"]) == 3 and train.epoch == 3
    assert len(set(orders)) >= 30  # 10 videos in 3 epochs, each with draws of its own
    assert model.predict(validation, verbose=0).shape == (10, 2)
    loss, accuracy = model.evaluate(validation, verbose=0)
    assert np.isclose(loss, history["val_loss"][-1], rtol=1e-4) and 0 <= accuracy <= 1
