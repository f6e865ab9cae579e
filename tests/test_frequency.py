"""Frequency sensitivity: what is scaled, what is measured, which layers, the plot, the command."""

import json

import keras
import numpy as np
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers, ops

import keras_vidreg as kv
from keras_vidreg import cli, evaluation
from keras_vidreg.evaluation.frequency import BandScaling, choose_layers

RNG = np.random.default_rng(0)
SCALES = (0, 0.5, 1, 2)


def numpy_mean(x, size=3):
    """Mean over the neighbourhood, of what lies inside, along all axes but the first and last."""
    for axis in range(1, x.ndim - 1):
        pads = [(0, 0)] * x.ndim
        pads[axis] = (size // 2, size // 2)
        parts = [np.pad(x, pads), np.pad(np.ones_like(x), pads)]
        total, count = (
            sum(np.take(p, range(i, i + x.shape[axis]), axis) for i in range(size)) for p in parts
        )
        x = total / count
    return x


def scaled(x, low, high, filter=None):
    layer = BandScaling(filter or kv.layers.MeanFilter())
    layer.build(x.shape)
    layer.low.assign(low)
    layer.high.assign(high)
    return ops.convert_to_numpy(layer(x))


finite = st.floats(-3, 3, width=32)


@given(low=finite, high=finite)
@settings(max_examples=15, deadline=None)
def test_bands_are_scaled_apart(low, high):
    x = RNG.normal(size=(2, 3, 4, 5, 2)).astype("float32")
    mean = numpy_mean(x.astype("float64"))
    np.testing.assert_allclose(scaled(x, low, high), low * mean + high * (x - mean), atol=1e-5)
    np.testing.assert_allclose(scaled(x, low, low), low * x, atol=1e-5)
    np.testing.assert_array_equal(scaled(x, 1, 1), x)


def test_the_gaussian_filter_parts_other_bands():
    x = RNG.normal(size=(1, 5, 6, 2)).astype("float32")
    low = ops.convert_to_numpy(kv.layers.GaussianFilter(3, 0.7)(x))
    np.testing.assert_allclose(scaled(x, 1, 0, kv.layers.GaussianFilter(3, 0.7)), low, atol=1e-6)
    assert np.abs(low - numpy_mean(x)).max() > 0.01


def deciding_on(what):
    """A model that says 1 where `what` of its features, which are its inputs, exceeds 1/2."""
    inputs = keras.Input((None, None, None, 1))
    x = layers.BatchNormalization(epsilon=0, name="res2_norm")(inputs)
    y = layers.GlobalAveragePooling3D()(what(x))
    y = layers.Dense(2, kernel_initializer="zeros", name="logits")(y)
    model = keras.Model(inputs, y)
    bias = np.array([10, 0], "float32")
    model.get_layer("logits").set_weights([np.array([[0, 20]], "float32"), bias])
    return model


def greys(shape=(4, 4, 6, 6, 1)):
    """Videos of one grey each, half of them bright."""
    labels = np.arange(shape[0]) % 2
    return np.ones(shape, "float32") * labels.reshape(-1, 1, 1, 1, 1).astype("float32"), labels


def boards():
    """Black videos, and chessboards in time and space, whose mean is zero."""
    board = (-1.0) ** np.indices((4, 6, 6)).sum(0)
    labels = np.array([0, 1, 1, 0])
    return (labels[:, None, None, None] * board).astype("float32")[..., None], labels


@pytest.mark.parametrize(
    ("what", "data", "idle"), [(ops.relu, greys, "high"), (ops.square, boards, "low")]
)
def test_known_answers(what, data, idle):
    """What a model does not look at may be scaled at will; without the rest it guesses."""
    model = deciding_on(what)
    videos, labels = data()
    result = evaluation.frequency_sensitivity(model, (videos, labels), scales=SCALES, verbose=False)
    assert result.accuracy == 1 and result.clips == 4 and result.skipped == 0
    busy = {"high": "low", "low": "high"}[idle]
    assert result.curve("res2_norm", idle) == ([0, 0.5, 1, 2], [1, 1, 1, 1])
    assert result.curve("res2_norm", busy)[1][0] == 0.5
    assert result.curve("res2_norm", busy)[1][2:] == [1, 1]


def small():
    """Two batch normalizations with statistics, between convolutions."""
    x = inputs = keras.Input((4, 6, 6, 3))
    for i in range(2):
        x = layers.Conv3D(4, 2, name=f"conv{i}")(x)
        x = layers.BatchNormalization(
            beta_initializer=keras.initializers.RandomNormal(seed=i), name=f"norm{i}"
        )(x)
        x = layers.ReLU(name=f"relu{i}")(x)
    outputs = layers.Dense(3, name="logits")(layers.GlobalAveragePooling3D()(x))
    return keras.Model(inputs, outputs)


def test_one_layer_and_one_band_at_a_time():
    model = small()
    videos = RNG.normal(size=(5, 4, 6, 6, 3)).astype("float32")
    labels = np.array([0, 1, 2, 0, 1])
    result = evaluation.frequency_sensitivity(
        model, (videos, labels), scales=SCALES, batch_size=2, verbose=False
    )
    assert result.layers == ("norm0", "norm1") and result.bands == ("low", "high")
    assert len(result.rows) == 2 * 2 * len(SCALES)
    features, rest = {}, {}
    for name in result.layers:
        feature = model.get_layer(name).input
        rest[name] = keras.Model(feature, model.output)
        features[name] = keras.Model(model.input, feature).predict_on_batch(videos)
    for row in result.rows:
        x = features[row.layer]
        low = numpy_mean(x)
        y = row.scale * low + x - low if row.band == "low" else low + row.scale * (x - low)
        scores = rest[row.layer].predict_on_batch(y.astype("float32"))
        scores = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        assert row.accuracy == np.mean(scores.argmax(-1) == labels)
        assert row.loss == pytest.approx(-scores[range(5), labels].mean(), rel=1e-4)
        if row.scale == 1:
            assert (row.accuracy, row.loss) == (result.accuracy, result.loss)
    assert len({round(row.loss, 6) for row in result.rows}) == 1 + 4 * (len(SCALES) - 1)


def test_all_layers_at_once():
    """Figure 4: every chosen layer is scaled by the same factor."""
    model = small()
    videos = RNG.normal(size=(5, 4, 6, 6, 3)).astype("float32")
    data = (videos, np.array([0, 1, 2, 0, 1]))
    result = evaluation.frequency_sensitivity(
        model, data, layers="norm", together=True, scales=SCALES, batch_size=2, verbose=False
    )
    assert result.layers == ("norm0, norm1 together",) and len(result.rows) == 2 * len(SCALES)
    for row in result.rows:
        x = videos
        for i in range(2):
            x = np.asarray(ops.convert_to_numpy(model.get_layer(f"conv{i}")(x)))
            low = numpy_mean(x)
            x = row.scale * low + x - low if row.band == "low" else low + row.scale * (x - low)
            x = ops.relu(model.get_layer(f"norm{i}")(x))
        scores = ops.convert_to_numpy(model.layers[-1](model.layers[-2](x)))
        scores = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
        assert row.accuracy == np.mean(scores.argmax(-1) == data[1])
        assert row.loss == pytest.approx(-scores[range(5), data[1]].mean(), rel=1e-4)
    single = evaluation.frequency_sensitivity(model, data, scales=SCALES, verbose=False)
    assert len({row.loss for row in single.rows} & {row.loss for row in result.rows}) <= 1


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return tiny.make_videos(tmp_path_factory.mktemp("videos") / "all", per_class=3)


def test_a_source_is_decoded_once_and_measured_as_by_evaluate(videos, monkeypatch):
    (videos / "dark" / "broken.mkv").write_bytes(b"no video")
    source = kv.data.folder(videos)
    model = tiny.tiny(["light", "dark"], tiny.CLIP)
    read, reads = kv.data.batches.read_clip, []
    monkeypatch.setattr(
        kv.data.batches,
        "read_clip",
        lambda path, *a, **k: reads.append(path) or read(path, *a, **k),
    )
    with pytest.warns(UserWarning, match="broken"):
        result = evaluation.frequency_sensitivity(
            model, source, scales=(0, 1, 2), batch_size=4, verbose=False
        )
    (videos / "dark" / "broken.mkv").unlink()
    assert len(reads) == 7 and result.clips == 6 and result.skipped == 1
    expected = evaluation.evaluate(model, kv.data.folder(videos), batch_size=4, verbose=False)
    assert result.accuracy == expected.top1
    assert result.loss == pytest.approx(expected.loss, rel=1e-6)


def test_the_table_and_the_values():
    data = (np.zeros((3, 4, 6, 6, 3), "float32"), np.array([0, 0, 1]))
    result = evaluation.frequency_sensitivity(
        small(), data, layers=["relu1"], bands=["high"], scales=(0, 1), low_pass="gaussian",
        size=5, sigma=1.5, verbose=False,
    )  # fmt: skip
    head, line, row = result.table().splitlines()
    assert head == "| layer | band | 0 | 1 |" and line == "| --- | --- | --: | --: |"
    assert row.startswith("| relu1 | high | ") and row.count("%") == 2
    values = json.loads(json.dumps(result.to_dict()))
    assert values["rows"][1] == {
        "layer": "relu1", "band": "high", "scale": 1.0, "accuracy": result.accuracy,
        "loss": result.loss,
    }  # fmt: skip
    assert values["low_pass"] == "gaussian, size 5, sigma 1.5" and values["clips"] == 3


def names_only(names):
    x = inputs = keras.Input((4, 4, 2))
    for name in names:
        x = layers.BatchNormalization(name=name)(x)
    x = layers.BatchNormalization(name="flat_norm")(layers.Flatten()(x))
    return keras.Model(inputs, x)


def test_one_layer_of_every_stage_by_default():
    staged = [f"{s}_block{b}_norm{n}" for s in ("res2", "res3", "res4") for b in "01" for n in "12"]
    found = choose_layers(names_only(staged))
    assert list(found) == ["res2_block1_norm2", "res3_block1_norm2", "res4_block1_norm2"]
    inputs = keras.Input((4, 4, 2))
    inner = names_only(staged)
    found = choose_layers(keras.Model(inputs, inner(inputs)))
    assert list(found) == [f"{inner.name}/res{i}_block1_norm2" for i in (2, 3, 4)]
    paths = ["slow_res2_a_bn", "fast_res2_a_bn", "slow_res3_a_bn", "slow_res3_b_bn", "stem_bn"]
    assert list(choose_layers(names_only(paths))) == [paths[0], paths[1], paths[3], paths[4]]
    found = choose_layers(names_only([f"norm{i}" for i in range(17)]))
    assert list(found) == ["norm0", "norm4", "norm8", "norm12", "norm16"]
    assert list(choose_layers(names_only(["a", "b"]))) == ["a", "b"]
    assert list(choose_layers(names_only(staged), "res[34].*1_norm1")) == [
        "res3_block1_norm1",
        "res4_block1_norm1",
    ]


def test_together_means_every_layer_of_the_last_two_stages():
    names = ["stem_norm", "res3_block0_norm1", "res4_block0_norm1", "res4_block0_norm2"]
    names += ["res5_block0_norm1", "res5_block0_shortcut_norm"]
    assert list(choose_layers(names_only(names), together=True)) == names[2:]
    names = [f"{pathway}_res{i}_norm" for i in (3, 4, 5) for pathway in ("slow", "fast")]
    assert list(choose_layers(names_only(names), together=True)) == names[2:]
    assert list(choose_layers(names_only(names), "res3", together=True)) == names[:2]


def test_wrong_arguments_are_named():
    model = names_only(["norm"])
    for layer, message in (
        (["nor"], r"no layers \['nor'\]; it has norm, flatten, flat_norm"),
        ("res5", "matches `layers='res5'`; there are norm"),
        ([], "`layers` must name one or more"),
    ):
        with pytest.raises(ValueError, match=message):
            choose_layers(model, layer)
    with pytest.raises(ValueError, match="no batch normalization of images or videos"):
        choose_layers(names_only([]))
    data = (np.zeros((2, 4, 4, 2), "float32"), np.zeros(2, int))
    for changes, message in (
        ({"bands": ["middle"]}, "`bands` must be"),
        ({"scales": []}, "`scales` must be"),
        ({"low_pass": "box"}, "`low_pass` must be"),
        ({"size": 4}, "`size` must be"),
        ({"source": (data[0], data[1][:1])}, "2 inputs and 1 labels"),
        ({"source": "folder"}, "`model` must be a VideoClassifier"),
    ):
        with pytest.raises(ValueError, match=message):
            evaluation.frequency_sensitivity(
                **{"model": model, "source": data, "verbose": False, **changes}
            )


def test_plot(tmp_path):
    pytest.importorskip("matplotlib")
    rows = [
        evaluation.frequency.FrequencyRow(layer, band, scale, scale / 2, 1.0)
        for layer in "abc"
        for band in ("low", "high")
        for scale in (0, 1, 2)
    ]
    result = evaluation.FrequencySensitivity(tuple(rows), 0.5, 1.0, "mean, size 3", 10, 0)
    fewer = evaluation.FrequencySensitivity(tuple(rows[:6]), 0.5, 1.0, "mean, size 3", 10, 0)
    for name, results in (
        ("one", result),
        ("two", {"baseline": result, "RMS": fewer}),
        ("together", {"none": fewer, "RMS": fewer}),
    ):
        file = evaluation.plot_frequency_sensitivity(results, tmp_path / "new" / f"{name}.png")
        assert file.read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in file.parent.iterdir()) == [
        "one.png",
        "together.png",
        "two.png",
    ]


