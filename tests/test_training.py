"""Training: recipes, schedules, logs, and runs that are interrupted."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys

import keras
import numpy as np
import pytest
import tiny
from keras import ops

import keras_vidreg as kv
from keras_vidreg.training import callbacks, checkpoint, optimization, train
from keras_vidreg.training.mix import Mixed

KILLED_IN_THE_SECOND_EPOCH = """
import os, pathlib, signal, sys
import tiny
import keras_vidreg as kv
from keras_vidreg.training import callbacks

class Killer(callbacks.EpochSeed):
    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch)
        self.epoch = epoch
    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 1:
            os.kill(os.getpid(), signal.SIGKILL)

kv.training.train.__globals__["EpochSeed"] = Killer
source = kv.data.folder(sys.argv[1])
kv.training.train(tiny.recipe(), source, source, out=sys.argv[2], verbose=False)
"""


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return tiny.make_videos(tmp_path_factory.mktemp("videos") / "all")


def weights(model):
    return [ops.convert_to_numpy(w) for w in model.weights]


def assert_same(model, other):
    for a, b in zip(weights(model), weights(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_a_killed_run_goes_on_to_the_result_of_an_uninterrupted_one(videos, tmp_path):
    paths = [str(pathlib.Path(__file__).parent), *sys.path]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_THE_SECOND_EPOCH, str(videos), str(tmp_path / "killed")],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "KERAS_BACKEND": keras.backend.backend(),
        },
        capture_output=True,
        text=True,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    stored = checkpoint.read_meta(tmp_path / "killed" / "checkpoint.npz")
    assert [record["epoch"] for record in stored["history"]] == [0]
    assert not (tmp_path / "killed" / "training.json").exists()

    resumed = train(tiny.recipe(), *sources(videos), out=tmp_path / "killed", verbose=False)
    whole = train(tiny.recipe(), *sources(videos), out=tmp_path / "whole", verbose=False)
    assert_same(resumed.model, whole.model)
    assert resumed.log["history"][0] == stored["history"][0]
    for a, b in zip(resumed.log["history"], whole.log["history"], strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
        assert a["val_loss"] == pytest.approx(b["val_loss"], rel=1e-4)


def test_a_run_on_mixed_clips_goes_on_as_if_it_had_not_stopped(videos, tmp_path, monkeypatch):
    mix = {"layer": "VideoCutMix", "alpha": 1.0}
    recipe = tiny.recipe(mix=mix, label_smoothing=0.1, grw=None, head=None)
    options = {"out": tmp_path / "stopped", "verbose": False}
    begin = callbacks.EpochSeed.on_epoch_begin

    def stop(self, epoch, logs=None):
        begin(self, epoch, logs)
        if epoch == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(callbacks.EpochSeed, "on_epoch_begin", stop)
        train(recipe, *sources(videos), **options)
    resumed = train(recipe, *sources(videos), **options)
    whole = train(recipe, *sources(videos), out=tmp_path / "whole", verbose=False)
    assert_same(resumed.model, whole.model)
    assert resumed.log["recipe"]["mix"] == mix
    for a, b in zip(resumed.log["history"], whole.log["history"], strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-4)
        assert a["val_accuracy"] == b["val_accuracy"]
        assert 0 <= a["accuracy_in_training_mode"] <= 1
    plain = dataclasses.replace(recipe, mix=None)
    plain = train(plain, kv.data.folder(videos), out=tmp_path / "plain", verbose=False)
    first, mixed = (run.log["history"][0]["loss"] for run in (plain, whole))
    assert abs(first - mixed) > 1e-4, "nothing was mixed"


def test_mixed_batches(videos):
    batches = kv.data.folder(videos).batches(4, clip=tiny.CLIP, seed=0, augment=None, cache=True)

    def epoch(number, seed=7, take=2):
        batches.set_epoch(number)
        mixed = iter(Mixed(batches, {"layer": "VideoMixUp", "alpha": 1.0}, 2, seed))
        return [next(mixed) for _ in range(take)]

    first = epoch(0)
    epoch(1, take=1)  # broken off
    again, later, other = epoch(0), epoch(1), epoch(0, seed=8)
    for (x, y), (same_x, same_y) in zip(first, again, strict=True):
        assert x.shape == (4, 6, 16, 16, 3) and y.shape == (4, 2)
        assert isinstance(x, np.ndarray) and x.dtype == y.dtype == np.float32
        np.testing.assert_array_equal(x, same_x)
        np.testing.assert_array_equal(y, same_y)
        np.testing.assert_allclose(y.sum(-1), 1, rtol=1e-6)
    labels = [np.concatenate([y for _, y in part]) for part in (first, later, other)]
    assert (labels[0] % 1).any(), "some labels are soft"
    assert (labels[0] != labels[1]).any() and (labels[0] != labels[2]).any()
    assert (first[0][0] != first[1][0]).any()


def sources(videos):
    return kv.data.folder(videos), kv.data.folder(videos)


@pytest.fixture(scope="module")
def finished(videos, tmp_path_factory):
    """A run of two epochs with seed 5, and its folder."""
    out = tmp_path_factory.mktemp("finished")
    return train(tiny.recipe(epochs=2), *sources(videos), out=out, verbose=False, seed=5), out


def test_training_log_and_folder(finished, videos):
    run, out = finished
    source = kv.data.folder(videos)
    log = json.loads((out / "training.json").read_text())
    assert log == json.loads(json.dumps(run.log))
    assert log["recipe"]["grw"] == dataclasses.asdict(kv.training.GRW(weight=0.1, window=3))
    assert log["seed"] == 5 and log["backend"] == keras.backend.backend()
    assert log["data"]["train"] == {"sha256": source.digest(), "clips": 8}
    assert set(log["accuracy"]) == {"train", "validation"} and log["recalibrated"] == {"clips": 8}
    assert "accuracy" not in log["history"][0]
    assert [record["steps"] for record in log["history"]] == [2, 2]
    assert log["seconds_per_step"] > 0 and log["skipped"] == {"train": 0, "validation": 0}
    assert log["versions"]["keras"] == keras.__version__
    assert not list(out.glob(".*.*")), "a temporary file was left"

    loaded = kv.zoo.load(out)
    assert loaded.labels == ("dark", "light") and loaded.clip == tiny.CLIP
    video = next(iter(source.batches(4, clip=tiny.CLIP, training=False)))[0]
    np.testing.assert_allclose(loaded.predict_on_batch(video), run.model.predict_on_batch(video))


def test_it_learns(videos, tmp_path):
    source = kv.data.folder(videos)
    run = train(
        tiny.recipe(epochs=12, augment=None, cache=True), source, source, out=tmp_path,
        verbose=False,
    )  # fmt: skip
    assert run.log["accuracy"]["validation"] == 1.0


def test_a_finished_run_is_not_trained_again(finished, videos, monkeypatch):
    first, out = finished
    monkeypatch.setattr(keras.Model, "fit", lambda *a, **k: pytest.fail("it trained again"))
    again = train(tiny.recipe(epochs=2), *sources(videos), out=out, verbose=False, seed=5)
    assert_same(first.model, again.model)
    assert again.log == json.loads(json.dumps(first.log))


def test_another_run_in_the_folder_is_an_error(finished, videos):
    _, out = finished
    source, validation = sources(videos)
    options = {"out": out, "verbose": False, "seed": 5}
    with pytest.raises(ValueError, match=r"recipe\.grw\.weight \(0\.1 there, 0\.5 now\).*restart"):
        other = kv.training.override(tiny.recipe(epochs=2), ["grw.weight=0.5"])
        train(other, source, validation, **options)
    with pytest.raises(ValueError, match=r"data\.train\.clips \(8 there, 4 now\)"):
        train(tiny.recipe(epochs=2), source.subset(4), validation, **options)
    mixed = kv.data.folder(videos, labels=["light", "dark"])
    with pytest.raises(ValueError, match="same order"):
        train(tiny.recipe(epochs=2), source, mixed, **options)


def test_broken_videos_are_skipped_and_counted(tmp_path):
    videos = tiny.make_videos(tmp_path / "videos")
    (videos / "dark" / "broken.mkv").write_bytes(b"no video")
    source = kv.data.folder(videos)
    with pytest.warns(UserWarning, match="broken"):
        run = train(
            tiny.recipe(epochs=1, warmup_epochs=0), source, out=tmp_path / "run", verbose=False
        )
    assert run.log["skipped"]["train"] == 1
    assert run.log["data"]["train"]["clips"] == 9


def test_checkpoint_survives_an_interrupted_write(tmp_path, monkeypatch):
    model = tiny.tiny(2, tiny.CLIP)
    model.compile(optimizer="adam")
    model.optimizer.build(model.trainable_variables)
    path = tmp_path / "checkpoint.npz"
    one = {"history": [{"epoch": 0, "steps": 1, "seconds": 0.5}]}
    checkpoint.save(path, model, one)
    before = weights(model)
    model.weights[0].assign(model.weights[0] + 1.0)

    def fail(*args):
        raise OSError("killed here")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="killed here"):
        checkpoint.save(path, model, one)
    assert checkpoint.read_meta(path) == one
    checkpoint.restore(path, model)
    np.testing.assert_array_equal(weights(model)[0], before[0])


def test_checkpoint_errors(tmp_path):
    model, wider = tiny.tiny(2, tiny.CLIP), tiny.tiny(2, tiny.CLIP, width=5)
    for m in (model, wider):
        m.compile(optimizer="adam")
        m.optimizer.build(m.trainable_variables)
    checkpoint.save(tmp_path / "c.npz", model, {})
    with pytest.raises(ValueError, match="shape"):
        checkpoint.restore(tmp_path / "c.npz", wider)
    (tmp_path / "bad.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="--restart"):
        checkpoint.read_meta(tmp_path / "bad.npz")


def test_schedule_and_decay():
    model = tiny.tiny(2, tiny.CLIP)
    recipe = tiny.recipe(epochs=10, warmup_epochs=2, learning_rate=0.1)
    optimizer = optimization.optimizer(recipe, model, steps_per_epoch=5)
    rate = [float(optimizer._learning_rate(step)) for step in range(51)]
    assert (
        rate[0] == 0 and rate[10] == pytest.approx(0.1) and rate[50] == pytest.approx(0, abs=1e-9)
    )
    assert rate[5] == pytest.approx(0.05) and rate[30] == pytest.approx(0.05)
    decayed = {v.path for v in model.trainable_variables if optimizer._use_weight_decay(v)}
    assert decayed == {v.path for v in model.trainable_variables if v.path.endswith("kernel")}


def test_smoothed_crossentropy():
    logits = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], "float32")
    labels = np.array([0, 1])
    target = np.full((2, 3), 0.1, "float32") + 0.7 * np.eye(3, dtype="float32")[labels]
    expected = keras.losses.CategoricalCrossentropy(from_logits=True)(target, logits)
    found = kv.training.SmoothedCrossentropy(0.3)(labels, logits)
    np.testing.assert_allclose(float(found), float(expected), rtol=1e-6)
    with pytest.raises(ValueError, match="smoothing"):
        kv.training.SmoothedCrossentropy(1.0)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_crossentropy_and_accuracy_of_soft_labels(smoothing):
    logits = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], "float32")
    labels = np.array([0, 1])
    soft = np.array([[0.4, 0.6, 0.0], [0.2, 0.1, 0.7]], "float32")
    loss = kv.training.SmoothedCrossentropy(smoothing)
    expected = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing)
    np.testing.assert_allclose(loss(soft, logits), expected(soft, logits), rtol=1e-6)
    one_hot = np.eye(3, dtype="float32")[labels]
    np.testing.assert_allclose(loss(one_hot, logits), loss(labels, logits), rtol=1e-6)
    for y, right in (
        (soft, [0, 1]),
        (one_hot, [1, 0]),
        (labels, [1, 0]),
        (labels[:, None], [1, 0]),
    ):
        found = optimization.accuracy(ops.convert_to_tensor(y), ops.convert_to_tensor(logits))
        np.testing.assert_array_equal(ops.convert_to_numpy(found), right)


def test_override():
    recipe = kv.training.RECIPES["movinet_a0_grw"]
    settings = ["grw.weight=0", "epochs=3", "backbone.variant=a1", "clip.fps=null", "augment=None"]
    changed = kv.training.override(recipe, [*settings, "clip.size=[32, 48]"])
    assert changed.grw.weight == 0.0 and isinstance(changed.grw.weight, float)
    assert changed.epochs == 3 and changed.backbone["variant"] == "a1"
    assert changed.clip.fps is None and changed.clip.size == (32, 48) and changed.augment is None
    assert recipe.epochs != 3 and recipe.backbone["variant"] == "a0"
    mixed = kv.training.override(recipe, ["mix.layer=VideoMixUp", "mix.alpha=0.4"])
    assert mixed.mix == {"layer": "VideoMixUp", "alpha": 0.4} == mixed.to_dict()["mix"]
    assert kv.training.override(mixed, ["mix=null"]) == recipe
    for setting, message in {
        "grw.wait=1": "no setting 'wait'",
        "speed=1": "no setting 'speed'",
        "epochs": "name=value",
        "epochs=many": "int is needed",
        "grw=1": "group of settings",
        "epochs.x=1": "nothing below",
        "epochs=0": "`epochs` must be",
        "mix.layer=CutMix": "`mix` must be.*VideoCutMix.*CutMix",
        "mix=VideoCutMix": "`mix` must be",
        "mix.alpha=1": "`mix` must be",
    }.items():
        with pytest.raises(ValueError, match=message):
            kv.training.override(recipe, [setting])


@pytest.mark.parametrize("name", sorted(kv.training.RECIPES))
def test_recipes_build(name):
    recipe = kv.training.RECIPES[name]
    assert recipe.name == name
    small = dataclasses.replace(recipe.clip, size=32, resize=32)
    stored = json.loads(json.dumps(recipe.description(["a", "b"]).to_dict()))
    assert kv.models.Description.from_dict(stored) == recipe.description(["a", "b"])
    model = dataclasses.replace(recipe.description(["a", "b"]), clip=small).build()
    if recipe.grw:
        assert recipe.clip.frames % recipe.grw.window == 0, "every frame is smoothed"
        at = f"{recipe.grw.smooth_at}_" if recipe.grw.smooth_at else ""
        layer = model.get_layer(f"{at}grw_smoothing")
        assert (layer.weight, layer.window) == (recipe.grw.weight, recipe.grw.window)
    if regularizer := recipe.backbone.get("regularizer"):
        layers = [layer for layer in model.layers if layer.name.endswith("_regularizer")]
        assert {type(layer).__name__ for layer in layers} == {regularizer["layer"]}
