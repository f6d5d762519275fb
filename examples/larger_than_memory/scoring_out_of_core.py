"""
Dask: ten million rows scored on a cluster
==========================================

A classifier's exact log-probabilities of ten million rows, and their mean loss. No worker ever
holds more than a few blocks of them.

Run it from a checkout: ``python examples/larger_than_memory/scoring_out_of_core.py``
"""

from __future__ import annotations

import argparse
import math
import resource
import sys
import time
from typing import Any

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agnostic_lse.sklearn import log_loss, log_proba

N_FEATURES, BLOCK = 20, 100_000
LABELS = (0, 1, 2)
CENTRES = np.random.default_rng(0).normal(0, 20, (len(LABELS), N_FEATURES)).astype(np.float32)
WRONG = 0.01  # of the labels
# So many rows come in another unit, a hundredth of that of the rows to learn from. A classifier is
# very sure of them: most of its probabilities are too small for float32.
IN_ANOTHER_UNIT = 0.01


# %%
# Rows that are made where they are needed
# ----------------------------------------
#
# Three classes lie far apart. One row in a hundred comes in another unit, so that most of its
# probabilities are too small for float32.


def samples(seed: int, n_rows: int, in_another_unit: float) -> tuple[Any, Any]:
    """Make rows far from the centres of all classes but their own, and labels, some wrong."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, len(LABELS), n_rows)
    X = CENTRES[y] + rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    X[rng.random(n_rows) < in_another_unit] *= 100
    wrong = rng.random(n_rows) < WRONG
    return X, np.where(wrong, rng.integers(0, len(LABELS), n_rows), y)


def block_of(which: int, block_info: Any) -> Any:
    """Make the rows of a block, or their labels, from the block's own seed."""
    place, shape = (block_info[None][key] for key in ("chunk-location", "chunk-shape"))
    return samples(1 + place[0], shape[0], IN_ANOTHER_UNIT)[which]


def lazily(n_rows: int) -> tuple[Any, Any]:
    """Return all rows and all labels as lazy arrays."""
    rows = tuple(min(BLOCK, n_rows - start) for start in range(0, n_rows, BLOCK))
    X = da.map_blocks(
        block_of,
        0,
        chunks=(rows, (N_FEATURES,)),
        dtype=np.float32,
        meta=np.empty((0, 0), np.float32),
    )
    y = da.map_blocks(block_of, 1, chunks=(rows,), dtype=np.int64, meta=np.empty(0, np.int64))
    return X, y


# %%
# What a plain loop says
# ----------------------
#
# The same rows, one block after the other, by this library and by scikit-learn.


def one_after_the_other(model: Any, blocks: list[tuple[int, int]]) -> tuple[float, float, int]:
    """Return the exact loss by a plain loop, scikit-learn's clipped one, and its -inf."""
    exact: list[float] = []
    clipped, infinite = 0.0, 0
    for seed, n_rows in blocks:
        X, y = samples(seed, n_rows, IN_ANOTHER_UNIT)
        log_p = np.asarray(log_proba(model, X), np.float64)
        exact.append(math.fsum(-log_p[np.arange(n_rows), y]))
        clipped += metrics.log_loss(y, model.predict_proba(X), labels=LABELS, normalize=False)
        with np.errstate(divide="ignore"):
            infinite += int(np.isneginf(model.predict_log_proba(X)).sum())
    n_all = sum(n_rows for _, n_rows in blocks)
    return math.fsum(exact) / n_all, clipped / n_all, infinite


def peak_memory() -> float:
    """Return the most memory that a process has had, in MB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (1e6 if sys.platform == "darwin" else 1e3)


# %%
# On the cluster
# --------------
#
# ``log_proba`` and ``log_loss`` stay lazy, block by block, until the loss is asked for.


def main() -> None:
    """Fit on a small sample, score all rows on the cluster, and compare with a plain loop."""
    parser = argparse.ArgumentParser(description="Ten million rows scored on a cluster.")
    parser.add_argument("--rows", type=int, default=10_000_000)
    n_rows = parser.parse_args().rows

    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(*samples(0, 5000, 0.0))
    X, y = lazily(n_rows)
    log_p = log_proba(model, X)
    # The loss has the dtype of the log-probabilities: in float64 it can be told from the plain loop
    loss = log_loss(y, log_p.astype(np.float64), labels=LABELS)
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, memory_limit="1GiB", dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        before = client.run(peak_memory)
        start = time.perf_counter()
        found = float(loss.compute())
        seconds = time.perf_counter() - start
        after = client.run(peak_memory)
    print(f"{n_rows:,} rows in {seconds:.1f} s: {n_rows / seconds:,.0f} rows per second")
    size = n_rows * N_FEATURES * 4 / 1e6
    print(
        f"peak memory of a worker: {max(after.values()):.0f} MB, of which "
        f"{max(before.values()):.0f} MB before; the rows are {size:,.0f} MB"
    )

    plain, clipped, infinite = one_after_the_other(model, list(enumerate(X.chunks[0], start=1)))
    print(f"exact log-loss: {found!r}, by a plain loop: {plain!r}")
    print(f"scikit-learn's log_loss, clipped: {clipped!r}")
    print(f"of scikit-learn's own log-probabilities {infinite:,} are -inf")


if __name__ == "__main__":
    main()
