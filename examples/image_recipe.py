"""What the recipes for CIFAR-100 and ImageNet have in common."""

import argparse
import functools
import json

import keras

import keras_vidreg as kv


def parser(description, **defaults):
    """The options of both recipes."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--epochs", type=int)
    options.add_argument("--batch", type=int, help="images in a batch")
    options.add_argument("--learning-rate", type=float, help="at its highest")
    options.add_argument("--warmup", type=int, help="epochs of a learning rate that rises")
    options.add_argument("--weight-decay", type=float, default=1e-4)
    options.add_argument(
        "--stddev", type=float, default=0.5, help="of Random Mean Scaling; 0 means without it"
    )
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--out", help="where the weights go at the end: a file *.weights.h5")
    options.set_defaults(**defaults)
    return options


def tensorflow_datasets():
    """The package that fetches both data sets, or what to do about its absence."""
    try:
        import tensorflow_datasets
    except ImportError as error:
        raise SystemExit(
            "This data set is read by TensorFlow Datasets, which is not installed:\n"
            '    pip install "keras-vidreg[tfds]"'
        ) from error
    return tensorflow_datasets


def random_mean_scaling(stddev, low_pass="mean"):
    """What gives a new layer, or `None` for no regularizer."""
    if not stddev:
        return None
    return functools.partial(kv.layers.RandomMeanScaling, stddev=stddev, low_pass=low_pass)


def train(model, training, validation, arguments, drops):
    """Stochastic gradient descent with momentum; a tenth of the rate after each of `drops`.

    Args:
        model: gives logits.
        training, validation: what `model.fit` takes.
        arguments: the parsed options.
        drops: shares of the epochs after which the learning rate falls.

    Returns:
        The measures of the last epoch, as `model.fit` names them.
    """

    def rate(epoch, _):
        rising = min(1.0, (epoch + 1) / (arguments.warmup + 1))
        passed = sum(epoch >= drop * arguments.epochs for drop in drops)
        return arguments.learning_rate * rising * 0.1**passed

    decay_kernels(model, arguments.weight_decay)
    model.compile(
        keras.optimizers.SGD(arguments.learning_rate, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(
        training,
        validation_data=validation,
        epochs=arguments.epochs,
        callbacks=[keras.callbacks.LearningRateScheduler(rate)],
        verbose=2,
    ).history
    result = {name: values[-1] for name, values in history.items() if "accuracy" in name}
    kv.training.recalibrate(model, training)
    result["recalibrated"] = model.evaluate(validation, verbose=0, return_dict=True)["accuracy"]
    print(json.dumps({**vars(arguments), **result}))
    if arguments.out:
        model.save_weights(arguments.out)
    return result


def decay_kernels(model, rate):
    """Add `rate / 2 * |kernel|²` to the loss, whose gradient is the weight decay of the papers."""
    for weight in model.trainable_variables:
        if len(weight.shape) > 1:
            weight.regularizer = keras.regularizers.L2(rate / 2)
