"""The command line: ``python -m agnostic_lse demo``."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from . import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit status."""
    parser = argparse.ArgumentParser("python -m agnostic_lse", description=__doc__)
    parser.add_argument("--version", action="version", version=f"agnostic_lse {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo = commands.add_parser(
        "demo", help="log-probabilities of handwritten digits, beside scikit-learn's own"
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("agnostic_lse_demo.png"),
        metavar="PNG",
        help="where to draw the picture (default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    return _demo(options.out)


def _demo(out: Path) -> int:
    for module, package in (("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")):
        if importlib.util.find_spec(module) is None:
            return _failed(
                f"The demo needs {package}, which is not installed: "
                "pip install 'agnostic-lse[sklearn,plot]'."
            )
    if not out.resolve().parent.is_dir():
        return _failed(f"--out is {out}, but the folder {out.parent} does not exist: create it.")
    from . import _demo as demo

    demo.run(out)
    return 0


def _failed(sentence: str) -> int:
    print(sentence, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
