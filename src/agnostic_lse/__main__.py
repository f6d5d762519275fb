"""The command line: ``agnostic-lse``, or ``python -m agnostic_lse``."""

from __future__ import annotations

import argparse
import errno
import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from . import show_config
from ._arguments import FORMATS, either, parsed
from ._checkpoints import as_lists
from ._console import say_json
from ._engines import choice, threads


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return the exit status."""
    try:
        try:
            return _run(sys.argv[1:] if arguments is None else arguments)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # here, and not on the way out, where nobody could tell of it
    except OSError as error:
        _drop_output()
        # Windows calls a pipe that nobody reads from an invalid argument.
        closed = (errno.EPIPE, errno.EINVAL) if sys.platform == "win32" else (errno.EPIPE,)
        if error.errno in closed:  # the reader, such as head, has had enough
            return 141  # as shells count a program that wrote to a closed pipe
        return _failed(f"Standard output cannot be written ({error.strerror}).", status=1)


def _drop_output() -> None:
    """Have what Python flushes on its way out go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(arguments: Sequence[str]) -> int:
    installed = Path(sys.argv[0]).stem == "agnostic-lse"
    program = "agnostic-lse" if installed else "python -m agnostic_lse"
    options, help_of_all = parsed(program, arguments)
    if options.command is None:
        print(help_of_all, end="")
        return 2
    if sys.stdout is None and (options.json or options.command != "reduce" or not options.out):
        return _failed("Standard output is closed: open it, or send it to a file.", status=1)
    try:
        choice.chosen(), threads.number_of_threads()
    except ValueError as error:  # in a variable of the environment
        return _failed(str(error), status=2)
    try:
        return COMMANDS[options.command](options)
    except MemoryError:
        return _failed("There is not enough memory: allow the process more.", status=1)
    except KeyboardInterrupt:
        return _failed("Interrupted, and nothing was written.", status=130)


def _info(options: argparse.Namespace) -> int:
    if options.devices:
        for module, found in show_config("dicts")["libraries"].items():
            if found["version"] is not None:
                try:
                    importlib.import_module(module)
                except (ImportError, OSError) as error:  # such as a library of the system's
                    reason = str(error).partition("\n")[0]
                    _warn(f"{module} is installed, but cannot be imported ({reason}).")
    if options.json:
        say_json(show_config("dicts"))
    else:
        show_config()
    return 0


def _bench(options: argparse.Namespace) -> int:
    from . import _bench as bench

    bench.run(options.size, options.quick, options.threads, options.json)
    return 0


def _reduce(options: argparse.Namespace) -> int:
    from . import _files

    try:
        reduced = _files.reduce(
            options.file, options.axis, options.keepdims, options.out, options.quiet
        )
    except _files.Problem as problem:
        return _failed(str(problem), problem.status)
    except OSError as error:
        return _failed(f"{error.filename} cannot be used ({error.strerror}): name another.", 2)
    if options.json:
        say_json(
            {
                "file": str(options.file),
                "axis": list(reduced.axes),
                "keepdims": options.keepdims,
                "shape": list(reduced.shape),
                "dtype": reduced.dtype.name,
                "values": None if reduced.values is None else as_lists(reduced.values),
                "out": None if options.out is None else str(options.out),
            }
        )
    elif reduced.values is not None:
        for number in reduced.values.ravel():
            print(number)
    return 0


def _demo(options: argparse.Namespace) -> int:
    out: Path = options.out
    for module, package in (("sklearn", "scikit-learn"), ("matplotlib", "matplotlib")):
        if importlib.util.find_spec(module) is None:
            return _failed(
                f"The demo needs {package}, which is not installed: "
                "in a clone of the repository, pip install '.[sklearn,plot]'.",
                status=1,
            )
    if out.suffix.lower() not in FORMATS and not out.is_dir():
        return _failed(
            f"--out is {out}, but a {either(FORMATS)} file was expected: end its name in one.",
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

    demo.run(out, options.json)
    return 0


def _failed(sentence: str, status: int) -> int:
    _warn(sentence)
    return status


def _warn(sentence: str) -> None:
    if sys.stderr is not None:  # or print would take standard output
        print(sentence, file=sys.stderr)


COMMANDS = {"info": _info, "demo": _demo, "bench": _bench, "reduce": _reduce}

if __name__ == "__main__":
    sys.exit(main())
