"""Files in the published formats, from the web to logits: fetched, read, converted, kept."""

import json
import pathlib
import re

import h5py
import keras
import numpy as np
import pytest
import recipe
from web_server import server_fixture  # noqa: F401

import keras_vidreg as kv
from keras_vidreg.cli import main
from keras_vidreg.zoo import PUBLISHED, FetchError, _convert

GOLDEN = pathlib.Path(__file__).parent / "golden"


class TransformerParams:
    def __init__(self, sizes):
        self.__dict__.update(sizes)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))


def golden(name):
    facts = json.loads((GOLDEN / f"{name}.json").read_text())
    state = recipe.fill_state(facts["state"], gain=facts["gain"])
    return facts, state, np.load(GOLDEN / f"{name}.npz")


def published_file(path, facts, state):
    """The file as it is published: a state dict, or a snapshot of the GRW authors."""
    torch = pytest.importorskip("torch")
    tensors = {key: torch.from_numpy(np.asarray(value)) for key, value in state.items()}
    content = tensors
    if facts["family"] == "grw":
        content = {
            "model_state": {key: torch.zeros_like(value) for key, value in tensors.items()},
            "ema_weights": {f"module.{key}": value for key, value in tensors.items()},
            "num_samples": 3,
            "transformer_params": TransformerParams(facts["build"]["transformer_params"]),
            "T": facts["build"]["T"],
            "version": 10,
        }
        content["ema_weights"]["n_averaged"] = torch.tensor(7)
    torch.save(content, path)
    return path


def stored_arrays(path):
    """What a weights file holds, by the paths of the variables."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda _, item: (
                found.update({item.attrs["path"].decode(): item[()]})
                if hasattr(item, "shape")
                else None
            )
        )
    return found


def check_logits(model, facts, outputs):
    entry = facts["inputs"]["clip"]
    video = recipe.video(*entry["shape_bthwc"][:4], seed=entry["seed"])
    got = model.predict_on_batch(video)
    output = entry["output"]
    expected = outputs[output if isinstance(output, str) else output[0]]
    error = np.abs(got - expected).max() / np.abs(expected).max()
    assert error <= facts["tolerance"]["relative"]


@pytest.mark.parametrize(
    ("name", "fixture"), [("movinet_a0", "movinet_a0_base"), ("movinet_a0_grw", "grw_a0s")]
)
def test_a_file_of_ones_own_gives_the_reference_s_logits(name, fixture, tmp_path):
    facts, state, outputs = golden(fixture)
    file = published_file(tmp_path / "file.pt", facts, state)
    model = kv.zoo.load(name, weights=file)
    assert model.labels[0] == "abseiling" and len(model.labels) == 600
    check_logits(model, facts, outputs)
    assert not _convert.is_converted(name)  # that cache is for the published file


def test_fetched_converted_once_and_kept(tmp_path, monkeypatch, server):
    facts, state, outputs = golden("movinet_a0_base")
    file = published_file(tmp_path / "weights", facts, state)
    body = file.read_bytes()

    def page(handler):
        handler.start(200, {"Content-Length": len(body)})
        handler.send(body)

    server.pages["/weights"] = page
    source = PUBLISHED["movinet_a0"]
    changed = {"url": f"{server.url}/weights", "git_blob": None}
    monkeypatch.setitem(PUBLISHED, "movinet_a0", type(source)(**{**vars(source), **changed}))
    assert not kv.zoo.is_here("movinet_a0")
    first = kv.zoo.load("movinet_a0")
    check_logits(first, facts, outputs)
    manifest = json.loads((_convert.converted_folder("movinet_a0") / "manifest.json").read_text())
    assert manifest["source"] == changed["url"] and manifest["converter"] == _convert.CONVERTER
    assert kv.zoo.is_here("movinet_a0")

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    second = kv.zoo.load("movinet_a0", labels=["yes", "no"])
    assert second.labels == ("yes", "no") and len(server.asked("/weights")) == 1
    stored = stored_arrays(_convert.converted_folder("movinet_a0") / "model.weights.h5")
    for a, b in zip(first.weights, second.weights, strict=True):
        values = stored.pop(a.path).tobytes()
        assert keras.ops.convert_to_numpy(a).tobytes() == values
        assert a.path.startswith("logits") or keras.ops.convert_to_numpy(b).tobytes() == values
    assert not stored
    # a conversion by another version is made again, from the file that is here
    monkeypatch.setattr(_convert, "CONVERTER", _convert.CONVERTER + 1)
    assert not kv.zoo.is_here("movinet_a0")
    check_logits(kv.zoo.load("movinet_a0"), facts, outputs)


def test_offline_says_which_file_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(FetchError) as caught:
        kv.zoo.load("slowfast_50")
    source = PUBLISHED["slowfast_50"]
    assert source.url in str(caught.value) and str(tmp_path / "home") in str(caught.value)
    assert kv.zoo.card("slowfast_50").startswith("# slowfast_50\n")  # needs no file


@pytest.mark.usefixtures("numpy_initializer")
def test_random_weights_need_no_file(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = kv.zoo.load("movinet_a0_stream", weights=None)
    assert len(model.labels) == 600 and model.clip.size == 172


def test_what_cannot_be_fetched_says_why():
    with pytest.raises(ValueError, match="No address.*weights="):
        kv.zoo.load("resnet3d_rs_50")


def test_a_file_of_another_network_changes_nothing(tmp_path):
    facts, state, _ = golden("movinet_a0_base")
    file = published_file(tmp_path / "file.pt", facts, state)
    with pytest.raises(ValueError, match="is not a file of movinet_a0_stream") as caught:
        kv.zoo.convert(file, "movinet_a0_stream", tmp_path / "out")
    assert "missing" in str(caught.value)
    with pytest.raises(ValueError, match="version 10"):
        kv.zoo.convert(file, "movinet_a0_grw", tmp_path / "out")
    with pytest.raises(ValueError, match="zoo list"):
        kv.zoo.convert(file, "movinet_a9", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["file.pt"]


def test_commands(tmp_path, capsys):
    facts, state, outputs = golden("movinet_a0_base")
    file = published_file(tmp_path / "file.pt", facts, state)
    out = tmp_path / "mine" / "a0"
    assert main(["zoo", "convert", str(file), "--model", "movinet_a0", "--out", str(out)]) in (
        0,
        None,
    )
    check_logits(kv.zoo.load(out), facts, outputs)
    assert kv.zoo.card(out).startswith("# movinet_a0\n")
    capsys.readouterr()
    main(["zoo", "list"])
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 1 + len(kv.zoo.names())
    row = next(row for row in rows if re.match(r"\s*movinet_a2_grw\s", row))
    assert "83.3" in row and "not measured here" in row and row.rstrip().endswith("no")
    for name in kv.zoo.trained_here():
        assert any(name in row and row.rstrip().endswith("yes") for row in rows)
    main(["zoo", "show", "movinet_a2_grw"])
    assert "DrGil/grw-smoothing-movinet" in capsys.readouterr().out
