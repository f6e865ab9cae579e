"""Weights from a file: every array where it belongs, nothing drawn at random on the way."""

import re

import h5py
import keras
import numpy as np
import pytest

import keras_vidreg as kv
from keras_vidreg._keras import flat_layers
from keras_vidreg.zoo import fill, save_weights, weights
from keras_vidreg.zoo.fill import build_from_file, build_with_weights
from keras_vidreg.zoo.sizes import sizes

LABELS = ("a", "b")
CLIP = kv.data.Clip(frames=2, fps=None, size=8, resize=8)


def make(labels=LABELS):
    """Kernels, statistics, a seed, layers in layers, and two arrays of the same shape."""
    inputs = keras.Input((None, None, None, 3))
    x = kv.layers.Conv3D(4, (1, 3, 3), name="conv1")(inputs)
    x = kv.layers.Conv3D(4, (1, 3, 3), name="conv0")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = kv.layers.SqueezeExcite3D(2, name="squeeze_excite")(x)
    x = keras.layers.Dropout(0.5, name="features")(x)
    x = keras.layers.GlobalAveragePooling3D(name="pool")(x)
    count = labels if isinstance(labels, int) else len(labels)
    outputs = keras.layers.Dense(count, name="logits")(x)
    return kv.models.VideoClassifier(inputs, outputs, labels=labels, clip=CLIP, features="features")


def random_values(seed=0):
    """A model with random numbers in all its variables, also those that begin as zeros or ones."""
    rng = np.random.default_rng(seed)

    def fill(model):
        for variable in model.weights:
            variable.assign(rng.standard_normal(variable.shape).astype("float32"))

    return build_with_weights(make, fill)


def arrays(model):
    return {v.path: keras.ops.convert_to_numpy(v) for v in model.weights}


def same_bits(model, expected, skip=()):
    found = arrays(model)
    assert set(found) == set(expected)
    for path, value in expected.items():
        if path not in skip:
            assert found[path].tobytes() == value.tobytes(), path


