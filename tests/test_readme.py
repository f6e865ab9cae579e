"""What README.md and docs/ show: Python blocks run as they stand, commands know their options.

Python blocks run in order, in a folder with the files that they name.
"""

import pathlib
import re
import shlex

import pytest

from keras_vidreg.cli import main

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(language, block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, (language, block) in enumerate(
        re.findall(r"^```([a-z]*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    )
]


def test_readme_has_blocks():
    assert sum("README.md" in block.id and block.values[0] == "python" for block in BLOCKS) >= 3


@pytest.mark.parametrize("language, block", BLOCKS)
def test_block_runs(language, block, examples_folder, capsys):
    if language == "python":
        exec(compile(block, "block", "exec"), {})
        return
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        options = [word for word in words if word.startswith("--")]
        for script in (word for word in words if word.endswith(".py")):
            text = "".join(file.read_text() for file in (ROOT / script).parent.glob("*.py"))
            assert all(f'"{option}"' in text for option in options), line
        if words[:1] == ["keras-vidreg"]:
            with pytest.raises(SystemExit, match="0"):
                main([*words[1 : 3 if words[1] in ("zoo", "analyze") else 2], "--help"])
            text = capsys.readouterr().out
            assert all(option in text for option in options), line
