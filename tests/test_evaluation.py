"""Evaluation: accuracies, views, label names, smoothness, pictures, published entries."""

import dataclasses
import importlib
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tiny
from video_files import grey, write_video

import keras_vidreg as kv
from keras_vidreg import evaluation
from keras_vidreg.evaluation._evaluate import predict
from keras_vidreg.evaluation.plot import principal_components


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return tiny.make_videos(tmp_path_factory.mktemp("videos") / "all")


@pytest.fixture
def bright():
    """A classifier that knows light from dark without training."""
    inputs = keras.Input((None, None, None, 3))
    x = keras.layers.GlobalAveragePooling3D(name="features")(inputs)
    outputs = keras.layers.Dense(3, name="logits")(x)
    clip = kv.data.Clip(frames=4, fps=None, size=16, resize=20)
    model = kv.models.VideoClassifier(
        inputs, outputs, labels=["light", "neither", "dark"], clip=clip, features="features"
    )
    kernel = np.zeros((3, 3), "float32")
    kernel[:, 0] = 8
    model.get_layer("logits").set_weights([kernel, np.array([-12, -20, 0], "float32")])
    return model


@pytest.mark.parametrize("views", ["1x1", "2x3"])
def test_labels_are_matched_by_name(bright, videos, views):
    source = kv.data.folder(videos)
    result = evaluation.evaluate(bright, source, views=views, batch_size=3, verbose=False)
    assert result.top1 == 1.0 and result.top5 == 1.0 and result.clips == 8 and result.skipped == 0
    assert result.confusion.tolist() == [[4, 0, 0], [0, 0, 0], [0, 0, 4]]
    assert result.per_class == {"light": 1.0, "dark": 1.0}
    assert 0 < result.loss < 0.1
    assert json.loads(json.dumps(result.to_dict()))["top1"] == 1.0


def test_wrong_answers_are_counted(bright, tmp_path):
    videos = tiny.make_videos(tmp_path / "videos", per_class=2)
    (videos / "dark" / "0.mkv").rename(videos / "light" / "really_dark.mkv")
    (videos / "dark" / "broken.mkv").write_bytes(b"no video")
    source = kv.data.folder(videos)
    with pytest.warns(UserWarning, match="broken"):
        result = evaluation.evaluate(bright, source, top=(1, 2, 3), verbose=False)
    assert result.top == {1: 0.75, 2: 1.0, 3: 1.0}
    assert result.confusion.tolist() == [[2, 0, 1], [0, 0, 0], [0, 0, 1]]
    assert result.clips == 4 and result.skipped == 1


def test_another_clip_and_another_sampling(bright, videos, monkeypatch):
    """3 x 256 crops from a model made for 224, in small: 3 x 20 from one made for 16."""
    shapes, options = [], []
    predict_on_batch, read_views = bright.predict_on_batch, kv.data.batches.read_views
    monkeypatch.setattr(
        bright, "predict_on_batch", lambda x: shapes.append(x.shape) or predict_on_batch(x)
    )
    monkeypatch.setattr(
        kv.data.batches, "read_views", lambda *a, **k: options.append(k) or read_views(*a, **k)
    )
    larger = dataclasses.replace(bright.clip, frames=6, size=20)
    source = kv.data.folder(videos)
    result = evaluation.evaluate(
        bright, source, views="2x3", clip=larger, sampling="uniform", short="hold", verbose=False
    )
    assert result.top1 == 1.0 and result.clips == 8
    assert {shape[1:] for shape in shapes} == {(6, 20, 20, 3)}
    assert {(k["sampling"], k["short"]) for k in options} == {("uniform", "hold")}
    other = dataclasses.replace(larger, pixel_range=(-1, 1))
    with pytest.warns(UserWarning, match="`clip` has pixel_range that the model was not made for"):
        evaluation.evaluate(bright, source, clip=other, verbose=False)


