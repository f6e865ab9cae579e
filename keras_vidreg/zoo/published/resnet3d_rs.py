"""3D ResNet-RS. Accuracies are published, but no address of a checkpoint."""

from keras_vidreg.data import Clip
from keras_vidreg.zoo.published.publishers import (
    MODEL_GARDEN,
    RESNET3D_RS_REFERENCES,
    THIRTY_VIEWS,
)
from keras_vidreg.zoo.published.weights import PublishedWeights

_CLIP = Clip(32, 15, size=256, resize=256)
_NOTES = (
    "The Model Garden gives no address of a checkpoint and no order of the classes; for your own "
    "checkpoint. It takes every other frame, and does not say of how many in a second."
)
_TABLE = (
    # name, depth, classes, top-1, top-5, notes
    ("resnet3d_rs_50", 50, 400, 78.2, 93.7, ""),
    ("resnet3d_rs_101", 101, 400, 79.5, 94.2, ""),
    ("resnet3d_rs_152", 152, 400, 79.9, 94.3, ""),
    ("resnet3d_rs_200", 200, 400, 80.4, 94.4, " With 48 frames, top-1 is 81.0."),
    ("resnet3d_rs_200_kinetics600", 200, 600, 83.1, None, " With 48 frames, top-1 is 83.8."),
)

RESNET3D_RS = tuple(
    PublishedWeights(
        name=name,
        family="resnet3d_rs",
        builder="resnet3d_rs",
        arguments={"depth": depth},
        clip=_CLIP,
        data=f"Kinetics-{classes}",
        classes=classes,
        accuracy={"top1": top1, "top5": top5} if top5 else {"top1": top1},
        views=THIRTY_VIEWS,
        references=RESNET3D_RS_REFERENCES,
        notes=_NOTES + notes,
        **MODEL_GARDEN,
    )
    for name, depth, classes, top1, top5, notes in _TABLE
)
