"""Channel-separated networks for Kinetics-400.

MMAction2 has trained some itself, and converted the others from VMZ
(github.com/facebookresearch/VMZ).
"""

from keras_vidreg.zoo.published.publishers import (
    KINETICS_400,
    MMACTION2,
    MMACTION2_FILES,
    PYTORCHVIDEO,
    facebook_clip,
    mmaction2_clip,
    mmaction2_file,
)
from keras_vidreg.zoo.published.weights import PublishedWeights

_VMZ_CLIP = mmaction2_clip(32, 2, (110.2008, 100.63983, 95.99475), (58.14765, 56.46975, 55.332195))
# fmt: off
_TRAINED = (
    # name, depth, interaction, trained first on, configuration, end of the name, top-1, top-5
    ("csn_152_ir_ig65m_mmaction2", 152, "reduced", "IG-65M",
     "ircsn_ig65m-pretrained-r152_8xb12-32x2x1-58e_kinetics400-rgb",
     "20220811-c7a3cc5b", 82.87, 95.90),
    ("csn_152_ir_ig65m_bnfrozen_mmaction2", 152, "reduced", "IG-65M",
     "ircsn_ig65m-pretrained-r152-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb",
     "20220811-7d1dacde", 82.84, 95.92),
    ("csn_50_ir_ig65m_mmaction2", 50, "reduced", "IG-65M",
     "ircsn_ig65m-pretrained-r50-bnfrozen_8xb12-32x2x1-58e_kinetics400-rgb",
     "20220811-44395bae", 79.44, 94.26),
)
_CONVERTED = (
    # name, interaction, trained first on, middle and end of the file's name, top-1, top-5
    ("csn_152_ip_mmaction2", "preserved", None,
     "ipcsn_from_scratch_r152_32x2x1_180e", "20210617-d565828d", 77.80, 93.10),
    ("csn_152_ir_mmaction2", "reduced", None,
     "ircsn_from_scratch_r152_32x2x1_180e", "20210617-5c933ae1", 76.53, 92.28),
    ("csn_152_ip_ig65m_mmaction2", "preserved", "IG-65M",
     "ipcsn_ig65m_pretrained_r152_32x2x1_58e", "20210617-c3be9793", 82.68, 95.69),
    ("csn_152_ip_sports1m_mmaction2", "preserved", "Sports-1M",
     "ipcsn_sports1m_pretrained_r152_32x2x1_58e", "20210617-3367437a", 79.07, 93.82),
    ("csn_152_ir_sports1m_mmaction2", "reduced", "Sports-1M",
     "ircsn_sports1m_pretrained_r152_32x2x1_58e", "20210617-b9b10241", 78.57, 93.44),
)
# fmt: on
_IG65M_NOTE = (
    "Its configuration has the mean and deviation of ImageNet, unlike those of the other files "
    "converted from VMZ."
)


def _mmaction2(name, depth, interaction, first, clip, file, top1, top5, notes=""):
    data = f"{first}, then Kinetics-400" if first else "Kinetics-400"
    return PublishedWeights(
        name=name,
        family="csn",
        builder="csn",
        arguments={"depth": depth, "interaction": interaction},
        clip=clip,
        accuracy={"top1": top1, "top5": top5},
        notes=notes,
        **file,
        **MMACTION2,
        **{**KINETICS_400, "data": data},
    )


def _trained(name, depth, interaction, first, config, stamp, top1, top5):
    file = mmaction2_file("csn", config, stamp)
    return _mmaction2(name, depth, interaction, first, mmaction2_clip(32, 2), file, top1, top5)


def _converted(name, interaction, first, middle, stamp, top1, top5):
    name_of_file = f"vmz_{middle}_kinetics400_rgb_{stamp}.pth"
    file = {
        "url": f"{MMACTION2_FILES}/recognition/csn/vmz/{name_of_file}",
        "sha256": stamp.rpartition("-")[2],
    }
    ig65m = first == "IG-65M"
    clip = mmaction2_clip(32, 2) if ig65m else _VMZ_CLIP
    notes = "Converted from VMZ." + (f" {_IG65M_NOTE}" if ig65m else "")
    return _mmaction2(name, 152, interaction, first, clip, file, top1, top5, notes)


CSN = (
    PublishedWeights(
        name="csn_101",
        family="csn",
        builder="csn",
        arguments={"depth": 101, "interaction": "reduced"},
        clip=facebook_clip(32, 2),
        url="https://dl.fbaipublicfiles.com/pytorchvideo/model_zoo/kinetics/CSN_32x2_R101.pyth",
        accuracy={"top1": 77.00, "top5": 92.90},
        **PYTORCHVIDEO,
    ),
    *(_trained(*row) for row in _TRAINED),
    *(_converted(*row) for row in _CONVERTED),
)
