"""Four convolutions over every frame: a backbone that trains in half a minute on one core."""

import keras

import keras_vidreg as kv
from keras_vidreg.models import BUILDERS

CHANNELS = (16, 32, 64, 128)


def small_cnn(labels, clip, channels=CHANNELS):
    """A `VideoClassifier` of 3 x 3 convolutions of stride 2 with batch normalization.

    With the head of the recipe `movinet_a0_grw_airplanes` it has 381 k parameters.
    """
    inputs = x = keras.Input((None, None, None, 3), name="video")
    for i, count in enumerate(channels):
        convolution = keras.layers.Conv2D(count, 3, 2, "same", use_bias=False)
        x = kv.layers.PerFrame(convolution, name=f"block{i}_conv")(x)
        x = keras.layers.BatchNormalization(name=f"block{i}_norm")(x)
        x = keras.layers.Activation("relu", name=f"block{i}_act")(x)
    y = keras.layers.GlobalAveragePooling3D(name="head_pool")(x)
    logits = keras.layers.Dense(len(kv.models.classifier.label_names(labels)), name="logits")(y)
    last = f"block{len(channels) - 1}_act"
    return kv.models.VideoClassifier(
        inputs, logits, labels=labels, clip=clip, features=last, name="small_cnn"
    )


BUILDERS["small_cnn"] = small_cnn
