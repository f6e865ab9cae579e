"""A model and videos that are small enough to train in a test."""

import av
import keras
import numpy as np

import keras_vidreg as kv

CLIP = kv.data.Clip(frames=6, fps=None, size=16, resize=16)


def tiny(labels, clip, width=4, dropout=0.25):
    """A backbone with batch normalization and dropout: everything that has state."""
    inputs = keras.Input((None, None, None, 3))
    x = keras.layers.Conv3D(width, (1, 3, 3), strides=(1, 4, 4), use_bias=False, name="conv")(
        inputs
    )
    x = keras.layers.BatchNormalization(momentum=0.5, name="norm")(x)
    x = keras.layers.Dropout(dropout, name="features")(x)
    y = keras.layers.GlobalAveragePooling3D(name="pool")(x)
    outputs = keras.layers.Dense(labels if isinstance(labels, int) else len(labels))(y)
    return kv.models.VideoClassifier(
        inputs, outputs, labels=labels, clip=clip, features="features", name="tiny"
    )


kv.zoo.BUILDERS["tiny"] = tiny


def recipe(**changes):
    """Two epochs of a GRW classifier on the tiny backbone."""
    return kv.training.Recipe(
        **{
            "name": "tiny_grw",
            "clip": CLIP,
            "backbone": {"builder": "tiny", "width": 4},
            "head": kv.training.Head(embed_dim=8, depth=1, heads=2, mlp_dim=8, dropout=0.2),
            "grw": kv.training.GRW(weight=0.1, window=3),
            "epochs": 3,
            "warmup_epochs": 1,
            "batch_size": 4,
            "learning_rate": 0.02,
            **changes,
        }
    )


def make_videos(folder, per_class=4):
    """Videos of two classes, `dark` and `light`, in sub-folders."""
    rng = np.random.default_rng(0)
    for name, grey in (("dark", 0), ("light", 160)):
        (folder / name).mkdir(parents=True)
        for i in range(per_class):
            frames = rng.integers(grey, grey + 96, (8, 32, 48, 3)).astype(np.uint8)
            with av.open(str(folder / name / f"{i}.mkv"), "w") as container:
                stream = container.add_stream("ffv1", rate=25)
                stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
                for frame in frames:
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
                container.mux(stream.encode())
    return folder
