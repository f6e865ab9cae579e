"""Fine-tuning: frozen parts, features, learning rates of groups, class weights."""

import re

import keras
import numpy as np
import pytest
from keras import ops
from tiny import CLIP, make_videos, tiny

import keras_vidreg as kv

pytestmark = pytest.mark.usefixtures("numpy_initializer")
SMALL = {"labels": 2, "width": 8}
BUILDERS = {
    "movinet": (lambda: kv.models.movinet("a0", labels=2), "block1"),
    "slowonly": (lambda: kv.models.slowonly(18, **SMALL), "res3"),
    "slowfast": (lambda: kv.models.slowfast(50, **SMALL), "res3"),
    "csn": (lambda: kv.models.csn(50, **SMALL), "res3"),
    "r3d": (lambda: kv.models.r3d(18, **SMALL), "res3"),
    "resnet3d_rs": (lambda: kv.models.resnet3d_rs(50, **SMALL), "res3"),
    "frame_cnn": (lambda: kv.models.frame_cnn(labels=2), "expanded_conv_1"),
}


def grw(backbone=None):
    backbone = backbone or tiny(2, CLIP)
    return kv.models.grw_classifier(
        backbone, window=3, embed_dim=8, depth=1, heads=2, mlp_dim=8, labels=["dark", "light"]
    )


def values(model):
    return {v.path: ops.convert_to_numpy(v) for v in model.weights}


def changed(before, after):
    """Names of the layers whose weights differ."""
    return {path.split("/")[0] for path in before if not np.array_equal(before[path], after[path])}


@pytest.mark.parametrize("name", BUILDERS)
def test_every_builder_has_the_parts(name):
    build, stage = BUILDERS[name]
    model = build()
    every = [layer.name for layer in model.layers if layer.weights]
    in_stage = re.compile(f"(slow_|fast_)?{stage}_")

    up_to = model.freeze(stage)
    assert any(map(in_stage.match, up_to)) and up_to[0] == every[0]
    later = [layer for layer in every if layer not in up_to]
    assert not any(map(in_stage.match, later)) and later[-1] == "logits"
    # Nothing that is frozen depends on what is not.
    trained = {v.path.split("/")[0] for v in model.trainable_variables}
    assert trained == set(later)
    outputs = [model.get_layer(layer).output for layer in up_to]
    needed = {layer.name for layer in keras.Model(model.inputs[0], outputs).layers}
    assert not needed & trained

    backbone = model.freeze("backbone")
    head = [layer for layer in every if layer not in backbone]
    assert set(up_to) <= set(backbone) and head[-1] == "logits" and len(head) <= 2
    assert {v.path.split("/")[0] for v in model.trainable_variables} == set(head)
    assert model.freeze("all_but_head") == every[:-1]
    assert [v.path for v in model.trainable_variables] == ["logits/kernel", "logits/bias"]
    model.unfreeze()
    assert {v.path.split("/")[0] for v in model.trainable_variables} == set(every)


def test_the_head_of_a_grw_classifier_is_more_than_its_last_layer():
    model = grw()
    assert model.freeze() == ["conv", "norm"]
    assert model.freeze("all_but_head")[-1] == "attention_norm"
    model.unfreeze()
    assert model.freeze("norm$") == [
        "norm",
        "embedding_norm",
        *(f"{part}_norm" for part in ("attention0", "mlp0", "attention")),
    ]


def test_unknown_parts_name_the_known_ones():
    model = grw()
    with pytest.raises(ValueError, match="a stage .conv, norm, embedding,.*'res9'"):
        model.freeze("res9")
    with pytest.raises(ValueError, match=r"part='\^nothing"):
        model.freeze("^nothing")
    with pytest.raises(ValueError, match=r"regular expression. Received: part='\('"):
        model.freeze("(")
    assert len(model.trainable_variables) == len(grw().trainable_variables)