@pytest.fixture
def nothing_drawn(monkeypatch):
    """Random initializers fail."""

    def fail(*_, **__):
        raise AssertionError("random numbers were drawn")

    monkeypatch.setattr(keras.initializers.VarianceScaling, "__call__", fail)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_file_says_which_array_is_which(tmp_path, compiled, nothing_drawn, monkeypatch):
    model = random_values()
    if compiled:
        model.compile(optimizer="adam")
        model.optimizer.build(model.trainable_variables)
    path = tmp_path / "x.weights.h5"
    save_weights(model, path)
    stored = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda _, item: (
                stored.__setitem__(item.attrs[weights.PATH].decode(), item[()])
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    same_bits(model, stored)
    monkeypatch.setattr(keras.saving, "load_weights", None)  # Keras's way is not needed
    same_bits(build_from_file(make, path, LABELS, LABELS), stored)


def test_equal_arrays_may_change_places(tmp_path):
    model = build_with_weights(
        make, lambda model: [v.assign(np.ones(v.shape)) for v in model.weights]
    )
    save_weights(model, tmp_path / "x.weights.h5")
    same_bits(build_from_file(make, tmp_path / "x.weights.h5", LABELS, LABELS), arrays(model))


def test_a_file_as_keras_writes_it(tmp_path, nothing_drawn):
    model = random_values()
    path = tmp_path / "x.weights.h5"
    keras.saving.save_weights(model, path)
    same_bits(build_from_file(make, path, LABELS, LABELS), arrays(model))


@pytest.mark.parametrize("save", [save_weights, keras.saving.save_weights])
def test_other_labels_keep_all_but_the_head(tmp_path, save):
    model = random_values()
    save(model, tmp_path / "x.weights.h5")
    other = build_from_file(make, tmp_path / "x.weights.h5", ("c", "d"), LABELS)
    assert other.labels == ("c", "d")
    head = {"logits/kernel", "logits/bias"}
    same_bits(other, arrays(model), skip=head)
    found, old = arrays(other)["logits/kernel"], arrays(model)["logits/kernel"]
    assert np.abs(found - old).max() > 0 and np.std(found) > 0


def test_what_does_not_fit_leaves_nothing_behind(tmp_path, nothing_drawn):
    path = tmp_path / "x.weights.h5"
    save_weights(random_values(), path)
    with pytest.raises(ValueError, match="do not fit.*logits"):
        build_from_file(make, path, 3, tuple("012"))
    with h5py.File(path, "a") as file:
        file["more"] = np.zeros(3)
    with pytest.raises(ValueError, match="do not fit.*arrays"):
        build_from_file(make, path, LABELS, LABELS)
    with keras.StatelessScope():  # gives values to whatever has none
        pass


def test_variables_that_are_not_filled_are_initialized():
    bias = np.array([3.0, 4.0], "float32")
    model = build_with_weights(make, lambda model: model.get_layer("logits").bias.assign(bias))
    found = arrays(model)
    np.testing.assert_array_equal(found["logits/bias"], bias)
    assert np.std(found["logits/kernel"]) > 0
    assert np.isfinite(model.predict_on_batch(np.zeros((1, 2, 8, 8, 3), "float32"))).all()


def test_another_way_of_making_variables(tmp_path, monkeypatch):
    model = random_values()
    path = tmp_path / "x.weights.h5"
    save_weights(model, path)
    zeros = keras.initializers.Zeros()
    monkeypatch.setattr(fill._First, "__call__", lambda self, *arguments, **_: zeros(*arguments))
    same_bits(build_from_file(make, path, LABELS, LABELS), arrays(model))


def test_sizes_leave_no_variables_to_be_drawn(nothing_drawn):
    found = sizes(kv.models.Description("slowonly", {"depth": 18, "width": 4}, LABELS, CLIP))
    assert 0 < found.parameters < sum(map(np.prod, found.shapes))  # not the moving statistics
    with keras.StatelessScope():  # gives values to whatever has none
        pass


on_torch = pytest.mark.skipif(keras.backend.backend() != "torch", reason="modules of PyTorch")


def state(model):
    """Arrays that PyTorch finds in a model; Keras numbers the random generators of a process."""
    found = {re.sub(r"generator_\d+", "generator", k): v for k, v in model.state_dict().items()}
    assert len(found) == len(model.variables) == len(list(model.parameters()))
    return found


@on_torch
@pytest.mark.parametrize("labels", [LABELS, ("c", "d", "e")])
def test_pytorch_finds_all_variables_of_a_filled_model(tmp_path, labels):
    import torch

    path = tmp_path / "x.weights.h5"
    save_weights(random_values(), path)
    keras.utils.clear_session()  # numbers begin anew, as in a new process
    model = build_from_file(make, path, labels, LABELS)
    found = state(model)
    assert list(found) == list(state(make(labels)))
    for name, value in arrays(model).items():
        assert found[f"_torch_params.{name}"].numpy().tobytes() == value.tobytes(), name
    torch.save(model.state_dict(), tmp_path / "x.pt")
    keras.utils.clear_session()
    other = build_from_file(make, path, labels, LABELS)
    for weight in other.weights:
        weight.assign(np.zeros(weight.shape))
    other.load_state_dict(torch.load(tmp_path / "x.pt", weights_only=True))
    same_bits(other, arrays(model))
    assert {w.value.dtype for w in other.double().weights} == {torch.float64}


@on_torch
@pytest.mark.parametrize(
    "options", [{}, {"labels": ["left", "right", "neither"]}, {"weights": None}]
)
def test_pytorch_finds_all_variables_of_a_zoo_model(options):
    model = kv.zoo.load("movinet_a0_grw_airplanes", **options)
    normal = model.description.build()
    assert list(state(model)) == list(state(normal))
    assert len(model.backbone.state_dict()) == len(model.backbone.variables)
    shapes = [[tuple(p.shape) for p in m.parameters()] for m in (model, normal)]
    assert shapes[0] == shapes[1]
    tracked = [[len(layer.state_dict()) for layer in flat_layers(m)] for m in (model, normal)]
    assert tracked[0] == tracked[1]
