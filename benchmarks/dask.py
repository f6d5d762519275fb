"""Measure what Dask's arrays cost: ``python -m benchmarks.dask``.

Tasks and the time to make them, how often each chunk is read and how many of them are held at once,
and the time of the sums themselves, beside Dask's own and SciPy's of the same arrays.
"""

from __future__ import annotations

import argparse
import functools
import os
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

# SciPy reads it once, on import, and takes Dask's arrays only with it.
os.environ["SCIPY_ARRAY_API"] = "1"

import dask
import dask.array as da
import numpy as np
import scipy.special
from dask.base import optimize

import agnostic_lse
from agnostic_lse._timing import Effort, Way, fastest
from benchmarks import report
from benchmarks.measure import RESULTS, Progress, environment, processors

Axis = int | None
Function = Callable[[Any, Axis], Any]

FUNCTIONS: dict[str, Function] = {
    "logsumexp": lambda x, axis: agnostic_lse.logsumexp(x, axis=axis),
    "x.sum": lambda x, axis: x.sum(axis=axis),
    "x.max": lambda x, axis: x.max(axis=axis),
    "scipy logsumexp": lambda x, axis: scipy.special.logsumexp(x, axis=axis),
    "logmeanexp": lambda x, axis: agnostic_lse.logmeanexp(x, axis=axis),
    "log_softmax": lambda x, axis: agnostic_lse.log_softmax(x, axis=axis),
    "logcumsumexp": lambda x, axis: agnostic_lse.logcumsumexp(x, axis=axis),
}
TIMED = ("logsumexp", "x.sum", "x.max", "scipy logsumexp")
EAGER = "logsumexp, no Dask"
SIDE = 10  # of the chunks whose tasks are counted: what is in them does not matter
SCHEDULERS = ("threads", "synchronous")


def chunked(source: Callable[..., Any], chunks: tuple[tuple[int, ...], ...]) -> Any:
    """Return a lazy array whose chunks a function makes."""
    meta = np.empty((0,) * len(chunks))
    return da.map_blocks(source, chunks=chunks, dtype=meta.dtype, meta=meta)


def zeros(block_info: Any) -> Any:
    return np.zeros(block_info[None]["chunk-shape"])


# The graph


