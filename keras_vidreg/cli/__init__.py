"""The command line: one file per command, each with `add(commands)`."""

import argparse
import os
import signal
import sys

from keras_vidreg.cli import analyze, classify, evaluate, train, zoo
from keras_vidreg.cli._arguments import open_source
from keras_vidreg.cli._print import fail

__all__ = ["main", "open_source"]

COMMANDS = (classify, train, evaluate, analyze, zoo)


def main(argv: list[str] | None = None) -> int:
    """Run the command; returns the exit code.

    Args:
        argv: Arguments, without the name of the program. Defaults to those of the process.

    Returns:
        0, or 1 after an error that was reported in one line, 2 for wrong usage (as `argparse`),
        130 when interrupted.
    """
    arguments = parser().parse_args(argv)
    try:
        return arguments.run(arguments) or 0
    except KeyboardInterrupt:
        print("\nStopped. The same train command goes on after the last epoch.", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever read our output is gone; keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, OSError, ImportError, ArithmeticError) as error:
        fail(error)
        return 1


def parser() -> argparse.ArgumentParser:
    """The parser of all commands; each sets `run`, a function of the parsed arguments."""
    parser = argparse.ArgumentParser(
        prog="keras-vidreg",
        description="Classify videos, train and measure models, and look at the zoo.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add(commands)
    return parser
