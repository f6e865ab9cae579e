"""One file per foreign checkpoint layout; `checkpoints/port.py` reads this table."""

from keras_vidreg.checkpoints.layouts.grw_smoothing import GRW_SMOOTHING
from keras_vidreg.checkpoints.layouts.mmaction2 import MMACTION2
from keras_vidreg.checkpoints.layouts.model_garden import MODEL_GARDEN
from keras_vidreg.checkpoints.layouts.movinet_pytorch import MOVINET_PYTORCH
from keras_vidreg.checkpoints.layouts.pytorchvideo import PYTORCHVIDEO
from keras_vidreg.checkpoints.layouts.slowfast import SLOWFAST

LAYOUTS = {
    "movinet_pytorch": MOVINET_PYTORCH,
    "grw_smoothing": GRW_SMOOTHING,
    "model_garden": MODEL_GARDEN,
    "mmaction2": MMACTION2,
    "pytorchvideo": PYTORCHVIDEO,
    "slowfast": SLOWFAST,
}