def layouts(count: int) -> list[tuple[tuple[tuple[int, ...], ...], Axis]]:
    """Return chunks and the axis to sum along: of a vector, and of a matrix of five columns."""
    vector, matrix = ((SIDE,) * count,), ((SIDE,) * (count // 5), (SIDE,) * 5)
    return [(vector, None), (matrix, 0), (matrix, 1)]


def graph_of(function: Function, x: Any, axis: Axis) -> dict[str, Any]:
    """Return the number of tasks, and the seconds that making and optimising them takes."""
    start = time.perf_counter()
    try:
        y = function(x, axis)
        built = time.perf_counter() - start
        tasks = len(dict(optimize(y)[0].__dask_graph__()))
        ready = time.perf_counter() - start
        as_built = len(dict(y.__dask_graph__()))
    except Exception as error:  # whatever another library raises is what there is to say
        return {"raises": f"{type(error).__name__}: {error}"}
    return {"tasks_as_built": as_built, "tasks": tasks, "call": built, "ready": ready}


def least(turns: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what was found in several turns, and the least of the times in milliseconds."""
    found = dict(turns[0])
    for name in {"call", "ready"} & found.keys():
        found[f"{name}_milliseconds"] = float(f"{min(t[name] for t in turns) * 1e3:.3g}")
        del found[name]
    return found


def graphs(quick: bool) -> list[dict[str, Any]]:
    counts = (10, 100) if quick else (10, 100, 1000, 10_000)
    found, progress = [], Progress(len(counts) * 3, "graphs")
    for count in counts:
        for chunks, axis in layouts(count):
            x = chunked(zeros, chunks)
            turns = [
                {name: graph_of(function, x, axis) for name, function in FUNCTIONS.items()}
                for _ in range(3 if count == 10_000 else 5)
            ]
            each = {name: least([turn[name] for turn in turns]) for name in FUNCTIONS}
            found.append({"chunks": list(x.numblocks), "axis": axis, "each": each})
            progress.step(f"{count} chunks, axis {axis}")
    return found


# How often chunks are read


class Source:
    """Makes chunks, and counts how often it made each and how many there were at once."""

    def __init__(self) -> None:
        self.made: Counter[tuple[int, ...]] = Counter()
        self.held = self.most = 0
        self.lock = threading.RLock()  # a chunk may go while another is counted

    def __call__(self, block_info: Any) -> Any:
        """Make a chunk."""
        info = block_info[None]
        place = tuple(info["chunk-location"])
        block = np.random.default_rng(place).standard_normal(info["chunk-shape"])
        with self.lock:
            self.made[place] += 1
            self.held += 1
            self.most = max(self.most, self.held)
        weakref.finalize(block, self.gone)
        return block

    def gone(self) -> None:
        """Count one chunk less."""
        with self.lock:
            self.held -= 1

    def __dask_tokenize__(self) -> Any:
        """Return a name that no other source has, lest Dask take one's chunks for another's."""
        return id(self)


def reads(function: Function, axis: Axis, scheduler: str) -> dict[str, Any]:
    """Return how often chunks are made, 20 by 5 of them, and how many are held at once."""
    source = Source()
    x = chunked(source, ((SIDE,) * 20, (SIDE,) * 5))
    y = function(x, axis)
    if y.ndim == x.ndim:  # results as large as the input are written chunk by chunk
        y = y.map_blocks(_nothing, chunks=tuple((1,) * n for n in y.numblocks), dtype=y.dtype)
    y.compute(scheduler=scheduler)
    return {"made": sorted(set(source.made.values())), "held": source.most}


def _nothing(block: Any) -> Any:
    return np.zeros((1,) * block.ndim)


def all_reads() -> list[dict[str, Any]]:
    cases = [(axis, scheduler) for axis in (None, 0, 1) for scheduler in SCHEDULERS]
    return [
        {
            "axis": axis,
            "scheduler": scheduler,
            # Along all axes a scan's result has one axis, and other chunks
            "each": {
                name: reads(function, axis, scheduler)
                for name, function in FUNCTIONS.items()
                if (name, axis) != ("logcumsumexp", None)
            },
        }
        for axis, scheduler in cases
    ]


# Time


def times(dtype: str, length: int, size: int, scheduler: str, repeats: int) -> dict[str, Any]:
    """Return the nanoseconds for each number of a vector in memory, cut into chunks of a length."""
    numbers = np.random.default_rng(0).standard_normal(min(size, 2**24)).astype(dtype)
    numbers = np.resize(numbers, size)
    x = da.from_array(numbers, chunks=length, name=False).persist(scheduler="synchronous")
    lazy = {name: FUNCTIONS[name](x, None) for name in TIMED}
    within = functools.partial(dask.config.set, scheduler=scheduler, num_workers=len(processors()))
    ways = {name: Way(y.compute, within) for name, y in lazy.items()}
    ways[EAGER] = Way(functools.partial(agnostic_lse.logsumexp, numbers))
    seconds, turns = fastest(ways, Effort(repeats, 0.0))
    return {
        "dtype": dtype,
        "chunk": length,
        "size": size,
        "scheduler": scheduler,
        "repeats": turns,
        "nanoseconds_each": {k: float(f"{s / size * 1e9:.3g}") for k, s in seconds.items()},
    }


def all_times(quick: bool) -> list[dict[str, Any]]:
    size, lengths = (2_000_000, (100_000,)) if quick else (200_000_000, (1_000_000, 10_000_000))
    cases = [
        (dtype, length, size, scheduler, 3 if quick else 5)
        for scheduler in SCHEDULERS
        for dtype in ("float64", "float32")
        for length in lengths
    ]
    found, progress = [], Progress(len(cases), "times")
    for case in cases:
        found.append(times(*case))
        progress.step(f"{case[0]}, chunks of {case[1]:,}, {case[3]}")
    return found


def measure(quick: bool) -> dict[str, Any]:
    results = environment(quick=quick, kernels=os.environ.get("AGNOSTIC_LSE_KERNELS", "auto"))
    results["versions"]["dask"] = version("dask")
    return results | {"times": all_times(quick), "reads": all_reads(), "graphs": graphs(quick)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dask", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small arrays, and no file")
    parser.add_argument("--out", type=Path, help=f"default: {RESULTS}/dask.json, none of --quick")
    options = parser.parse_args()
    results = measure(options.quick)
    print("\n".join(report.dask_section(results)))
    report.keep(results, "dask", options)


if __name__ == "__main__":
    main()
