"""A model of one's own onto the Hugging Face Hub."""

import tempfile
from pathlib import Path
from typing import Any

import keras

from keras_vidreg.zoo._cards import hub_page, saved_card
from keras_vidreg.zoo._entry import resolve
from keras_vidreg.zoo._fetch import offline
from keras_vidreg.zoo._http import FetchError
from keras_vidreg.zoo._hub import PAGE, asking, hub_endpoint, split_address
from keras_vidreg.zoo._preset import PRESET, WEIGHTS
from keras_vidreg.zoo._write import save


def push(
    model: keras.Model | str | Path,
    address: str,
    *,
    token: str | None = None,
    private: bool = False,
    message: str | None = None,
    **facts: Any,
) -> str:
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
        **facts: `name`, `data`, `license`, `accuracy` and `logits` as `kv.zoo.save` takes them,
            where `model` is a model.

    Returns:
        Address of exactly this version, `"hf://user/repo@commit"`.

    Raises:
        FetchError: If the Hub cannot be reached, or refuses.
        ValueError: For what is no such address, and for a model that cannot be saved.

    Example:

    >>> model = kv.zoo.load("movinet_a0_grw_airplanes", labels=["left", "right"])
    >>> kv.zoo.push(model, "hf://me/left-or-right", data="200 clips of my cat", license="CC0-1.0")
    'hf://me/left-or-right@...'
    >>> kv.zoo.load("hf://me/left-or-right").labels
    ('left', 'right')
    """
    import huggingface_hub as hub

    repo, revision = split_address(address)
    if revision:
        raise ValueError(f"`address` must have no revision for a push. Received: {address!r}")
    if offline():
        raise FetchError("HF_HUB_OFFLINE is set, so nothing can be pushed.")
    with tempfile.TemporaryDirectory() as parent:
        if not isinstance(model, str | Path):
            model = save(model, Path(parent, repo.partition("/")[2]), **facts)
        elif facts:
            raise ValueError(f"A folder says {', '.join(facts)} itself, in its preset.json.")
        entry = resolve(model)
        preset = entry.preset()
        if preset.weights != WEIGHTS or preset.sha256 is None:
            raise ValueError(f"{model} holds no {WEIGHTS} whose SHA-256 its preset.json states.")
        card = entry.card() if (entry.folder / entry.card_file).is_file() else saved_card(preset)
        page = hub_page(card, address, preset).encode()
        files = {PRESET: entry.folder / PRESET, WEIGHTS: entry.weights(), PAGE: page}
        with asking(address):
            api = hub.HfApi(endpoint=hub_endpoint(), token=token)
            api.create_repo(repo, private=private, exist_ok=True)
            commit = api.create_commit(
                repo,
                [hub.CommitOperationAdd(name, content) for name, content in files.items()],
                commit_message=message or f"{preset.name}, saved by keras_vidreg",
            )
    return f"{address}@{commit.oid}"
