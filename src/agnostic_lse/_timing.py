"""How long calls take: several in turn, over and over, and the least of each."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Way:
    """A call to time, and the context to time it in, entering which does not count."""

    call: Callable[[], Any]
    within: Callable[[], AbstractContextManager[Any]] = nullcontext


def host_seconds(way: Way, times: int) -> float:
    """Return the seconds of a call, from as many in a row."""
    with way.within():
        start = time.perf_counter()
        for _ in range(times):
            way.call()
        return (time.perf_counter() - start) / times


Clock = Callable[[Way, int], float]
# Threads of some libraries spin for a while when their work is done, and would slow down the next.
PAUSE = 2e-3
# Short calls run many times in a row: many times what reading the clock takes.
BATCH = 5e-4
# Longer calls than this bring so much through the caches that they find them cold anyway.
LONG = 2e-2
# While a busy machine lets the least of a way come only once, up to so many times the repeats.
PATIENCE = 4
ORDER = random.Random(0)  # noqa: S311 (no secret)


@dataclass(frozen=True)
class Effort:
    """How often to time each way: so many times, or more, as long as all take so many seconds."""

    repeats: int
    seconds: float


def fastest(
    ways: dict[str, Way], effort: Effort, clocks: dict[str, Clock] | None = None
) -> tuple[dict[str, float], int]:
    """Return the least seconds of each way, and the number of repeats.

    In each repeat all ways have their turn, in an order drawn anew, lest one always run after the
    same neighbour. A turn begins with a pause, and with a call that does not count, so that all
    find the same: caches warm with their own arrays, a processor awake. The repeats go on until
    the least of every way has come twice.
    """
    clocks = dict.fromkeys(ways, host_seconds) | (clocks or {})
    times, long, expected = {}, {}, 0.0
    for name, way in ways.items():
        clocks[name](way, 1)  # may compile
        once = max(min(clocks[name](way, 1) for _ in range(2)), 1e-9)
        times[name], long[name] = max(1, round(BATCH / once)), once > LONG
        expected += (times[name] + (not long[name])) * once + PAUSE
    repeats = max(effort.repeats, int(effort.seconds / max(expected, 1e-9)))
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(PATIENCE * repeats):
        if turn >= repeats and all(map(_found_again, taken.values())):
            break
        for name in ORDER.sample(list(ways), len(ways)):
            time.sleep(PAUSE)
            if not long[name]:
                clocks[name](ways[name], 1)
            taken[name].append(clocks[name](ways[name], times[name]))
    return {name: min(each) for name, each in taken.items()}, len(next(iter(taken.values())))


def _found_again(seconds: list[float]) -> bool:
    """Tell whether the least was no accident: it, or 5 % more, came twice."""
    return len(seconds) > 1 and sorted(seconds)[1] <= 1.05 * min(seconds)
