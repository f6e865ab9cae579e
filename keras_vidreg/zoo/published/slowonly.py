"""SlowOnly (also called Slow) for Kinetics.

Left out are networks with non-local blocks, and those for detection, for Charades and for
Something-Something.
"""

from keras_vidreg.zoo.published.publishers import (
    CAFFE2,
    CAFFE2_NOTE,
    KINETICS_400,
    KINETICS_700,
    KINETICS_710,
    MMACTION2,
    PYSLOWFAST,
    PYTORCHVIDEO,
    facebook_clip,
    mmaction2_clip,
    mmaction2_file,
)
from keras_vidreg.zoo.published.weights import PublishedWeights

_FACEBOOK = "https://dl.fbaipublicfiles.com"
_PYTORCHVIDEO = (
    # name, frames, every n-th, file, top-1, top-5
    ("slowonly_50", 8, 8, "SLOW_8x8_R50.pyth", 74.58, 91.63),
    ("slowonly_50_4x16", 4, 16, "SLOW_4x16_R50.pyth", 72.40, 90.18),
)
_PYSLOWFAST = (
    ("slowonly_50_pyslowfast", 8, 8, "SLOWONLY_8x8_R50.pkl", 74.8, 91.6),
    ("slowonly_50_4x16_pyslowfast", 4, 16, "SLOWONLY_4x16_R50.pkl", 72.7, 90.3),
)
# fmt: off
_MMACTION2 = (
    # name, depth, frames, every n-th, configuration, end of the file's name, top-1, top-5, and the
    # same in metafile.yml, which is older
    ("slowonly_50_mmaction2", 50, 8, 8,
     "slowonly_r50_8xb16-8x8x1-256e_kinetics400-rgb",
     "20220901-2132fc87", 75.15, 92.11, 74.82, 91.80),
    ("slowonly_50_4x16_mmaction2", 50, 4, 16,
     "slowonly_r50_8xb16-4x16x1-256e_kinetics400-rgb",
     "20220901-f6a40d08", 72.97, 90.88, 72.68, 90.68),
    ("slowonly_101_mmaction2", 101, 8, 8,
     "slowonly_r101_8xb16-8x8x1-196e_kinetics400-rgb",
     "20220901-e6281431", 76.59, 92.80, 76.28, 92.70),
    ("slowonly_50_imagenet_mmaction2", 50, 8, 8,
     "slowonly_imagenet-pretrained-r50_8xb16-8x8x1-steplr-150e_kinetics400-rgb",
     "20220901-df42dc84", 76.45, 92.55, 75.96, 92.40),
    ("slowonly_50_4x16_imagenet_mmaction2", 50, 4, 16,
     "slowonly_imagenet-pretrained-r50_8xb16-4x16x1-steplr-150e_kinetics400-rgb",
     "20220901-e7b65fad", 75.12, 91.72, 74.83, 91.60),
    ("slowonly_50_kinetics700_mmaction2", 50, 8, 8,
     "slowonly_imagenet-pretrained-r50_16xb16-8x8x1-steplr-150e_kinetics700-rgb",
     "20221013-15b93b10", 67.67, 87.80, 66.93, 87.47),
    ("slowonly_50_4x16_kinetics700_mmaction2", 50, 4, 16,
     "slowonly_imagenet-pretrained-r50_16xb16-4x16x1-steplr-150e_kinetics700-rgb",
     "20221013-98b1b0a7", 65.52, 86.39, 65.18, 86.05),
    ("slowonly_50_kinetics710_mmaction2", 50, 8, 8,
     "slowonly_imagenet-pretrained-r50_32xb8-8x8x1-steplr-150e_kinetics710-rgb",
     "20230612-12ce977c", 72.39, 90.60, 72.39, 90.60),
)
# fmt: on
_ODD_NAMES = {  # what a file is called that is not called as its configuration
    "slowonly_50_4x16_mmaction2": "slowonly_r50_4x16x1_256e_8xb16_kinetics400-rgb",
}
_DATA = {"400": KINETICS_400, "700": KINETICS_700, "710": KINETICS_710}


def _mmaction2(name, depth, frames, every, config, stamp, top1, top5, older_top1, older_top5):
    notes = ""
    if (top1, top5) != (older_top1, older_top5):
        notes = f"metafile.yml says {older_top1} and {older_top5}"
        notes += ", of another file." if "kinetics700" in config else "."
    return PublishedWeights(
        name=name,
        family="slowonly",
        builder="slowonly",
        arguments={"depth": depth},
        clip=mmaction2_clip(frames, every),
        accuracy={"top1": top1, "top5": top5},
        notes=notes,
        **mmaction2_file("slowonly", config, stamp, _ODD_NAMES.get(name)),
        **MMACTION2,
        **_pretrained(_DATA[config[-7:-4]], "imagenet" in config),
    )


def _pretrained(data, imagenet):
    return {**data, "data": f"ImageNet, then {data['data']}"} if imagenet else data


def _facebook(row, folder, **facts):
    name, frames, every, file, top1, top5 = row
    return PublishedWeights(
        name=name,
        family="slowonly",
        builder="slowonly",
        arguments={"depth": 50},
        clip=facebook_clip(frames, every),
        url=f"{_FACEBOOK}/{folder}/{file}",
        accuracy={"top1": top1, "top5": top5},
        **facts,
    )


SLOWONLY = (
    *(_facebook(row, "pytorchvideo/model_zoo/kinetics", **PYTORCHVIDEO) for row in _PYTORCHVIDEO),
    *(
        _facebook(
            row, "pyslowfast/model_zoo/kinetics400", notes=CAFFE2_NOTE, **CAFFE2, **PYSLOWFAST
        )
        for row in _PYSLOWFAST
    ),
    *(_mmaction2(*row) for row in _MMACTION2),
)