def test_what_is_frozen_does_not_change_in_training(tmp_path):
    model = tiny(2, CLIP)
    model.freeze("backbone")
    model.compile(keras.optimizers.SGD(0.1))
    video = np.random.default_rng(0).normal(size=(4, 6, 16, 16, 3)).astype("float32")
    label = np.array([0, 1, 0, 1])
    before = values(model)
    model.train_on_batch(video, label)
    after = values(model)
    head = model.layers[-1].name
    assert changed(before, after) == {head}  # nor did the statistics of the normalization

    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert [v.path for v in again.trainable_variables] == [
        v.path for v in model.trainable_variables
    ]
    model.unfreeze()
    model.compile(keras.optimizers.SGD(0.1))
    model.train_on_batch(video, label)
    assert changed(after, values(model)) == {"conv", "norm", head}


def test_embed_averages_the_features(tmp_path):
    model = tiny(2, CLIP)
    video = np.random.default_rng(0).uniform(size=(2, 6, 16, 16, 3)).astype("float32")
    features = ops.convert_to_numpy(model.backbone(video))  # (B, T, h, w, C)
    for options, axes in (({}, (1, 2, 3)), ({"per_frame": True}, (2, 3))):
        batch = model.embed(video, **options)
        np.testing.assert_allclose(batch, features.mean(axis=axes), atol=1e-6)
        np.testing.assert_allclose(model.embed(video[1], **options), batch[1], atol=1e-6)
    with pytest.raises(ValueError, match=r"Received: an array of shape \(6, 16, 16\)"):
        model.embed(video[0, ..., 0])


def test_embed_gives_the_embeddings_of_a_grw_classifier(tmp_path):
    model = grw()
    file = next(make_videos(tmp_path / "videos", per_class=1).glob("dark/*"))
    video = kv.data.read_clip(file, model.clip)
    z = keras.Model(model.inputs[0], model.get_layer("embedding").output)(video[None])[0]
    per_frame = model.embed(file, per_frame=True)
    assert per_frame.shape == (6, 8) and per_frame.dtype == np.float32
    np.testing.assert_allclose(per_frame, ops.convert_to_numpy(z), atol=1e-5)
    np.testing.assert_allclose(model.embed(str(file)), per_frame.mean(0), atol=1e-6)
    decoded = (video * 255).round().astype("uint8")
    np.testing.assert_allclose(model.embed(decoded), model.embed(video), atol=1e-5)


def test_embed_in_low_precision():
    keras.config.set_dtype_policy("mixed_bfloat16")
    video = np.zeros((6, 16, 16, 3), "uint8")
    assert grw().embed(video).dtype == tiny(2, CLIP).embed(video).dtype == np.float32


OPTIMIZERS = {
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
    "adamw": lambda rate: keras.optimizers.AdamW(rate, weight_decay=0.1),
    "average": lambda rate: keras.optimizers.Adam(rate, use_ema=True, ema_overwrite_frequency=2),
    "accumulated": lambda rate: keras.optimizers.AdamW(rate, gradient_accumulation_steps=2),
}
SHAPES = {"conv": (3, 2), "norm": (2,), "logits": (2, 4)}


def weights():
    rng = np.random.default_rng(0)
    made = {}
    for name, shape in SHAPES.items():
        with keras.name_scope(name):
            made[name] = keras.Variable(rng.normal(size=shape).astype("float32"), name="kernel")
    return made


def gradients(step, factor=1.0):
    rng = np.random.default_rng(step + 1)
    return {name: factor * rng.normal(size=s).astype("float32") for name, s in SHAPES.items()}


def step(optimizer, variables, number, names=SHAPES, factor=1.0):
    """One update of these variables."""
    grads = gradients(number, factor)
    optimizer.apply(
        [ops.convert_to_tensor(grads[name]) for name in names], [variables[n] for n in names]
    )


def same(one, other, **options):
    for name in one:
        np.testing.assert_allclose(
            ops.convert_to_numpy(one[name]), ops.convert_to_numpy(other[name]), **options
        )


def cosine(rate):
    return keras.optimizers.schedules.CosineDecay(rate, 4, alpha=0.01)


