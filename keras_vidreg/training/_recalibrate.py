"""Statistics of batch normalization that fit the weights as they are now."""

import contextlib
import warnings
from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from keras_vidreg._keras import steps_taken, trained_norms

WARN_ABOVE = 2.0  # misfit of stored statistics that is worth a warning


def recalibrate(model: keras.Model, batches: Iterable) -> keras.Model:
    r"""Gives all batch normalizations the exact statistics of their inputs over some batches.

    ```
    mean = sum(x) / n,  variance = sum((x - mean)^2) / n    over all n positions of all batches
    ```

    The moving statistics that training leaves are those of older weights, and after few steps
    still those of the initialization. They are replaced by precise ones, in one pass: every batch
    is normalized by its own statistics, as in training, since the weights were trained so; what
    each normalization then gets is averaged over all batches. So the result does not depend on the
    statistics stored before, and doing the same again gives the same. It is exact for the first
    normalizations, and for all if there is one batch; behind others it depends a little on the
    batches: make them 16 clips or more, of mixed labels. (Repeated passes with the statistics
    of the pass before do not converge in deep networks, and exact ones take a pass per layer.)

    The model runs with `training=False`: no dropout, no random scaling, no added losses. Weights,
    random seeds and all other states stay. Frozen normalizations (`trainable=False`) keep and use
    their statistics, as in training. Moments are taken in float32 at least and merged in float64,
    in constant memory.

    Args:
        model: Any built Keras model; batch normalizations are found at any depth.
        batches: Iterable of `x`, `(x, y)` or `(x, y, sample_weight)`, such as `source.batches(16,
            training=False)`, a `PyDataset`, a `tf.data.Dataset`, or a list of arrays; labels and
            weights are not used.

    Returns:
        The same model.

    Raises:
        ValueError: If there is no batch, the model is not built, or inputs of a normalization are
            not finite. The statistics are then left as they were.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.BatchNormalization()])
    >>> model = kv.training.recalibrate(model, [np.array([[1.0], [3.0]]), np.array([[8.0]])])
    >>> norm = model.layers[0]
    >>> float(norm.moving_mean[0]), round(float(norm.moving_variance[0]), 4)
    (4.0, 8.6667)

    Reference:
        Wu and Johnson, "Rethinking 'Batch' in BatchNorm", 2021, section 3 (precise BatchNorm).
    """
    replace_statistics(model, batches)
    return model


class Recalibrate(keras.callbacks.Callback):
    """Runs `recalibrate` at the end of `fit`, and before each validation if asked.

    It warns if the stored statistics were far from the precise ones.

    Args:
        batches: As in `recalibrate`; best the training clips as evaluation sees them.
        before_validation: Whether to recalibrate before every validation too. Defaults to `False`.

    Example:

    >>> x, y = np.random.default_rng(0).random((32, 8), "float32"), np.zeros((32, 1))
    >>> model = keras.Sequential([keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mean_squared_error")
    >>> history = model.fit(x, y, verbose=0, callbacks=[kv.training.Recalibrate([x])])
    >>> mean = keras.ops.convert_to_numpy(model.layers[0].moving_mean)
    >>> bool(np.allclose(mean, x.mean(axis=0), atol=1e-5))
    True
    """

    def __init__(self, batches: Iterable, before_validation: bool = False):
        super().__init__()
        self.batches = batches
        self.before_validation = before_validation
        self._in_fit = False

    def on_train_begin(self, logs=None):
        self._in_fit = True

    def on_test_begin(self, logs=None):
        if self._in_fit and self.before_validation:
            replace_statistics(self.model, self.batches)

    def on_train_end(self, logs=None):
        self._in_fit = False
        warn_of_misfit(*replace_statistics(self.model, self.batches))


def warn_of_misfit(layer, factor):
    """One warning if stored statistics were off by more than `WARN_ABOVE`."""
    if factor > WARN_ABOVE:
        warnings.warn(
            f"The moving statistics of batch normalization did not fit the weights: those of "
            f"`{layer}` were off by a factor of {factor:.3g} (more than {WARN_ABOVE:g}) in a tenth "
            "of its channels. They are recalibrated now, but what was validated before used the "
            "others. Train more steps, give the builder a smaller `norm_momentum`, or validate "
            "with `kv.training.Recalibrate(batches, before_validation=True)`",
            stacklevel=3,
        )


def replace_statistics(model, batches):
    """Recalibrates; gives the layer whose stored statistics fitted worst, and by which factor.

    The factor of a channel is that of its mean square about the stored mean over the stored
    variance, or of the stored over the new variance, whichever is larger; that of a layer is
    exceeded by a tenth of its channels.
    """
    if not model.built:
        raise ValueError("`model` must be built. Call it once on a batch before")
    norms = {str(number): layer for number, layer in enumerate(trained_norms(model))}
    learned = {id(variable) for variable in model.trainable_variables}
    states = [
        (variable, ops.convert_to_numpy(variable))
        for variable in model.variables
        if id(variable) not in learned
    ]
    new = {}
    try:
        new = _measure(model, norms, batches)
    finally:
        for variable, value in states:
            variable.assign(value)
    misfits = {norms[key].path: _misfit(norms[key], *new[key]) for key in new}
    for key, statistics in new.items():
        _store(norms[key], *statistics)
    model._recalibrated_at = steps_taken(model)  # which `VideoClassifier.fit` asks
    return max(misfits.items(), key=lambda item: item[1], default=("", 1.0))


