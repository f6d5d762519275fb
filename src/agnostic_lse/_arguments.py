"""What the command line takes, and says of itself."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import __doc__ as about
from . import __version__

FORMATS = (".pdf", ".png", ".svg")
# What bench times: kernels serve NumPy's arrays from 524,288 numbers on.
SIZE, LEAST_SIZE = 1_000_000, 1000
STATUS = """\
exit status: 0 if all is well, 1 if it fails at work, 2 for wrong arguments, 130 after Ctrl-C, 141
if the reader of its output has left.
"""
ABOUT = f"""\
examples:
  %(prog)s info
      what is installed and in use
  %(prog)s bench --help
      what a command takes, with examples

{STATUS}"""
INFO = f"""\
examples:
  %(prog)s
      what a report of a bug should contain
  %(prog)s --devices
      and the devices that each array library finds, which may take seconds
  %(prog)s --json
      the same for a program to read

keys of the JSON: agnostic_lse and python (versions), platform, processors, threads, kernels,
host_kernels (whether Numba's can be used), gpus (names of NVIDIA's), gpu_driver (its version, or
null), libraries (of each array library its version, or null if it is not installed, and its
devices, or null without --devices), packages (versions of others, or null).

{STATUS}"""
BENCH = f"""\
examples:
  %(prog)s
      four arrays of a million numbers on every array library: 10 to 20 seconds
  %(prog)s --quick --threads 1
      one array, one thread: a few seconds
  %(prog)s --quick --size 1000 --json
      a small array, for a program to read

Each function and its rivals have their turn, several times over in an order drawn anew, and the
least time counts. Each call is waited for, on a GPU too. Without --threads, each library takes as
many as it likes: SciPy and NumPy one, others all. Errors are found by decimal numbers of 40 digits.
Libraries that are not installed are left out.

keys of the JSON: configuration (as of the command info), results (of each array library, function
and array: library, device, function, dtype, shape, axis, and for each way of calculating it
seconds, error, error_one_peak), left_out (names, and why). Errors are in units of roundoff times
the condition number; one that is infinite is written as "inf".

{STATUS}"""
DEMO = f"""\
examples:
  %(prog)s
      a picture in agnostic_lse_demo.png
  %(prog)s --out digits.svg --json
      a picture elsewhere, and the tables for a program to read

keys of the JSON: outcomes (of each model on each set of images: images, model, accuracy,
minus_inf, nan, warnings, clipped_loss, exact_loss), runs (of each array library: library, device,
roundoffs, seconds), left_out (array libraries that took no part, and why), picture (its file). A
loss that is nan or infinite is written as "nan" or "inf".

{STATUS}"""
REDUCE = """\
examples:
  %(prog)s scores.npy
      one number: the log-sum-exp of all entries
  %(prog)s scores.npy --axis 0
      one number for each column, a line each
  %(prog)s scores.npy --axis -1 --keepdims --out sums.npy
      along the last axis, to a file of any size
  %(prog)s scores.npy --axis 0,2 --out sums.npy
      along two axes
  %(prog)s scores.npy --axis 0 --json
      for a program to read

keys of the JSON: file, axis (those summed along), keepdims, shape and dtype (of the result),
values (its numbers in a list, the last axis the fastest, or null with --out), out (the file, or
null). JSON has no nan and no infinity: these are the texts "nan", "inf" and "-inf", and so are all
numbers of longdouble, whose digits other programs would lose. Complex values are two lists, real
and imag.

exit status: 0 if all is well, 2 for wrong arguments or a file that is no array of numbers, 1 if
reading or writing fails, 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP, and 141 if the
reader of its output has left. A file of results is there as a whole or not at all.
"""


class _Parser(argparse.ArgumentParser):
    """One without the colours that Python's own has from 3.14 on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.color = False


def parsed(program: str, arguments: Sequence[str]) -> tuple[argparse.Namespace, str]:
    """Return the options of a command, and the help of them all."""
    parser = _Parser(
        program,
        description=about,
        epilog=ABOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"agnostic_lse {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_info(commands)
    _add_demo(commands)
    _add_bench(commands)
    _add_reduce(commands)
    return parser.parse_args(_with_axes(arguments)), parser.format_help()


def either(names: Sequence[str]) -> str:
    """Return names as a choice in words."""
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _add_command(commands: Any, name: str, summary: str, description: str, epilog: str) -> Any:
    return commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def _add_json(command: Any) -> None:
    command.add_argument(
        "--json", action="store_true", help="print one JSON object, whose keys are below"
    )


def _add_info(commands: Any) -> None:
    info = _add_command(
        commands,
        "info",
        "versions, kernels, threads and GPUs: what a report of a bug should contain",
        "Print the versions of Python, of this library and of every array library, and\n"
        "which kernels, threads and GPUs there are.",
        INFO,
    )
    info.add_argument(
        "--devices",
        action="store_true",
        help="import every array library that is installed, and say which devices it finds",
    )
    _add_json(info)


def _add_demo(commands: Any) -> None:
    demo = _add_command(
        commands,
        "demo",
        "log-probabilities of handwritten digits, beside scikit-learn's own",
        "Fit classifiers of handwritten digits, this library's beside scikit-learn's own,\n"
        "print and draw their log-probabilities, and time every array library that is\n"
        "installed.",
        DEMO,
    )
    demo.add_argument(
        "--out",
        type=Path,
        default=Path("agnostic_lse_demo.png"),
        metavar="PICTURE",
        help=f"where to draw the picture, a {either(FORMATS)} file (default: %(default)s)",
    )
    _add_json(demo)


def _add_bench(commands: Any) -> None:
    bench = _add_command(
        commands,
        "bench",
        "times and errors beside other libraries, on this machine",
        "Time logsumexp, log_softmax and softmax on every array library that is installed,\n"
        "beside SciPy's, the library's own and three lines of NumPy, and say how far each\n"
        "is off the exact answer.",
        BENCH,
    )
    bench.add_argument(
        "--size",
        type=_number(LEAST_SIZE),
        default=SIZE,
        metavar="N",
        help=f"about so many numbers in an array, {LEAST_SIZE} or more (default: %(default)s)",
    )
    bench.add_argument("--quick", action="store_true", help="one array, and fewer turns")
    bench.add_argument(
        "--threads",
        type=_number(1),
        metavar="N",
        help="how many threads each library may use, where the system lets it be confined",
    )
    _add_json(bench)


def _add_reduce(commands: Any) -> None:
    reduce = _add_command(
        commands,
        "reduce",
        "the log-sum-exp of a .npy file of any size, in constant memory",
        "Print the log-sum-exp of a .npy file along axes, one number on each line, the last\n"
        "axis the fastest, or write it to another .npy file. The file may be larger than\n"
        "memory, of any shape, and of any numeric dtype.",
        REDUCE,
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
    _add_json(reduce)


def _number(least: int) -> Any:
    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(
                f"{text!r} came, but a whole number of {least} or more was expected"
            )
        return int(text)

    return number


def _with_axes(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with --axis and its value as one, since -2,-1 looks like an option."""
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--axis" and argument != "--":
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined
