"""Train ResNet-110 with Random Mean Scaling on CIFAR-100.

    pip install "keras-vidreg[jax,tfds]"
    python examples/train_cifar100_rms.py
    python examples/train_cifar100_rms.py --stddev 0        # without

A small run on real images that scikit-learn ships, to see that the recipe trains:

    python examples/train_cifar100_rms.py --data digits --depth 20 --epochs 20

Images of your own: an archive of NumPy with `x_train, y_train, x_test, y_test`, pixels as bytes:

    python examples/train_cifar100_rms.py --data cifar_small.npz --depth 20 --epochs 100
"""

import functools
import math

import keras
import numpy as np
from image_recipe import parser, random_mean_scaling, tensorflow_datasets, train

import keras_vidreg as kv

DROPS = (1 / 2, 3 / 4)  # shares of the epochs


def cifar100():
    """Images `(N, 32, 32, 3)` in [0, 1] and labels, for training and for validation."""
    splits = tensorflow_datasets().load(
        "cifar100", split=["train", "test"], batch_size=-1, as_supervised=True
    )
    return [(np.asarray(x, "float32") / 255, np.asarray(y)) for x, y in splits]


def digits():
    """The same of 1,797 written digits of 8 x 8 pixels: 1,297 for training, 500 for validation."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = np.repeat(x.reshape(-1, 8, 8, 1).astype("float32") / 16, 3, axis=-1)
    order = np.random.default_rng(0).permutation(len(x))
    training, validation = order[:-500], order[-500:]
    return [(x[training], y[training]), (x[validation], y[validation])]


def archive(path):
    """The same of a file of NumPy."""
    with np.load(path) as file:
        return [(file[f"x_{k}"].astype("float32") / 255, file[f"y_{k}"]) for k in ("train", "test")]


# The data, the pixels that a crop may move by, and whether a mirror image is the same thing.
DATA = {"cifar100": (cifar100, 4, True), "digits": (digits, 1, False)}


class Batches(keras.utils.PyDataset):
    """Shuffled batches of randomly moved and mirrored images; the seed determines all of them."""

    def __init__(self, images, labels, batch, margin=0, flip=False, seed=0):
        super().__init__()
        self.images, self.labels, self.batch = images, labels, batch
        self.margin, self.flip, self.seed = margin, flip, seed
        self.epoch = 0
        self.on_epoch_end()

    def __len__(self):
        return math.ceil(len(self.images) / self.batch)

    def __getitem__(self, number):
        chosen = self.order[number * self.batch : (number + 1) * self.batch]
        x = self.images[chosen]
        rng = np.random.default_rng((self.seed, self.epoch, number))
        return augment(x, self.margin, self.flip, rng), self.labels[chosen]

    def on_epoch_end(self):
        self.epoch += 1
        self.order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.images))


def augment(images, margin, flip, rng):
    """Move each image by up to `margin` pixels, with zeros behind it; mirror half of them."""
    count, height, width, _ = images.shape
    padded = np.pad(images, [(0, 0), (margin, margin), (margin, margin), (0, 0)])
    rows, columns = rng.integers(0, 2 * margin + 1, (2, count))
    moved = np.stack(
        [
            image[row : row + height, column : column + width]
            for image, row, column in zip(padded, rows, columns, strict=True)
        ]
    )
    if flip:
        mirrored = rng.random(count) < 0.5
        moved[mirrored] = moved[mirrored, :, ::-1]
    return moved


def main(arguments=None):
    options = parser(__doc__.partition("\n")[0], epochs=300, batch=128, learning_rate=0.1, warmup=1)
    options.add_argument("--data", default="cifar100", help=f"{', '.join(DATA)} or a file *.npz")
    options.add_argument("--low-pass", choices=("mean", "gaussian"), default="mean")
    options.add_argument("--depth", type=int, default=110, help="6 n + 2")
    options.add_argument("--images", type=int, help="train on so many images only")
    arguments = options.parse_args(arguments)

    keras.utils.set_random_seed(arguments.seed)
    if arguments.data.endswith(".npz"):
        load, margin, flip = functools.partial(archive, arguments.data), 4, True
    elif arguments.data in DATA:
        load, margin, flip = DATA[arguments.data]
    else:
        options.error(f"--data must be one of {', '.join(DATA)}, or a file *.npz")
    (x, y), (x_held_out, y_held_out) = load()
    x, y = x[: arguments.images], y[: arguments.images]
    mean, std = x.mean(axis=(0, 1, 2)), x.std(axis=(0, 1, 2))
    training = Batches((x - mean) / std, y, arguments.batch, margin, flip, arguments.seed)
    validation = Batches((x_held_out - mean) / std, y_held_out, 500)

    model = kv.models.resnet_cifar(
        arguments.depth,
        labels=int(y_held_out.max()) + 1,
        regularizer=random_mean_scaling(arguments.stddev, arguments.low_pass),
    )
    result = train(model, training, validation, arguments, DROPS)
    return model, result


if __name__ == "__main__":
    main()
