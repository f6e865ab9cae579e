"""Parameters and multiply-adds of every model next to the published ones, as a table.

    KERAS_BACKEND=torch python benchmarks/model_table.py --write docs/models.md
    KERAS_BACKEND=torch python benchmarks/model_table.py --only slowonly     # prints these rows

Models are built with random weights and run nothing: the largest takes 1 GB and some seconds. (JAX
is slower: it compiles a program for the first weights of every shape.)
"""

import argparse
import math
import pathlib

import keras

import keras_vidreg as kv

BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
HEADER = (
    "| model | input | parameters, M | published | GFLOPs | published | source |\n"
    "|---|---|---:|---:|---:|---:|---|\n"
)
HEAD = {"window": 5, "embed_dim": 256, "depth": 2, "heads": 4, "mlp_dim": 512, "labels": 600}
# The call; frames, height, width; published: parameters in millions, GFLOPs, and where (a note).
ROWS = (
    ('movinet("a0")', (50, 172, 172), "3.1", "2.71", "MoViNet"),
    ('movinet("a1")', (50, 172, 172), "4.6", "6.02", "MoViNet"),
    ('movinet("a2")', (50, 224, 224), "4.8", "10.3", "MoViNet"),
    ('movinet("a3")', (120, 256, 256), "5.3", "56.9", "MoViNet"),
    ('movinet("a4")', (80, 290, 290), "4.9", "105", "MoViNet"),
    ('movinet("a5")', (120, 320, 320), "15.7", "281", "MoViNet"),
    ('movinet("a0", causal=True)', (50, 172, 172), "", "2.7", "Garden"),
    ('movinet("a1", causal=True)', (50, 172, 172), "", "6.0", "Garden"),
    ('movinet("a2", causal=True)', (50, 224, 224), "", "10", "Garden"),
    ('movinet("a3", causal=True)', (120, 256, 256), "", "57", "Garden"),
    ('movinet("a4", causal=True)', (80, 290, 290), "", "110", "Garden"),
    ('movinet("a5", causal=True)', (120, 320, 320), "", "280", "Garden"),
    ('grw_classifier(movinet("a0", causal=True), **HEAD)', (50, 172, 172), "", "2.7", "GRW"),
    ('grw_classifier(movinet("a2", causal=True), **HEAD)', (50, 224, 224), "", "11.3", "GRW"),
    ('frame_cnn("mobilenet_v3_small", labels=1000)', (50, 224, 224), "2.54", "2.8", "MobileNet"),
    ('frame_cnn("mobilenet_v3_large", labels=1000)', (50, 224, 224), "5.48", "11.0", "MobileNet"),
    ("slowonly(18)", (8, 256, 256), "", "", ""),
    ("slowonly(34)", (8, 256, 256), "", "", ""),
    ("slowonly(50)", (4, 256, 256), "32.45", "27.55", "PTV"),
    ("slowonly(50)", (8, 256, 256), "32.45", "54.52", "PTV"),
    ("slowonly(101)", (8, 256, 256), "60.36", "112", "MMAction2"),
    ("slowonly(152)", (8, 256, 256), "", "", ""),
    ("slowfast(50)", (32, 256, 256), "34.57", "65.71", "PTV"),
    ("slowfast(101)", (32, 256, 256), "62.9", "126", "MMAction2"),
    ("slowfast(152)", (32, 256, 256), "", "", ""),
    ("csn(50)", (32, 256, 256), "14.40", "", "MMAction2 code"),
    ("csn(101)", (32, 256, 256), "24.5", "83.0", "CSN"),
    ("csn(152)", (32, 256, 256), "32.8", "108.8", "VMZ"),
    ('csn(50, interaction="reduced")', (32, 256, 256), "13.13", "55.90", "MMAction2"),
    ('csn(101, interaction="reduced")', (32, 256, 256), "22.1", "73.8", "CSN"),
    ('csn(152, interaction="reduced")', (32, 256, 256), "29.6", "96.7", "VMZ"),
    ("r3d(18)", (16, 112, 112), "33.37", "40.70", "torchvision"),
    ("r3d(34)", (16, 112, 112), "", "", ""),
    ("resnet3d_rs(50)", (32, 224, 224), "48.13", "", "Garden code"),
    ("resnet3d_rs(101)", (32, 224, 224), "", "", ""),
    ("resnet3d_rs(152)", (32, 224, 224), "", "", ""),
    ("resnet3d_rs(200)", (48, 224, 224), "", "", ""),
    ("resnet3d_rs(270)", (48, 224, 224), "", "", ""),
    ("resnet3d_rs(300)", (48, 224, 224), "", "", ""),
    ("resnet3d_rs(350)", (48, 224, 224), "", "", ""),
    ("resnet_cifar(20, labels=10)", (1, 32, 32), "0.27", "", "ResNet"),
    ("resnet_cifar(110, labels=10)", (1, 32, 32), "1.7", "", "ResNet"),
)


def measure(row):
    """Trainable parameters, and multiply-adds for the row's input."""
    call, clip, *_ = row
    model = eval(call, {**vars(kv.models), "HEAD": HEAD})
    parameters = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    shape = clip if len(model.inputs[0].shape) == 5 else clip[1:]
    return parameters, kv.models.flops(model, (*shape, 3))


def line(row):
    """The row of the table."""
    call, clip, published_parameters, published_flops, source = row
    parameters, flops = measure(row)
    keras.utils.clear_session()
    size = " x ".join(map(str, clip))
    ours, theirs = f"{parameters / 1e6:.2f}", published_parameters or "–"
    return (
        f"| `{call}` | {size} | {ours} | {theirs} "
        f"| {flops / 1e9:#.4g} | {published_flops or '–'} | {source or '–'} |\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", default=[""], help="builders, or beginnings of rows")
    parser.add_argument("--write", type=pathlib.Path, help="the file whose table is replaced")
    arguments = parser.parse_args()
    rows = [row for row in ROWS if row[0].startswith(tuple(arguments.only))]
    lines = []
    for row in rows:
        lines.append(line(row))
        print(lines[-1], end="", flush=True)
    if arguments.write:
        before, _, rest = arguments.write.read_text().partition(BEGIN)
        _, _, after = rest.partition(END)
        table = BEGIN + HEADER + "".join(lines) + END
        arguments.write.write_text(before + table + after)


if __name__ == "__main__":
    main()
