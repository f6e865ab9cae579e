"""Files from the net: fetched once, checked, and refused when they change."""

import contextlib
import datetime
import errno
import hashlib
import json
import os
import re
from pathlib import Path

from filelock import FileLock

from keras_vidreg._atomic import write_json
from keras_vidreg.zoo._http import FetchError, download

TRUE = ("1", "ON", "YES", "TRUE")  # as huggingface_hub reads its variables


def cache_folder(*parts):
    """A folder below `KERAS_HOME/keras_vidreg` (`~/.keras` where the variable is not set)."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "keras_vidreg", *parts)


def offline():
    """Whether `HF_HUB_OFFLINE` forbids to use the network; it counts for every address here."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in TRUE


def by_hand(url, path):
    """What to do where there is no network."""
    return f"To do it by hand, fetch {url} on another machine and save it as {path.absolute()}."


def fetch(url, path, *, sha256=None, git_blob=None, **http):
    """Fetch a file, unless it is there, and check it.

    The file appears whole or not at all; a download that breaks off goes on in the next call. Of
    several processes that want the same file, one fetches it and the others wait. The SHA-256 of
    the first download is written to `<path>.manifest.json`, and a file that differs from it later
    is refused.

    Args:
        url: `http:` or `https:` address.
        path: Where the file is to be. One that was put there by hand is taken as it is.
        sha256: Its SHA-256 in hexadecimal, or the first digits of it, at least 8.
        git_blob: Its object name in git (40 hexadecimal digits), for files of a git repository.
        **http: Further arguments of `download`.

    Returns:
        The path.

    Raises:
        FetchError: If the file cannot be fetched, cannot be written, or is not the right one.
    """
    path = Path(path)
    _check_digest("sha256", sha256, 8, 64)
    _check_digest("git_blob", git_blob, 40, 40)
    if path.is_file():
        return _accept(path, url, sha256, git_blob)
    if offline():
        raise FetchError(f"HF_HUB_OFFLINE is set, and {path.name} is not here. "
                         + by_hand(url, path))  # fmt: skip
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.is_file():  # another process was faster
                return _accept(path, url, sha256, git_blob)
            part = path.with_name(f".{path.name}.part")
            try:
                download(url, part, **http)
            except FetchError as error:
                raise FetchError(
                    f"Cannot fetch {path.name}. {error} {by_hand(url, path)}"
                ) from None
            try:
                digest = check_file(part, url, sha256, git_blob)
                _compare(path, digest)
            except FetchError:
                part.unlink()
                raise
            os.replace(part, path)
            _pin(path, digest, url)
    return path


def check_file(file, url, sha256=None, git_blob=None):
    """SHA-256 of a file, or a `FetchError` if it is not what is known of it."""
    digest, wrong = _digest(file, hashlib.sha256()), None
    if sha256 and not digest.startswith(sha256.lower()):
        wrong = f"SHA-256 {digest}, not {sha256}"
    if git_blob:
        blob = _digest(file, hashlib.sha1(b"blob %d\0" % file.stat().st_size))
        if blob != git_blob.lower():
            wrong = f"git object {blob}, not {git_blob}"
    if wrong:
        raise FetchError(
            f"{file} is not the file that {url} is known to give: it has {wrong}. It is damaged, "
            "or was changed on the server. Delete it to fetch it again; if that does not help, do "
            "not use it."
        )
    return digest


def _accept(path, url, sha256, git_blob):
    """Check a file that is there, and pin it if it is new."""
    digest = check_file(path, url, sha256, git_blob)
    if not _compare(path, digest):
        with contextlib.suppress(OSError):  # a folder that may only be read
            _pin(path, digest, url)
    return path


def _compare(path, digest):
    """Whether the file was pinned before; an error if it was and has changed."""
    manifest = _manifest_path(path)
    if not manifest.is_file():
        return False
    try:
        pinned = json.loads(manifest.read_text())["sha256"]
    except (ValueError, KeyError, TypeError):
        raise FetchError(f"{manifest} is damaged. Delete it to accept {path} as it is.") from None
    if pinned != digest:
        raise FetchError(
            f"{path.name} is not what it was when it was first fetched: it has SHA-256 {digest}, "
            f"and {manifest} says {pinned}. If {path} was damaged, delete it to fetch it again. If "
            f"it was changed on purpose, delete {manifest} too."
        )
    return True


def _pin(path, digest, url):
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    size = path.stat().st_size
    facts = {"sha256": digest, "size": size, "fetched": today, "url": url}
    write_json(_manifest_path(path), facts)


def _manifest_path(path):
    return path.with_name(f"{path.name}.manifest.json")


def _digest(path, digest):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: digest).hexdigest()


def _check_digest(name, value, shortest, longest):
    if value is not None and not re.fullmatch(rf"[0-9a-fA-F]{{{shortest},{longest}}}", value):
        digits = f"{shortest} to {longest}" if shortest < longest else longest
        raise ValueError(f"`{name}` must be {digits} hexadecimal digits. Received: {value!r}")


@contextlib.contextmanager
def _writing(path):
    """Say of an error of the disk where it was and what to do."""
    try:
        yield
    except FetchError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        advice = "Free some space" if full else "Make the folder writable"
        raise FetchError(
            f"Cannot write {path.absolute()}: {error.strerror or error}. {advice}, or set "
            "KERAS_HOME to a folder with room that you may write to. What was fetched so far is "
            "kept."
        ) from error
