"""Pick a backend that is installed before Keras is imported."""

import importlib.util
import os
import pathlib

BACKENDS = ("tensorflow", "jax", "torch")  # Keras's own default first


def choose_backend():
    """Set `KERAS_BACKEND` to an installed backend, unless the user has already chosen one.

    Keras takes TensorFlow where nothing is said, and fails to import where that is missing.

    Raises:
        ImportError: if the chosen backend is not installed, or none is.
    """
    home = pathlib.Path(os.environ.get("KERAS_HOME", pathlib.Path.home() / ".keras"))
    chosen = os.environ.get("KERAS_BACKEND")
    if not chosen and (home / "keras.json").is_file():
        return
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    if chosen in BACKENDS and chosen not in installed:
        raise ImportError(
            f"KERAS_BACKEND={chosen}, but {chosen} is not installed. Install it with: "
            f'pip install "keras-vidreg[{chosen}]"'
        )
    if not installed:
        raise ImportError(
            "Keras needs JAX, PyTorch or TensorFlow, and none is installed. Install one with: "
            'pip install "keras-vidreg[jax]"  (or [torch], or [tensorflow])'
        )
    if not chosen:
        os.environ["KERAS_BACKEND"] = installed[0]
