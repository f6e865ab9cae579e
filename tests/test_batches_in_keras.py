"""Batches in `fit`, `evaluate` and `predict`: epochs, broken videos, what Keras asks for."""

import collections
import contextlib
import io
import re
import threading
import warnings

import keras
import numpy as np
import pytest
from video_files import write_video

import keras_vidreg as kv
from keras_vidreg.data import Clip, VideoDecodeError, folder

CLIP = Clip(frames=2, fps=None, size=8, resize=8)
BROKEN = "skipped"  # the warnings about broken videos
pytestmark = pytest.mark.filterwarnings(f"ignore:.*{BROKEN}")


def write(root, counts, broken=()):
    """Classes of videos of one frame each, whose grey is their number; some are no videos."""
    number = 0
    for label, count in counts.items():
        (root / label).mkdir(parents=True)
        for _ in range(count):
            path = root / label / f"{number:02d}.mkv"
            if number in broken:
                path.write_bytes(b"no video")
            else:
                picture = np.full((32, 48, 3), 5 * number, np.uint8)
                write_video(path, 2, picture=picture)
            number += 1
    return folder(root, clip=CLIP)


def numbers(batch):
    """The numbers of the videos of a batch."""
    video = np.asarray(batch[0])
    return np.rint(video.mean(axis=(1, 2, 3, 4)) * 255 / 5).astype(int).tolist()


def shown(batches):
    return [numbers(batch) for batch in batches]


def small_model(**options):
    inputs = keras.Input(CLIP.shape)
    x = keras.layers.GlobalAveragePooling3D()(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.1), loss, metrics=["accuracy"], **options)
    return model


