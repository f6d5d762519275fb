"""
Ray: an aggregation of a dataset
================================

Sums of exponentials of a Ray dataset and of its groups, by an aggregation of Ray's own kind.

Run it from a checkout: ``python examples/larger_than_memory/ray_aggregation.py``
"""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # which Ray reads on import

import ray
from ray.data.aggregate import AggregateFnV2
from ray.data.block import BlockAccessor

from agnostic_lse import LogSumExpAccumulator, logsumexp

UNIT = np.finfo(np.float64).eps / 2
ROWS = 100_000


# %%
# The aggregation
# ---------------
#
# A block becomes an accumulator, two of them merge, and the value is read at the end.


class LogSumExp(AggregateFnV2):  # type: ignore[misc]  # Ray's types are not looked at
    """The logarithm of the sum of exponentials of a column."""

    def __init__(self, on: str) -> None:
        super().__init__(f"logsumexp({on})", LogSumExpAccumulator, on=on, ignore_nulls=False)

    def aggregate_block(self, block: Any) -> LogSumExpAccumulator:
        """Return what one block adds."""
        column = BlockAccessor.for_block(block).to_numpy(self.get_target_column())
        return LogSumExpAccumulator().update(column)

    def combine(
        self, current_accumulator: LogSumExpAccumulator, new: LogSumExpAccumulator
    ) -> LogSumExpAccumulator:
        """Return what two parts add up to."""
        return current_accumulator.merge(new)

    def finalize(self, accumulator: LogSumExpAccumulator) -> float:
        """Return the logarithm of a sum."""
        return float(accumulator.value())


# %%
# The whole dataset, and three groups of it
# -----------------------------------------
#
# Rows are made where they are needed, and the results compared with ``logsumexp`` of all of them.


def exponents(batch: dict[str, Any]) -> dict[str, Any]:
    """Make rows of their numbers, where they are needed."""
    number = batch["id"]
    return {"group": number % 3, "x": 50 * np.sin(number)}


def units_off(value: float, expected: float) -> float:
    """Return a difference in units of roundoff of what was expected."""
    return float(abs(value - expected) / max(1, abs(expected)) / UNIT)


def main() -> None:
    """Aggregate a dataset of eight blocks as a whole and by groups."""
    ray.init(
        num_cpus=2,
        object_store_memory=100_000_000,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        rows = ray.data.range(ROWS, override_num_blocks=8).map_batches(exponents)
        total = rows.aggregate(LogSumExp("x"))["logsumexp(x)"]
        groups = rows.groupby("group").aggregate(LogSumExp("x")).take_all()
    finally:
        ray.shutdown()
    whole = exponents({"id": np.arange(ROWS)})
    units = [units_off(total, logsumexp(whole["x"]))]
    for row in groups:
        of_group = whole["x"][whole["group"] == row["group"]]
        units.append(units_off(row["logsumexp(x)"], logsumexp(of_group)))
    assert len(groups) == 3
    assert max(units) <= 4
    print(f"{ROWS} rows: {total!r}, {len(groups)} groups, {max(units):.1f} units of roundoff")


if __name__ == "__main__":
    main()
