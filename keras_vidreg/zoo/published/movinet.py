"""MoViNets for Kinetics-600: the Model Garden's checkpoints, and a conversion to PyTorch of most.

The Model Garden also lists `movinet_a0_base_k400.tar.gz` and so on as trained on Kinetics-400. They
are left out: they are reported to hold the weights for Kinetics-600
(https://github.com/tensorflow/models/issues/13566).
"""

from keras_vidreg.data import Clip
from keras_vidreg.zoo.published.publishers import (
    ATZE00,
    KINETICS_600,
    MODEL_GARDEN,
    MOVINET_REFERENCES,
    ONE_VIEW,
)
from keras_vidreg.zoo.published.weights import PublishedWeights

_PYTORCH_FILES = (
    "https://github.com/Atze00/MoViNet-pytorch/raw/c2d1edf48fc6c5259707f9d833f22171b4f63493/weights"
)
_TENSORFLOW_FILES = "https://storage.googleapis.com/tf_model_garden/vision/movinet"
_CLIPS = {  # frames, frames a second, pixels, short side before the crop
    "a0": Clip(50, 5, 172, 192),
    "a1": Clip(50, 5, 172, 192),
    "a2": Clip(50, 5, 224, 256),
    "a3": Clip(120, 12, 256, 288),
    "a4": Clip(80, 8, 290, 320),
    "a5": Clip(120, 12, 320, 368),
}
# fmt: off
_BASE = (
    # variant, top-1, top-5, MB of the checkpoint, git object of the PyTorch file, notes
    ("a0", 72.28, 90.92, 12, "8c3bf9376a49d9db72709d5fb60bd0a635069044",
     "Top-1 is 72.05 in the Model Garden's overview (official/vision/MODEL_GARDEN.md)."),
    ("a1", 76.69, 93.40, 18, "b0cd3abd2ea411382e8e999c7d2cdf2992728d2a", ""),
    ("a2", 78.62, 94.17, 20, "999f187b11ee6d477c5f3c8141119d8183c0e072", ""),
    ("a3", 81.79, 95.67, 29, "dd9a1b1e5cf46068d0beb3d6edc5c3f0c350f694", ""),
    ("a4", 83.48, 96.16, 44, "34e8b8c2c9488bc14161ffacae58fa94b6791f43", ""),
    ("a5", 84.27, 96.39, 72, "fce6b0ac5636ed15419ebcaaa6a6067838d2591a",
     "Top-1 is 84.00 in its training configuration."),
)
_STREAM = (
    ("a0", 72.05, 90.63, 12, "1b467adcbf00040713526ec927b3fbfd5aaac487",
     "Top-1 is 72.03 in its training configuration. A user of the PyTorch files measured 69 on "
     "the public test split (https://github.com/Atze00/MoViNet-pytorch/issues/44)."),
    ("a1", 76.45, 93.25, 18, "85acc3e843b293c3a26c7baabd0af711073c1fb7", ""),
    ("a2", 78.40, 94.05, 20, "fdf1c2e57d36d86607b9b29063ab798eabc1bb83", ""),
    ("a3", 80.09, 94.84, 29, None, ""),
    ("a4", 81.49, 95.66, 44, None, "Top-1 is 81.33 in its training configuration."),
    ("a5", 82.37, 95.79, 72, None, "Evaluated on 115 frames."),
)
# fmt: on
_GATE = (
    "Newer code of the Model Garden computes the gate of squeeze-and-excitation as relu6(x + 3) / "
    "6; the weights were made with clip(0.2 x + 0.5, 0, 1), which is used here."
)
_K400 = (
    "The Model Garden's files for Kinetics-400 are left out: they are reported to hold these "
    "weights (https://github.com/tensorflow/models/issues/13566)."
)
_CONVERTED = "Converted from the Model Garden's checkpoint; its accuracy is the one reported there."


def _notes(*notes):
    return " ".join(filter(None, notes))


def _pytorch(variant, causal, top1, top5, git_blob, notes):
    stream = "_stream" if causal else ""
    return PublishedWeights(
        name=f"movinet_{variant}{stream}",
        family="movinet",
        builder="movinet",
        arguments={"variant": variant, "causal": causal},
        clip=_CLIPS[variant],
        url=f"{_PYTORCH_FILES}/model{variant.upper()}{stream}_statedict_v3",
        git_blob=git_blob,
        accuracy={"top1": top1, "top5": top5},
        views=ONE_VIEW,
        notes=_notes(_CONVERTED, notes),
        **ATZE00,
    )


def _tensorflow(variant, causal, top1, top5, size_mb, alone, notes):
    stream = "_stream" if causal else ""
    return PublishedWeights(
        name=f"movinet_{variant}{stream}{'' if alone else '_model_garden'}",
        family="movinet",
        builder="movinet",
        arguments={"variant": variant, "causal": causal},
        clip=_CLIPS[variant],
        url=f"{_TENSORFLOW_FILES}/movinet_{variant}{stream or '_base'}.tar.gz",
        size_mb=size_mb,
        accuracy={"top1": top1, "top5": top5},
        views=ONE_VIEW,
        references=MOVINET_REFERENCES,
        notes=_notes(notes, _GATE if causal else _K400),
        **MODEL_GARDEN,
        **KINETICS_600,
    )


_ROWS = [(False, row) for row in _BASE] + [(True, row) for row in _STREAM]

MOVINET = (
    *(
        _pytorch(variant, causal, top1, top5, blob, notes)
        for causal, (variant, top1, top5, _, blob, notes) in _ROWS
        if blob
    ),
    *(
        _tensorflow(variant, causal, top1, top5, size_mb, blob is None, notes)
        for causal, (variant, top1, top5, size_mb, blob, notes) in _ROWS
    ),
)