@pytest.mark.parametrize(
    ("kind", "rate"), [*((kind, float) for kind in OPTIMIZERS), ("adamw", cosine)]
)
def test_groups_are_updated_as_by_optimizers_of_their_own(kind, rate):
    make = OPTIMIZERS[kind]
    together, apart = weights(), weights()
    grouped = kv.training.LearningRateGroups(make(rate(1e-2)), {"^logits/": rate(1e-1)})
    rest, head = make(rate(1e-2)), make(rate(1e-1))
    for number in range(4):
        step(grouped, together, number)
        step(rest, apart, number, ["conv", "norm"])
        step(head, apart, number, ["logits"])
    same(together, apart, rtol=1e-6, atol=1e-7)
    moved = ops.convert_to_numpy(together["logits"]) - ops.convert_to_numpy(weights()["logits"])
    assert np.abs(moved).max() > 0.05
    assert int(grouped.iterations) == 4


def test_the_norm_of_all_gradients_is_clipped_and_the_loss_unscaled():
    options = {"global_clipnorm": 0.5, "loss_scale_factor": 8.0}
    together, apart = weights(), weights()
    plain = keras.optimizers.SGD(0.1, **options)
    grouped = kv.training.LearningRateGroups(
        keras.optimizers.SGD(0.2, **options), {"conv": 0.1, "norm": 0.1, "logits": 0.1}
    )
    for number, factor in enumerate((80.0, 0.08)):  # clipped, and not
        step(plain, apart, number, factor=factor)
        step(grouped, together, number, factor=factor)
    same(together, apart, rtol=1e-6)


def test_some_weights_may_have_no_gradient():
    together, apart = weights(), weights()
    grouped = kv.training.LearningRateGroups(keras.optimizers.SGD(0.1), {"conv": 0.2})
    grouped.build(list(together.values()))
    grads = [
        None if name == "conv" else ops.convert_to_tensor(g) for name, g in gradients(0).items()
    ]
    grouped.apply(grads)
    step(keras.optimizers.SGD(0.1), apart, 0, ["norm", "logits"])
    same(together, apart, rtol=1e-6)


def test_the_first_pattern_counts_and_zero_keeps_weights():
    variables, before = weights(), weights()
    grouped = kv.training.LearningRateGroups("adamw", {"o": 0, "norm/": 0.1})
    with pytest.raises(ValueError, match="has 'norm/', but no weight"):
        step(grouped, variables, 0)
    grouped = kv.training.LearningRateGroups("adamw", {"^[cn]": 0, "logits": 0.1})
    step(grouped, variables, 0)
    names = ["conv", "norm"]
    same({n: variables[n] for n in names}, {n: before[n] for n in names}, rtol=0)
    assert np.abs(ops.convert_to_numpy(variables["logits"] - before["logits"])).min() > 0.01


def test_groups_say_what_is_wrong():
    groups = kv.training.LearningRateGroups
    with pytest.raises(ValueError, match="regular expressions as keys. Received: '[(]'"):
        groups("sgd", {"(": 0.1})
    with pytest.raises(ValueError, match="numbers from 0, or schedules. Received: 'a': -1"):
        groups("sgd", {"a": -1})
    with pytest.raises(ValueError, match="a learning rate of its own"):
        groups(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), {"a": 0.1})
    with pytest.raises(ValueError, match="global_clipnorm=1.0, gradient_accumulation_steps=2"):
        groups(keras.optimizers.SGD(global_clipnorm=1.0, gradient_accumulation_steps=2))


def test_no_decay_where_excluded():
    def decayed(excluded):
        variables = weights()
        optimizer = kv.training.LearningRateGroups(
            keras.optimizers.AdamW(0.1, weight_decay=0.5), {"logits": 0.01}
        )
        optimizer.exclude_from_weight_decay(var_list=[variables[name] for name in excluded])
        step(optimizer, variables, 0)
        return {name: ops.convert_to_numpy(v) for name, v in variables.items()}

    start = {name: ops.convert_to_numpy(v) for name, v in weights().items()}
    with_decay, without = decayed(()), decayed(SHAPES)
    for name, rate in {"conv": 0.1, "norm": 0.1, "logits": 0.01}.items():
        np.testing.assert_allclose(
            with_decay[name] - without[name], -rate * 0.5 * start[name], atol=1e-6
        )


