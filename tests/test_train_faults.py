"""Training runs that go wrong: not finite, damaged, twice at once, killed, senseless settings."""

import dataclasses
import json
import warnings

import filelock
import keras
import numpy as np
import pytest
import tiny
from keras import ops

import keras_vidreg as kv
from keras_vidreg.training import checkpoint
from keras_vidreg.training.callbacks import Checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:The moving statistics:UserWarning")
QUICK = {"verbose": False}


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return tiny.make_videos(tmp_path_factory.mktemp("videos") / "all")


@pytest.fixture
def source(videos):
    return kv.data.folder(videos)


def recipe(**changes):
    return tiny.recipe(**{"epochs": 2, "head": None, "grw": None, "cache": True, **changes})


def test_a_loss_that_is_not_finite_stops_the_run(source, tmp_path, monkeypatch):
    out = tmp_path / "run"
    with pytest.raises(FloatingPointError, match="step [12] of epoch 1.*not written yet"):
        kv.training.train(
            recipe(learning_rate=1e37, warmup_epochs=0, clip_norm=None), source, out=out, **QUICK
        )
    assert not [path for path in out.iterdir() if path.name != ".lock"]

    begin = Checkpoint.on_epoch_begin

    def poison(self, epoch, logs=None):
        begin(self, epoch, logs)
        if epoch == 1:
            weight = self.model.get_layer("conv").kernel
            weight.assign(weight * np.nan)

    monkeypatch.setattr(Checkpoint, "on_epoch_begin", poison)
    with pytest.raises(FloatingPointError, match="step 1 of epoch 2.*after epoch 1"):
        kv.training.train(recipe(), source, out=out, **QUICK)
    assert len(checkpoint.read_meta(out / "checkpoint.npz")["history"]) == 1
    assert not (out / "preset.json").exists() and not (out / "training.json").exists()
    monkeypatch.setattr(Checkpoint, "on_epoch_begin", begin)
    assert len(kv.training.train(recipe(), source, out=out, **QUICK).log["history"]) == 2


def test_weights_that_are_not_finite_are_not_kept(tmp_path):
    model = tiny.tiny(2, tiny.CLIP)
    model.compile(optimizer="adam")
    model.optimizer.build(model.trainable_variables)
    checkpoint.save(tmp_path / "c.npz", model, {"history": []})
    before = (tmp_path / "c.npz").read_bytes()
    model.get_layer("conv").kernel.assign(model.get_layer("conv").kernel * np.inf)
    with pytest.raises(FloatingPointError, match="conv/kernel"):
        checkpoint.save(tmp_path / "c.npz", model, {"history": []})
    assert (tmp_path / "c.npz").read_bytes() == before


def test_one_process_per_folder(source, tmp_path):
    with (
        filelock.FileLock(tmp_path / ".lock"),
        pytest.raises(ValueError, match="Another process trains in .*another folder"),
    ):
        kv.training.train(recipe(), source, out=tmp_path, **QUICK)


@pytest.fixture(scope="module")
def finished(videos, tmp_path_factory):
    out = tmp_path_factory.mktemp("finished")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kv.training.train(recipe(), kv.data.folder(videos), out=out, **QUICK)
    return out


def copy_of(finished, out):
    out.mkdir()
    for path in finished.iterdir():
        if path.is_file():
            (out / path.name).write_bytes(path.read_bytes())
    return out


def damaged(content):
    """Damages of many kinds: `(name, bytes)`."""
    rng = np.random.default_rng(0)
    yield "empty", b""
    yield "text", b"no checkpoint"
    for share in (0.1, 0.5, 0.9, 0.999):
        yield f"cut at {share}", content[: int(len(content) * share)]
    for number in range(25):
        flipped = bytearray(content)
        at = rng.integers(len(content) if number % 2 else 400)
        flipped[at : at + 4] = rng.bytes(4)
        yield f"flipped at {at}", bytes(flipped)


def test_damaged_checkpoints_are_one_kind_of_error(finished, tmp_path):
    model = kv.zoo.load(finished)
    model.compile("adam")
    path = tmp_path / "c.npz"
    content = (finished / "checkpoint.npz").read_bytes()
    refused = 0
    for name, bad in damaged(content):
        path.write_bytes(bad)
        try:
            checkpoint.read_meta(path)
            checkpoint.restore(path, model)
        except ValueError as error:
            refused += 1
            assert "checkpoint" in str(error) and len(str(error)) < 400, name
    assert refused > 25


