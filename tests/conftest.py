"""Fixtures that more than one test file uses."""

import os
import pathlib
import shutil

import keras
import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


# Files whose tests train or build large networks.
SLOW = (
    "add_regularizer data_fuzz evaluation finetune flops frequency fuzz_files port readme "
    "recalibrate resnet3d tensorflow_checkpoints training"
)


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.stem.removeprefix("test_") in SLOW.split():
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def shared():
    """Folder with the video collections, which are too large for the repository."""
    folder = pathlib.Path(os.environ.get("KERAS_VIDREG_SHARED", ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"video collections not found: no folder {folder / 'data'}")
    return folder


@pytest.fixture
def examples_folder(tmp_path, monkeypatch):
    """The current folder has the files that examples in the documentation name."""
    shutil.copytree(ROOT / "examples" / "clips", tmp_path / "examples" / "clips")
    for file in (tmp_path / "examples" / "clips").glob("*.mp4"):
        for split in ("test", "train"):
            folder = tmp_path / "videos" / split / file.stem.partition("_")[0]
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder)
    (folder / "broken.mp4").write_bytes(b"not a video")
    shutil.copy(file, tmp_path / "clip.mp4")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def _fresh_keras_state():
    """Every test starts from the same seed and leaves no dtype policy or graph behind."""
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")
    keras.utils.clear_session(free_memory=False)


@pytest.fixture(scope="module")
def numpy_initializer():
    """Draw kernels with NumPy: JAX would compile a program for every new shape."""
    rng = np.random.default_rng(0)

    def draw(self, shape, dtype=None, **_):
        return rng.normal(0, np.prod(shape[:-1]) ** -0.5, shape).astype(dtype)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.initializers.VarianceScaling, "__call__", draw)
        yield
