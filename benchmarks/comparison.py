"""What the benchmarks that train share: runs that are not repeated, and means with their spread."""

import datetime
import json
import math
import pathlib
import re
import statistics
import subprocess
import sys

import keras

HERE = pathlib.Path(__file__).resolve().parent


class Results:
    """Lines of JSON in `folder/results.jsonl`, one per finished run.

    A run that is there already is not repeated, so an interrupted comparison goes on where it
    stopped. A line also has the date, the commit, the command and the backend.

    Args:
        folder: where the file lies; made if it is not there.
    """

    def __init__(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "results.jsonl"

    def lines(self):
        """Every finished run."""
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        return [json.loads(line) for line in lines]

    def get(self, run, measure, *arguments):
        """The values of a run; `measure(*arguments)` gives them the first time."""
        for line in self.lines():
            if line["run"] == run:
                return line
        line = {"run": run, **measure(*arguments), **provenance()}
        with self.path.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(json.dumps(line), flush=True)
        return line


def provenance():
    """When, from which commit, with which command, on which backend."""
    git = ["git", "-C", str(HERE), "rev-parse", "--short=10", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    command = re.sub(r" --out \S+", "", " ".join(sys.argv[1:]))
    now = datetime.datetime.now(datetime.UTC)
    return {
        "date": now.isoformat(timespec="minutes"),
        "commit": commit,
        "command": f"python benchmarks/{pathlib.Path(sys.argv[0]).name} {command}",
        "backend": keras.backend.backend(),
    }


def percent(values):
    """Fractions as "mean ± standard deviation" in per cent."""
    values = [100 * value for value in values]
    spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"


def paired(values, baseline):
    """Mean difference of paired fractions in points, with its 95 % interval (Student's t)."""
    differences = [100 * (a - b) for a, b in zip(values, baseline, strict=True)]
    n = len(differences)
    if n < 2:
        return f"{differences[0]:+.1f}"
    half = T95[n - 2] * statistics.stdev(differences) / math.sqrt(n)
    return f"{statistics.mean(differences):+.1f} ± {half:.1f}"


# 97.5 % quantiles of Student's t for 1 to 9 degrees of freedom.
T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
