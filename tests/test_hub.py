"""Models on the Hugging Face Hub: pushed, fetched, kept and refused, against a stub of it."""

import json

import pytest
import tiny
from hub_stub import hub_fixture, server_fixture  # noqa: F401
from test_save import assert_same, grw, shaken

import keras_vidreg as kv
from keras_vidreg.zoo import FetchError
from keras_vidreg.zoo._hub import split_address

pytestmark = pytest.mark.usefixtures("numpy_initializer")
ADDRESS = "hf://cat/left-or-right"
REPO = "cat/left-or-right"
FILES = {".gitattributes", "README.md", "model.weights.h5", "preset.json"}


@pytest.fixture
def offline(monkeypatch):
    return lambda: monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_pushed_and_loaded(hub, offline, tmp_path):
    model = shaken(grw())
    facts = {"name": "left or right", "data": "a cat", "license": "CC BY 4.0"}
    address = kv.zoo.push(model, ADDRESS, private=True, **facts)
    (_, _), (commit, files) = hub.repos[REPO]
    assert address == f"{ADDRESS}@{commit}" and hub.private == {REPO}
    assert set(files) == FILES and list(hub.large.values()) == [files["model.weights.h5"]]
    page = files["README.md"].decode()
    front, card = page.removeprefix("---\n").split("\n---\n\n", 1)
    assert front.splitlines() == [
        "library_name: keras", "pipeline_tag: video-classification", "license: cc-by-4.0",
        "tags:", '- "keras"', '- "keras_vidreg"', '- "video-classification"', '- "grw_classifier"',
    ]  # fmt: skip
    assert card.startswith("# left or right\n") and f'kv.zoo.load("{ADDRESS}")\n' in card

    assert_same(model, kv.zoo.load(ADDRESS))
    assert kv.zoo.verify(ADDRESS).error < 1e-5
    assert kv.zoo.card(ADDRESS) == card and kv.zoo.preset(ADDRESS).data == "a cat"
    fetched = [page for command, page, _ in hub.server.log if command == "GET"]
    assert sum("/storage/" in page for page in fetched) == 1  # the weights, once
    offline()
    count = len(hub.server.log)
    new = kv.zoo.load(ADDRESS, labels=["a", "b", "c"])
    assert len(hub.server.log) == count
    kv.zoo.save(new, tmp_path / "new", logits=False)
    assert f"the weights of `{ADDRESS}`" in kv.zoo.card(tmp_path / "new")


def test_folders_and_versions(hub):
    first, second = shaken(grw()), grw(weight=0.0)
    home = kv.zoo.save(first, "mine", name="one", logits=False)
    (home / "card.md").write_text('# My cat\n\n`kv.zoo.load("one")` and a picture.\n')
    old = kv.zoo.push(home, ADDRESS, message="first")
    new = kv.zoo.push(second, ADDRESS, logits=False)
    assert old != new
    assert_same(first, kv.zoo.load(old))
    assert_same(second, kv.zoo.load(new))
    assert_same(second, kv.zoo.load(ADDRESS))
    assert kv.zoo.card(old) == f'# My cat\n\n`kv.zoo.load("{ADDRESS}")` and a picture.\n'
    # a branch is looked up again, and what is here is enough while the Hub is out of order
    third = kv.zoo.push(first, ADDRESS, logits=False)
    assert_same(first, kv.zoo.load(ADDRESS))
    hub.stopped = True
    assert_same(first, kv.zoo.load(ADDRESS))
    hub.stopped = False
    # from one repository to another
    kv.zoo.push(third, "hf://dog/copy")
    assert_same(first, kv.zoo.load("hf://dog/copy"))
    with pytest.raises(ValueError, match="license itself, in its preset.json"):
        kv.zoo.push(home, ADDRESS, license="MIT")


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_offline_and_nothing_here(hub, offline, tmp_path):
    kv.zoo.push(grw(), ADDRESS, logits=False)
    offline()
    with pytest.raises(FetchError, match="HF_HUB_OFFLINE is set.*Load it once") as error:
        kv.zoo.load(ADDRESS)
    assert str(tmp_path / "home") in str(error.value)
    with pytest.raises(FetchError, match="HF_HUB_OFFLINE is set, so nothing"):
        kv.zoo.push(grw(), ADDRESS)


