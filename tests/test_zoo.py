"""The zoo: presets, weight files, loading, new heads, and every entry that is published."""

import importlib.util
import json
import pathlib

import h5py
import numpy as np
import pytest
import tiny
from keras import ops

import keras_vidreg as kv
from keras_vidreg.zoo import _entry
from keras_vidreg.zoo._preset import sha256

LIMIT = 16 * 1024 * 1024
HEAD = {"embed_dim": 8, "depth": 1, "heads": 2, "mlp_dim": 8, "window": 3}


@pytest.fixture
def entry(tmp_path, monkeypatch):
    """A zoo with the single entry `tiny_grw`."""
    monkeypatch.setattr(_entry, "root", lambda: tmp_path)
    folder = tmp_path / "tiny_grw"
    folder.mkdir()
    arguments = {"backbone": {"builder": "tiny", "width": 4}, **HEAD}
    model = kv.models.Description("grw_classifier", arguments, ["no", "yes"], tiny.CLIP).build()
    digest = kv.zoo.save_weights_half(model, folder / "model.weights.h5")
    kv.zoo.Preset(
        **vars(model.description), name="tiny_grw", weights="model.weights.h5", sha256=digest
    ).write(folder / "preset.json")
    (folder / "card.md").write_text("# tiny_grw\n")
    return folder


def arrays(model):
    return {w.path: ops.convert_to_numpy(w) for w in model.weights}


def video(model):
    return np.random.default_rng(0).random((2, *model.clip.shape), dtype="float32")


def test_load_by_name_and_by_folder(entry):
    assert kv.zoo.trained_here() == ["tiny_grw"] and kv.zoo.card("tiny_grw") == "# tiny_grw\n"
    model, same = kv.zoo.load("tiny_grw"), kv.zoo.load(entry)
    assert model.labels == ("no", "yes") and model.clip == tiny.CLIP
    np.testing.assert_array_equal(
        model.predict_on_batch(video(model)), same.predict_on_batch(video(model))
    )
    random = kv.zoo.load("tiny_grw", weights=None)
    assert not np.allclose(arrays(model)["embedding/kernel"], arrays(random)["embedding/kernel"])


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["b", "a"], 2])
def test_other_labels_keep_all_weights_but_the_head(entry, labels):
    old, new = kv.zoo.load("tiny_grw"), kv.zoo.load("tiny_grw", labels=labels)
    assert new.labels == (("0", "1") if labels == 2 else tuple(labels))
    found, expected = arrays(new), arrays(old)
    changed = {path for path in found if not np.array_equal(found[path], expected[path])}
    assert "logits/kernel" in changed and changed <= {"logits/kernel", "logits/bias"}


def test_overrides_reach_the_builder(entry):
    model = kv.zoo.load("tiny_grw", weight=0.7, alpha=0.2)
    layer = model.get_layer("grw_smoothing")
    assert (layer.weight, layer.alpha) == (0.7, 0.2)
    with pytest.raises(ValueError, match="do not fit"):
        kv.zoo.load("tiny_grw", embed_dim=16)
    with pytest.raises(ValueError, match="do not fit.*arrays"):
        kv.zoo.load("tiny_grw", depth=0)


def test_unknown_names_list_the_close_ones(entry, tmp_path):
    with pytest.raises(ValueError, match="no zoo entry 'tiny_grv'.*tiny_grw"):
        kv.zoo.load("tiny_grv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no preset.json"):
        kv.zoo.load(tmp_path / "empty")
    with pytest.raises(ValueError, match="no builder 'movienet'"):
        kv.models.Description("movienet", {}, 2, tiny.CLIP).build()


def test_weights_of_another_file(entry, tmp_path):
    other = kv.zoo.load("tiny_grw", weights=None)
    kv.zoo.save_weights(other, tmp_path / "other.weights.h5")
    model = kv.zoo.load("tiny_grw", weights=tmp_path / "other.weights.h5")
    np.testing.assert_array_equal(
        arrays(model)["embedding/kernel"], arrays(other)["embedding/kernel"]
    )
    with pytest.raises(ValueError, match="`weights` must be"):
        kv.zoo.load("tiny_grw", weights=tmp_path / "missing.weights.h5")


def test_damaged_and_missing_weights(entry):
    file = entry / "model.weights.h5"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match="SHA-256"):
        kv.zoo.load("tiny_grw")
    file.unlink()
    with pytest.raises(ValueError, match="put model.weights.h5 into"):
        kv.zoo.load("tiny_grw")


