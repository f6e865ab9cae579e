"""Models: one family per file, a table of numbers and a builder that reads it."""

from keras_vidreg.models._csn import csn
from keras_vidreg.models._flops import flops
from keras_vidreg.models._frame_cnn import frame_cnn
from keras_vidreg.models._grw_classifier import grw_classifier
from keras_vidreg.models._movinet import movinet
from keras_vidreg.models._r3d import r3d
from keras_vidreg.models._resnet3d_rs import resnet3d_rs
from keras_vidreg.models._slowfast import slowfast
from keras_vidreg.models._slowonly import slowonly
from keras_vidreg.models.classifier import VideoClassifier
from keras_vidreg.models.description import BUILDERS, Description
from keras_vidreg.models.resnet2d import resnet_cifar

__all__ = [
    "BUILDERS",
    "Description",
    "VideoClassifier",
    "csn",
    "flops",
    "frame_cnn",
    "grw_classifier",
    "movinet",
    "r3d",
    "resnet3d_rs",
    "resnet_cifar",
    "slowfast",
    "slowonly",
]
