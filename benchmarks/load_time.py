"""How long it takes to load a model whose weights are on this machine, in a fresh process.

`python benchmarks/load_time.py` prints a table: what is timed is `kv.zoo.load` of a folder, from
the call until the weights are in the model, after the imports; the median of several processes.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile

BACKENDS = ("jax", "torch", "tensorflow")
MODELS = {
    "movinet a0": ("movinet", {"variant": "a0"}),
    "movinet a2 causal": ("movinet", {"variant": "a2", "causal": True}),
    "slowonly 50": ("slowonly", {"depth": 50}),
}


def save(name, folder):
    """Write a model with random weights, in the form that converted weights are kept in."""
    import numpy as np

    import keras_vidreg as kv
    from keras_vidreg.zoo.fill import build_with_weights

    builder, arguments = MODELS[name]
    rng = np.random.default_rng(0)
    clip = kv.data.Clip(frames=8, fps=5, size=172, resize=192)

    def fill(model):
        for variable in model.weights:
            shape = tuple(variable.shape)
            scale = np.prod(shape[:-1]) ** -0.5  # as large as kernels usually are
            variable.assign(
                0.5 + rng.random(shape) if len(shape) < 2 else rng.normal(0, scale, shape)
            )

    model = build_with_weights(kv.models.Description(builder, arguments, 600, clip).build, fill)
    kv.zoo.save(model, folder)


def load(folder):
    """Seconds and seconds of computing."""
    import time

    import keras_vidreg as kv

    wall, computing = time.perf_counter(), time.process_time()
    kv.zoo.load(folder)
    print("took", time.perf_counter() - wall, time.process_time() - computing)


def run(backend, *arguments):
    environment = {**os.environ, "KERAS_BACKEND": backend}
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return [
        tuple(map(float, line.split()[1:]))
        for line in done.stdout.splitlines()
        if line.startswith("took ")
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backends", nargs="+", default=BACKENDS)
    parser.add_argument("--models", nargs="+", default=MODELS)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--save", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--load", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.save:
        save(*options.save)
    elif options.load:
        load(options.load)
    else:
        table(options)


def table(options):
    print(f"{'model':20}{'backend':12}{'seconds':>10}{'computing':>12}")
    for name in options.models:
        with tempfile.TemporaryDirectory() as parent:
            folder = os.path.join(parent, "model")
            run("torch", "--save", name, folder)
            for backend in options.backends:
                times = [run(backend, "--load", folder)[0] for _ in range(options.runs)]
                wall, computing = (statistics.median(column) for column in zip(*times, strict=True))
                print(f"{name:20}{backend:12}{wall:10.2f}{computing:12.2f}", flush=True)


if __name__ == "__main__":
    main()
