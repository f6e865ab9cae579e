"""Fine-tune a model of the zoo on a folder of videos, one sub-folder a class.

python examples/finetune_folder.py videos/train mine.keras
"""

import argparse

import keras

import keras_vidreg as kv

NAME = "movinet_a0_grw_airplanes"
HEAD = "^logits/"  # the weights of the new layer


def main(folder, out, name=NAME, epochs=10, batch=8, validation=0.2):
    """Train the head alone, then all of it with small steps of the backbone; return the model."""
    source = kv.data.folder(folder)
    training, held_out = source.split(validation)
    model = kv.zoo.load(name, labels=source.labels)  # a new head on the trained backbone
    options = {"clip": model.clip, "on_error": "skip"}
    batches = training.batches(batch, class_weights=training.class_weights(), **options)
    validation_data = held_out.batches(batch, training=False, **options)

    model.freeze("all_but_head")
    model.compile("adamw")
    model.fit(batches, validation_data=validation_data, epochs=max(1, epochs // 3))

    model.unfreeze()
    optimizer = keras.optimizers.AdamW(1e-4)
    model.compile(kv.training.LearningRateGroups(optimizer, {HEAD: 1e-3}))
    seen = training.batches(batch, training=False, **options)
    exact = kv.training.Recalibrate(seen, before_validation=True)  # normalization, few steps or not
    model.fit(batches, validation_data=validation_data, epochs=epochs, callbacks=[exact])
    model.save(out)
    return model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", help="one sub-folder of videos for each class")
    parser.add_argument("out", help="the trained model, ending in .keras")
    parser.add_argument("--name", default=NAME, help="entry of the zoo to start from")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--validation", type=float, default=0.2, help="share of the videos")
    main(**vars(parser.parse_args()))
