"""Classify the clips in examples/clips with a model from the zoo, and draw how they are embedded.

make demo
"""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

import keras_vidreg as kv

NAME = "movinet_a0_grw_airplanes"
HERE = Path(__file__).resolve().parent


def main(clips=HERE / "clips", picture=HERE.parent / "demo" / "embedding_paths.png"):
    """Print label, probability and truth of every clip; write the picture; return its path."""
    console = Console()
    files = sorted(Path(clips).glob("*.mp4"))
    truths = [file.stem.partition("_")[0] for file in files]
    model = kv.zoo.load(NAME)

    table = Table("file", "label", "probability", "truth", "")
    correct = 0
    for file, truth in zip(files, truths, strict=True):
        [(label, probability)] = model.classify(file, top=1)
        correct += label == truth
        mark = "[green]right[/]" if label == truth else "[red]wrong[/]"
        table.add_row(file.name, label, f"{probability:.1%}", truth, mark)
    console.print(table)
    console.print(f"{correct} of {len(files)} right")

    # The same network, trained in the same way but for the smoothing loss.
    twin = kv.zoo.load(NAME, weights=HERE / "without_smoothing.weights.h5")
    records = [kv.data.LabeledVideo(str(file), 0, file.name) for file in files]
    source = kv.data.VideoSource(records, labels=("clip",))
    paths = {
        "without smoothing": kv.evaluation.embeddings(twin, source),
        "with smoothing": kv.evaluation.embeddings(model, source),
    }
    paths = {f"{title} ({_ratio(z):.2f})": z for title, z in paths.items()}
    written = kv.evaluation.plot_embedding_paths(paths, picture, truths)
    console.print("Paths of the clips through embedding space (mean acceleration / mean velocity):")
    console.print(str(written), soft_wrap=True)
    return written


def _ratio(z):
    return kv.evaluation.path_smoothness(np.asarray(z))


if __name__ == "__main__":
    main()
