"""Files from the net: fetched once, checked, and refused when they change."""

import contextlib
import datetime
import errno
import hashlib
import json
import os
import re
import time
import urllib.parse
from pathlib import Path

from filelock import FileLock

from keras_vidreg.zoo.fetch_http import PASSING, FetchError, download

TRUE = ("1", "ON", "YES", "TRUE")  # as huggingface_hub reads its variables


def cache_folder(*parts):
    """A folder below `KERAS_HOME/keras_vidreg` (`~/.keras` where the variable is not set)."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras", "keras_vidreg", *parts)


def offline():
    """Whether `HF_HUB_OFFLINE` forbids to use the network; it counts for every address here."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in TRUE


def fetch(url, path, *, sha256=None, git_blob=None, force=False, **http):
    """Fetch a file, unless it is there, and check it.

    The file appears whole or not at all; a download that breaks off goes on in the next call. Of
    several processes that want the same file, one fetches it and the others wait. The SHA-256 of
    the first download is written to `<path>.manifest.json`, and a file that differs from it later
    is refused.

    Args:
        url: `http:` or `https:` address.
        path: where the file is to be. One that was put there by hand is taken as it is.
        sha256: its SHA-256 in hexadecimal, or the first digits of it, at least 8.
        git_blob: its object name in git (40 hexadecimal digits), for files of a git repository.
        force: fetch it again, and accept that it has changed. `sha256` and `git_blob` still hold.
        **http: `progress`, `attempts`, `backoff`, `timeout` and `headers` of the download.

    Returns:
        The path.

    Raises:
        FetchError: when the file cannot be fetched, cannot be written, or is not the right one.

    Example:

    >>> url = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/SLOW_8x8_R50.pyth"
    >>> fetch(url, cache_folder("pytorchvideo", "SLOW_8x8_R50.pyth"))
    """
    path = Path(path)

    def obtain(part):
        download(url, part, **http)
        return {"url": url}

    return _once(path, url, obtain, sha256, git_blob, force)


def fetch_from_hub(repo, filename, revision=None, *, sha256=None, force=False, **http):
    """Fetch a file of a model repository on the Hugging Face Hub, as `fetch` does.

    The Hub's own SHA-256 of a large file is checked as well. `HF_ENDPOINT` and `HF_TOKEN` are
    respected.

    Args:
        repo: `"user/name"`.
        filename: path of the file in the repository.
        revision: branch, tag or commit. Defaults to `main`.
        sha256, force, **http: as in `fetch`.

    Returns:
        The path, `hub/<user>--<name>/<revision>/<filename>` in the cache.

    Raises:
        FetchError: as in `fetch`.
        ImportError: when a file has to be fetched and huggingface_hub is missing.
        ValueError: for names that no repository can have.

    Example:

    >>> fetch_from_hub("DrGil/grw-smoothing-movinet", "a0s_grw.pt")
    """
    revision = revision or "main"
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repo):
        raise ValueError(f"`repo` must be 'user/name'. Received: {repo!r}")
    for name, value in (("revision", revision), ("filename", filename)):
        if not re.fullmatch(r"[\w.+-]+(/[\w.+-]+)*", value) or ".." in value.split("/"):
            raise ValueError(f"`{name}` must be a plain relative path. Received: {value!r}")
    path = cache_folder("hub", repo.replace("/", "--"), *revision.split("/"), *filename.split("/"))
    endpoint = hub_endpoint()

    def address(revision):
        return f"{endpoint}/{repo}/resolve/{urllib.parse.quote(revision, safe='')}/{filename}"

    def obtain(part):
        hub = huggingface_hub_package()
        about = _ask_hub(hub, address(revision), repo, http)
        # Of this very commit, so that a download that goes on later stays with one version.
        url = address(about.commit_hash or revision)
        download(url, part, **{"headers": hub.utils.build_hf_headers(), **http})
        large = re.fullmatch(r"[0-9a-f]{64}", about.etag or "")
        return {"url": url, "commit": about.commit_hash, **({"sha256": large[0]} if large else {})}

    return _once(path, address(revision), obtain, sha256, None, force)


