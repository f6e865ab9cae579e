"""Models as plain values: built, stored, copied and read back."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tiny
from keras import ops

import keras_vidreg as kv

HEAD = {"window": 3, "embed_dim": 8, "depth": 1, "heads": 2, "mlp_dim": 8}


def grw(**changes):
    arguments = {"backbone": {"builder": "tiny", "width": 4}, **HEAD, **changes}
    return kv.models.Description("grw_classifier", arguments, ("no", "yes"), tiny.CLIP)


def test_round_trip_through_json():
    description = grw(weight=0.3)
    stored = json.loads(json.dumps(description.to_dict()))
    assert kv.models.Description.from_dict(stored) == description
    model = description.build()
    assert model.description == description and model.undescribed is None
    assert description.network == ("tiny", {"width": 4})


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"builder": 3}, "`builder` of a model must be a str. Received: 3"),
        ({"labels": "yes"}, "`labels` must be a list of names. Received: 'yes'"),
        ({"labels": ["a", "a"]}, "different names"),
        ({"clip": {"frames": 3}}, "Clip: the fields"),
        ({"arguments": {"weights": "imagenet"}}, "may not hold `weights`: 'imagenet'"),
        ({"arguments": {"backbone": {"builder": "frame_cnn", "weights": "/x.h5"}}}, "not hold"),
        ({"arguments": {"clip": None}}, "may not hold `clip`"),
        ({"arguments": {"labels": 3}}, "may not hold `labels`"),
        ({"arguments": {"drop_path": float("nan")}}, "plain values. Received: 'drop_path' = nan"),
        ({"arguments": {"x": {"class_name": "Lambda"}}}, "plain values. Received: 'x' = a dict"),
    ],
)
def test_what_is_no_description(changes, message):
    values = {**grw().to_dict(), **changes}
    with pytest.raises(ValueError, match=message):
        kv.models.Description.from_dict(values)


@pytest.mark.parametrize(
    "builder, arguments, message",
    [
        ("none", {}, "no builder 'none'; there are"),
        ("movinet", {"size": 3}, "movinet has no argument 'size'"),
        ("movinet", {"variant": ["a0"]}, "movinet cannot be built so"),
        ("slowonly", {"regularizer": {"layer": "Dense"}}, "`regularizer` must be.*'Dense'"),
        ("grw_classifier", {"backbone": {}, **HEAD}, "`builder` of a model must be a str"),
    ],
)
def test_what_cannot_be_built(builder, arguments, message):
    with pytest.raises(ValueError, match=message):
        kv.models.Description(builder, arguments, 2, tiny.CLIP).build()


def test_clones_and_files_are_classifiers(tmp_path):
    model = grw().build()
    model.freeze("backbone")
    clone = keras.models.clone_model(model)
    model.save(tmp_path / "x.keras")
    loaded = keras.models.load_model(tmp_path / "x.keras")
    for copy in (clone, loaded):
        assert isinstance(copy, kv.models.VideoClassifier)
        assert (copy.description, copy.labels, copy.name) == (
            model.description,
            model.labels,
            model.name,
        )
        assert [x.trainable for x in copy.layers] == [x.trainable for x in model.layers]
    for a, b in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))


def test_a_clone_with_other_layers_is_not_as_described():
    def less(layer):
        config = layer.get_config()
        return type(layer).from_config({**config, "rate": 0.9} if "rate" in config else config)

    clone = keras.models.clone_model(grw().build(), clone_function=less)
    assert clone.labels == ("no", "yes") and clone.description is None
    assert "other than" in clone.undescribed
    with pytest.raises(ValueError, match="`labels`, `clip` and `features` are needed"):
        kv.models.VideoClassifier(clone.inputs[0], clone.layers[-2].output)


def dtypes(model):
    return [layer.compute_dtype for layer in model.layers]


def test_precision_is_kept_and_a_changed_model_is_stored_as_a_graph(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = grw().build()
    keras.config.set_dtype_policy("float32")
    clone = keras.models.clone_model(model)
    assert dtypes(clone)[1:] == dtypes(model)[1:]
    model.save(tmp_path / "mixed.keras")
    loaded = keras.models.load_model(tmp_path / "mixed.keras")
    assert dtypes(loaded) == dtypes(model)
    assert keras.config.dtype_policy().name == "float32"

    changed = kv.training.add_regularizer(grw().build(), kv.layers.RandomMeanScaling)
    assert changed.description is None and "put into it" in changed.undescribed
    changed.save(tmp_path / "changed.keras")
    again = keras.models.load_model(tmp_path / "changed.keras")
    assert (again.labels, again.clip) == (changed.labels, changed.clip)
    assert [x.name for x in again.layers] == [x.name for x in changed.layers]


def test_a_quantized_classifier_loads(tmp_path):
    model = grw(depth=2).build()
    model.quantize("int8")
    model.save(tmp_path / "int8.keras")
    again = keras.models.load_model(tmp_path / "int8.keras")
    assert again.get_layer("logits").quantization_mode == "int8"
    assert (again.labels, again.description) == (model.labels, model.description)
    video = np.random.default_rng(0).random((1, *tiny.CLIP.shape), "float32")
    np.testing.assert_allclose(again.predict_on_batch(video), model.predict_on_batch(video), 1e-6)


def test_a_file_loads_where_only_the_package_was_imported(tmp_path):
    kv.models.slowonly(18, width=4, labels=["a", "b"], clip=tiny.CLIP).save(tmp_path / "x.keras")
    code = "import keras_vidreg, keras, sys\nprint(keras.models.load_model(sys.argv[1]).labels)"
    found = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "x.keras"], capture_output=True, text=True
    )
    assert found.stdout == "('a', 'b')\n", found.stderr


def test_preset_by_the_name_that_keras_hub_users_know(tmp_path):
    model = grw().build()
    model.save_to_preset(tmp_path / "mine", data="two words")
    again = kv.models.VideoClassifier.from_preset(tmp_path / "mine", labels=["a", "b", "c"])
    assert again.labels == ("a", "b", "c") and again.description.arguments == (
        model.description.arguments
    )
    with pytest.raises(ValueError, match="as its builder made it"):
        changed = kv.training.add_regularizer(model, kv.layers.RandomMeanScaling)
        kv.zoo.port_weights(changed, {"x": np.zeros(3)}, "movinet_pytorch")
