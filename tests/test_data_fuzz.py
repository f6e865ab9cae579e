"""Mutated videos give frames or the one error, in bounded memory and time."""

import pathlib
import re
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).with_name("fuzz_videos.py")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is bounded on Linux only")
def test_mutated_videos_give_frames_or_the_one_error(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, tmp_path, "12"], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    frames, errors = map(int, re.search(r"frames': (\d+), 'error': (\d+)", done.stdout).groups())
    assert frames > 20 and errors > 20
