"""Tests that need no Keras run in the processes of one backend only: `pytestmark = once`."""

import keras
import pytest

once = pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="needs no Keras; runs once, with PyTorch"
)
