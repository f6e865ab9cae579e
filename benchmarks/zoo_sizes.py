"""Parameters and multiply-adds of all published entries of the zoo, as `zoo list` shows them.

    KERAS_BACKEND=tensorflow python benchmarks/zoo_sizes.py

Builds every network without its weights, and writes `keras_vidreg/zoo/published_sizes.json`.
"""

import json

import keras

import keras_vidreg as kv
from keras_vidreg.zoo.published import SIZES
from keras_vidreg.zoo.sizes import sizes

# Stands in the files of the authors, not in the table of sources.
GRW_HEAD = {"window": 5, "embed_dim": 256, "depth": 2, "heads": 4, "mlp_dim": 512}


def main():
    found, known = {}, {}
    for name, weights in sorted(kv.zoo.PUBLISHED.items()):
        head = GRW_HEAD if weights.builder == "grw_classifier" else {}
        arguments = {**weights.arguments, **head}
        key = json.dumps([weights.builder, arguments, weights.classes, weights.clip.shape])
        if key not in known:
            size = sizes(
                kv.models.Description(weights.builder, arguments, weights.classes, weights.clip)
            )
            known[key] = [size.parameters, size.flops]
            keras.utils.clear_session()
        found[name] = known[key]
        print(name, *found[name], flush=True)
    rows = ",\n".join(f" {json.dumps(name)}: {json.dumps(row)}" for name, row in found.items())
    SIZES.write_text(f"{{\n{rows}\n}}\n")


if __name__ == "__main__":
    main()
