"""Random numbers that no variable of a model holds."""

import keras


def seed_global_state(seed):
    """Seed the random numbers that no variable of a model holds: Keras's dropout on PyTorch.

    (`keras.utils.set_random_seed` would do too, but makes TensorFlow optimise its graphs again.)
    """
    if keras.backend.backend() == "torch":
        import torch

        torch.manual_seed(seed)
