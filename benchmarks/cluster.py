"""Disturb a cluster in the middle of sums: ``python -m benchmarks.cluster``.

A worker is killed, stopped for a while, or out of memory for a while, and a chunk raises. Each time
the result must equal, bit for bit, that of an undisturbed run, and the cluster must work on. It
needs Linux or macOS, for their signals.
"""

from __future__ import annotations

import argparse
import functools
import logging
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from dask.base import optimize
from distributed import Client, LocalCluster
from distributed.core import Status
from distributed.diagnostics.plugin import SchedulerPlugin

import agnostic_lse
from tests import reference

WORKERS, MEMORY = 3, "600MiB"
CHUNKS, LENGTH, SLOW = 240, 200, 0.05  # chunks, entries and seconds of each
PATIENCE = 120.0  # seconds, of a run that takes four
STOPPED = 3.0  # seconds that a worker is stopped, or out of memory, for
FULL = 0.87  # of a worker's memory: from 0.8 on it pauses, and at 0.95 it would be ended

Disturb = Callable[[str], None]


class UnreadableError(RuntimeError):
    """What a chunk raises."""


def chunk(
    seed: int, seconds: float, dtype: str, broken: tuple[int, ...] = (), block_info: Any = None
) -> Any:
    """Make a chunk, slowly, or raise."""
    place = block_info[None]["chunk-location"]
    time.sleep(seconds)
    if place == broken:
        raise UnreadableError(f"chunk {place[0]} cannot be read")
    rng = np.random.default_rng((seed, *place))
    return rng.normal(0, 30, block_info[None]["chunk-shape"]).astype(dtype)


def source(
    seed: int, dtype: str, broken: tuple[int, ...] = (), seconds: float = SLOW, count: int = CHUNKS
) -> Any:
    """Return a vector whose chunks take a while, one of which may be broken."""
    make = functools.partial(chunk, seed, seconds, dtype, broken)
    meta = np.empty(0, dtype)
    return da.map_blocks(make, chunks=((LENGTH,) * count,), dtype=dtype, meta=meta)


class Watch(SchedulerPlugin):
    """Counts how often each task was done, and tells when so many were."""

    def __init__(self, until: int) -> None:
        self.until, self.reached = until, threading.Event()
        self.done: Counter[Any] = Counter()

    def transition(self, key: Any, start: str, finish: str, *_: Any, **__: Any) -> None:
        """Count a task that has a result now."""
        if start == "processing" and finish == "memory":
            self.done[key] += 1
            if self.done.total() >= self.until:
                self.reached.set()


@contextmanager
def watching(cluster: Any, watch: Watch) -> Iterator[None]:
    """Let a plugin see what the scheduler does, whose thread alone may change its plugins."""

    async def add() -> None:
        cluster.scheduler.add_plugin(watch, name="watch")

    async def remove() -> None:
        cluster.scheduler.remove_plugin("watch")

    cluster.sync(add)
    try:
        yield
    finally:
        cluster.sync(remove)


@dataclass(frozen=True)
class Run:
    """A result, and what happened until it was there."""

    result: Any
    worker: str
    tasks: int
    done: int  # when it was disturbed
    held: int  # results that the disturbed worker had then
    again: int  # tasks done once more, since their results were lost


def disturbed(cluster: Any, client: Client, y: Any, share: float, disturb: Disturb) -> Run:
    """Compute y, and disturb the worker with the most results when a share of tasks is done."""
    tasks = len(dict(optimize(y)[0].__dask_graph__()))
    watch = Watch(int(share * tasks))
    with watching(cluster, watch):
        future = client.compute(y)
        if not watch.reached.wait(PATIENCE):
            raise TimeoutError(f"{watch.done.total()} tasks of {tasks} were done, and no more.")
        held = client.has_what()
        worker = max(held, key=lambda address: len(held[address]))
        done = watch.done.total()
        disturb(worker)
        result = future.result(timeout=PATIENCE)
    again = sum(times - 1 for times in watch.done.values())
    return Run(result, worker, tasks, done, len(held[worker]), again)


def undisturbed(client: Client, y: Any) -> Any:
    # The future must be gone before the same graph runs again, or its result would be taken
    return client.compute(y).result(timeout=PATIENCE)


def wait_until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds, or say that it does not."""
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"After {PATIENCE:.0f} s, still not: {what}.")
        time.sleep(0.05)


def kill(client: Client) -> Disturb:
    """Return what ends a worker's process at once."""
    processes = client.run(os.getpid)
    return lambda worker: os.kill(processes[worker], signal.SIGKILL)