def test_views_are_averaged_as_probabilities(bright, videos):
    source = kv.data.folder(videos).select([0, 5])
    result = evaluation.evaluate(bright, source, views="2x2", verbose=False)
    expected = []
    for path, label, *_ in source:
        views = kv.data.read_views(path, bright.clip, "2x2")
        logits = bright.predict_on_batch(views).astype("float64")
        scores = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        expected.append(-np.log(scores.mean(0)[bright.labels.index(source.labels[label])]))
    assert result.loss == pytest.approx(np.mean(expected), rel=1e-4)


@pytest.mark.parametrize("rotation", [0, 90])
def test_thirty_views_are_those_of_the_papers(rotation, tmp_path):
    """Ten places spread evenly in time, three squares along the longer side, in that order."""
    clip = kv.data.Clip(frames=4, fps=None, size=16, resize=16, pixel_range=(0, 255))
    numbered = write_video(tmp_path / "numbered.mkv", 22, rotation=rotation)
    views = kv.data.read_views(numbered, clip, "10x3")
    assert views.shape == (30, 4, 16, 16, 3)
    expected = np.repeat(2 * np.arange(10), 3)[:, None] + np.arange(4)  # (30, T)
    assert [grey(view).tolist() for view in views] == expected.tolist()

    ramp = np.broadcast_to(5 * np.arange(48, dtype=np.uint8)[:, None], (32, 48, 3))
    ramp = write_video(
        tmp_path / "ramp.mkv", 4, picture=np.ascontiguousarray(ramp), rotation=rotation
    )
    views = kv.data.read_views(ramp, clip, "1x3")[:, 0]  # (3, 16, 16, 3), of 16 x 24 pixels
    means = views.mean(axis=(1, 2, 3))
    # Squares 4 pixels apart, each pixel two of the file; the one in the middle is the centre.
    np.testing.assert_allclose(np.abs(np.diff(means)), 4 * 2 * 5, atol=1.5)
    assert means[1] == pytest.approx(5 * 23.5, abs=1.5)


