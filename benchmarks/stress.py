"""Call from many threads and processes at once: ``python -m benchmarks.stress``.

Every result is compared, bit for bit, with what one thread alone had found before.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import agnostic_lse
from agnostic_lse._engines.choice import Kind

# Short rows and long ones, columns wide and narrow, one sum, and too few numbers for a kernel
SHAPES: tuple[tuple[tuple[int, ...], int], ...] = (
    *(((300_000,), 0), ((60, 5_000), 1), ((5_000, 60), 1), ((50_000, 6), 1), ((60, 5_000), 0)),
    *(((100_000, 3), 0), ((40, 50, 80), 1), ((3, 4), 1)),
)
FUNCTIONS = ("logsumexp", "softmax", "log_softmax", "logmeanexp", "logcumsumexp")
KINDS: tuple[Kind, ...] = ("host", "off")


def called(name: str, x: Any, axis: int, kind: Kind) -> Any:
    with agnostic_lse.kernels(kind):
        return getattr(agnostic_lse, name)(x, axis=axis)


def calls() -> list[tuple[str, Callable[[], Any]]]:
    """Return what to call, under a name each."""
    rng = np.random.default_rng(0)
    found: list[tuple[str, Callable[[], Any]]] = []
    for shape, axis in SHAPES:
        for dtype in ("float32", "float64"):
            x = rng.normal(size=shape).astype(dtype)
            for kind in KINDS:
                for name in FUNCTIONS:
                    call = functools.partial(called, name, x, axis, kind)
                    found.append((f"{name} {dtype}{list(shape)} axis {axis}, {kind}", call))
    return found


def work(threads: int, seconds: float, number: int, counts: Any) -> None:
    """Call from several threads until the time is over, and count calls and wrong results."""
    given = calls()
    expected = [call() for _, call in given]
    stop = time.monotonic() + seconds
    lock = threading.Lock()

    def one(seed: int) -> None:
        rng = np.random.default_rng(seed)
        while time.monotonic() < stop:
            k = int(rng.integers(len(given)))
            name, call = given[k]
            try:
                same = np.array_equal(call(), expected[k])
            except Exception as error:
                same, name = False, f"{name}: {error!r}"
            with lock:
                counts[0] += 1
                counts[1] += not same
            if not same:
                print(f"process {number}: {name} differs", file=sys.stderr)

    workers = [threading.Thread(target=one, args=(1000 * number + i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stress", description=__doc__)
    parser.add_argument("--threads", type=int, default=32, help="of each process")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    # Forked after a call, so that each has to make threads of its own
    calls()[0][1]()
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    counts = context.Array("l", 2)
    processes = [
        context.Process(target=work, args=(options.threads, options.seconds, number, counts))
        for number in range(options.processes)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    failed = sum(process.exitcode != 0 for process in processes)
    print(f"{counts[0]} calls, {counts[1]} wrong, {failed} processes failed")
    return int(counts[1] > 0 or failed > 0)


if __name__ == "__main__":
    sys.exit(main())
