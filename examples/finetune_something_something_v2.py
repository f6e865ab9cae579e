# %% [markdown]
# # Fine-tune a small network on Something-Something-v2
#
# The data set has 220,847 videos of 174 classes, such as "Pushing something from left to right".
# Its licence asks you to register before you download it. Set `SSV2` to the folder with the
# unpacked videos and tables, and run the cells one after the other:
#
#     SSV2=/data/ssv2 python examples/finetune_something_something_v2.py

# %%
import os

import keras

import keras_vidreg as kv

ROOT = os.environ.get("SSV2", "ssv2")
NAME = os.environ.get("MODEL", "movinet_a0_grw_airplanes")
EPOCHS, BATCH = 20, 16

# %% [markdown]
# ## Data
#
# The labels come in the numbered order of the published table. Most classes tell left from right,
# so clips are not flipped.

# %%
train = kv.data.something_something_v2(ROOT, "train")
validation = kv.data.something_something_v2(ROOT, "validation")
print(train, validation, *train.labels[:3], sep="\n")

# %% [markdown]
# ## Model
#
# A new head for these labels on the trained backbone. A clip is the whole video, one frame out of
# each of `clip.frames` equal parts, since the end of it often decides. Videos with fewer frames
# hold their last one.

# %%
model = kv.zoo.load(NAME, labels=train.labels)
options = {"clip": model.clip, "sampling": "uniform", "short": "hold", "on_error": "skip"}
batches = train.batches(BATCH, **options)
validation_batches = validation.batches(BATCH, training=False, **options)

# %%
video, label = next(iter(validation_batches))
print(video.shape, [train.labels[i] for i in label[:3]])
print(model.embed(video[0]).shape, "features of one clip")

# %% [markdown]
# ## Training
#
# The backbone's learning rate falls from 1e-4 to 1e-6 along a cosine, that of the new layers behind
# it from 1e-3 to 1e-5.

# %%
HEAD = "^(embedding|position|attention|mlp|head_dense|logits)"


def optimizer(steps):
    """AdamW with a cosine for the backbone and one for the head."""
    cosine = keras.optimizers.schedules.CosineDecay
    return kv.training.LearningRateGroups(
        keras.optimizers.AdamW(cosine(1e-4, steps, alpha=0.01), weight_decay=0.01),
        {HEAD: cosine(1e-3, steps, alpha=0.01)},
    )


if __name__ == "__main__":
    model.compile(optimizer(EPOCHS * len(batches)))
    model.fit(batches, validation_data=validation_batches, epochs=EPOCHS)
    model.save("ssv2.keras")