def _measure(model, norms, batches):
    """`{key: (mean, variance)}` of all inputs that the normalizations get."""
    probe = _Probe(model, norms)
    totals, empty = {}, True
    with probe.moments.attached():
        for batch in _examples(batches):
            empty = False
            for key, calls in probe.predict_on_batch(batch).items():
                for call in calls:
                    _merge(totals, key, *(np.asarray(part, "float64") for part in call))
    if empty:
        raise ValueError("`batches` must have one batch or more. Received none")
    for key, (_, mean, squares) in totals.items():
        if not (np.isfinite(mean).all() and np.isfinite(squares).all()):
            raise ValueError(f"The inputs of `{norms[key].path}` are not finite over `batches`")
    return {key: (mean, squares / n) for key, (n, mean, squares) in totals.items()}


def _merge(totals, key, mean, variance, n):
    """Adds moments of `n` values to `{key: (number, mean, sum of squared deviations)}`."""
    if not n > 0:  # all masked
        return
    old_n, old_mean, squares = totals.get(key, (0.0, mean, 0.0))
    total, shift = old_n + n, mean - old_mean
    squares = squares + variance * n + shift**2 * (old_n * n / total)
    totals[key] = total, old_mean + shift * (n / total), squares


def _examples(batches):
    """The `x` of every batch as NumPy arrays."""
    if isinstance(batches, keras.utils.PyDataset) and not hasattr(type(batches), "__iter__"):
        batches = (batches[i] for i in range(len(batches)))
    for batch in batches:
        x, _, _ = keras.utils.unpack_x_y_sample_weight(batch)
        yield keras.tree.map_structure(ops.convert_to_numpy, x)


class _Probe(keras.Model):
    """Runs a model for the moments of what its batch normalizations get."""

    def __init__(self, model, norms):
        super().__init__(name="probe", dtype="float32", autocast=False)
        self.model = model
        self.moments = _Moments(norms)

    def call(self, inputs):
        self.moments.clear()
        self.model(inputs, training=False)
        return self.moments.taken()


class _Moments:
    """What stands in for `call` of the normalizations, and what it took."""

    def __init__(self, norms):
        self._norms, self._taken = norms, {}

    def clear(self):
        self._taken.clear()

    def taken(self):
        return dict(self._taken)

    @contextlib.contextmanager
    def attached(self):
        # Past `setattr`, which would look for weights in it.
        for key, layer in self._norms.items():
            vars(layer)["call"] = self._call(key, layer)
        try:
            yield
        finally:
            for layer in self._norms.values():
                del vars(layer)["call"]

    def _call(self, key, layer):
        def measured(inputs, training=None, mask=None):
            x = ops.cast(inputs, keras.backend.result_type(inputs.dtype, "float32"))
            moments = _moments(x, layer.axis, mask)
            self._taken.setdefault(key, []).append(moments)
            y = ops.batch_normalization(
                x, *moments[:2], layer.axis, layer.beta, layer.gamma, layer.epsilon
            )
            return ops.cast(y, layer.compute_dtype)

        return measured


def _moments(x, axis, mask):
    """Mean, variance and number of the values of every channel that are not masked."""
    axes = [i for i in range(len(x.shape)) if i != axis % len(x.shape)]
    weight = 1.0
    n = ops.cast(ops.size(x), x.dtype) / x.shape[axis]
    if mask is not None:
        weight = ops.cast(mask, x.dtype)[..., None]
        n = ops.maximum(ops.sum(weight), 1e-6)
    mean = ops.sum(x * weight, axes, keepdims=True) / n
    # Two passes: the difference of two means of squares would lose all digits of a small variance.
    variance = ops.sum(ops.square(x - mean) * weight, axes) / n
    return ops.reshape(mean, (-1,)), variance, n


def _store(layer, mean, variance):
    layer.moving_mean.assign(mean.astype("float32"))
    layer.moving_variance.assign(variance.astype("float32"))
    if layer.renorm:
        deviation = np.sqrt(variance + layer.epsilon).astype("float32")
        layer.renorm_mean.assign(mean.astype("float32"))
        layer.renorm_stddev.assign(deviation)
        layer.moving_stddev.assign(deviation)


def _misfit(layer, mean, variance):
    old_mean, old_variance = map(
        ops.convert_to_numpy, (layer.moving_mean, layer.moving_variance + layer.epsilon)
    )
    square = variance + layer.epsilon + (mean - old_mean) ** 2
    factors = np.maximum(square / old_variance, old_variance / (variance + layer.epsilon))
    return float(np.quantile(factors, 0.9))
