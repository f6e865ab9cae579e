"""A model of one's own onto the Hugging Face Hub."""

import tempfile
from pathlib import Path

from keras_vidreg.zoo import registry
from keras_vidreg.zoo.fetch import hub_endpoint, huggingface_hub_package, offline
from keras_vidreg.zoo.fetch_http import FetchError
from keras_vidreg.zoo.front_matter import with_front_matter
from keras_vidreg.zoo.hub import CARD, PRESET, WEIGHTS, asking, split_address
from keras_vidreg.zoo.preset import Preset
from keras_vidreg.zoo.save import save
from keras_vidreg.zoo.saved_card import saved_card
from keras_vidreg.zoo.weights import check_sha256


def push(model, address, *, token=None, private=False, message=None, **facts):
    """Put a model on the Hugging Face Hub, where `kv.zoo.load(address)` finds it.

    The repository is made if there is none. The card becomes its page.

    Args:
        model: A model that `kv.zoo.save` can save, or the path of a folder that `kv.zoo.save` or a
            training run has written, or the name of a zoo entry.
        address: `"hf://user/repo"`.
        token: Access token with the right to write. Defaults to `HF_TOKEN` or the one of `hf auth
            login`.
        private: Whether a new repository is private. Defaults to False.
        message: Of the commit.
        **facts: `name`, `data`, `licence`, `accuracy` and `logits` as `kv.zoo.save` takes them,
            where `model` is a model.

    Returns:
        Address of exactly this version, `"hf://user/repo@commit"`.

    Raises:
        FetchError: When the Hub cannot be reached, or refuses.
        ImportError: When huggingface_hub is missing.
        ValueError: For what is no such address, and for a model that cannot be saved.

    Example:
    ```python
    kv.zoo.push(model, "hf://me/left-or-right", data="200 clips of my cat", licence="CC0-1.0")
    same = kv.zoo.load("hf://me/left-or-right")
    ```
    """
    repo, revision = split_address(address)
    if revision:
        raise ValueError(f"`address` must have no revision for a push. Received: {address!r}")
    hub = huggingface_hub_package()
    if offline():
        raise FetchError("HF_HUB_OFFLINE is set, so nothing can be pushed.")
    with tempfile.TemporaryDirectory() as parent:
        if isinstance(model, str | Path):
            if facts:
                raise ValueError(f"A folder says {', '.join(facts)} itself, in its preset.json.")
            folder = registry.folder(model)
        else:
            folder = save(model, Path(parent, repo.partition("/")[2]), **facts)
        preset, card = _content(folder)
        page = with_front_matter(card, address, preset)
        files = {PRESET: folder / PRESET, WEIGHTS: folder / WEIGHTS, CARD: page.encode()}
        with asking(hub, address):
            api = hub.HfApi(endpoint=hub_endpoint(), token=token)
            api.create_repo(repo, private=private, exist_ok=True)
            commit = api.create_commit(
                repo,
                [hub.CommitOperationAdd(name, content) for name, content in files.items()],
                commit_message=message or f"{preset.name}, saved by keras_vidreg",
            )
    return f"{address}@{commit.oid}"


def _content(folder):
    """Preset and card of a folder, whose weights are those that the preset describes."""
    preset = Preset.read(folder / PRESET)
    if preset.weights != WEIGHTS or preset.sha256 is None or not (folder / WEIGHTS).is_file():
        raise ValueError(f"{folder} holds no {WEIGHTS} whose SHA-256 its preset.json states.")
    check_sha256(folder / WEIGHTS, preset.sha256)
    for name in ("card.md", CARD):
        if (folder / name).is_file():
            return preset, (folder / name).read_text(encoding="utf-8")
    return preset, saved_card(preset)
