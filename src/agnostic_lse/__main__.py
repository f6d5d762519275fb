"""The command line: ``python -m agnostic_lse demo``, or ``reduce``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __doc__ as about
from . import __version__

FORMATS = (".pdf", ".png", ".svg")
EXAMPLES = """\
examples:
  python -m agnostic_lse reduce scores.npy
      one number: the log-sum-exp of all entries
  python -m agnostic_lse reduce scores.npy --axis 0
      one number for each column, a line each
  python -m agnostic_lse reduce scores.npy --axis -1 --keepdims --out sums.npy
      along the last axis, to a file of any size
  python -m agnostic_lse reduce scores.npy --axis 0,2 --out sums.npy
      along two axes

exit status: 0 if all is well, 2 for wrong arguments or a file that is no array of numbers, 1 if
reading or writing fails, 130 after Ctrl-C, 143 after SIGTERM and 129 after SIGHUP. A file of
results is there as a whole or not at all.
"""


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
    _add_reduce(commands)
    try:
        try:
            return _run(parser, _with_axes(sys.argv[1:] if arguments is None else arguments))
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, and not on the way out, where nobody could tell of it
    except BrokenPipeError:
        # The reader, such as head, has had enough.
        _drop_output()
        return 141  # as shells count a program that wrote to a closed pipe
    except OSError as error:
        _drop_output()
        return _failed(f"Standard output cannot be written ({error.strerror}).", status=1)


def _drop_output() -> None:
    """Have what Python flushes on its way out go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> int:
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 2
    return _demo(options.out) if options.command == "demo" else _reduce(options)


def _add_reduce(commands: Any) -> None:
    reduce = commands.add_parser(
        "reduce",
        help="the log-sum-exp of a .npy file of any size, in constant memory",
        description="Print the log-sum-exp of a .npy file along axes, one number on each line, the "
        "last axis the fastest, or write it to another .npy file. The file may be larger than "
        "memory, of any shape, and of any numeric dtype.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    reduce.add_argument("file", type=Path, metavar="FILE", help="a .npy file")
    reduce.add_argument(
        "--axis",
        metavar="AXES",
        help="axis to sum along, or several, separated by commas (default: all)",
    )
    reduce.add_argument(
        "--keepdims", action="store_true", help="keep the axes summed along, with length 1"
    )
    reduce.add_argument(
        "--out", type=Path, metavar="FILE", help="write a .npy file instead of printing"
    )
    reduce.add_argument("--quiet", action="store_true", help="show no progress bar")


def _with_axes(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with --axis and its value as one, since -2,-1 looks like an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--axis" and argument != "--":
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _reduce(options: argparse.Namespace) -> int:
    from . import _files

    try:
        lines = _files.reduce(
            options.file, options.axis, options.keepdims, options.out, options.quiet
        )
    except _files.Problem as problem:
        return _failed(str(problem), problem.status)
    except OSError as error:
        return _failed(f"{error.filename} cannot be used ({error.strerror}): name another.", 2)
    except MemoryError:
        return _failed("There is not enough memory: allow the process more.", status=1)
    except KeyboardInterrupt:
        return _failed("Interrupted, and nothing was written.", status=130)
    if lines and sys.stdout is None:
        return _failed("Standard output is closed: name a file by --out.", status=1)
    for line in lines:
        print(line)
    return 0


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
