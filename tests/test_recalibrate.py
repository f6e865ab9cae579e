"""Statistics of batch normalization taken exactly, and the warnings where they were not."""

import warnings

import keras
import numpy as np
import pytest
from keras import ops
from tiny import CLIP, tiny

import keras_vidreg as kv
from keras_vidreg.training import _recalibrate


def values(variables):
    return {v.path: np.array(ops.convert_to_numpy(v)) for v in variables}


def deep(momentum=0.99):
    """Two normalizations, one inside another model, dropout, and a layer with its own loss."""
    inner = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.BatchNormalization(momentum=momentum, name="inner_norm"),
            keras.layers.Dropout(0.5, seed=3),
        ],
        name="inner",
    )
    inputs = keras.Input((4,))
    x = keras.layers.Dense(6, activation="relu", kernel_regularizer="l2")(inputs)
    x = inner(keras.layers.BatchNormalization(momentum=momentum, name="outer_norm")(x))
    return keras.Model(inputs, keras.layers.Dense(2, name="logits")(x))


def data(n=60):
    """Two classes whose features are small and far from zero."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % 2
    x = 3 + 0.02 * rng.normal(size=(n, 4)) + 0.03 * (2 * y[:, None] - 1) * [1, -1, 1, -1]
    return x.astype("float32"), y


def test_few_steps_are_wrong_at_inference_and_right_after():
    x, y = data()
    model = deep()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, metrics=["accuracy"])
    model.fit(x, y, batch_size=20, epochs=20, verbose=0)
    before = model.evaluate(x, y, verbose=0)[1]
    kv.training.recalibrate(model, [x])
    assert before < 0.7 and model.evaluate(x, y, verbose=0)[1] == 1.0


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_moments_of_all_positions_of_all_batches(policy):
    keras.config.set_dtype_policy(policy)
    inputs = keras.Input((None, 5, 3))
    model = keras.Model(inputs, keras.layers.BatchNormalization(name="norm")(inputs))
    rng = np.random.default_rng(0)
    batches = [
        (1000 + rng.normal(size=shape) * [0.5, 1, 2]).astype("float32")
        for shape in ((4, 2, 5, 3), (1, 7, 5, 3), (3, 1, 5, 3))
    ]
    if policy != "float32":  # what the layer gets is already rounded
        batches = [batch - 1000 for batch in batches]
    kv.training.recalibrate(model, batches)
    flat = np.concatenate([batch.reshape(-1, 3) for batch in batches]).astype("float64")
    norm, tolerance = model.get_layer("norm"), 1e-5 if policy == "float32" else 2e-2
    mean, variance = map(ops.convert_to_numpy, (norm.moving_mean, norm.moving_variance))
    np.testing.assert_allclose(mean, flat.mean(0), rtol=tolerance, atol=2 * tolerance)
    np.testing.assert_allclose(variance, flat.var(0), rtol=max(tolerance, 1e-4))


def test_a_layer_called_twice_sees_both():
    norm = keras.layers.BatchNormalization()
    a, b = keras.Input((3,)), keras.Input((3,))
    model = keras.Model([a, b], [norm(a), norm(b)])
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 3)), rng.normal(2, 3, size=(5, 3))
    kv.training.recalibrate(model, [([x, y], None)])
    both = np.concatenate([x, y])
    np.testing.assert_allclose(ops.convert_to_numpy(norm.moving_mean), both.mean(0), rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(norm.moving_variance), both.var(0), rtol=1e-5)


def test_masked_positions_do_not_count():
    inputs = keras.Input((4, 2))
    norm = keras.layers.BatchNormalization()
    model = keras.Model(inputs, norm(keras.layers.Masking()(inputs)))
    x = np.random.default_rng(0).normal(size=(3, 4, 2)).astype("float32")
    x[0, 1:] = x[2, 3] = 0
    kv.training.recalibrate(model, [x])
    kept = x[x.any(-1)]
    np.testing.assert_allclose(ops.convert_to_numpy(norm.moving_mean), kept.mean(0), rtol=1e-5)
    np.testing.assert_allclose(ops.convert_to_numpy(norm.moving_variance), kept.var(0), rtol=1e-5)


def test_again_gives_the_same_and_nothing_else_moves():
    x, _ = data()
    model = deep()
    before = values(model.variables)
    kv.training.recalibrate(model, [x[:40], x[40:]])
    once = values(model.variables)
    moved = {path for path in before if not np.array_equal(before[path], once[path])}
    assert moved == {
        f"{norm}/moving_{kind}"
        for norm in ("outer_norm", "inner/inner_norm")
        for kind in ("mean", "variance")
    }
    kv.training.recalibrate(model, [x[:40], x[40:]])
    for path, value in values(model.variables).items():
        np.testing.assert_allclose(value, once[path], rtol=1e-6, atol=1e-7)


def test_one_batch_makes_inference_what_training_was():
    x, _ = data()
    model = deep()
    model.get_layer("inner").layers[-1].rate = 0.0
    expected = ops.convert_to_numpy(model(x, training=True))
    kv.training.recalibrate(model, [x])
    found = ops.convert_to_numpy(model(x, training=False))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_frozen_normalizations_stay():
    x, _ = data()
    model = deep()
    model.get_layer("inner").trainable = False
    before = values(model.variables)
    kv.training.recalibrate(model, [x])
    after = values(model.variables)
    moved = {path.split("/")[0] for path in before if not np.array_equal(before[path], after[path])}
    assert moved == {"outer_norm"}
    model.trainable = False
    assert kv.training.recalibrate(model, [x]) is model


class Held(keras.layers.Layer):
    """A normalization that no graph shows."""

    def __init__(self):
        super().__init__()
        self.norm = keras.layers.BatchNormalization()

    def build(self, shape):
        self.norm.build(shape)

    def call(self, x, training=None):
        return self.norm(x, training=training)


class Sequence(keras.utils.PyDataset):
    def __len__(self):
        return 3

    def __getitem__(self, i):
        return data()[0][20 * i : 20 * i + 20], data()[1][20 * i : 20 * i + 20]


BATCHES = {
    "arrays": lambda: list(np.split(data()[0], 3)),
    "pairs": lambda: [Sequence()[i] for i in range(3)],
    "weighted": lambda: [(*Sequence()[i], np.ones(20)) for i in range(3)],
    "generator": lambda: (Sequence()[i] for i in range(3)),
    "PyDataset": Sequence,
}


@pytest.mark.parametrize("kind", BATCHES)
def test_all_kinds_of_batches_and_layers_inside_layers(kind):
    model = keras.Sequential([keras.Input((4,)), Held()])
    kv.training.recalibrate(model, BATCHES[kind]())
    norm = model.layers[0].norm
    np.testing.assert_allclose(
        ops.convert_to_numpy(norm.moving_variance), data()[0].var(0, dtype="float64"), rtol=1e-3
    )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="needs TensorFlow")
def test_tf_data():
    import tensorflow as tf

    model = keras.Sequential([keras.Input((4,)), Held()])
    kv.training.recalibrate(model, tf.data.Dataset.from_tensor_slices(data()).batch(25))
    found = ops.convert_to_numpy(model.layers[0].norm.moving_mean)
    np.testing.assert_allclose(found, data()[0].mean(0), rtol=1e-5)


def test_errors_leave_the_statistics():
    model, (x, _) = deep(), data()
    before = values(model.variables)
    with pytest.raises(ValueError, match="one batch or more"):
        kv.training.recalibrate(model, [])
    first = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(name="norm")])
    with pytest.raises(ValueError, match="norm.*not finite"):
        kv.training.recalibrate(first, [x, x * np.nan])
    np.testing.assert_array_equal(ops.convert_to_numpy(first.get_layer("norm").moving_mean), 0)
    with pytest.raises(ValueError, match="must be built"):
        kv.training.recalibrate(keras.Sequential([keras.layers.BatchNormalization()]), [x])

    def broken():
        yield x
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        kv.training.recalibrate(model, broken())
    for path, value in values(model.variables).items():
        np.testing.assert_array_equal(value, before[path])
    model(x, training=True)  # the layers are their own again
    assert (
        values(model.variables)["outer_norm/moving_mean"] != before["outer_norm/moving_mean"]
    ).any()


def clips():
    rng = np.random.default_rng(0)
    y = np.arange(8) % 2
    x = 0.05 * rng.uniform(size=(8, 6, 16, 16, 3)) + 0.1 * y[:, None, None, None, None]
    return x.astype("float32"), y


def test_the_callback_recalibrates_before_validation_and_warns():
    x, y = clips()
    model = tiny(2, CLIP, dropout=0.0)
    model.get_layer("norm").momentum = 0.99
    model.compile(keras.optimizers.Adam(0.05))
    callback = kv.training.Recalibrate([x], before_validation=True)
    fit = {"validation_data": (x, y), "epochs": 3, "batch_size": 4, "verbose": 0}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = model.fit(x, y, callbacks=[callback], **fit).history
    assert not [w for w in caught if "training steps" in str(w.message)]
    assert history["val_loss"][-1] == pytest.approx(model.evaluate(x, y, verbose=0)[0], rel=1e-4)
    model.evaluate(x, y, verbose=0, callbacks=[callback])
    plain = tiny(2, CLIP, dropout=0.0)
    plain.get_layer("norm").momentum = 0.99
    plain.compile(keras.optimizers.Adam(0.05))
    with pytest.warns(UserWarning, match="`norm` were off by a factor of .*smaller `norm_mom"):
        plain.fit(x, y, callbacks=[kv.training.Recalibrate([x])], **fit)


def test_a_plain_fit_of_few_steps_warns():
    x, y = clips()
    model = tiny(2, CLIP)
    model.get_layer("norm").momentum = 0.99
    model.compile("sgd")
    text = "4 training steps.*momentum 0.99.*recalibrate.*for 986 steps"
    with pytest.warns(UserWarning, match=text):
        model.fit(x, y, batch_size=4, epochs=2, verbose=0)
    model.freeze()
    model.compile("sgd")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model.fit(x, y, verbose=0)


def test_misfit_of_mean_and_variance():
    norm = keras.layers.BatchNormalization(epsilon=0)
    norm.build((None, 4))
    one = np.ones(4)
    assert _recalibrate._misfit(norm, 0 * one, one) == pytest.approx(1)
    assert _recalibrate._misfit(norm, 0 * one, 4 * one) == pytest.approx(4)
    assert _recalibrate._misfit(norm, 0 * one, one / 4) == pytest.approx(4)
    assert _recalibrate._misfit(norm, 2 * one, one) == pytest.approx(5)
