"""Presets and weights of strangers: one ValueError that says where, nothing fetched or obeyed."""

import json

import h5py
import numpy as np
import pytest
import tiny
from damaged_weights import refusals
from test_save import grw

import keras_vidreg as kv
from keras_vidreg.zoo.fill import build_from_file

pytestmark = pytest.mark.usefixtures("numpy_initializer")
LABELS = ("no", "yes")


def make(labels):
    return tiny.tiny(labels, tiny.CLIP)


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return kv.zoo.save(grw(), tmp_path / "mine", logits=False)


def change(folder, **changes):
    file = folder / "preset.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    "hostile",
    [{"weights": "imagenet"}, {"weights": "/etc/passwd"}, {"labels": 3}, {"clip": {}}],
)
@pytest.mark.parametrize("inner", [False, True])
def test_arguments_that_load_or_are_set_elsewhere(saved, hostile, inner, monkeypatch):
    def fetch(*_, **__):
        raise AssertionError("something was fetched")

    monkeypatch.setattr("keras.utils.get_file", fetch)
    monkeypatch.setattr("urllib.request.urlopen", fetch)
    arguments = {"backbone": "mobilenet_v3_small", **hostile}
    if inner:
        arguments = {"backbone": {"builder": "frame_cnn", **arguments}}
    change(saved, builder="grw_classifier" if inner else "frame_cnn", arguments=arguments)
    with pytest.raises(ValueError, match=f"preset.json.*may not hold `{next(iter(hostile))}`"):
        kv.zoo.load(saved, weights=None)


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_deep_json(saved, depth):
    text = (saved / "preset.json").read_text()
    deep = "[" * depth + "]" * depth
    (saved / "preset.json").write_text(text.replace('"alpha": 0.5', f'"alpha": {deep}') + " ")
    (saved / "preset.json").write_text(text[:1] + f'"deep": {deep},' + text[1:])
    with pytest.raises(ValueError, match="preset.json"):
        kv.zoo.load(saved)


def test_a_large_preset(saved):
    with open(saved / "preset.json", "a") as file:
        file.write(" " * 17 * 1024 * 1024)
    with pytest.raises(ValueError, match="preset.json.*more than"):
        kv.zoo.load(saved)


@pytest.mark.parametrize(
    "hostile",
    [
        {"speed": 3},
        {"window": "x"},
        {"heads": 0},
        {"heads": -1},
        {"depth": 10**6},
        {"embed_dim": 10**12},
        {"embed_dim": [1, 2]},
        {"window": 10**9},
        {"backbone": {"width": 4}},
        {"backbone": {"builder": "tiny", "width": 10**7}},
        {"backbone": {"builder": "tiny", "depth": 3}},
        {"backbone": None},
        {"": 1},
    ],
)
def test_arguments_that_no_builder_takes(saved, hostile):
    arguments = json.loads((saved / "preset.json").read_text())["arguments"]
    change(saved, arguments={**arguments, **hostile})
    with pytest.raises(ValueError, match="mine"):
        kv.zoo.load(saved)


def test_messages_are_short_and_obey_nobody(saved):
    evil = "\x1b[31m" + "x" * 10**6
    for changes in (
        {"builder": evil},
        {"labels": [evil, evil]},
        {"arguments": {evil: {}}},
        {"arguments": {"weight": {evil: 1}}},
        {"data": [evil] * 100},
        {"weights": f"../{evil}"},
        {evil: 1},
    ):
        before = (saved / "preset.json").read_text()
        change(saved, **changes)
        with pytest.raises(ValueError) as error:
            kv.zoo.load(saved)
        assert len(str(error.value)) < 2000 and "\x1b" not in str(error.value)
        (saved / "preset.json").write_text(before)


def by_keras(model, path):
    model.save_weights(path)


@pytest.mark.parametrize("write", [kv.zoo.save_weights, by_keras])
def test_damaged_weights(tmp_path, write):
    file = tmp_path / "x.weights.h5"
    write(make(LABELS), file)
    good, rng = file.read_bytes(), np.random.default_rng(0)

    def damaged():
        for i in range(90):
            bad = bytearray(good)
            if i % 3 == 0:
                bad = bad[: rng.integers(len(bad))]
            for _ in range(8):
                place = rng.integers(len(bad) if i % 2 else min(4096, len(bad)))
                bad[place] ^= 1 << rng.integers(8)
            yield bad

    assert refusals(file, damaged(), make, LABELS) > 40


def test_weights_that_are_no_numbers_or_stand_elsewhere(tmp_path):
    file = tmp_path / "x.weights.h5"
    for k, spoil in enumerate((
        lambda name, h: h.create_dataset(name, data=["text"] * 3),
        lambda name, h: h.__setitem__(name, h5py.ExternalLink("/etc/passwd", "/x")),
        lambda name, h: h.__setitem__(name, h5py.SoftLink("/")),
    )):  # fmt: skip
        kv.zoo.save_weights(make(LABELS), file)
        with h5py.File(file, "r+") as h:
            names = []
            h.visititems(lambda n, x, names=names: names.append(n) if hasattr(x, "shape") else None)
            del h[names[0]]
            spoil(names[0], h)
        with pytest.raises(ValueError, match="x.weights.h5.*(holds no numbers|is a link)"):
            build_from_file(make, file, LABELS, LABELS)
        assert k < 3
