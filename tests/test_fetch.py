"""Fetching: what goes wrong on the way, and what stays on the disk."""

import collections
import email.utils
import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from web_server import file, left, redirect, sequence, server_fixture, status  # noqa: F401

from keras_vidreg.zoo import _http
from keras_vidreg.zoo._fetch import FetchError, fetch

BODY = np.random.default_rng(0).bytes(300_000)
OTHER = BODY[::-1]
SHA256 = hashlib.sha256(BODY).hexdigest()
CUT = 2 * _http.CHUNK + 999
BLOB = hashlib.sha1(b"blob 300000\0" + BODY).hexdigest()
QUICK = {"backoff": 0.01, "timeout": 5, "progress": False}
ROOT = Path(__file__).resolve().parent.parent


def get(server, page, path, **arguments):
    server.pages["/file"] = page
    return fetch(f"{server.url}/file", path, **QUICK, **arguments)


def test_fetched_once_and_pinned(server, tmp_path):
    path = tmp_path / "deep" / "file.pt"
    assert get(server, file(BODY), path) == path and path.read_bytes() == BODY
    manifest = json.loads((path.parent / "file.pt.manifest.json").read_text())
    assert manifest["sha256"] == SHA256 and manifest["size"] == len(BODY)
    assert manifest["url"] == f"{server.url}/file" and manifest["fetched"]
    get(server, file(OTHER), path)
    assert len(server.log) == 1 and path.read_bytes() == BODY and not left(path)


def test_known_hashes(server, tmp_path):
    known = {"sha256": SHA256, "git_blob": BLOB}
    get(server, file(BODY), tmp_path / "a", **known)
    get(server, file(BODY), tmp_path / "b", sha256=SHA256[:8].upper())
    for name, wrong in (("sha256", "0" * 64), ("sha256", "0" * 8), ("git_blob", "0" * 40)):
        path = tmp_path / "new" / "file"
        found = SHA256 if name == "sha256" else BLOB
        with pytest.raises(FetchError, match=f"is not the file.*{found}, not {wrong}"):
            get(server, file(BODY), path, **{name: wrong})
        assert not path.exists() and not left(path)
        with pytest.raises(FetchError, match=f"is not the file.*{found}, not {wrong}"):
            get(server, file(BODY), tmp_path / "a", **{name: wrong})  # which is there
    for wrong in ("abc", "g" * 64):
        with pytest.raises(ValueError, match="`sha256` must be 8 to 64"):
            fetch("http://x", tmp_path / "d", sha256=wrong)


def test_a_change_is_refused(server, tmp_path):
    path = tmp_path / "file"
    get(server, file(BODY), path)
    path.write_bytes(b"damaged")
    with pytest.raises(FetchError, match="not what it was.*delete it"):
        get(server, file(BODY), path)
    path.unlink()
    with pytest.raises(
        FetchError, match="delete .*file.manifest.json too"
    ):  # the pin outlives the file
        get(server, file(OTHER), path)
    assert not path.exists() and not left(path)
    get(server, file(BODY), path)
    path.unlink()
    (tmp_path / "file.manifest.json").unlink()
    get(server, file(OTHER), path)
    assert path.read_bytes() == OTHER
    assert get(server, file(BODY), path) == path  # pinned anew
    (tmp_path / "file.manifest.json").write_text("{")
    with pytest.raises(FetchError, match="manifest.json is damaged"):
        get(server, file(BODY), path)


