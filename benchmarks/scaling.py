"""Measure what a cost model needs, and how far it holds: ``python -m benchmarks.scaling``.

The error of a sum in ever more chunks, the time of a term and of a task, the bytes of a state, and
the time and the memory of whole sums beside those that the model foretells.
"""

from __future__ import annotations

import argparse
import json
import math
import pickle
import subprocess
import sys
import time
from typing import Any

import dask
import dask.array as da
import numpy as np

import agnostic_lse
from agnostic_lse import LogSumExpAccumulator, logsumexp
from benchmarks import scaling_report
from benchmarks.measure import RESULTS, environment, processors, save

BLOCK = 10**5  # entries of which the exact sum is that of NumPy, whose pairs round 17 times
ROUNDOFF = 2.0**-24
OUT = RESULTS / "scaling.json"


def entries(count: int) -> tuple[Any, float]:
    """Return standard normal numbers of single precision, and their log-sum to 14 digits."""
    x, sums = np.empty(count, dtype=np.float32), []
    for start in range(0, count, BLOCK):
        block = x[start : start + BLOCK]
        rng = np.random.default_rng(start)
        rng.standard_normal(len(block), dtype=np.float32, out=block)
        sums.append(float(np.exp(block.astype(np.float64)).sum()))
    return x, math.log(math.fsum(sums))


def errors(x: Any, exact: float) -> list[dict[str, Any]]:
    """Return how far sums of all in some numbers of chunks are off, in units of roundoff."""

    def entry(way: str, chunks: int, value: Any) -> dict[str, Any]:
        off = abs(float(value) - exact) / (ROUNDOFF * exact)
        return {"way": way, "chunks": chunks, "value": float(value), "roundoffs": off}

    found = [entry("logsumexp, no chunks", 1, logsumexp(x))]
    for chunks in (1, 100, 10_000):
        lazy = da.from_array(x, chunks=len(x) // chunks)
        found.append(entry("logsumexp of a Dask array", chunks, logsumexp(lazy).compute()))
    for chunks in (100, 10_000):
        seen = LogSumExpAccumulator()
        for batch in np.split(x, chunks):
            seen.update(batch)
        found.append(entry("LogSumExpAccumulator", chunks, seen.value()))
    return found


def least(call: Any, repeats: int) -> float:
    """Return the least seconds of some calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def of_a_term(x: Any, repeats: int) -> float:
    """Return the seconds of a term in a chunk that is summed by one thread."""
    part = x[: min(len(x), 10**7)]
    lazy = da.from_array(part, chunks=len(part))
    seconds = least(lambda: logsumexp(lazy).compute(scheduler="synchronous"), repeats)
    return seconds / len(part)


def of_a_task(x: Any, repeats: int, term: float) -> float:
    """Return the seconds of a task on threads beside its terms, in chunks of `BLOCK`.

    There they wait for each other's Python, so that empty ones would say too little.
    """
    part = x[: min(len(x), 1000 * BLOCK)]
    lazy = logsumexp(da.from_array(part, chunks=BLOCK))
    seconds = least(lazy.compute, repeats) - len(part) * term / len(processors())
    return seconds / len(dict(lazy.__dask_graph__()))


def on_a_cluster(repeats: int, chunks: int) -> float:
    """Return the seconds of an empty task that a scheduler of its own gives to three processes."""
    from distributed import Client, LocalCluster

    with (
        dask.config.set({"distributed.admin.low-level-log-length": 100}),
        LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        lazy = logsumexp(da.ones(chunks, chunks=1))
        seconds = least(lambda: lazy.compute(scheduler=client), repeats)
        return seconds / len(dict(lazy.__dask_graph__()))


def of_a_state(slots: int) -> dict[str, Any]:
    """Return the bytes of a state with so many slots, and those of its pickle."""
    parts = agnostic_lse._engines._lifted_block(
        np, np.ones((2, slots), np.float32), None, None, (0,)
    )
    there = [part for part in parts if part is not None]
    return {
        "slots": slots,
        "bytes": sum(part.nbytes for part in there),
        "pickled": len(pickle.dumps(parts, protocol=5)),
    }


MEMORY = """
import sys
import dask.array as da, numpy as np
from agnostic_lse import logsumexp
from benchmarks.memory import forget_the_most, give_back, resident

size, count, threads = map(int, sys.argv[1:])

def block(block_info):
    place = block_info[None]
    return np.full(place["chunk-shape"], float(place["chunk-location"][0] % 7), dtype=np.float32)

def total(size, count):
    x = da.map_blocks(block, chunks=((size,) * count,), dtype=np.float32)
    return logsumexp(x).compute(num_workers=threads)

total(600_000, 4)  # imports and compiled kernels
give_back()
forget_the_most()
before = resident("VmRSS")
total(size, count)
print(resident("VmHWM") - before)
"""


def memory(size: int, count: int, threads: int) -> dict[str, Any]:
    """Return the most memory that a sum takes whose chunks are made on the way."""
    out = subprocess.run(
        [sys.executable, "-c", MEMORY, str(size), str(count), str(threads)],
        capture_output=True,
        text=True,
        check=True,
    )
    return {
        "chunk_bytes": 4 * size,
        "chunks": count,
        "threads": threads,
        "held_bytes": max(0, int(out.stdout)),
    }


def whole_sums(x: Any, repeats: int, term: float, task: float) -> list[dict[str, Any]]:
    """Return the seconds of sums of all, and those that the model foretells."""
    found = []
    for chunks in (100, 1000, 10_000):
        lazy = logsumexp(da.from_array(x, chunks=len(x) // chunks))
        tasks = len(dict(lazy.__dask_graph__()))
        found.append(
            {
                "chunks": chunks,
                "tasks": tasks,
                "seconds": least(lazy.compute, repeats),
                "foretold": len(x) * term / len(processors()) + tasks * task,
            }
        )
    return found


def measure(count: int, repeats: int) -> dict[str, Any]:
    """Return all of it."""
    x, exact = entries(count)
    term = of_a_term(x, repeats)
    task = of_a_task(x, repeats, term)
    return environment(
        entries=count,
        exact=exact,
        errors=errors(x, exact),
        seconds_of_a_term=term,
        seconds_of_a_task=task,
        seconds_of_a_task_on_a_cluster=on_a_cluster(2, 3000),
        states=[of_a_state(slots) for slots in (1, 1000, 10**6)],
        memory=[memory(2 * 10**6, 100, 2), memory(2 * 10**6, 1000, 2), memory(2 * 10**7, 50, 2)],
        sums=whole_sums(x, repeats, term, task),
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="ten million numbers, and no file")
    parser.add_argument("--report", action="store_true", help="write the page without measuring")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.report:
        scaling_report.write(OUT)
        return
    results = measure(10**7 if options.quick else 10**9, options.repeats)
    print(json.dumps(results, indent=1))
    if not options.quick:
        save(results, OUT)
        scaling_report.write(OUT)


if __name__ == "__main__":
    main()