def save_run(folder):
    """A folder that the command line takes as a model, with random weights."""
    folder.mkdir()
    labels = ("dark", "light")
    model = kv.models.Description("tiny", {}, labels, tiny.CLIP).build()
    kv.zoo.Preset(
        name="tiny",
        builder="tiny",
        arguments={},
        labels=labels,
        clip=tiny.CLIP,
        weights="model.weights.h5",
        sha256=kv.zoo.save_weights(model, folder / "model.weights.h5"),
    ).write(folder / "preset.json")


def test_the_command(videos, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    runs = []
    for seed in (1, 2):
        keras.utils.set_random_seed(seed)
        runs.append(str(tmp_path / f"run{seed}"))
        save_run(tmp_path / f"run{seed}")
    report, picture = tmp_path / "report.json", tmp_path / "picture.png"
    command = [
        "analyze",
        "frequency",
        "--model",
        runs[0],
        "--model",
        runs[1],
        "--data",
        str(videos),
    ]
    options = ["--layers", "norm", "--scales", "0,1,1.5", "--clips", "4", "--out", str(picture)]
    assert cli.main([*command, *options, "--json", str(report)]) == 0
    printed = capsys.readouterr().out
    assert "band" in printed and "1.5" in printed and "high" in printed
    values = json.loads(report.read_text())
    assert list(values["models"]) == runs and values["split"] == "test"
    result = values["models"][runs[0]]
    assert result["clips"] == 4 and f"accuracy {result['accuracy']:.2%}" in printed
    assert [(r["band"], r["scale"]) for r in result["rows"]] == [
        (band, scale) for band in ("low", "high") for scale in (0, 1, 1.5)
    ]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert cli.main([*command, "--layers", "res5"]) == 1
    assert "`layers='res5'`" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main([*command, "--scales", "a"])
