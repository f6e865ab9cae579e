"""Videos to batches: decode, sample, augment, batch."""

from keras_vidreg.data._airplanes import airplanes
from keras_vidreg.data._csv import csv
from keras_vidreg.data._folder import folder
from keras_vidreg.data.augment import Augment
from keras_vidreg.data.clip import Clip
from keras_vidreg.data.decode import decode
from keras_vidreg.data.errors import VideoDecodeError
from keras_vidreg.data.prepare import prepare
from keras_vidreg.data.read import FrameCache, read_clip, read_views
from keras_vidreg.data.something_something import something_something_v2
from keras_vidreg.data.source import LabeledVideo, VideoSource

__all__ = [
    "Augment",
    "Clip",
    "LabeledVideo",
    "VideoDecodeError",
    "FrameCache",
    "VideoSource",
    "airplanes",
    "csv",
    "decode",
    "folder",
    "prepare",
    "read_clip",
    "read_views",
    "something_something_v2",
]