def test_what_the_hub_refuses(hub, monkeypatch):
    with pytest.raises(FetchError, match="404 for hf://cat/none.*hf auth login"):
        kv.zoo.load("hf://cat/none")
    kv.zoo.push(grw(), ADDRESS, private=True, logits=False)
    with pytest.raises(FetchError, match="no such branch"):
        kv.zoo.load(f"{ADDRESS}@v2")
    with pytest.raises(FetchError, match="401 for .*right to write"):
        kv.zoo.push(grw(), ADDRESS, token="hf_another", logits=False)
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    with pytest.raises(FetchError, match="401 for .*private"):
        kv.zoo.load(ADDRESS)


def test_other_repositories_are_no_models(hub):
    hub.commit("cat/bert", {"config.json": b"{}", "model.py": b"raise SystemExit"})
    with pytest.raises(ValueError, match="no model that `kv.zoo.push` has put there"):
        kv.zoo.load("hf://cat/bert")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "../../other.h5"}, "file name"),
        ({"weights": "model.keras"}, "names no model.weights.h5"),
        ({"sha256": None}, "with a SHA-256"),
        ({"sha256": "0" * 64}, "SHA-256"),
        ({"builder": "os.system"}, "no builder"),
        ({"arguments": {"backbone": {"builder": "tiny", "layer": {"module": "os"}}}}, "plain"),
        ({"weights_url": "http://x"}, "unknown fields"),
    ],
)
def test_presets_from_the_hub_are_checked(hub, change, message):
    kv.zoo.push(grw(), ADDRESS, logits=False)
    preset = json.loads(hub.repos[REPO][-1][1]["preset.json"])
    hub.commit(REPO, {"preset.json": json.dumps({**preset, **change}).encode()})
    with pytest.raises(ValueError, match=message):
        kv.zoo.load(ADDRESS)


def test_damaged_on_the_way(hub):
    model = grw()
    kv.zoo.push(model, ADDRESS, logits=False)
    oid, body = hub.large.popitem()
    hub.large[oid] = body[::-1]
    with pytest.raises(ValueError, match="damaged.*SHA-256"):
        kv.zoo.load(ADDRESS)
    hub.large[oid] = body  # and what was wrong is not kept
    assert_same(model, kv.zoo.load(ADDRESS))


def test_a_damaged_folder_is_not_pushed(hub):
    folder = kv.zoo.save(grw(), "mine", logits=False)
    with open(folder / "model.weights.h5", "ab") as file:
        file.write(b"x")
    with pytest.raises(ValueError, match="damaged"):
        kv.zoo.push(folder, ADDRESS)
    assert not hub.server.log


def test_addresses():
    assert split_address("hf://a/b") == ("a/b", None)
    assert split_address("hf://a-1/b.c_d@refs/pr/1") == ("a-1/b.c_d", "refs/pr/1")
    for bad in ("hf://a", "hf://a/b/c", "hf://../b", "hf://a/..", "hf://a/b@", "hf://a/b@../c"):
        with pytest.raises(ValueError, match="hf://user/repo"):
            kv.zoo.load(bad)
    with pytest.raises(ValueError, match="no revision"):
        kv.zoo.push(grw(), f"{ADDRESS}@v1")


def test_licenses_of_the_hub():
    from keras_vidreg.zoo._cards import hub_page

    preset = {"labels": ("a",), "clip": tiny.CLIP, "builder": "tiny", "arguments": {}, "name": "x"}
    for text, expected in (
        ("Apache-2.0", "license: apache-2.0\n"),
        ("Weights: Apache-2.0. Data: GRID, CC BY 4.0.", "license: apache-2.0\n"),
        ("For my cat only.", 'license: other\nlicense_name: "for-my-cat-only"\n'),
        ("", "pipeline_tag: video-classification\ntags:"),
    ):
        page = hub_page("# x\n", ADDRESS, kv.zoo.Preset(**preset, license=text))
        assert expected in page and page.endswith("---\n\n# x\n")


def test_a_link_in_the_cache_is_removed_and_not_what_it_leads_to(hub, tmp_path):
    address = kv.zoo.push(grw(), ADDRESS, logits=False)
    kv.zoo.load(address)
    [weights] = (tmp_path / "home").rglob("model.weights.h5")
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    weights.unlink()
    weights.symlink_to(victim)
    with pytest.raises(ValueError, match="damaged.*SHA-256"):
        kv.zoo.load(address)
    assert victim.read_bytes() == b"precious" and not weights.is_symlink()
