"""Files of the Hugging Face Hub, through its package, against a stub of it on loopback."""

import hashlib

import numpy as np
import pytest
from hub_stub import TOKEN, hub_fixture, server_fixture  # noqa: F401
from web_server import file, redirect, status

from keras_vidreg.zoo import PUBLISHED, FetchError, _convert
from keras_vidreg.zoo._hub import hub_file

BODY = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
FILE = "weights/a0s_grw.pt"


@pytest.fixture
def commit(hub):
    """A repository with one large file."""
    hub.large[SHA256] = BODY
    return hub.commit("user/model", {FILE: BODY})


def test_hub_file(hub, commit, tmp_path):
    path = hub_file("user/model", FILE)
    assert path == tmp_path / "home/keras_vidreg/hub/user--model" / commit / FILE
    assert path.read_bytes() == BODY and not path.is_symlink()
    page = f"/user/model/resolve/{commit}/{FILE}"
    headers = [{k.lower(): v for k, v in asked.items()} for asked in hub.server.asked(page)]
    assert {asked["authorization"] for asked in headers} == {f"Bearer {TOKEN}"}
    for asked in hub.server.asked(f"/storage/{SHA256}"):
        assert "authorization" not in {name.lower() for name in asked}
    count = len(hub.server.asked(f"/storage/{SHA256}"))
    assert hub_file("user/model", FILE, sha256=SHA256) == path
    assert hub_file("user/model", FILE, commit) == path
    assert len(hub.server.asked(f"/storage/{SHA256}")) == count
    with pytest.raises(FetchError, match=f"{SHA256}, not 00000000"):
        hub_file("user/model", FILE, sha256="0" * 8)


def test_the_hash_that_the_hub_states_is_checked(hub, commit):
    hub.large[SHA256] = BODY[::-1]
    with pytest.raises(FetchError, match=f"not {SHA256}"):
        hub_file("user/model", FILE)
    hub.large[SHA256] = BODY  # and what was wrong is not kept
    assert hub_file("user/model", FILE).read_bytes() == BODY


def test_published_files_are_put_there_by_hand(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    published = PUBLISHED["movinet_a0_grw"]
    with pytest.raises(FetchError, match="HF_HUB_OFFLINE is set") as error:
        _convert._fetch(published)
    path = tmp_path / "home/keras_vidreg/published/movinet_a0_grw/a0s_grw.pt"
    url = f"{hub.server.url}/DrGil/grw-smoothing-movinet/resolve/main/a0s_grw.pt"
    assert f"fetch {url} on another machine and save it as {path}." in str(error.value)
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    assert _convert._fetch(published) == path and not hub.server.log


def test_published_files_come_from_the_hub(hub):
    hub.large[SHA256] = BODY
    published = PUBLISHED["movinet_a0_grw"]
    hub.commit(published.repo, {published.filename: BODY})
    if published.sha256 is None:
        assert _convert._fetch(published).read_bytes() == BODY
    hub.repos.clear()
    hub.stopped = True
    other = PUBLISHED["movinet_a1_grw"]
    with pytest.raises(FetchError, match="answers 503.*by hand.*a1s_grw.pt"):
        _convert._fetch(other)


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (status(404, X_Error_Code="RepoNotFound"), "answers 404 .*hf auth login"),
        (status(403, X_Error_Code="GatedRepo"), "answers 403 .*hf auth login"),
        (status(404, X_Error_Code="RevisionNotFound"), "no such branch"),
        (status(500), "answers 500 .*[Tt]ry again later"),
        (file(BODY), "names no commit"),
        (file(BODY, X_Repo_Commit="../../../x"), "names no commit"),
        (redirect("/loop"), "."),
    ],
)
def test_what_the_hub_may_answer(hub, page, says, monkeypatch):
    monkeypatch.setattr(hub.server, "find", lambda path: page)
    with pytest.raises(FetchError, match=says):
        hub_file("user/model", FILE)


def test_unreachable(hub):
    hub.server.server_close()
    with pytest.raises(FetchError, match="Hub cannot be reached"):
        hub_file("user/model", FILE)


@pytest.mark.parametrize("up", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("there", [True, False])
def test_a_hostile_hub_reaches_no_file_outside_the_cache(hub, tmp_path, monkeypatch, up, there):
    """Content that is called `../../victim` would be a path to those who file it by its name."""
    (tmp_path / "outside").mkdir()
    victim = tmp_path / "outside" / "victim"
    if there:
        victim.write_bytes(b"precious")
    name = "/".join([".."] * up + ["outside", "victim"])
    page = file(b"{}", X_Repo_Commit="5" * 40, X_Linked_Etag=f'"{name}"', X_Linked_Size=2)
    monkeypatch.setattr(hub.server, "find", lambda path: page)
    for _ in range(2):
        with pytest.raises((FetchError, ValueError)):
            hub_file("user/model", "preset.json", sha256="0" * 64)
        found = {p.relative_to(tmp_path).parts[0] for p in tmp_path.rglob("*")}
        assert found <= {"home", "outside"}
        assert list((tmp_path / "outside").iterdir()) == ([victim] if there else [])
        assert not there or victim.read_bytes() == b"precious"