@pytest.mark.parametrize(
    "meta",
    ["[1]", "{}", '{"history": 3}', '{"history": [{"epoch": 5}]}', '{"history": [null]}', "{"],
)
def test_checkpoints_with_a_senseless_history(meta, tmp_path):
    np.savez(tmp_path / "c.npz", meta=np.array(meta))
    with pytest.raises(ValueError, match="cannot be read.*--restart"):
        checkpoint.read_meta(tmp_path / "c.npz")


def test_checkpoints_with_arrays_of_another_kind(finished, tmp_path):
    with np.load(finished / "checkpoint.npz") as file:
        arrays = dict(file)
    arrays["model/0"] = np.full(arrays["model/0"].shape, "x")
    np.savez(tmp_path / "c.npz", **arrays)
    with pytest.raises(ValueError, match="model/0 holds <U1"):
        checkpoint.restore(tmp_path / "c.npz", kv.zoo.load(finished))


def test_a_restart_forgets_the_run_of_before(finished, source, tmp_path, monkeypatch):
    out = copy_of(finished, tmp_path / "run")

    def killed(self, logs=None):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoint, "on_train_begin", killed)
        kv.training.train(recipe(), source, out=out, resume=False, **QUICK)
    assert not (out / "checkpoint.npz").exists() and not (out / "training.json").exists()


@pytest.mark.parametrize("name", ["model.weights.h5", "preset.json", "training.json"])
def test_damage_to_a_finished_run_is_mended(name, finished, source, tmp_path, monkeypatch):
    out = copy_of(finished, tmp_path / "run")
    content = (out / name).read_bytes()
    (out / name).write_bytes(content[:-9] + b"damaged!!")
    monkeypatch.setattr(keras.Model, "fit", lambda *a, **k: pytest.fail("it trained again"))
    with pytest.warns(UserWarning, match="Written again from the checkpoint"):
        kv.training.train(recipe(), source, out=out, **QUICK)
    expected = kv.zoo.load(finished).get_weights()
    for one, other in zip(kv.zoo.load(out).get_weights(), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    assert json.loads((out / "training.json").read_text())["accuracy"]


def test_skipped_videos_are_counted_across_a_resume(tmp_path, monkeypatch):
    videos = tiny.make_videos(tmp_path / "videos")
    (videos / "dark" / "broken.mkv").write_bytes(b"no video")
    run = tmp_path / "run"
    begin = Checkpoint.on_epoch_begin

    def stop(self, epoch, logs=None):
        begin(self, epoch, logs)
        if epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoint, "on_epoch_begin", stop)
        kv.training.train(recipe(), kv.data.folder(videos), out=run, **QUICK)
    stored = checkpoint.read_meta(run / "checkpoint.npz")["skipped"]
    assert [path[-10:] for path in stored["train"]] == ["broken.mkv"]
    source = kv.data.folder(videos)
    assert kv.training.train(recipe(), source, out=run, **QUICK).log["skipped"] == {"train": 1}
    assert len(source.errors) == 1


def test_a_validation_folder_without_a_good_file_is_refused_at_once(source, tmp_path, monkeypatch):
    for name in ("dark", "light"):
        (tmp_path / "bad" / name).mkdir(parents=True)
        (tmp_path / "bad" / name / "0.mkv").write_bytes(b"no video")
    monkeypatch.setattr(keras.Model, "fit", lambda *a, **k: pytest.fail("it trained"))
    with pytest.raises(ValueError, match="none of the 2 videos could be decoded"):
        kv.training.train(
            recipe(), source, kv.data.folder(tmp_path / "bad"), out=tmp_path / "run", **QUICK
        )


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("label_smoothing", 2),
        ("label_smoothing", 1.0),
        ("clip_norm", -1),
        ("clip_norm", 0),
        ("clip_norm", float("nan")),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("learning_rate", 0),
        ("learning_rate", "fast"),
        ("weight_decay", -0.1),
        ("warmup_epochs", float("nan")),
        ("warmup_epochs", -1),
        ("ema", 1.0),
        ("final_share", 2),
        ("epochs", 2.5),
        ("batch_size", True),
        ("recalibrate", -1),
        ("seed", -3),
        ("group_rates", {"(": 0.1}),
        ("group_rates", {"a": float("inf")}),
    ],
)
def test_settings_that_make_no_sense(setting, value):
    name = {"group_rates": "groups"}.get(setting, setting)
    with pytest.raises(ValueError, match=f"`{name}` must"):
        recipe(**{setting: value})


def test_windows_longer_than_the_clip():
    head = kv.training.Head(embed_dim=8, depth=1, heads=2, mlp_dim=8)
    with pytest.raises(ValueError, match="`grw.window` must be `clip.frames` at most.*7 of 6"):
        recipe(head=head, grw=kv.training.GRW(window=7))


