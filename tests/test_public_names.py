"""What is public explains itself: type hints, a docstring of all arguments, examples that run."""

import doctest
import inspect
import json
import pathlib
import re
import sys

import keras
import numpy as np
import pytest
import recipe
from hub_stub import hub_fixture, server_fixture  # noqa: F401

import keras_vidreg as kv

ROOMS = [getattr(kv, name) for name in kv.__all__]
PUBLIC = {
    f"{room.__name__.partition('.')[2]}.{name}": getattr(room, name)
    for room in ROOMS
    for name in room.__all__
    if callable(getattr(room, name))
}


def every_name(test):
    """Run a test for every public name."""
    return pytest.mark.parametrize("name", PUBLIC)(test)


# What Keras calls on every layer, callback and so on is not explained again by each of them.
BASES = (keras.Model, keras.callbacks.Callback, keras.optimizers.Optimizer, keras.losses.Loss)
KERAS = {"__init__"}.union(*map(dir, BASES))


def functions(name):
    """The functions that a user calls under a public name: itself, or what its class defines."""
    public = PUBLIC[name]
    if not inspect.isclass(public):
        return [public]
    methods = [
        getattr(value, "fget", None) or getattr(value, "__func__", value)
        for key, value in vars(public).items()
        if not key.startswith("_") and key not in KERAS
    ]
    return [public.__init__, *(method for method in methods if inspect.isfunction(method))]


@every_name
def test_signatures_carry_type_hints(name):
    bare = []
    for function in filter(inspect.isfunction, functions(name)):
        signature = inspect.signature(function)
        bare += [
            f"{function.__qualname__}: {parameter.name}"
            for parameter in signature.parameters.values()
            if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
        ]
        if signature.return_annotation is signature.empty and function.__name__ != "__init__":
            bare.append(f"{function.__qualname__}: what it returns")
    assert not bare


@every_name
def test_docstring_explains_every_argument(name):
    section = re.search(
        r"^( *)Args:\n((?:\1 +.*\n|\n)*)", inspect.getdoc(PUBLIC[name]) + "\n", re.M
    )
    text = inspect.cleandoc(section[2]) if section else ""
    entries = re.findall(r"^([*\w][*\w, ]*): *(.)?", text, re.M)  # what follows is indented
    named = [word.strip(" *") for entry, _ in entries for word in entry.split(",")]
    exception = inspect.isclass(PUBLIC[name]) and issubclass(PUBLIC[name], Exception)
    arguments = [] if exception else list(inspect.signature(PUBLIC[name]).parameters)
    assert [n for n in named if n != "kwargs"] == [n for n in arguments if n != "kwargs"]
    assert all(first == first.upper() for _, first in entries), "Keras's dialect has a capital here"


@pytest.fixture
def published_file(examples_folder):
    """`movinet_a0.npz`, weights under the names that they are published with."""
    facts = json.loads((pathlib.Path(__file__).parent / "golden/movinet_a0_base.json").read_text())
    np.savez("movinet_a0.npz", **recipe.fill_state(facts["state"], gain=facts["gain"]))


FIXTURES = {  # that examples need
    "checkpoints.port_weights": "published_file",
    "zoo.convert": "published_file",
    "zoo.port_weights": "published_file",
    "zoo.push": "hub",
}


@every_name
def test_examples_run(name, examples_folder, monkeypatch, request):
    if name in FIXTURES:
        request.getfixturevalue(FIXTURES[name])
    assert "```python" not in (PUBLIC[name].__doc__ or ""), "examples are `>>>` lines"
    monkeypatch.setattr(sys, "__displayhook__", show)  # the one that doctest takes
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    names = {"kv": kv, "keras": keras, "np": np}
    for test in doctest.DocTestFinder().find(PUBLIC[name], name, globs=names):
        failures: list[str] = []
        runner.run(test, out=failures.append)
        assert not failures, "".join(failures)


def show(value):
    """Prints what an expression gave as NumPy would, whatever the backend's tensors look like."""
    if keras.ops.is_tensor(value):
        value = keras.ops.convert_to_numpy(value)
    elif type(value).__name__ in ("Size", "TensorShape"):
        value = tuple(value)
    if value is not None:
        print(repr(value))