def stop_for_a_while(client: Client) -> Disturb:
    """Return what stops a worker's process, and lets it go on later."""
    processes = client.run(os.getpid)

    def stop(worker: str) -> None:
        os.kill(processes[worker], signal.SIGSTOP)
        try:
            time.sleep(STOPPED)
        finally:
            os.kill(processes[worker], signal.SIGCONT)

    return stop


def fill_for_a_while(cluster: Any, client: Client) -> Disturb:
    """Return what fills a worker's memory until it pauses, and frees it later."""

    def has(worker: str, status: Status) -> bool:
        return bool(cluster.scheduler.workers[worker].status == status)

    def fill(worker: str) -> None:
        client.run(_fill, workers=[worker])
        try:
            wait_until(lambda: has(worker, Status.paused), "the worker pauses")
            time.sleep(STOPPED)
        finally:
            client.run(_free, workers=[worker])
        wait_until(lambda: has(worker, Status.running), "the worker works again")

    return fill


def _fill(dask_worker: Any) -> None:
    """Hold as much as there must be, each page of it written to."""
    wanted = FULL * dask_worker.memory_manager.memory_limit
    missing = wanted - dask_worker.monitor.get_process_memory()
    dask_worker.ballast = np.ones(int(missing), np.uint8)


def _free(dask_worker: Any) -> None:
    del dask_worker.ballast


def wait_for_all(cluster: Any, dead: str) -> None:
    """Wait until a killed worker is gone and another one has come in its place."""
    found, all_of_them = cluster.scheduler.workers, len(cluster.worker_spec)
    wait_until(
        lambda: dead not in found and len(found) == all_of_them, "all workers are there again"
    )


def roundoffs(client: Client, x: Any, y: Any) -> float:
    """Return how many units of roundoff the logarithm of a sum is off."""
    entries = undisturbed(client, x).tolist()
    size = reference.conditioned_size(entries)
    return reference.roundoffs(y, reference.log_sum(entries), size, str(x.dtype))


def show(what: str, run: Run, expected: Any) -> bool:
    equal = bool(run.result == expected)
    print(
        f"{what}: {run.worker}, with {run.held} results, when {run.done} of {run.tasks} tasks were "
        f"done, {run.again} done again: {run.result!r}, "
        f"{'equal' if equal else f'NOT EQUAL to {expected!r}'}",
        flush=True,
    )
    return equal


def kill_rounds(cluster: Any, client: Client, rounds: int) -> bool:
    right = True
    for number in range(rounds):
        dtype = ("float64", "float32")[number % 2]
        y = agnostic_lse.logsumexp(source(number, dtype))
        expected = undisturbed(client, y)
        share = (number + 1) / (rounds + 1)
        run = disturbed(cluster, client, y, share, kill(client))
        right &= show(f"round {number + 1}, {dtype}, killed", run, expected)
        off = roundoffs(client, source(number, dtype, seconds=0.0), run.result)
        print(f"  {off:.2f} units of roundoff from the exact value", flush=True)
        right &= off <= 4
        wait_for_all(cluster, run.worker)
    return right


def pauses(cluster: Any, client: Client) -> bool:
    y = agnostic_lse.logsumexp(source(100, "float64"))
    expected = undisturbed(client, y)
    right = True
    for what, disturb in (
        (f"stopped for {STOPPED} s", stop_for_a_while(client)),
        (f"memory full for {STOPPED} s, paused", fill_for_a_while(cluster, client)),
    ):
        right &= show(what, disturbed(cluster, client, y, 0.3, disturb), expected)
    return right


def raising(client: Client) -> bool:
    """Tell whether an error comes as it is, and the cluster works on."""
    try:
        undisturbed(client, agnostic_lse.logsumexp(source(0, "float64", (100,))))
    except UnreadableError as error:
        print(f"a chunk raises: {type(error).__name__}: {error}")
    else:
        return False
    again = agnostic_lse.logsumexp(source(0, "float64"))
    print(f"and the cluster goes on: {undisturbed(client, again)!r}")
    return True


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how many workers are killed")
    options = parser.parse_args()
    with (
        LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            memory_limit=MEMORY,
            dashboard_address="127.0.0.1:0",  # any port that is free
            silence_logs=logging.CRITICAL,  # which tell of nothing but what is done on purpose
        ) as cluster,
        Client(cluster) as client,
    ):
        right = kill_rounds(cluster, client, options.rounds)
        right &= pauses(cluster, client)
        right &= raising(client)
    print("all as it should be" if right else "NOT all as it should be")
    raise SystemExit(not right)


if __name__ == "__main__":
    main()
