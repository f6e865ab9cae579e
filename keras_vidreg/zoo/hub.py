"""Models on the Hugging Face Hub, by their address: `hf://user/repo`.

Three files travel: `preset.json`, `model.weights.h5` and the card. They are read as data, and
checked as those of any other folder.
"""

import contextlib
import re
from pathlib import Path

from keras_vidreg.zoo.fetch import cache_folder, hub_endpoint, huggingface_hub_package, offline
from keras_vidreg.zoo.fetch_http import FetchError
from keras_vidreg.zoo.preset import Preset
from keras_vidreg.zoo.weights import check_sha256

PREFIX = "hf://"
PRESET, WEIGHTS, CARD = "preset.json", "model.weights.h5", "README.md"


def is_address(name):
    """Whether a name is that of a model on the Hub."""
    return str(name).startswith(PREFIX)


def split_address(address):
    """`"hf://user/repo@revision"` as repository and revision; `None` where there is no revision."""
    part = r"[A-Za-z0-9](?:[\w-]|\.(?!\.))*"
    found = re.fullmatch(rf"hf://({part}/{part})(?:@([\w.+-]+(?:/[\w.+-]+)*))?", str(address))
    if not found or ".." in (found[2] or ""):
        raise ValueError(
            f"`{PREFIX}user/repo` or `{PREFIX}user/repo@revision` is needed. Received: {address!r}"
        )
    return found[1], found[2]


def snapshot(address):
    """Folder with the files of a model on the Hub, which are fetched unless they are here.

    A branch is looked up each time, and all files are of one and the same commit. Without a
    network, and with `HF_HUB_OFFLINE`, the commit that was fetched last is taken. `HF_ENDPOINT` and
    `HF_TOKEN` are respected.

    Args:
        address: `"hf://user/repo"`, or `"hf://user/repo@revision"`: a branch, tag or commit.

    Returns:
        The folder, below `KERAS_HOME/keras_vidreg/huggingface`.

    Raises:
        FetchError: When something is missing and cannot be fetched.
        ImportError: When huggingface_hub is missing.
        ValueError: For what is no such address, and for a model that is no model of keras_vidreg.
    """
    repo, revision = split_address(address)
    hub = huggingface_hub_package()

    def fetch(file, revision):
        with asking(hub, address):
            return Path(
                hub.hf_hub_download(
                    repo,
                    file,
                    revision=revision,
                    cache_dir=cache_folder("huggingface"),
                    endpoint=hub_endpoint(),
                    local_files_only=offline(),
                )
            )

    try:
        folder = fetch(PRESET, revision).parent
        preset = Preset.read(folder / PRESET)
        if preset.weights != WEIGHTS or preset.sha256 is None:
            raise ValueError(f"Its preset names no {WEIGHTS} with a SHA-256.")
        weights = fetch(WEIGHTS, folder.name)  # the folder is called as its commit
        with contextlib.suppress(_Missing):
            fetch(CARD, folder.name)
    except (_Missing, ValueError) as error:
        raise ValueError(
            f"{address} is no model that `kv.zoo.push` has put there. {error}"
        ) from error
    try:
        check_sha256(weights, preset.sha256)
    except ValueError:  # so that it is fetched again
        weights.resolve().unlink()
        weights.unlink(missing_ok=True)
        raise
    return folder


class _Missing(Exception):
    """The Hub has the model, but not this file."""


@contextlib.contextmanager
def asking(hub, address):
    """What goes wrong between here and the Hub, in sentences."""
    errors = hub.errors
    try:
        yield
    except errors.LocalEntryNotFoundError as error:
        where = cache_folder("huggingface")
        if offline():
            message = (
                f"HF_HUB_OFFLINE is set, and {address} is not in {where}. Load it once with a "
                f"network, or copy {where} from a machine that has it."
            )
        else:
            message = f"The Hub cannot be reached, and {address} is not in {where}: {error}"
        raise FetchError(message) from None
    except (errors.GatedRepoError, errors.RepositoryNotFoundError) as error:
        raise _refused(error, address) from None
    except errors.RevisionNotFoundError:
        raise FetchError(f"{address}: there is no such branch, tag or commit.") from None
    except errors.EntryNotFoundError as error:
        raise _Missing(str(error).partition("\n")[0]) from None
    except errors.HfHubHTTPError as error:
        raise _refused(error, address) from None
    except ValueError:  # what the Hub says of a card, in words already
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