def test_half_precision_file(tmp_path):
    model = tiny.tiny(2, tiny.CLIP)
    model.compile(optimizer="adam")
    model.optimizer.build(model.trainable_variables)
    path = tmp_path / "half.weights.h5"
    assert kv.zoo.save_weights_half(model, path) == sha256(path)
    kinds = {}
    with h5py.File(path) as file:
        file.visititems(lambda n, x: kinds.update({n: x.dtype}) if hasattr(x, "dtype") else None)
    assert kinds and set(kinds.values()) == {np.dtype("float16")}
    assert not any(name.startswith("optimizer") for name in kinds)
    before = arrays(model)
    model.weights[0].assign(model.weights[0] + 1)
    model.load_weights(path)
    for name, value in arrays(model).items():
        np.testing.assert_allclose(value, before[name], rtol=1e-3, atol=1e-6)
    assert [p.name for p in tmp_path.iterdir()] == ["half.weights.h5"]


@pytest.mark.parametrize("bad", [1e6, np.nan])
def test_half_precision_refuses_what_it_cannot_hold(tmp_path, bad):
    model = tiny.tiny(2, tiny.CLIP)
    path = tmp_path / "half.weights.h5"
    path.write_bytes(b"as it was")
    model.weights[0].assign(np.full(model.weights[0].shape, bad, "float32"))
    with pytest.raises(ValueError, match="cannot be stored as float16"):
        kv.zoo.save_weights_half(model, path)
    assert path.read_bytes() == b"as it was"


def test_preset_round_trip_and_errors(entry):
    preset = kv.zoo.preset("tiny_grw")
    assert kv.zoo.Preset.from_dict(json.loads(json.dumps(preset.to_dict()))) == preset
    good = preset.to_dict()
    for change, message in (
        ({"labels": "yes"}, "labels"),
        ({"labels": ["a", "a"]}, "different names"),
        ({"arguments": []}, "arguments"),
        ({"weights": "../x.h5"}, "file name"),
        ({"speed": 1}, r"unknown fields \['speed'\]"),
        ({"clip": 3}, "clip"),
        ({"clip": {"frames": 0, "fps": None, "size": 3}}, "frames"),
    ):
        with pytest.raises(ValueError, match=message):
            kv.zoo.Preset.from_dict({**good, **change})
    del good["builder"]
    with pytest.raises(ValueError, match=r"missing fields \['builder'\]"):
        kv.zoo.Preset.from_dict(good)
    (entry / "preset.json").write_text("{")
    with pytest.raises(ValueError, match="preset.json"):
        kv.zoo.load("tiny_grw")


@pytest.mark.parametrize("name", kv.zoo.trained_here())
def test_every_entry(name):
    folder, preset = kv.zoo.folder(name), kv.zoo.preset(name)
    assert preset.name == name and preset.license and preset.data
    card = kv.zoo.card(name)
    assert card.startswith(f"# {name}\n")
    for needed in ("## Use", "## Measured", "## Trained", "## License", "keras-vidreg evaluate"):
        assert needed in card
    for accuracy in preset.accuracy.values():
        assert f"{accuracy:.2%}" in card
    log = json.loads((folder / "training.json").read_text())
    assert {"recipe", "data", "seed", "history", "versions"} <= set(log)
    files = list(folder.glob("*.h5"))
    assert files and all(file.stat().st_size <= LIMIT for file in files)

    model = kv.zoo.load(name)
    assert model.labels == preset.labels
    # the same numbers on every backend
    verified = kv.zoo.verify(name)
    assert verified.sha256 and verified.error < 2e-5
    assert preset.parameters == sum(np.prod(w.shape) for w in model.trainable_weights)
    assert preset.flops == kv.models.flops(model)


def test_demo(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    if "movinet_a0_grw_airplanes" not in kv.zoo.trained_here():
        pytest.skip("the zoo has no entry movinet_a0_grw_airplanes")
    path = pathlib.Path(__file__).resolve().parents[1] / "examples" / "demo.py"
    spec = importlib.util.spec_from_file_location("demo", path)
    demo = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    picture = demo.main(picture=tmp_path / "paths.png")
    assert picture.read_bytes().startswith(b"\x89PNG")
    printed = capsys.readouterr().out
    files = list(path.parent.glob("clips/*.mp4"))
    assert files and all(file.name in printed for file in files)
    assert f" of {len(files)} right" in printed and str(picture) in printed
