"""What is known of every entry, and whether an entry is still what it was."""

import dataclasses

import numpy as np
import pytest
from test_save import grw, shaken

import keras_vidreg as kv
from keras_vidreg.cli import main
from keras_vidreg.zoo._preset import sha256
from keras_vidreg.zoo.published import published_sizes
from keras_vidreg.zoo.sizes import sizes

pytestmark = pytest.mark.usefixtures("numpy_initializer")


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A folder that `kv.zoo.save` has written, called `mine`."""
    monkeypatch.chdir(tmp_path)
    return kv.zoo.save(shaken(grw()), "mine")


def change_weights(folder, change):
    """Other weights, which the preset takes for its own."""
    model = kv.zoo.load(folder)
    change(model)
    digest = kv.zoo.save_weights(model, folder / "model.weights.h5")
    changed = dataclasses.replace(kv.zoo.preset(folder), sha256=digest)
    changed.write(folder / "preset.json")
    assert sha256(folder / "model.weights.h5") == digest


def test_what_was_saved_is_what_is_loaded(saved, capsys):
    found = kv.zoo.verify("mine")
    assert found.sha256 and found.error < 1e-5 and found.weights == len(kv.zoo.load(saved).weights)
    assert main(["zoo", "verify", "mine"]) == 0
    assert "mine: SHA-256 as stated, 29 weights finite, logits differ" in capsys.readouterr().out


def test_without_logits_and_sha256(saved, capsys):
    bare = dataclasses.replace(kv.zoo.preset(saved), logits=(), sha256=None)
    bare.write(saved / "preset.json")
    assert kv.zoo.verify("mine").error is None
    assert main(["zoo", "verify", "mine"]) == 0
    printed = capsys.readouterr().out
    assert "SHA-256 not stated" in printed and "no recorded logits" in printed


def test_other_weights_give_other_logits(saved, capsys):
    def nudge(model):
        for weight in model.get_layer("logits").weights:
            weight.assign(weight * 1.01)

    change_weights(saved, nudge)
    with pytest.raises(ValueError, match="does not give its recorded logits.*1.0e-02"):
        kv.zoo.verify("mine")
    assert main(["zoo", "verify", "mine"]) == 1
    assert "recorded logits" in capsys.readouterr().err


def test_weights_that_are_not_finite(saved):
    change_weights(
        saved, lambda model: model.get_layer("embedding").bias.assign(np.full(8, np.inf))
    )
    with pytest.raises(ValueError, match="not finite: embedding/bias"):
        kv.zoo.verify("mine")


def test_damaged_and_missing(saved, capsys):
    with open(saved / "model.weights.h5", "ab") as file:
        file.write(b"x")
    assert main(["zoo", "verify", "mine"]) == 1
    assert "SHA-256" in capsys.readouterr().err
    assert main(["zoo", "verify", "movienet_a0"]) == 1
    assert "Did you mean" in capsys.readouterr().err


@pytest.mark.parametrize("name", kv.zoo.names())
def test_every_name_has_its_facts(name):
    found = kv.zoo.info(name)
    assert found.name == name and found.family and found.data and found.classes > 1
    assert 1e6 < found.parameters < 2e8 and 1e7 < found.flops < 1e12
    assert bool(found.measured) != (found.reported is not None)
    assert (found.reported is None) == (found.reported_by is None)
    if name in kv.zoo.trained_here():
        assert found.here and 0 < found.size_mb < 16 and found.license


def test_the_table_of_sizes_is_that_of_the_sources():
    assert set(published_sizes()) == set(kv.zoo.PUBLISHED)


@pytest.mark.parametrize("name", ["movinet_a0", "slowonly_50_4x16_mmaction2"])
def test_sizes_are_those_of_the_builders(name):
    published = kv.zoo.PUBLISHED[name]
    found = sizes(
        kv.models.Description(
            published.builder, published.arguments, published.classes, published.clip
        )
    )
    assert (found.parameters, found.flops) == published_sizes()[name]


def test_facts_of_a_folder(saved):
    found = kv.zoo.info(saved)
    assert found.family == "grw" and found.measured == {} and found.classes == 2
    assert found.parameters == kv.zoo.preset(saved).parameters and found.license is None
    assert found.size_mb == round((saved / "model.weights.h5").stat().st_size / 1e6, 1)


def test_list(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert main(["zoo", "list"]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    rows = {row.split()[0]: row for row in rows}
    assert list(rows) == kv.zoo.names()
    for column in ("family", "parameters, M", "GFLOPs", "reported, %", "by", "license", "MB"):
        assert f" {column} " in head
    found = rows["movinet_a2_model_garden"]
    assert " ".join(found.split()) == (
        "movinet_a2_model_garden movinet 50 x 224 x 224 5.25 11.6 Kinetics-600 78.62 "
        "TensorFlow Model Garden not measured here Apache-2.0 20 no"
    )
    measured = kv.zoo.info("movinet_a0_grw_airplanes").measured["test"]
    assert f"test {measured:.1%}" in rows["movinet_a0_grw_airplanes"]
