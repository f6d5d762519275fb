"""
Spark: an aggregation of an RDD
===============================

Sums of exponentials of a Spark RDD and of its groups, by Spark's own aggregations.

Run it from a checkout: ``python examples/larger_than_memory/spark_aggregation.py``
"""

from __future__ import annotations

import os
import sys
from typing import Any

import numpy as np

# The workers run this Python, and not the first one on the path; all stay on this machine.
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

from pyspark.sql import SparkSession

from agnostic_lse import LogSumExpAccumulator, logsumexp

UNIT = np.finfo(np.float64).eps / 2
BATCHES = 64


# %%
# The batches
# -----------
#
# They are made where they are needed, and compared with the sum of all at once.


def batch(number: int) -> Any:
    """Make a batch of exponents of its number, where it is needed."""
    return np.random.default_rng(number).normal(scale=10, size=1000)


def units_off(value: float, batches: range) -> float:
    """Return a difference from the sum of batches as a whole, in units of roundoff."""
    expected = logsumexp(np.concatenate([batch(number) for number in batches]))
    return float(abs(value - expected) / max(1, abs(expected)) / UNIT)


# %%
# As a whole, and by groups
# -------------------------
#
# ``treeAggregate`` and ``aggregateByKey`` take an empty accumulator, ``update`` and ``merge``.


def main() -> None:
    """Aggregate batches in eight partitions as a whole and by the last digit of their number."""
    session = (
        SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.log.level", "ERROR")
        .getOrCreate()
    )
    seen = LogSumExpAccumulator
    try:
        numbered = session.sparkContext.parallelize(range(BATCHES), 8)
        total = numbered.map(batch).treeAggregate(seen(), seen.update, seen.merge)
        by_digit = numbered.map(lambda number: (number % 10, batch(number)))
        groups = by_digit.aggregateByKey(seen(), seen.update, seen.merge).collectAsMap()
    finally:
        session.stop()
    units = [units_off(total.value(), range(BATCHES))]
    for digit, group in groups.items():
        units.append(units_off(group.value(), range(digit, BATCHES, 10)))
    assert total.count == sum(group.count for group in groups.values()) == 1000 * BATCHES
    assert len(groups) == 10
    assert max(units) <= 4
    print(f"{total!r}, {len(groups)} groups, {max(units):.1f} units of roundoff")


if __name__ == "__main__":
    main()