def hub_endpoint():
    """Address of the Hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def huggingface_hub_package():
    """The package, or an `ImportError` that says how to get it."""
    try:
        import huggingface_hub.errors
        import huggingface_hub.utils
    except ImportError as error:
        raise ImportError(
            "Files of the Hugging Face Hub need huggingface_hub. Install it with: "
            'pip install "keras-vidreg[hub]"'
        ) from error
    return huggingface_hub


def _ask_hub(hub, page, repo, http):
    """Commit, size and hash that the Hub states for a file."""
    attempts, backoff = http.get("attempts", 5), http.get("backoff", 1.0)
    for attempt in range(attempts):
        try:
            return hub.get_hf_file_metadata(page, timeout=http.get("timeout", 30))
        except hub.errors.HfHubHTTPError as error:
            code = error.response.status_code
            if code not in PASSING or attempt == attempts - 1:
                raise FetchError(
                    f"The Hub answers {code} for {page}. If {repo} exists, it may be private or "
                    "ask for consent: log in with `hf auth login`, and open its page."
                    if code in (401, 403, 404)
                    else f"The Hub answers {code} for {page}; try again later."
                ) from None
            time.sleep(backoff * 2**attempt)
        except Exception as error:  # of httpx or requests, which depends on the version
            raise FetchError(f"The Hub cannot be reached: {error}.") from None
    raise ValueError(f"`attempts` must be at least 1. Received: {attempts}")


def _once(path, url, obtain, sha256, git_blob, force):
    """The file at `path`; `obtain(part)` writes it where it is missing."""
    _check_digest("sha256", sha256, 8, 64)
    _check_digest("git_blob", git_blob, 40, 40)
    if path.is_file() and not force:
        return _accept(path, url, sha256, git_blob)
    by_hand = f"To do it by hand, fetch {url} on another machine and save it as {path.absolute()}."
    if offline():
        raise FetchError(f"HF_HUB_OFFLINE is set, and {path.name} is not here. {by_hand}")
    with _writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.is_file() and not force:  # another process was faster
                return _accept(path, url, sha256, git_blob)
            part = path.with_name(f".{path.name}.part")
            try:
                facts = obtain(part)
            except FetchError as error:
                raise FetchError(f"Cannot fetch {path.name}. {error} {by_hand}") from None
            try:
                found = _check(part, url, sha256, git_blob, stated=facts.get("sha256"))
                if not force:
                    _compare(part, path, found)
            except FetchError:
                part.unlink()
                raise
            os.replace(part, path)
            _pin(path, found, facts)
    return path


def _accept(path, url, sha256, git_blob):
    """Check a file that is there, and pin it if it is new."""
    found = _check(path, url, sha256, git_blob)
    if not _compare(path, path, found):
        with contextlib.suppress(OSError):  # a folder that may only be read
            _pin(path, found, {"url": url})
    return path


def _check(file, url, sha256, git_blob, stated=None):
    """SHA-256 of a file, compared with what is known of it and with what its server states."""
    found, wrong = _digest(file, hashlib.sha256()), None
    for known in (sha256, stated):
        if known and not found.startswith(known.lower()):
            wrong = f"SHA-256 {found}, not {known}"
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
    return found


def _compare(file, path, found):
    """Whether the file was pinned before; an error if it was and has changed."""
    manifest = _manifest_path(path)
    if not manifest.is_file():
        return False
    try:
        pinned = json.loads(manifest.read_text())["sha256"]
    except (ValueError, KeyError, TypeError):
        raise FetchError(f"{manifest} is damaged. Delete it to accept {path} as it is.") from None
    if pinned != found:
        raise FetchError(
            f"{path.name} is not what it was when it was first fetched: {file} has SHA-256 "
            f"{found}, and {manifest} says {pinned}. If the file here was damaged, delete it to "
            "fetch it again. If it was changed on purpose, fetch it with `force=True`."
        )
    return True


def _pin(path, found, facts):
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    facts = {"sha256": found, "size": path.stat().st_size, "fetched": today, **facts}
    part = path.with_name(f".{path.name}.manifest.part")
    part.write_text(json.dumps(facts, indent=1) + "\n")
    os.replace(part, _manifest_path(path))


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