def test_learning_rates_are_scaled_together():
    grouped = kv.training.LearningRateGroups(keras.optimizers.SGD(0.1), {"logits": 0.4})
    grouped.learning_rate = 0.05  # as ReduceLROnPlateau does
    assert grouped.learning_rates == pytest.approx({"": 0.05, "logits": 0.2})
    again = kv.training.LearningRateGroups.from_config(grouped.get_config())
    assert again.learning_rates == pytest.approx(grouped.learning_rates)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_groups_train_and_are_saved(policy, tmp_path):
    keras.config.set_dtype_policy(policy)
    inputs = keras.Input((3,))
    outputs = keras.layers.Dense(2, name="logits")(keras.layers.Dense(4, name="body")(inputs))
    model = keras.Model(inputs, outputs)
    rates = {"^logits/": cosine(0.1)}
    model.compile(
        kv.training.LearningRateGroups(keras.optimizers.AdamW(0.0), rates), "mean_squared_error"
    )
    x, y = np.eye(3, dtype="float32"), np.ones((3, 2), "float32")
    before = values(model)
    model.fit(x, y, epochs=2, batch_size=3, verbose=0)
    assert changed(before, values(model)) == {"logits"}
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    for one, other in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(one), ops.convert_to_numpy(other))
    losses = [m.train_on_batch(x, y) for m in (model, again)]
    assert float(losses[0]) == float(losses[1])
    same(values(model), values(again), rtol=1e-6)


@pytest.fixture
def unbalanced(tmp_path):
    """One dark and three light videos, of 8 frames each."""
    root = make_videos(tmp_path / "videos", per_class=3)
    for name in ("1.mkv", "2.mkv"):
        (root / "dark" / name).unlink()
    return kv.data.folder(root, labels=["none", "dark", "light"], clip=CLIP)


def test_class_weights_balance_the_loss(unbalanced):
    assert unbalanced.class_weights() == pytest.approx({1: 2.0, 2: 2 / 3})
    weights = unbalanced.class_weights()
    model = tiny(3, CLIP, dropout=0.0)
    model.compile(keras.optimizers.SGD(0.0))
    batches = unbalanced.batches(4, training=False, class_weights=weights)
    video, label, weight = next(iter(batches))
    assert weight.dtype == np.float32 and weight.tolist() == [np.float32(weights[k]) for k in label]
    losses = -np.log(ops.convert_to_numpy(ops.softmax(model.predict_on_batch(video))))
    losses = losses[np.arange(4), label]
    balanced = (losses[label == 1].mean() + losses[label == 2].mean()) / 2
    assert model.evaluate(batches, verbose=0)[0] == pytest.approx(balanced, rel=1e-5)
    assert model.fit(batches, verbose=0).history["loss"][0] > 0


def test_every_class_needs_a_weight(unbalanced):
    with pytest.raises(ValueError, match=r"no weight for the labels \[2\]"):
        unbalanced.batches(2, class_weights={0: 1.0, 1: 1.0})


def test_short_videos_follow_the_rule_in_batches(unbalanced):
    long = kv.data.Clip(frames=12, fps=None, size=16, resize=16)
    for short, last in (("loop", 3), ("hold", 7)):
        video, _ = next(iter(unbalanced.batches(4, clip=long, training=False, short=short)))
        assert video.shape == (4, 12, 16, 16, 3)
        np.testing.assert_array_equal(video[:, 11], video[:, last])
    strict = unbalanced.batches(4, clip=long, training=False, short="error")
    with pytest.raises(kv.data.VideoDecodeError, match="has 8 frames, needs 12"):
        next(iter(strict))
