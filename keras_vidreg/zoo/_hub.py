"""Files of the Hugging Face Hub, and models there by their address: `hf://user/repo`.

Three files of a model travel: `preset.json`, `model.weights.h5` and the card. They are read as
data, and checked as those of any other folder.
"""

import contextlib
import hashlib
import os
import re

from keras_vidreg._atomic import write_text
from keras_vidreg.zoo._fetch import cache_folder, check_file, offline
from keras_vidreg.zoo._http import FetchError
from keras_vidreg.zoo._preset import PRESET, WEIGHTS, Preset

PREFIX = "hf://"
PAGE = "README.md"  # the card, as the Hub calls it


def split_address(address):
    """`"hf://user/repo@revision"` as repository and revision; `None` where there is no revision."""
    part = r"[A-Za-z0-9](?:[\w-]|\.(?!\.))*"
    found = re.fullmatch(rf"hf://({part}/{part})(?:@([\w.+-]+(?:/[\w.+-]+)*))?", str(address))
    if not found or ".." in (found[2] or ""):
        raise ValueError(
            f"`{PREFIX}user/repo` or `{PREFIX}user/repo@revision` is needed. Received: {address!r}"
        )
    return found[1], found[2]


def hub_endpoint():
    """Address of the Hub."""
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def snapshot(address):
    """Folder with the files of a model on the Hub, which are fetched unless they are here.

    A branch is looked up each time, and all files are of one and the same commit. Without a
    network, and with `HF_HUB_OFFLINE`, the commit that was fetched last is taken. `HF_ENDPOINT` and
    `HF_TOKEN` are respected.

    Args:
        address: `"hf://user/repo"`, or `"hf://user/repo@revision"`: a branch, tag or commit.

    Returns:
        The folder, `hub/<user>--<repo>/<commit>` in the cache.

    Raises:
        FetchError: If something is missing and cannot be fetched.
        ValueError: For what is no such address, and for a model that is no model of keras_vidreg.
    """
    repo, revision = split_address(address)
    try:
        preset_file = hub_file(repo, PRESET, revision)
        folder = preset_file.parent  # called as its commit
        preset = Preset.read(preset_file)
        if preset.weights != WEIGHTS or preset.sha256 is None:
            raise ValueError(f"Its preset names no {WEIGHTS} with a SHA-256.")
        weights = hub_file(repo, WEIGHTS, folder.name, sha256="")
        with contextlib.suppress(_Missing, FetchError):
            hub_file(repo, PAGE, folder.name)
    except (_Missing, ValueError) as error:
        raise ValueError(
            f"{address} is no model that `kv.zoo.push` has put there. {error}"
        ) from error
    try:
        preset.check(weights)
    except ValueError:  # so that it is fetched again
        weights.unlink()
        raise
    return folder


def hub_file(repo, name, revision=None, *, sha256=None):
    """Fetch a file of a model repository, unless it is here.

    It is a file of our own, `hub/<user>--<repo>/<commit>/<name>` in the cache: no link leads out of
    it, whatever the server calls its content.

    Args:
        repo: `"user/repo"`.
        name: Of the file.
        revision: Branch, tag or commit. Defaults to `main`.
        sha256: What is known of it. Defaults to what the Hub states of a large file.
    """
    import huggingface_hub as hub

    place = cache_folder("hub", repo.replace("/", "--"))
    url = hub.hf_hub_url(repo, name, revision=revision, endpoint=hub_endpoint())
    note = place / "branches" / hashlib.sha256(url.encode()).hexdigest()  # the commit it was at
    commit, stated = revision, None
    with asking(f"{PREFIX}{repo}", place):
        if not re.fullmatch(r"[0-9a-f]{40}", revision or ""):
            commit, stated = _look_up(hub, url, note)
        path = place / commit / name
        if not path.is_file():
            if offline():
                raise hub.errors.LocalEntryNotFoundError(f"{path} is missing")
            path.unlink(missing_ok=True)  # what is no file, a link
            if sha256 is None:
                stated = stated or hub.get_hf_file_metadata(url).etag
                sha256 = stated if re.fullmatch(r"[0-9a-f]{64}", stated or "") else None
            hub.hf_hub_download(
                repo, name, revision=commit, endpoint=hub_endpoint(), local_dir=place / commit
            )
    try:
        check_file(path, url, sha256)
    except FetchError:  # so that it is fetched again
        path.unlink()
        raise
    return path


def _look_up(hub, url, note):
    """The commit that a file is of now, or was of when it was fetched last, and its hash."""
    try:
        if offline():
            raise hub.errors.OfflineModeIsEnabled
        about = hub.get_hf_file_metadata(url)
    except Exception as error:
        answered = isinstance(error, hub.errors.HfHubHTTPError)
        if not note.is_file() or (answered and error.response.status_code < 500):
            raise
        return note.read_text(), None
    if not re.fullmatch(r"[0-9a-f]{40}", about.commit_hash or ""):
        raise FetchError(f"{url} is no file of a Hub: it names no commit.")
    note.parent.mkdir(parents=True, exist_ok=True)
    write_text(note, about.commit_hash)
    return about.commit_hash, about.etag


class _Missing(Exception):
    """The Hub has the model, but not this file."""


@contextlib.contextmanager
def asking(address, place=None):
    """What goes wrong between here and the Hub, in sentences."""
    from huggingface_hub import errors

    try:
        yield
    except (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled):
        raise FetchError(
            f"HF_HUB_OFFLINE is set, and {address} is not in {place}. Load it once with a network, "
            f"or copy {place} from a machine that has it."
        ) from None
    except (errors.GatedRepoError, errors.RepositoryNotFoundError) as error:
        raise _refused(error, address) from None
    except errors.RevisionNotFoundError:
        raise FetchError(f"{address}: there is no such branch, tag or commit.") from None
    except errors.EntryNotFoundError as error:
        raise _Missing(str(error).partition("\n")[0]) from None
    except errors.HfHubHTTPError as error:
        raise _refused(error, address) from None
    except (FetchError, ValueError):  # in words already, as what the Hub says of a card
        raise
    except Exception as error:  # of httpx or requests, which depends on the version
        raise FetchError(f"The Hub cannot be reached for {address}: {error}") from None


def _refused(error, address):
    code = error.response.status_code
    advice = (
        "If it exists, it may be private or ask for consent: log in with `hf auth login`, and open "
        "its page. A push needs a token with the right to write."
        if code in (401, 403, 404)
        else "Try again later."
    )
    return FetchError(f"The Hub answers {code} for {address}. {advice}")
