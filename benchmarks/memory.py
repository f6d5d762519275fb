"""Measure the memory that calls need beside arguments and result: ``python -m benchmarks.memory``.

Each call has a process of its own, whose largest resident memory, as the system counts it, says
what no library's own count would: what NumPy, threads and kernels hold together.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import agnostic_lse
from benchmarks import report
from benchmarks.contenders import OFF, OURS, WITHIN
from benchmarks.measure import RESULTS, Progress, environment, free_memory

Axis = int | None
ALONG = ("logsumexp", "logmeanexp", "softmax", "log_softmax", "logcumsumexp")
ENTRYWISE = {"log1pexp": 1, "logaddexp": 2}  # how many arguments each takes
SCIPY = ("logsumexp", "softmax", "log_softmax")
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(what: str) -> int:
    """Return the bytes that are resident now, VmRSS, or were at most, VmHWM."""
    if STATUS.exists():
        lines = STATUS.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(what)) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def forget_the_most() -> None:
    """Have Linux count the most resident memory anew; elsewhere the arguments must be the most."""
    if CLEAR.exists():
        CLEAR.write_text("5")


def give_back() -> None:
    """Have the C library of Linux give back what was freed, which could hide what a call takes."""
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def limit(bytes_more: int) -> None:
    """Have a call that needs too much fail, before the system ends other processes for it."""
    if STATUS.exists():
        size = resident("VmSize") + bytes_more
        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def function_of(contender: str, name: str) -> Callable[..., Any]:
    if contender == "scipy":
        import scipy.special

        found: Callable[..., Any] = getattr(scipy.special, name)
    else:
        found = getattr(agnostic_lse, name)
    return found


def extra(contender: str, name: str, shape: tuple[int, ...], axis: dict[str, Axis]) -> int | None:
    """Return the bytes beyond arguments and result, or None where there is too little memory."""
    function, rng = function_of(contender, name), np.random.default_rng(0)
    arguments = [rng.standard_normal(shape) for _ in range(ENTRYWISE.get(name, 1))]
    small = [x[:600_000].copy() if x.ndim == 1 else x[:800, :800].copy() for x in arguments]
    limit(int(0.9 * free_memory()))
    with WITHIN.get(contender, WITHIN[OFF])():
        function(*small, **axis)  # may load and compile, which does not count
        give_back()
        forget_the_most()
        before = resident("VmRSS")
        try:
            out = np.asarray(function(*arguments, **axis))
        except MemoryError:
            return None
        return max(0, resident("VmHWM") - before - out.nbytes)


def measured(*arguments: Any) -> int | str:
    """Return what a process of its own measures, or words."""
    command = [sys.executable, "-m", "benchmarks.memory", "--one", json.dumps(arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode:
        print(run.stderr, file=sys.stderr)
        return "fails"
    found: int | None = json.loads(run.stdout)
    return "too much" if found is None else found


def cases(quick: bool) -> list[dict[str, Any]]:
    """Return what to measure: each function along each axis."""
    side = 1_000 if quick else 10_000
    matrix, vector = [side, side], [side**2]
    along: list[tuple[list[int], Axis]] = [(matrix, 0), (matrix, 1), (matrix, None), (vector, 0)]
    return [
        {"function": name, "shape": shape, "axis": axis, "bytes": 8 * side**2}
        for name in ALONG
        for shape, axis in along
    ] + [{"function": name, "shape": vector, "bytes": 8 * side**2} for name in ENTRYWISE]


def measure(quick: bool) -> dict[str, Any]:
    entries = cases(quick)
    progress = Progress(len(entries), "memory")
    for entry in entries:
        name = entry["function"]
        axis = {"axis": entry["axis"]} if "axis" in entry else {}
        names = [OURS, OFF, *(["scipy"] if name in SCIPY else [])]
        entry["extra_bytes"] = {n: measured(n, name, entry["shape"], axis) for n in names}
        progress.step(f"{name} {entry['shape']} {axis}")
    words = "bytes at most resident during a call, beyond the arguments and the result"
    return environment(unit=words, dtype="float64", quick=quick, cases=entries)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="8 MB, not 800, and no file")
    parser.add_argument("--out", type=Path, help=f"default: {RESULTS}/memory.json, none of --quick")
    parser.add_argument("--one", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        contender, name, shape, axis = options.one
        print(json.dumps(extra(contender, name, tuple(shape), axis)))
        return
    os.environ.pop("AGNOSTIC_LSE_KERNELS", None)
    results = measure(options.quick)
    print("\n".join(report.memory_section(results)))
    report.keep(results, "memory", options)


if __name__ == "__main__":
    main()
