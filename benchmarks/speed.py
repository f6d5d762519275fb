"""Time the sums and normalisations beside other libraries: ``python -m benchmarks.speed``.

One process for each number of threads, which it and all libraries in it are confined to from the
start. In it all libraries run in turn, several times over; what counts is the fastest of each.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agnostic_lse._timing import Effort, fastest
from benchmarks import report
from benchmarks.contenders import FUNCTIONS, ways
from benchmarks.measure import (
    RESULTS,
    Progress,
    confined,
    environment,
    free_memory,
    nanoseconds_each,
    save,
    thread_counts,
)

SHAPES: tuple[tuple[tuple[int, ...], int], ...] = (
    ((10_000_000,), 0),
    ((1_000, 10_000), 1),
    ((100_000, 100), 1),
    ((1_000_000, 10), 1),
    ((100, 100_000), 0),
    ((3_000_000, 3), 0),
)
QUICK_SHAPES: tuple[tuple[tuple[int, ...], int], ...] = (
    ((1_000_000,), 0),
    ((1_000, 1_000), 1),
    ((10_000, 100), 1),
    ((100_000, 10), 1),
    ((100, 10_000), 0),
    ((300_000, 3), 0),
)
DTYPES = ("float64", "float32")
SIZES = tuple(10**k for k in range(9))
QUICK_SIZES = SIZES[:7]
# So many copies of the argument the process holds at most, those of PyTorch and JAX included.
COPIES = 9
# All of these are read when the libraries are loaded.
THREADS = (
    "AGNOSTIC_LSE_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


def numbers(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Return standard normal exponents."""
    rng = np.random.default_rng(0)
    out: NDArray[Any] = np.empty(shape, dtype)
    rng.standard_normal(out=out, dtype=out.dtype.type)
    return out


def entry(
    x: NDArray[Any], function: str, axis: int, options: argparse.Namespace, left_out: dict[str, str]
) -> dict[str, Any]:
    """Time a function of all libraries on one array."""
    effort = Effort(options.repeats, 0.3 if options.quick else 2.0)
    seconds, repeats = fastest(ways(function, x, axis, left_out), effort)
    return {
        "threads": options.confined,
        "function": function,
        "dtype": str(x.dtype),
        "shape": list(x.shape),
        "axis": axis,
        "elements": x.size,
        "bytes": x.nbytes,
        "repeats": repeats,
        "nanoseconds_each": nanoseconds_each(seconds, x.size),
    }


def sizes(options: argparse.Namespace) -> Iterator[int]:
    for size in QUICK_SIZES if options.quick else SIZES:
        if size < 10**8 or free_memory() > COPIES * 8 * size:
            yield size


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Time everything at the number of threads that this process is confined to."""
    if find_spec("torch") is not None:
        importlib.import_module("torch").set_num_threads(options.confined)
    shapes, lengths = QUICK_SHAPES if options.quick else SHAPES, list(sizes(options))
    total = len(shapes) * len(DTYPES) * len(FUNCTIONS) + len(lengths)
    threads = "1 thread" if options.confined == 1 else f"{options.confined} threads"
    progress = Progress(total, threads)
    left_out: dict[str, str] = {}
    cases, growth = [], []
    for dtype in DTYPES:
        for shape, axis in shapes:
            x = numbers(shape, dtype)
            for function in FUNCTIONS:
                cases.append(entry(x, function, axis, options, left_out))
                progress.step(f"{function} {dtype} {shape}")
    for size in lengths:
        growth.append(entry(numbers((size,), "float64"), "logsumexp", 0, options, left_out))
        progress.step(f"logsumexp of {size:.0e}")
    return {"cases": cases, "sizes": growth, "left_out": left_out}


def measure_apart(threads: int, options: argparse.Namespace) -> dict[str, Any]:
    """Time everything in a process of its own, confined to so many processors."""
    variables = {k: v for k, v in os.environ.items() if k != "AGNOSTIC_LSE_KERNELS"}
    variables |= dict.fromkeys(THREADS, str(threads)) | {"JAX_PLATFORMS": "cpu"}
    # Threads that spin while they wait take the processor from those that work.
    variables.setdefault("OMP_WAIT_POLICY", "passive")
    with tempfile.TemporaryDirectory() as folder, confined(threads):
        out = Path(folder) / "part.json"
        command = [sys.executable, "-m", "benchmarks.speed", "--confined", str(threads)]
        command += ["--out", str(out), "--repeats", str(options.repeats)]
        command += ["--quick"] if options.quick else []
        subprocess.run(command, env=variables, check=True)
        part: dict[str, Any] = json.loads(out.read_text())
    return part


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.speed", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small arrays, few repeats, no page")
    parser.add_argument(
        "--report", action="store_true", help="write the page anew; measure nothing"
    )
    parser.add_argument("--out", type=Path, help=f"default: {RESULTS}/speed.json, none of --quick")
    parser.add_argument("--repeats", type=int, help="at least; default: 7, or 3 of --quick")
    parser.add_argument("--threads", type=int, nargs="+", help="default: 1, 2, 4 ... all")
    parser.add_argument("--confined", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.repeats = options.repeats or (3 if options.quick else 7)
    return options


def main() -> None:
    options = arguments()
    if options.confined:
        options.out.write_text(json.dumps(measure(options)))
        return
    path = options.out or RESULTS / "speed.json"
    if options.report:
        report.write(path)
        return
    results = environment(
        unit="nanoseconds per element, the least of the repeats",
        numbers="standard normal",
        repeats=options.repeats,
        quick=options.quick,
        cases=[],
        sizes=[],
        left_out={},
    )
    for threads in options.threads or thread_counts():
        part = measure_apart(threads, options)
        results["cases"] += part["cases"]
        results["sizes"] += part["sizes"]
        results["left_out"] |= part["left_out"]
    print(report.summary(results))
    if options.out or not options.quick:
        save(results, path)
    if not options.quick:
        report.write(path)


if __name__ == "__main__":
    main()
