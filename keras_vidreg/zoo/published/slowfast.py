"""SlowFast for Kinetics-400.

Left out are networks whose pathways differ in depth (`SLOWFAST_16x8_R101_50_50`,
`slowfast_r101-r50`), and those for detection, for Charades and for Something-Something.
"""

from keras_vidreg.zoo.published.publishers import (
    CAFFE2,
    CAFFE2_NOTE,
    KINETICS_400,
    MMACTION2,
    PYSLOWFAST,
    PYTORCHVIDEO,
    facebook_clip,
    mmaction2_clip,
    mmaction2_file,
)
from keras_vidreg.zoo.published.weights import PublishedWeights

_PTV = "https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics"
_PSF = "https://dl.fbaipublicfiles.com/pyslowfast/model_zoo/kinetics400"
_MULTIGRID = (
    "https://dl.fbaipublicfiles.com/pyslowfast/pyslowfast/model_zoo/multigrid/model_zoo/Kinetics"
)
_STEPS = (
    "Trained with a step-wise learning rate. Its configuration reads it as a PyTorch file, in "
    "spite of its ending."
)
_CAFFE2 = PYSLOWFAST | CAFFE2
_PYTORCH = PYSLOWFAST | {"container": "torch", "member": "model_state"}
# fmt: off
_FACEBOOK = (
    # name, facts, depth, alpha, frames of a lateral kernel, address, top-1, top-5, notes
    ("slowfast_50", PYTORCHVIDEO, 50, 4, 7, f"{_PTV}/SLOWFAST_8x8_R50.pyth",
     76.94, 92.69, "Top-1 is 76.4 in pytorchvideo/models/hub/slowfast.py."),
    ("slowfast_50_4x16", PYTORCHVIDEO, 50, 8, 5, f"{_PTV}/SLOWFAST_4x16_R50.pyth",
     75.34, 91.89, ""),
    ("slowfast_101", PYTORCHVIDEO, 101, 4, 5, f"{_PTV}/SLOWFAST_8x8_R101.pyth",
     77.90, 93.27, ""),
    ("slowfast_50_pyslowfast", _CAFFE2, 50, 4, 7, f"{_PSF}/SLOWFAST_8x8_R50.pkl",
     77.0, 92.6, CAFFE2_NOTE),
    ("slowfast_50_4x16_pyslowfast", _CAFFE2, 50, 8, 5, f"{_PSF}/SLOWFAST_4x16_R50.pkl",
     75.6, 92.0, CAFFE2_NOTE),
    ("slowfast_50_stepwise_pyslowfast", _PYTORCH, 50, 4, 7,
     f"{_MULTIGRID}/SLOWFAST_8x8_R50_stepwise.pkl", 76.8, 92.7, _STEPS),
    ("slowfast_50_multigrid_pyslowfast", _PYTORCH, 50, 4, 7,
     f"{_MULTIGRID}/SLOWFAST_8x8_R50_stepwise_multigrid.pkl", 76.6, 92.7, _STEPS),
)
_MMACTION2 = (
    # name, depth, alpha, lateral kernel, lateral normalization, configuration, end of the file's
    # name, top-1, top-5
    ("slowfast_50_mmaction2", 50, 4, 7, False,
     "slowfast_r50_8xb8-8x8x1-256e_kinetics400-rgb", "20220818-1cb6dfc8", 76.80, 92.99),
    ("slowfast_50_stepwise_mmaction2", 50, 4, 7, True,
     "slowfast_r50_8xb8-8x8x1-steplr-256e_kinetics400-rgb", "20220818-b62a501f", 76.65, 92.86),
    ("slowfast_50_4x16_mmaction2", 50, 8, 5, False,
     "slowfast_r50_8xb8-4x16x1-256e_kinetics400-rgb", "20220901-701b0f6f", 75.55, 92.35),
    ("slowfast_101_mmaction2", 101, 4, 7, False,
     "slowfast_r101_8xb8-8x8x1-256e_kinetics400-rgb", "20220818-9c0e09bd", 78.65, 93.88),
)
# fmt: on


def _facebook(name, facts, depth, alpha, kernel, url, top1, top5, notes):
    return PublishedWeights(
        name=name,
        family="slowfast",
        builder="slowfast",
        arguments={"depth": depth, "alpha": alpha, "lateral_kernel": kernel},
        clip=facebook_clip(32, 2),
        url=url,
        accuracy={"top1": top1, "top5": top5},
        notes=notes,
        **facts,
    )


def _mmaction2(name, depth, alpha, kernel, lateral_norm, config, stamp, top1, top5):
    return PublishedWeights(
        name=name,
        family="slowfast",
        builder="slowfast",
        arguments={
            "depth": depth,
            "alpha": alpha,
            "lateral_kernel": kernel,
            "lateral_norm": lateral_norm,
            "to_end": False,
        },
        clip=mmaction2_clip(32, 2),
        accuracy={"top1": top1, "top5": top5},
        notes="metafile.yml dates the file 20220901." if name == "slowfast_101_mmaction2" else "",
        **mmaction2_file("slowfast", config, stamp),
        **MMACTION2,
        **KINETICS_400,
    )


SLOWFAST = (*(_facebook(*row) for row in _FACEBOOK), *(_mmaction2(*row) for row in _MMACTION2))