def test_fine_tuning_from_a_run_at_two_rates_with_averages(finished, source, tmp_path):
    changes = {
        "init": str(finished),
        "learning_rate": 1e-4,
        "group_rates": {"^(embedding|attention|mlp|logits)": 1e-3},
        "final_share": 0.01,
        "warmup_epochs": 0,
        "ema": 0.5,
        "recalibrate": 0,
        "grw": kv.training.GRW(weight=0.1, window=3),
        "head": kv.training.Head(embed_dim=8, depth=1, heads=2, mlp_dim=8, drop_path=0.1),
    }
    run = kv.training.train(recipe(**changes), source, out=tmp_path / "run", **QUICK)
    rates = run.model.optimizer.learning_rates
    assert rates[""] == pytest.approx(1e-6) and list(rates.values())[1] == pytest.approx(1e-5)
    old = kv.zoo.load(finished).get_layer("conv").kernel
    new = run.model.get_layer("conv").kernel
    moved = np.abs(ops.convert_to_numpy(new) - ops.convert_to_numpy(old)).max()
    assert 0 < moved < 1e-3
    average = run.model.optimizer._model_variables_moving_average[0]
    np.testing.assert_allclose(ops.convert_to_numpy(average), ops.convert_to_numpy(new))
    again = kv.training.train(recipe(**changes), source, out=tmp_path / "run", **QUICK)
    for one, other in zip(again.model.get_weights(), run.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)

    wider = {**changes, "backbone": {"builder": "tiny", "width": 5}}
    with pytest.raises(ValueError, match="`init` must have the backbone of the recipe.*`conv`"):
        kv.training.train(recipe(**wider), source, out=tmp_path / "wider", **QUICK)


def test_recipes_hold_the_new_fields():
    changed = kv.training.override(
        recipe(), ['group_rates={"^logits/": 0.001}', "ema=0.99", "init=runs/a", "final_share=0.01"]
    )
    values = json.loads(json.dumps(changed.to_dict()))
    assert values["group_rates"] == {"^logits/": 0.001} and values["init"] == "runs/a"
    assert dataclasses.replace(changed) == changed


def grouped(rate=0.1):
    return kv.training.LearningRateGroups(keras.optimizers.SGD(rate), {"^logits/": 0.4})


def small(optimizer):
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(2, name="logits")(keras.layers.Dense(4, name="body")(inputs))
    model = keras.Model(inputs, outputs)
    model.compile(optimizer, "mean_squared_error")
    return model


X, Y = np.eye(3, dtype="float32"), np.ones((3, 2), "float32")


def test_groups_warm_up_from_zero():
    model = small(grouped())
    seen = []
    callbacks = [
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.05 * epoch),
        keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_: seen.append(list(model.optimizer.learning_rates.values()))
        ),
    ]
    model.fit(X, Y, epochs=3, verbose=0, callbacks=callbacks)
    np.testing.assert_allclose(seen, [[0, 0], [0.05, 0.2], [0.1, 0.4]], rtol=1e-6)
    zero = grouped()
    zero.learning_rate = 0.0
    again = kv.training.LearningRateGroups.from_config(zero.get_config())
    again.learning_rate = 0.1
    assert again.learning_rates == pytest.approx({"": 0.1, "^logits/": 0.4})


def test_a_schedule_for_all_groups(tmp_path):
    optimizer = grouped()
    optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(1.0, 2)
    model = small(optimizer)
    assert optimizer.learning_rates == pytest.approx({"": 1.0, "^logits/": 4.0})
    model.fit(X, Y, epochs=2, verbose=0)
    assert optimizer.learning_rates == pytest.approx({"": 0.0, "^logits/": 0.0}, abs=1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").optimizer
    assert again.learning_rates == pytest.approx(optimizer.learning_rates, abs=1e-6)
    with pytest.raises(ValueError, match="`learning_rate` can be set if"):
        kv.training.LearningRateGroups(keras.optimizers.SGD(0.0), {"a": 0.1}).learning_rate = 0.1


def test_groups_with_averages_and_swapped_weights():
    inner = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.9)
    model = small(kv.training.LearningRateGroups(inner, {"^logits/": 0.4}))
    swap = keras.callbacks.SwapEMAWeights()
    model.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), callbacks=[swap])
    assert np.isfinite(model.evaluate(X, Y, verbose=0))
    average = model.optimizer._model_variables_moving_average
    assert [a.shape for a in average] == [w.shape for w in model.trainable_variables]
    without = small(grouped())
    with pytest.raises(ValueError, match="use_ema"):
        without.fit(X, Y, verbose=0, validation_data=(X, Y), callbacks=[swap])
