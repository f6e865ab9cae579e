"""The README's Python blocks run as they stand, in order, in a folder with the files they name."""

import pathlib
import re
import shutil

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


def test_there_are_blocks():
    assert len(BLOCKS) >= 3


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block_runs(number, tmp_path, monkeypatch):
    clips = tmp_path / "examples" / "clips"
    shutil.copytree(ROOT / "examples" / "clips", clips)
    for file in clips.glob("*.mp4"):
        folder = tmp_path / "videos" / "train" / file.stem.partition("_")[0]
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder)
    (folder / "broken.mp4").write_bytes(b"not a video")
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[number], f"README.md, block {number}", "exec"), {})
