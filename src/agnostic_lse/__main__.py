"""The command line: ``python -m agnostic_lse demo``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import __doc__ as about
from . import __version__

FORMATS = (".pdf", ".png", ".svg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit status."""
    parser = argparse.ArgumentParser("python -m agnostic_lse", description=about)
    parser.add_argument("--version", action="version", version=f"agnostic_lse {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="log-probabilities of handwritten digits, beside scikit-learn's own",
        description="Fit classifiers of handwritten digits, this library's beside scikit-learn's "
        "own, print and draw their log-probabilities, and time every array library that is "
        "installed.",
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("agnostic_lse_demo.png"),
        metavar="PICTURE",
        help=f"where to draw the picture, a {_either(FORMATS)} file (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    try:
        return _demo(options.out)
    except BrokenPipeError:
        # The reader, such as head, has had enough: what Python flushes on its way out goes nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141  # as shells count a program that wrote to a closed pipe


def _demo(out: Path) -> int:
    for module, package in (("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")):
        if importlib.util.find_spec(module) is None:
            return _failed(
                f"The demo needs {package}, which is not installed: "
                "in a clone of the repository, pip install '.[sklearn,plot]'.",
                status=1,
            )
    if out.suffix.lower() not in FORMATS and not out.is_dir():
        return _failed(
            f"--out is {out}, but a {_either(FORMATS)} file was expected: end its name in one.",
            status=2,
        )
    # Tried at once: the run before the picture is long.
    try:
        fresh = not out.exists()
        out.open("ab").close()
        if fresh:
            out.unlink()
    except OSError as error:
        return _failed(
            f"--out is {out}, but a file that can be written was expected ({error.strerror}): "
            "name another.",
            status=2,
        )
    from . import _demo as demo

    demo.run(out)
    return 0


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _failed(sentence: str, status: int) -> int:
    print(sentence, file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
