"""
MPI: a reduction over ranks
===========================

Each rank of an MPI program sums batches of its own, and ``allreduce`` merges what they have seen.

Run it from a checkout, on three ranks:
``mpiexec -n 3 python -m mpi4py examples/larger_than_memory/mpi_reduce.py``
"""

from __future__ import annotations

from typing import Any

import numpy as np
from mpi4py import MPI

from agnostic_lse import LogSumExpAccumulator, logsumexp

UNIT = np.finfo(np.float64).eps / 2
BATCHES = 60


# %%
# The batches
# -----------
#
# Rank r of n takes batch r, r + n, r + 2n and so on. Each has five columns, to be summed.


def batch(number: int) -> Any:
    """Make a batch of exponents in five columns of its number."""
    return np.random.default_rng(number).normal(scale=10, size=(1000, 5))


# %%
# The reduction
# -------------
#
# An accumulator is pickled, and ``merge`` is an operation like any other. Every rank gets the same
# total.


def main() -> None:
    """Sum every batch on one of the ranks, and reduce what they have seen."""
    world = MPI.COMM_WORLD
    mine = LogSumExpAccumulator(shape=5)
    for number in range(world.rank, BATCHES, world.size):
        mine.update(batch(number), axis=0)

    total = world.allreduce(mine, op=LogSumExpAccumulator.merge)

    assert all(other == total for other in world.allgather(total))
    expected = logsumexp(np.concatenate([batch(number) for number in range(BATCHES)]), axis=0)
    size = np.maximum(1, np.abs(expected))
    units = np.max(np.abs(total.value() - expected) / size) / UNIT
    assert total.count == 1000 * BATCHES
    assert units <= 4
    if world.rank == 0:
        print(f"{world.size} ranks, {total.count} terms a column, {units:.1f} units of roundoff")


if __name__ == "__main__":
    main()
