"""Files and folders that appear whole or not at all: killed, full, written by several at once."""

import concurrent.futures
import json
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from keras_vidreg import _atomic
from keras_vidreg._atomic import restore, whole_file, whole_folder, write_json, write_text

ROOT = Path(__file__).resolve().parent.parent
CONTENT = ("a.txt", "b.txt")


def write_folder(out, text):
    with whole_folder(out, CONTENT) as part:
        for name in CONTENT:
            (part / name).write_text(text)


def content(out):
    return {path.name: path.read_text() for path in out.iterdir()}


def test_text_and_json(tmp_path):
    write_text(tmp_path / "a.txt", "ä\n")
    assert (tmp_path / "a.txt").read_bytes() == "ä\n".encode()
    write_json(tmp_path / "a.json", {"loss": [float("nan"), -float("inf"), 1.5], "name": "ä"})
    assert json.loads((tmp_path / "a.json").read_text()) == {"loss": [None, None, 1.5], "name": "ä"}
    assert "ä" in (tmp_path / "a.json").read_text(encoding="utf-8")


def test_what_goes_wrong_leaves_no_trace(tmp_path):
    write_text(tmp_path / "a.weights.h5", "old")
    with pytest.raises(RuntimeError), whole_file(tmp_path / "a.weights.h5") as part:
        assert part.name.endswith(".weights.h5") and part.parent == tmp_path
        part.write_text("half")
        raise RuntimeError
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "b"):
        pass  # nothing was written
    write_folder(tmp_path / "c", "old")
    with pytest.raises(RuntimeError), whole_folder(tmp_path / "c", CONTENT) as part:
        (part / "a.txt").write_text("half")
        raise RuntimeError
    assert content(tmp_path / "c") == dict.fromkeys(CONTENT, "old")
    assert (tmp_path / "a.weights.h5").read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.weights.h5", "c"]


@pytest.mark.parametrize("exchange", [True, False])
def test_folders_are_replaced(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(_atomic, "_exchange", lambda *_: False)
    for text in ("one", "two"):
        write_folder(tmp_path / "deep" / "mine", text)
        assert content(tmp_path / "deep" / "mine") == dict.fromkeys(CONTENT, text)
    assert os.listdir(tmp_path / "deep") == ["mine"]
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "mine")
    write_folder(tmp_path / "link", "three")
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "deep" / "mine") == dict.fromkeys(CONTENT, "three")


def test_other_files_are_kept(tmp_path):
    write_folder(tmp_path / "mine", "one")
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    (tmp_path / "mine" / ".hidden").write_text("too")
    with pytest.raises(ValueError, match=r"holds other files \(.hidden, thesis.txt\)"):
        write_folder(tmp_path / "mine", "two")
    with pytest.raises(ValueError, match="is a file"):
        write_folder(tmp_path / "mine" / "thesis.txt", "two")
    assert content(tmp_path / "mine")["thesis.txt"] == "years of work"


@pytest.mark.parametrize("exchange", [True, False])
def test_killed_between_any_two_renames(tmp_path, exchange):
    # Only this module is loaded, as importing Keras takes longer than the whole test.
    code = """
        import os, sys, types
        package = types.ModuleType("keras_vidreg")
        package.__path__ = [sys.argv[1] + "/keras_vidreg"]
        sys.modules["keras_vidreg"] = package
        from keras_vidreg import _atomic
        count, kill, exchange = 0, int(sys.argv[3]), sys.argv[4] == "True"
        def killing(function):
            def call(*arguments, **keywords):
                global count
                count += 1
                if count == kill:
                    os._exit(9)
                return function(*arguments, **keywords)
            return call
        for name in ("replace", "rename", "rmdir", "unlink", "fsync"):
            setattr(os, name, killing(getattr(os, name)))
        if not exchange:
            _atomic._exchange = lambda *_: False
        with _atomic.whole_folder(sys.argv[2], ("a.txt", "b.txt")) as part:
            for name in ("a.txt", "b.txt"):
                (part / name).write_text("new")
    """
    out, seen = tmp_path / "mine", set()
    for kill in range(1, 30):
        write_folder(out, "old")
        arguments = [ROOT, out, str(kill), str(exchange)]
        done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), *arguments])
        if exchange:
            assert out.is_dir()
        restore(out)
        text = (out / "a.txt").read_text()
        assert content(out) == dict.fromkeys(CONTENT, text)
        seen.add(text)
        if done.returncode == 0:
            break
        assert done.returncode == 9
    else:
        raise AssertionError("never came to its end")
    assert seen == {"old", "new"}


def test_several_writers(tmp_path):
    """Each reader sees what one writer wrote, never a mixture and never nothing."""
    file, folder, stop = tmp_path / "file.txt", tmp_path / "folder", threading.Event()

    def write(k):
        while not stop.is_set():
            write_text(file, str(k) * 10_000)
            write_folder(folder, str(k))

    write_text(file, "x" * 10_000)
    write_folder(folder, "x")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write, k) for k in range(3)]
        try:
            for _ in range(300):
                text = file.read_text()
                assert len(text) == 10_000 and len(set(text)) == 1 and folder.is_dir()
        finally:
            stop.set()
        assert [writer.result() for writer in writers] == [None] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file.txt", "folder"]