def test_many_views_take_bounded_memory(bright, videos, monkeypatch):
    module = sys.modules["keras_vidreg.evaluation._evaluate"]
    source = kv.data.folder(videos).select([0, 5] * 15)
    read, predict_on_batch, track = (
        kv.data.batches.read_views,
        bright.predict_on_batch,
        module.track,
    )
    reads, waiting, sizes, bars = [], [], [], []

    def reading(path, *args, **options):
        reads.append(path)
        return read(path, *args, **options)

    def predicting(clips):
        time.sleep(0.02)  # so that reading would run ahead if it could
        waiting.append(len(reads) - len(sizes) // 4)  # 10 views are 4 steps of 3
        sizes.append(len(clips))
        return predict_on_batch(clips)

    def tracking(sequence, *args, **options):
        bars.append(options)
        return track(sequence, *args, **options)

    monkeypatch.setattr(kv.data.batches, "read_views", reading)
    monkeypatch.setattr(bright, "predict_on_batch", predicting)
    monkeypatch.setattr(module, "track", tracking)
    result = evaluation.evaluate(bright, source, views="10x1", batch_size=3)
    assert result.top1 == 1 and result.clips == len(reads) == 30 and result.views == "10x1"
    assert set(sizes) == {3} and len(sizes) == 30 * 4
    assert max(waiting) < 10, "videos in memory"
    assert bars[0]["total"] == 30 and not bars[0]["disable"]


def test_unknown_labels_are_an_error(bright, videos):
    records = kv.data.folder(videos).records
    source = kv.data.VideoSource(records, labels=("gloomy", "light"))
    with pytest.raises(ValueError, match=r"does not know the labels \['gloomy'\]"):
        evaluation.evaluate(bright, source, verbose=False)


def test_predict_keeps_the_order_and_the_number(bright):
    clips = np.random.default_rng(0).random((5, 2, 8, 8, 3), dtype="float32")
    whole = bright.predict_on_batch(clips)
    np.testing.assert_allclose(predict(bright, clips, 2), whole, rtol=1e-5)


def test_path_smoothness():
    t = np.arange(10.0)
    line = np.stack([t, 2 * t], axis=-1)[None]  # (1, 10, 2)
    assert evaluation.path_smoothness(line) == pytest.approx(0, abs=1e-9)
    zigzag = np.stack([t % 2, 0 * t], axis=-1)[None]
    assert evaluation.path_smoothness(zigzag) == pytest.approx(2)
    noise = np.random.default_rng(0).normal(size=(50, 20, 64))
    assert evaluation.path_smoothness(noise) == pytest.approx(3**0.5, rel=0.02)
    with pytest.raises(ValueError, match="frames >= 3"):
        evaluation.path_smoothness(np.zeros((1, 2, 4)))


def test_embeddings_of_a_source(videos):
    model = tiny.recipe().description(["dark", "light"]).build()
    source = kv.data.folder(videos).subset(3)
    z = evaluation.embeddings(model, source, batch_size=2)
    assert z.shape == (3, 6, 8)
    assert evaluation.smoothness(model, source) == pytest.approx(
        evaluation.path_smoothness(z), rel=1e-4
    )


def test_principal_components():
    rng = np.random.default_rng(0)
    plane = rng.normal(size=(40, 6, 2)) * [5, 1]  # (clips, N, 2)
    turned, _ = np.linalg.qr(rng.normal(size=(7, 7)))
    points = principal_components(plane @ turned[:2] + 3)
    for axis in range(2):
        a, b = points[..., axis].ravel(), (plane[..., axis] - plane[..., axis].mean()).ravel()
        assert abs(np.corrcoef(a, b)[0, 1]) > 0.95


def test_plot_embedding_paths(tmp_path):
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    paths = {"without": rng.normal(size=(3, 5, 4)), "with": rng.normal(size=(3, 5, 6))}
    file = evaluation.plot_embedding_paths(paths, tmp_path / "new" / "paths.png", ["a", "b", "a"])
    assert file.read_bytes().startswith(b"\x89PNG")
    assert [p.name for p in file.parent.iterdir()] == ["paths.png"]


def test_an_entry_of_a_run(videos, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "benchmarks")
    make_entry = importlib.import_module("make_entry").make_entry
    source = kv.data.folder(videos)
    recipe = kv.training.override(tiny.recipe(epochs=2), ["grw.weight=0.1"])
    kv.training.train(recipe, source, out=tmp_path / "run", verbose=False)
    entry = make_entry(
        tmp_path / "run", tmp_path / "zoo", "tiny_published", source, summary="A test.",
        data="greys", license="Apache-2.0", train_command="keras-vidreg train ...",
        evaluate_command="keras-vidreg evaluate ...",
        comparison=[{"weight": 0, "accuracy": 0.5}], notes="## Limits\n\nNone.",
    )  # fmt: skip
    assert sorted(p.name for p in entry.iterdir()) == [
        "card.md", "model.weights.h5", "preset.json", "training.json",
    ]  # fmt: skip
    assert [p.name for p in entry.parent.iterdir()] == ["tiny_published"]
    model = kv.zoo.load(entry)
    result = evaluation.evaluate(model, source, verbose=False)
    assert kv.zoo.preset(entry).accuracy == {"test": pytest.approx(result.top1, abs=1e-4)}
    card = kv.zoo.card(entry)
    assert f"| top-1 accuracy, test | {result.top1:.2%} |" in card
    assert "| weight | accuracy |" in card and "## Limits" in card
    log = json.loads((entry / "training.json").read_text())
    assert log["test"]["clips"] == 8 and log["recipe"]["grw"]["weight"] == 0.1
    with pytest.raises(ValueError, match="not finished"):
        make_entry(
            tmp_path / "none", tmp_path, "x", source, summary="", data="", license="",
            train_command="", evaluate_command="",
        )  # fmt: skip
