"""What all weights of one publisher have in common, as keyword arguments of `PublishedWeights`."""

from keras_vidreg.data import Clip

_GITHUB = "https://github.com"
_GRW = f"{_GITHUB}/cmusatyalab/grw-smoothing/blob/6aff0a5a"
_GRW_MODELS = f"{_GRW}/packages/grw-smoothing-models/src/grw_smoothing_models"
_ATZE = f"{_GITHUB}/Atze00/MoViNet-pytorch/blob/c2d1edf4"
_TENSORFLOW = f"{_GITHUB}/tensorflow/models/blob/15762ae3"
_TF_VISION = f"{_GITHUB}/tensorflow/models/blob/17d0a074/official/vision"
_PYTORCHVIDEO = f"{_GITHUB}/facebookresearch/pytorchvideo/blob/f3142bb0"
_PYSLOWFAST = f"{_GITHUB}/facebookresearch/SlowFast/blob/287ec007"
_MMACTION2 = f"{_GITHUB}/open-mmlab/mmaction2/blob/4d6c9347"
_CLASSIDS = (
    f"{_GITHUB}/facebookresearch/video-nonlocal-net/blob/4b5d2dd1/"
    "process_data/kinetics/classids.json"
)
_LABELS_600 = f"{_TENSORFLOW}/official/projects/movinet/files/kinetics_600_labels.txt"

KINETICS_400 = {"data": "Kinetics-400", "classes": 400, "labels": "kinetics400"}
KINETICS_600 = {"data": "Kinetics-600", "classes": 600, "labels": "kinetics600"}
KINETICS_700 = {"data": "Kinetics-700", "classes": 700, "labels": "kinetics700"}
KINETICS_710 = {"data": "Kinetics-710", "classes": 710, "labels": "kinetics710"}
ONE_VIEW, THIRTY_VIEWS = "1 clip x 1 crop", "10 clips x 3 crops"

GRW_AUTHORS = {
    "publisher": "the authors of GRW smoothing",
    "layout": "grw_smoothing",
    "container": "torch",
    "member": "ema_weights",
    "repo": "DrGil/grw-smoothing-movinet",
    "license": None,  # neither the repository nor the model page is known to name one
    "views": ONE_VIEW,
    "reported_by": "Goldman, Giryes, Satyanarayanan (NeurIPS 2025), table 1",
    "references": {
        "address": f"{_GRW}/README.md",
        "accuracy": f"{_GRW}/README.md",
        "input": f"{_GRW_MODELS}/cli.py",
        # torchvision's reader of Kinetics numbers the folders in sorted order
        "labels": f"{_GRW_MODELS}/data/kinetics_ds.py",
    },
    **KINETICS_600,
}
MODEL_GARDEN = {
    "publisher": "TensorFlow Model Garden",
    "layout": "model_garden",
    "container": "tensorflow",
    "license": "Apache-2.0",
    "reported_by": "TensorFlow Model Garden",
}
MOVINET_REFERENCES = {
    "address": f"{_TENSORFLOW}/official/projects/movinet/README.md",
    "accuracy": f"{_TENSORFLOW}/official/projects/movinet/README.md",
    "input": f"{_TENSORFLOW}/official/projects/movinet/configs/yaml",
    "labels": _LABELS_600,
    "license": f"{_TENSORFLOW}/official/projects/movinet/README.md",
}
RESNET3D_RS_REFERENCES = {
    "accuracy": f"{_TF_VISION}/MODEL_GARDEN.md",
    "input": f"{_TF_VISION}/configs/experiments/video_classification/k400_resnet3drs_50_tpu.yaml",
    "license": f"{_TENSORFLOW}/LICENSE",
}
ATZE00 = {
    "publisher": "Atze00/MoViNet-pytorch",
    "layout": "movinet_pytorch",
    "container": "torch",
    "license": "MIT",
    "reported_by": "TensorFlow Model Garden",
    "references": {
        **MOVINET_REFERENCES,
        "address": f"{_ATZE}/movinets/config.py",
        "license": f"{_ATZE}/LICENSE",
    },
    **KINETICS_600,
}
PYTORCHVIDEO = {
    "publisher": "PyTorchVideo",
    "layout": "pytorchvideo",
    "container": "torch",
    "member": "model_state",
    "license": "Apache-2.0",
    "views": THIRTY_VIEWS,
    "reported_by": "PyTorchVideo",
    "references": {
        "address": f"{_PYTORCHVIDEO}/docs/source/model_zoo.md",
        "accuracy": f"{_PYTORCHVIDEO}/docs/source/model_zoo.md",
        "input": f"{_PYSLOWFAST}/configs/Kinetics/pytorchvideo",
        "labels": f"{_PYTORCHVIDEO}/tutorials/torchhub_inference_tutorial.ipynb",
        "label names": _CLASSIDS,
        "license": f"{_PYTORCHVIDEO}/LICENSE",
    },
    **KINETICS_400,
}
PYSLOWFAST = {
    "publisher": "PySlowFast",
    "layout": "slowfast",
    "license": "Apache-2.0",
    "views": THIRTY_VIEWS,
    "reported_by": "PySlowFast",
    "references": {
        "address": f"{_PYSLOWFAST}/MODEL_ZOO.md",
        "accuracy": f"{_PYSLOWFAST}/MODEL_ZOO.md",
        "input": f"{_PYSLOWFAST}/configs/Kinetics",
        "labels": f"{_PYSLOWFAST}/slowfast/datasets/DATASET.md",
        "label names": _CLASSIDS,
        "license": f"{_PYSLOWFAST}/LICENSE",
    },
    **KINETICS_400,
}
CAFFE2 = {"container": "caffe2", "member": "blobs"}
CAFFE2_NOTE = (
    "Written by Caffe2; slowfast/utils/c2_model_loading.py in PySlowFast says what its names mean."
)
MMACTION2 = {
    "publisher": "MMAction2",
    "layout": "mmaction2",
    "container": "torch",
    "member": "state_dict",
    "license": "Apache-2.0",
    "views": THIRTY_VIEWS,
    "reported_by": "MMAction2",
    "references": {
        "address": f"{_MMACTION2}/configs/recognition",
        "accuracy": f"{_MMACTION2}/configs/recognition",
        "input": f"{_MMACTION2}/configs/recognition",
        "labels": f"{_MMACTION2}/tools/data/parse_file_list.py",
        "label names": f"{_MMACTION2}/tools/data/kinetics",
        "license": f"{_MMACTION2}/LICENSE",
    },
}
MMACTION2_FILES = "https://download.openmmlab.com/mmaction"


def facebook_clip(frames, every):
    """Of PyTorchVideo and PySlowFast: every n-th frame of 30 in a second, tested at 256 pixels."""
    return Clip(frames, 30 / every, size=256, resize=256, mean=(0.45,) * 3, std=(0.225,) * 3)


def mmaction2_clip(frames, every, mean=(123.675, 116.28, 103.53), std=(58.395, 57.12, 57.375)):
    """Every n-th frame of the file, mostly of 30 in a second; mean and deviation of bytes."""
    mean, std = (tuple(round(value / 255, 6) for value in values) for values in (mean, std))
    return Clip(frames, 30 / every, size=224, resize=256, mean=mean, std=std)


def mmaction2_file(family, config, stamp, file=None):
    """Address and first digits of the SHA-256, which end the name of the file."""
    folder = f"{MMACTION2_FILES}/v1.0/recognition/{family}/{config}"
    return {"url": f"{folder}/{file or config}_{stamp}.pth", "sha256": stamp.rpartition("-")[2]}