def test_a_file_put_there_by_hand_is_pinned(server, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(BODY)
    get(server, file(OTHER), path, sha256=SHA256)
    assert not server.log
    path.write_bytes(OTHER)
    with pytest.raises(FetchError, match="not what it was"):
        get(server, file(OTHER), path)


def test_a_cut_connection_is_resumed(server, tmp_path):
    get(server, file(BODY, cut=CUT), tmp_path / "file", sha256=SHA256)
    first, second = server.asked("/file")
    assert "Range" not in first and second["Range"] == f"bytes={CUT}-"
    assert second["If-Range"].strip('"') == hashlib.sha1(BODY).hexdigest()
    assert not left(tmp_path / "file")


def test_the_next_call_resumes_too(server, tmp_path):
    path = tmp_path / "file"
    with pytest.raises(FetchError, match="broke off .*Gave up after 1 attempts"):
        get(server, file(BODY, cut=CUT), path, attempts=1)
    assert not path.exists() and left(path) == {".file.part", ".file.part.json"}
    get(server, file(BODY), path, sha256=SHA256)
    assert server.asked("/file")[1]["Range"] == f"bytes={CUT}-" and not left(path)


@pytest.mark.parametrize(
    ("second", "body"),
    [
        pytest.param(file(BODY, ranges=False), BODY, id="no ranges"),
        pytest.param(sequence(status(416), file(BODY)), BODY, id="range refused"),
        pytest.param(file(OTHER), OTHER, id="changed"),
        pytest.param(sequence(file(OTHER, check=False), file(OTHER)), OTHER, id="unnoticed"),
        pytest.param(
            sequence(file(BODY, Content_Range="bytes 7-8/9"), file(BODY)), BODY, id="another part"
        ),
    ],
)
def test_starts_again_where_the_rest_does_not_fit(server, tmp_path, second, body):
    path = get(server, sequence(file(BODY, cut=CUT), second), tmp_path / "file")
    assert path.read_bytes() == body and not left(path)
    assert server.asked("/file")[1]["Range"] == f"bytes={CUT}-"


def test_without_a_validator_nothing_is_resumed(server, tmp_path):
    page = sequence(file(BODY, cut=CUT, tag=False), file(BODY, tag=False))
    get(server, page, tmp_path / "file", sha256=SHA256)
    assert all("Range" not in headers for headers in server.asked("/file"))
    page = sequence(
        file(BODY, cut=CUT, ETag='W/"weak"', tag=False, Last_Modified="yesterday"),
        file(BODY, ETag='W/"weak"', tag=False, Last_Modified="yesterday", check=False),
    )
    get(server, page, tmp_path / "dated", sha256=SHA256)
    assert server.asked("/file")[-1]["If-Range"] == "yesterday"


def test_another_address_does_not_resume(server, tmp_path):
    with pytest.raises(FetchError):
        get(server, file(BODY, cut=CUT), tmp_path / "file", attempts=1)
    server.pages["/mirror"] = file(BODY)
    fetch(f"{server.url}/mirror", tmp_path / "file", **QUICK)
    assert "Range" not in server.asked("/mirror")[0]


def test_a_length_that_is_too_long(server, tmp_path):
    with pytest.raises(FetchError, match="broke off.*Gave up after 3 attempts.*by hand"):
        get(server, file(BODY, claim=100), tmp_path / "file", attempts=3)
    assert not (tmp_path / "file").exists()


def test_a_length_that_is_too_short_is_seen_by_the_hash(server, tmp_path):
    with pytest.raises(FetchError, match="SHA-256"):
        get(server, file(BODY, claim=-100), tmp_path / "file", sha256=SHA256)


def test_a_slow_server(server, tmp_path):
    get(server, file(BODY, pause=0.3), tmp_path / "file", sha256=SHA256)
    server.pages["/file"] = sequence(file(BODY, pause=1), file(BODY))
    fetch(f"{server.url}/file", tmp_path / "too_slow", **{**QUICK, "timeout": 0.2})
    assert len(server.asked("/file")) == 3


def test_pages_instead_of_files(server, tmp_path):
    page = b"<!DOCTYPE html><html>quota exceeded</html>"
    for answer in (
        file(page, Content_Type="text/html; charset=utf-8"),
        file(b"\n  <html>log in</html>", Content_Type="application/octet-stream"),
    ):
        with pytest.raises(FetchError, match="a web page instead of the file"):
            get(server, answer, tmp_path / "file")
    assert len(server.log) == 2 and not (tmp_path / "file").exists()


def test_redirects(server, tmp_path):
    server.pages["/new"] = file(BODY)
    get(server, redirect("/new"), tmp_path / "file", sha256=SHA256)
    with pytest.raises(FetchError, match="redirects"):
        get(server, redirect("/file"), tmp_path / "loop")


def test_a_redirect_may_not_drop_the_encryption():
    answer = collections.namedtuple("Answer", "status_code url")(200, "http://example.org/file")
    with pytest.raises(FetchError, match="leads to http://example.org/file, which is not"):
        _http._check_answer(answer, "https://example.org/file")


@pytest.mark.parametrize(
    ("code", "says"),
    [(401, "login"), (403, "access is refused"), (404, "no such file"), (410, "withdrawn")],
)
def test_refusals_are_final(server, tmp_path, code, says):
    path = tmp_path / "file"
    with pytest.raises(FetchError, match=f"answers {code}: .*{says}") as error:
        get(server, status(code), path)
    assert f"{server.url}/file" in str(error.value) and str(path) in str(error.value)
    assert len(server.log) == 1 and not path.exists()


@pytest.mark.parametrize(
    "trouble",
    [
        status(429, Retry_After=0),
        status(429, Retry_After=email.utils.formatdate(0, usegmt=True)),
        status(503, Retry_After="soon"),
        status(500),
    ],
)
def test_a_busy_server_is_asked_again(server, tmp_path, trouble):
    get(server, sequence(trouble, trouble, file(BODY)), tmp_path / "file", sha256=SHA256)
    assert len(server.log) == 3


def test_a_broken_server_is_left_alone(server, tmp_path):
    with pytest.raises(FetchError, match="answers 500: .*Gave up after 4 attempts"):
        get(server, status(500), tmp_path / "file", attempts=4)
    assert len(server.log) == 4
    with pytest.raises(FetchError, match="429: too many requests.*in 3600 seconds"):
        get(server, status(429, Retry_After=3600), tmp_path / "file")
    assert len(server.log) == 5


def test_retry_after_is_respected(server, tmp_path):
    begin = time.monotonic()
    get(server, sequence(status(429, Retry_After=1), file(BODY)), tmp_path / "file")
    assert time.monotonic() - begin >= 1


def test_progress_is_shown(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    server.pages["/file"] = file(BODY, pause=0.3)
    fetch(f"{server.url}/file", tmp_path / "file", progress=True)
    shown = capsys.readouterr()
    assert "file" in shown.err and "kB" in shown.err and not shown.out


def test_offline(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    path = tmp_path / "file"
    with pytest.raises(FetchError, match="HF_HUB_OFFLINE is set") as error:
        get(server, file(BODY), path)
    assert f"{server.url}/file" in str(error.value) and str(path) in str(error.value)
    assert not server.log and not list(tmp_path.iterdir())
    path.write_bytes(BODY)
    assert get(server, file(BODY), path, sha256=SHA256) == path


def test_without_a_network(server, tmp_path):
    url, path = f"{server.url}/file", tmp_path / "file"
    server.server_close()
    begin = time.monotonic()
    with pytest.raises(FetchError, match="no connection to 127.0.0.1") as error:
        fetch(url, path, progress=False)
    assert f"fetch {url} on another machine and save it as {path}." in str(error.value)
    assert time.monotonic() - begin < 2
    with pytest.raises(FetchError, match="cannot be fetched"):
        fetch("weights.pt", path, progress=False)


def test_a_proxy_is_respected(server, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    server.pages["http://weights.example/file"] = file(BODY)
    fetch("http://weights.example/file", tmp_path / "file", **QUICK)
    assert (tmp_path / "file").read_bytes() == BODY
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with pytest.raises(FetchError, match="proxy does not answer"):
        fetch("http://weights.example/file", tmp_path / "other", **QUICK)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_that_may_only_be_read(server, tmp_path):
    (tmp_path / "file").write_bytes(BODY)
    tmp_path.chmod(0o500)
    assert get(server, file(BODY), tmp_path / "file").read_bytes() == BODY
    with pytest.raises(FetchError, match="Make the folder writable.*KERAS_HOME"):
        get(server, file(BODY), tmp_path / "other")


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_errors_of_the_disk(server, tmp_path, monkeypatch, code):
    def fail(*_):
        raise OSError(code, os.strerror(code))

    (tmp_path / "there").write_bytes(BODY)
    monkeypatch.setattr(os, "replace", fail)
    assert get(server, file(BODY), tmp_path / "there").read_bytes() == BODY
    advice = "Free some space" if code == errno.ENOSPC else "Make the folder writable"
    with pytest.raises(FetchError, match=f"{os.strerror(code)}. {advice}") as error:
        get(server, file(BODY), tmp_path / "file")
    assert str(tmp_path / "file") in str(error.value) and error.value.__cause__.errno == code


def test_a_folder_that_is_a_file(server, tmp_path):
    (tmp_path / "folder").write_text("")
    with pytest.raises(FetchError, match="Cannot write .*folder"):
        get(server, file(BODY), tmp_path / "folder" / "file")


def test_a_full_disk_is_seen_before_the_download(server, tmp_path, monkeypatch):
    usage = collections.namedtuple("Usage", "free")(1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(FetchError, match="300000 bytes are wanted and 1000 are free. Free some"):
        get(server, file(BODY), tmp_path / "file")


def test_two_processes_fetch_once(server, tmp_path):
    # Only these modules are loaded, as importing Keras takes longer than the whole test.
    code = """
        import pathlib, sys, time, types
        for name in ("keras_vidreg", "keras_vidreg.zoo"):
            sys.modules[name] = types.ModuleType(name)
            sys.modules[name].__path__ = [str(pathlib.Path(sys.argv[1], *name.split(".")))]
        from keras_vidreg.zoo._fetch import fetch
        print("ready", flush=True)
        sys.stdin.readline()
        fetch(sys.argv[2], sys.argv[3], sha256=sys.argv[4], progress=False)
    """
    path = tmp_path / "new" / "file"
    server.pages["/file"] = file(BODY, pause=0.3)
    command = [sys.executable, "-c", textwrap.dedent(code), ROOT, f"{server.url}/file", path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*command, SHA256], **pipes) for _ in range(2)]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    assert len(server.log) == 1 and path.read_bytes() == BODY and not left(path)


def partial(body, start, end, total, **headers):
    """A page that gives bytes `start` to `end` of `total`, whatever was asked for."""

    def page(handler):
        part = body[start : end + 1]
        answer = {"Content-Length": len(part), "Content-Range": f"bytes {start}-{end}/{total}"}
        handler.start(206, answer | {name.replace("_", "-"): v for name, v in headers.items()})
        handler.send(part)

    return page


TAG = f'"{hashlib.sha1(BODY).hexdigest()}"'


def test_a_part_that_is_shorter_than_asked_is_not_the_rest(server, tmp_path):
    short = partial(BODY, CUT, CUT + 999, len(BODY), ETag=TAG)
    path = get(server, sequence(file(BODY, cut=CUT), short, file(BODY)), tmp_path / "file")
    assert path.read_bytes() == BODY
    assert server.asked("/file")[2]["Range"] == f"bytes={CUT + 1000}-"


@pytest.mark.parametrize(
    "rest",
    [
        partial(OTHER, CUT, len(BODY) - 1, len(BODY)),  # says nothing of what it belongs to
        partial(BODY, CUT, len(BODY) - 2, len(BODY) - 1, ETag=TAG),  # another length
        partial(BODY, CUT, CUT + 9, "*", ETag=TAG),
        partial(BODY, 0, len(BODY) - 1, len(BODY), ETag=TAG),
    ],
)
def test_a_part_of_something_else_is_not_added(server, tmp_path, rest):
    path = get(server, sequence(file(BODY, cut=CUT), rest, file(BODY)), tmp_path / "file")
    assert path.read_bytes() == BODY and "Range" not in server.asked("/file")[2]


@pytest.mark.parametrize("length", [{}, {"Content-Length": 0}])
def test_an_empty_file_is_refused_and_not_remembered(server, tmp_path, length):
    def empty(handler):
        handler.start(200, {"ETag": '"x"', "Connection": "close", **length})
        handler.close_connection = True

    with pytest.raises(FetchError, match="gives an empty file"):
        get(server, empty, tmp_path / "file")
    assert get(server, file(BODY), tmp_path / "file").read_bytes() == BODY


def test_advice_for_a_file_that_changed_works(server, tmp_path):
    path = tmp_path / "file"
    get(server, file(BODY), path)
    path.unlink()
    with pytest.raises(FetchError) as error:
        get(server, file(OTHER), path)
    manifest = tmp_path / "file.manifest.json"
    assert f"delete {manifest} too" in str(error.value)
    manifest.unlink()
    assert get(server, file(OTHER), path).read_bytes() == OTHER


def test_files_have_a_largest_size(server, tmp_path):
    with pytest.raises(FetchError, match="has 300000 bytes, and at most 299999"):
        get(server, file(BODY), tmp_path / "file", largest=299_999)

    def endless(handler):
        handler.start(200, {"Connection": "close"})
        handler.close_connection = True
        for _ in range(100):
            handler.send(BODY)

    with pytest.raises(FetchError, match="more than the 600000 bytes"):
        get(server, endless, tmp_path / "file", largest=600_000)
    assert not left(tmp_path / "file")


def test_a_trickle_is_given_up(server, tmp_path):
    def trickle(handler):
        handler.start(200, {"Content-Length": 1000, "ETag": '"x"'})
        for _ in range(100):
            handler.send(b"12")
            time.sleep(0.05)

    server.pages["/file"] = trickle
    begin = time.monotonic()
    with pytest.raises(FetchError, match="bytes a second, fewer than 1024"):
        fetch(f"{server.url}/file", tmp_path / "file", **{**QUICK, "timeout": 0.3})
    assert time.monotonic() - begin < 3