class Spy(kv.data.batches.Batches):
    """Keeps what Keras is given, epoch by epoch, without its first look at the shapes."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.epochs, self.given = [], []

    def on_epoch_begin(self):
        super().on_epoch_begin()
        self.given = []

    def __getitem__(self, index):
        batch = super().__getitem__(index)
        self.given.append((index, numbers(batch)))
        return batch

    def on_epoch_end(self):
        super().on_epoch_end()
        self.epochs.append(self.given)
        self.given = []


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return write(tmp_path_factory.mktemp("videos") / "all", {"a": 6, "b": 5})


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        warnings.filterwarnings("default", message=f".*{BROKEN}")
        yield


@pytest.mark.parametrize("n", [2, 6, 11])
def test_fit_trains_on_the_epochs_that_iterating_gives(source, n):
    batches = Spy(source, n, seed=3)
    epochs = [shown(source.batches(n, seed=3).set_epoch(epoch)) for epoch in range(4)]
    model = small_model()
    for begun in (0, 2):
        if begun:  # another run goes on
            batches, model = Spy(source, n, seed=3).set_epoch(begun), small_model()
        model.fit(batches, epochs=2, shuffle=False, verbose=0)
        trained = [epoch for epoch in batches.epochs[1:] if epoch]
        assert trained == [list(enumerate(epoch)) for epoch in epochs[begun : begun + 2]]
        assert batches.epoch == begun + 2


def test_fit_again_goes_on_with_the_next_epoch(source):
    batches = Spy(source, 3)
    model = small_model()
    model.fit(batches, epochs=2, verbose=0)
    model.fit(batches, epochs=1, verbose=0)
    model = small_model()  # looks at the shapes again
    model.fit(batches, epochs=1, verbose=0)
    wanted = [sorted(shown(source.batches(3).set_epoch(e))) for e in range(4)]
    given = [sorted(n for _, n in epoch) for epoch in batches.epochs if len(epoch) == 3]
    assert given == wanted and batches.epoch == 4


def test_steps_per_epoch_trains_every_epoch(source):
    steps = []
    count = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: steps.append(0),
        on_train_batch_end=lambda batch, logs: steps.append(steps.pop() + 1),
    )
    batches = source.select(range(8)).batches(2)
    for per_epoch in (4, 2, 1):
        steps.clear()
        small_model().fit(
            batches, epochs=4, steps_per_epoch=per_epoch, callbacks=[count], verbose=0
        )
        assert steps == [per_epoch] * 4


def test_class_weight_validation_and_bar(source):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        history = (
            small_model()
            .fit(
                source.batches(3),
                epochs=2,
                class_weight={0: 1.0, 1: 0.0},
                validation_data=source.batches(4, training=False),
                verbose=1,
            )
            .history
        )
    assert len(history["val_loss"]) == 2 and "3/3" in out.getvalue()
    batches = source.batches(11, training=False)
    weights = source.class_weights()
    model, weighted = small_model(), source.batches(11, training=False, class_weights=weights)
    loss = model.evaluate(weighted, verbose=0)[0]
    assert model.fit(batches, class_weight=weights, verbose=0).history["loss"] == [
        pytest.approx(loss, rel=1e-5)
    ]


def test_evaluate_and_predict_take_every_video_once(source):
    model = small_model()
    batches = Spy(source, 4, training=False)
    loss, accuracy = model.evaluate(batches, verbose=0)  # with a look at the shapes
    assert sorted(batches.epochs[-1]) == list(enumerate([[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]))
    assert model.predict(batches, verbose=0).shape == (11, 2)
    videos, labels = (np.concatenate(x) for x in zip(*batches, strict=True))
    np.testing.assert_allclose(model.evaluate(videos, labels, verbose=0), [loss, accuracy], 1e-5)


def test_batches_are_read_ahead_by_threads_where_they_are_taken_in_order(source):
    names = collections.Counter()

    def augment(video, rng):
        names[threading.current_thread().name] += 1
        return video

    batches = source.batches(2, augment=augment, workers=3)
    batches[3], batches[1]
    assert sum(names.values()) == 4, "nothing is read that is not wanted"
    batches[2], batches[3]
    assert threading.current_thread().name not in names
    before = threading.active_count()
    for _ in range(3):
        batches[0]
    assert threading.active_count() <= before + 5, "threads are left behind"


def test_a_broken_video_is_replaced_by_one_that_the_epoch_leaves_out(tmp_path):
    source = write(tmp_path / "v", {"a": 6, "b": 5}, broken=[4])
    batches = source.batches(4, on_error="skip", augment=None)
    replaced = 0
    for epoch in range(6):
        seen = shown(batches.set_epoch(epoch))
        assert len(batches) == 2 and [len(batch) for batch in seen] == [4, 4]
        flat = sum(seen, [])
        assert len(set(flat)) == 8 and 4 not in flat
        assert seen == [numbers(batches[i]) for i in (0, 1)]
        assert seen[1] == numbers(batches.set_epoch(epoch)[1])
        replaced += 4 in [batches._order[11 * epoch + slot] for slot in range(8)]
    assert replaced > 0
    assert [path[-6:] for path in source.errors] == ["04.mkv"]


def test_a_batch_shows_no_video_twice_where_it_has_others(tmp_path):
    source = write(tmp_path / "v", {"a": 6, "b": 6}, broken=[1, 2, 3, 7])
    batches = source.batches(4, on_error="skip", seed=1)
    history = small_model().fit(batches, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    for epoch in range(4):
        for batch in shown(batches.set_epoch(epoch)):
            assert len(set(batch)) == 4 and not {1, 2, 3, 7} & set(batch)
    assert len(source.errors) == 4
    few = source.select([0, 1, 2]).batches(3, on_error="skip")
    assert shown(few) == [[0, 0, 0]], "the only good one"


@pytest.mark.parametrize("broken", [[0, 1], [4, 5], [10], [2, 3, 6, 7, 10], [5]])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_evaluation_counts_readable_videos_once(tmp_path, broken, n):
    source = write(tmp_path / "v", {"a": 6, "b": 5}, broken)
    good = [i for i in range(11) if i not in broken]
    batches = source.batches(n, training=False, on_error="skip")
    seen = shown(batches)
    assert sum(seen, []) == good and all(seen)
    assert len(batches) == len(seen)
    assert seen == [numbers(batches[i]) for i in range(len(seen))]
    assert seen[::-1] == [numbers(batches[i]) for i in reversed(range(len(seen)))]
    if n == 2:
        model = small_model()
        assert model.predict(batches, verbose=0).shape == (len(good), 2)
        videos, labels = (np.concatenate(x) for x in zip(*batches, strict=True))
        np.testing.assert_allclose(
            model.evaluate(batches, verbose=0), model.evaluate(videos, labels, verbose=0), 1e-5
        )
    assert len(source.errors) == len(broken)


def test_skipped_videos_are_told_once(tmp_path):
    source = write(tmp_path / "v", {"a": 6, "b": 5}, broken=[3, 4, 8])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        small_model().fit(source.batches(2, on_error="skip"), epochs=3, verbose=0)
    messages = [str(warning.message) for warning in caught if BROKEN in str(warning.message)]
    assert sum(message.startswith("skipped: ") for message in messages) == 3
    summaries = [message for message in messages if "of 11 videos were skipped" in message]
    assert len(summaries) < 3 and re.match("3 of 11 .* others were shown in", summaries[-1])


def test_raise_stops_at_the_first_broken_video(tmp_path):
    source = write(tmp_path / "v", {"a": 2, "b": 2}, broken=[3])
    with pytest.raises(VideoDecodeError, match="03.mkv"):
        list(source.batches(2))
    with pytest.raises(Exception, match="03.mkv"):
        small_model().fit(source.batches(2), verbose=0)


@pytest.mark.parametrize("training", [True, False])
def test_nothing_but_broken_videos_is_an_error(tmp_path, training):
    source = write(tmp_path / "v", {"a": 2, "b": 2}, broken=range(4))
    for use in (list, lambda batches: batches[0]):
        with pytest.raises(ValueError, match="none of the 4 videos"):
            use(source.batches(2, training=training, on_error="skip"))


def test_keras_makes_batches_ready_by_grain_not_by_its_own_queue(source):
    # With more than one worker Keras's queue hands out what is left of its look at the shapes.
    assert source.batches(2, workers=4).workers == 1
