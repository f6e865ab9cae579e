"""Models of one's own as folders: saved whole, with what built them, and loaded bit by bit."""

import functools
import json
import shutil

import h5py
import keras
import numpy as np
import pytest
import tiny
from keras import ops

import keras_vidreg as kv
from keras_vidreg.models import resnet3d

pytestmark = pytest.mark.usefixtures("numpy_initializer")
HEAD = {"embed_dim": 8, "depth": 1, "heads": 2, "mlp_dim": 8, "window": 3}
FILES = ["card.md", "model.weights.h5", "preset.json"]


def grw(**changes):
    arguments = {"backbone": {"builder": "tiny", "width": 4}, **HEAD, **changes}
    return kv.models.Description("grw_classifier", arguments, ["no", "yes"], tiny.CLIP).build()


def shaken(model):
    """The model with other numbers in all weights, moving statistics too."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 1, weight.shape).astype(weight.dtype))
    return model


def assert_same(model, other):
    assert (model.labels, model.clip) == (other.labels, other.clip)
    for a, b in zip(model.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))


def test_saved_and_loaded(tmp_path):
    model = shaken(grw(weight=0.3))
    facts = {"data": "two | words", "license": "MIT", "accuracy": {"test": 0.875}}
    out = kv.zoo.save(model, tmp_path / "deep" / "mine", name="mine", **facts)
    assert out == tmp_path / "deep" / "mine" and sorted(p.name for p in out.iterdir()) == FILES
    same = kv.zoo.load(out)
    assert_same(model, same)
    assert same.get_layer("grw_smoothing").weight == 0.3
    preset = kv.zoo.preset(out)
    assert preset.name == "mine" and preset.accuracy == {"test": 0.875}
    assert preset.parameters == sum(np.prod(w.shape) for w in model.trainable_weights)
    assert preset.flops == kv.models.flops(model) and len(preset.logits) == 2
    card = kv.zoo.card(out)
    for text in (
        "# mine\n",
        "two \\| words",
        "MIT",
        "87.50%",
        "no, yes",
        "6 frames at the video's",
    ):
        assert text in card
    # over itself, and no other folder is left
    kv.zoo.save(same, out, logits=False)
    assert kv.zoo.preset(out).logits == () and [p.name for p in out.parent.iterdir()] == ["mine"]


def test_other_labels_then_trained(tmp_path):
    kv.zoo.save(shaken(grw()), tmp_path / "first", name="first")
    model = kv.zoo.load(tmp_path / "first", labels=["a", "b", "c"], weight=0.0)
    model.freeze("backbone")
    model.compile("adam")
    model.optimizer.build(model.trainable_variables)
    kv.zoo.save(model, tmp_path / "second")
    assert_same(model, kv.zoo.load(tmp_path / "second"))
    preset = kv.zoo.preset(tmp_path / "second")
    assert preset.labels == ("a", "b", "c") and preset.arguments["weight"] == 0.0
    # what is frozen counts too
    assert preset.parameters > sum(np.prod(w.shape) for w in model.trainable_weights)
    assert "| started from | the weights of `first` |" in kv.zoo.card(tmp_path / "second")


def test_models_that_were_built_directly(tmp_path, monkeypatch):
    monkeypatch.setitem(resnet3d.DEPTHS, 18, (1, 1, 1, 1))
    rms = functools.partial(kv.layers.RandomMeanScaling, stddev=0.25)
    backbone = kv.models.slowonly(
        18, regularizer=rms, positions=("bn1",), drop=kv.layers.ShakeDrop, width=4, clip=tiny.CLIP
    )
    model = kv.models.grw_classifier(backbone, labels=2, name="both", **HEAD)
    kv.zoo.save(shaken(model), tmp_path / "mine", logits=False)
    same = kv.zoo.load(tmp_path / "mine")
    assert_same(model, same)
    assert same.name == "both" and same.get_layer("res5_block0_norm1_regularizer").stddev == 0.25
    assert [layer.name for layer in same.layers] == [layer.name for layer in model.layers]
    arguments = kv.zoo.preset(tmp_path / "mine").arguments
    assert arguments["backbone"]["drop"] == {"layer": "ShakeDrop"}


def test_keras_files_keep_how_a_model_was_built(tmp_path):
    model = shaken(grw())
    model.save(tmp_path / "x.keras")
    again = keras.models.load_model(tmp_path / "x.keras", custom_objects={"tiny": tiny.tiny})
    kv.zoo.save(again, tmp_path / "mine")
    assert_same(model, kv.zoo.load(tmp_path / "mine"))


def test_what_cannot_be_built_again(tmp_path):
    plain = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    changed = kv.training.add_regularizer(grw(), kv.layers.RandomMeanScaling)
    by_hand = tiny.tiny(2, tiny.CLIP)
    for model in (plain, changed, by_hand):
        with pytest.raises(ValueError, match="saved as plain values.*kv.models"):
            kv.zoo.save(model, tmp_path / "mine")
    on_it = kv.models.grw_classifier(by_hand, labels=2, **HEAD)
    with pytest.raises(ValueError, match="`backbone` of grw_classifier was a model that does not"):
        kv.zoo.save(on_it, tmp_path / "mine")
    other = grw()
    other.described_by(grw(embed_dim=16).description)
    with pytest.raises(ValueError, match="other shapes"):
        kv.zoo.save(other, tmp_path / "mine")
    damaged = grw()
    damaged.get_layer("logits").bias.assign([np.nan, 0])
    with pytest.raises(ValueError, match="not finite"):
        kv.zoo.save(damaged, tmp_path / "mine")
    assert not list(tmp_path.iterdir())


def test_functions_are_no_plain_values(tmp_path, monkeypatch):
    monkeypatch.setitem(resnet3d.DEPTHS, 18, (1, 1, 1, 1))
    model = kv.models.slowonly(
        18, width=4, regularizer=lambda name: kv.layers.MeanFilter(name=name)
    )
    with pytest.raises(ValueError, match="`regularizer` of slowonly was <function"):
        kv.zoo.save(model, tmp_path / "mine")


def test_whole_or_not_at_all(tmp_path, monkeypatch):
    model = shaken(grw())
    out = kv.zoo.save(model, tmp_path / "mine", logits=False)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space"):
        kv.zoo.save(grw(), out, logits=False)
    monkeypatch.undo()
    assert before == {path.name: path.read_bytes() for path in out.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match=r"other files \(thesis.txt\)"):
        kv.zoo.save(model, out, logits=False)
    with pytest.raises(ValueError, match="is a file"):
        kv.zoo.save(model, out / "thesis.txt", logits=False)
    assert (out / "thesis.txt").read_text() == "years of work"


def test_other_precisions_record_no_logits(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = grw()
    keras.config.set_dtype_policy("float32")
    kv.zoo.save(model, tmp_path / "mine")
    assert kv.zoo.preset(tmp_path / "mine").logits == ()
    assert_same(model, kv.zoo.load(tmp_path / "mine"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logits": [1.0]}, "one number for every label"),
        ({"logits": [1.0, float("nan")]}, "`logits`"),
        ({"flops": -1}, "`flops`"),
        ({"parameters": "many"}, "`parameters`"),
        ({"accuracy": {"test": "good"}}, "`accuracy`"),
        ({"arguments": {"gate": {"class_name": "Lambda", "config": {}}}}, "plain values.*gate"),
        ({"arguments": {"backbone": {"drop": {"layer": {"module": "os"}}}}}, "plain values.*layer"),
        ({"arguments": {"weight": float("inf")}}, "plain values.*weight"),
    ],
)
def test_presets_hold_plain_values_only(tmp_path, change, message):
    out = kv.zoo.save(grw(), tmp_path / "mine", logits=False)
    file = out / "preset.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ValueError, match=message):
        kv.zoo.load(out)


def test_arrays_in_other_files_are_refused(tmp_path):
    out = kv.zoo.save(grw(), tmp_path / "mine", logits=False)
    (tmp_path / "secret").write_bytes(bytes(64))
    other = tmp_path / "other.weights.h5"
    shutil.copy(out / "model.weights.h5", other)
    with h5py.File(other, "r+") as file:
        names = []
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        name = min(names, key=lambda name: file[name].size)
        shape, kind = file[name].shape, file[name].dtype
        del file[name]
        file.create_dataset(name, shape, kind, external=[(str(tmp_path / "secret"), 0, 64)])
    with pytest.raises(ValueError, match="stands in another file"):
        kv.zoo.load(out, weights=other)
