"""Dask's arrays on processes that are killed, that warn, and that raise."""

from __future__ import annotations

import logging
import math
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier

import agnostic_lse
from agnostic_lse._engines import dask as engine
from agnostic_lse._engines import threads
from agnostic_lse.sklearn import log_proba
from tests.backends import available_package

ROOT = Path(__file__).parents[1]
INF = math.inf


@pytest.fixture(scope="module")
def da() -> Any:
    return available_package("dask.array")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Give a cluster of two processes, where warnings are errors and calls may use two threads."""
    distributed = available_package("distributed")
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        memory_limit="1GiB",
        dashboard_address="127.0.0.1:0",  # any port that is free
        silence_logs=logging.CRITICAL,  # which tell of nothing but what is done on purpose
        # More than distributed itself allows, so that it is seen who keeps to one thread
        env={"AGNOSTIC_LSE_NUM_THREADS": "2"},
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster: Any) -> Iterator[Any]:
    distributed = available_package("distributed")
    with distributed.Client(cluster) as client:
        client.register_plugin(_strict_worker())
        yield client


def _strict_worker() -> Any:
    class Strict(available_package("distributed").WorkerPlugin):  # type: ignore[misc]  # see above
        """Makes errors of the warnings in each worker, those that start later too."""

        def setup(self, worker: Any) -> None:  # noqa: ARG002 (distributed's)
            warnings.simplefilter("error")

    return Strict()


def hard_rows(dtype: str) -> Any:
    """Return rows of four: infinities, nothing at all, what overflows, and plain numbers."""
    huge = float(np.finfo(dtype).max)
    rows = [
        [-INF, -INF, -INF, -INF],
        [INF, 1.0, -INF, 2.0],
        [INF, -INF, INF, INF],
        [huge, -huge, huge, 0.0],
        [-huge, -huge, -huge, -INF],
        [1000.0, -1000.0, 999.0, -INF],
        [-1e-30, 0.0, 1e-30, -2.0],
        [math.nan, 1.0, -INF, INF],
    ]
    return np.asarray(rows, dtype)


FUNCTIONS: list[Callable[..., Any]] = [
    agnostic_lse.logsumexp,
    agnostic_lse.logmeanexp,
    agnostic_lse.softmax,
    agnostic_lse.log_softmax,
    agnostic_lse.logcumsumexp,
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_quiet_in_workers(client: Any, da: Any, dtype: str) -> None:
    on_host = hard_rows(dtype)
    x = da.from_array(on_host, chunks=(3, 2))
    ways = [(function, axis) for function in FUNCTIONS for axis in (0, 1)]
    futures = client.compute([function(x, axis=axis) for function, axis in ways])
    for (function, axis), found in zip(ways, client.gather(futures), strict=True):
        assert found.dtype == dtype
        expected = function(on_host, axis=axis)
        np.testing.assert_allclose(found, expected, rtol=4 * float(np.finfo(dtype).eps))


def test_quiet_with_weights_and_masks(client: Any, da: Any) -> None:
    on_host = hard_rows("float64")[:-1]
    b = np.where(np.arange(on_host.size) % 3 == 0, 0.0, 1e-300).reshape(on_host.shape)
    where = np.arange(on_host.size).reshape(on_host.shape) % 4 != 1
    lazy = [da.from_array(array, chunks=(3, 2)) for array in (on_host, b, where)]
    for function in (agnostic_lse.logsumexp, agnostic_lse.logmeanexp):
        found = function(lazy[0], 0, lazy[1], where=lazy[2])
        expected = function(on_host, 0, b, where=where)
        np.testing.assert_allclose(client.compute(found).result(), expected, rtol=1e-15)


def test_classifier_quiet_in_workers(client: Any, da: Any) -> None:
    X = np.arange(20.0)[:, None]
    for y in (X[:, 0] > 9, np.hstack([X > 9, X > 4])):  # trees' probabilities are 0 and 1
        forest = RandomForestClassifier(3, random_state=0).fit(X, y)
        expected = log_proba(forest, X)
        assert np.isneginf(expected).any()
        lazy = log_proba(forest, da.from_array(X, chunks=(7, 1)))
        found = (
            client.compute(lazy).result() if y.ndim == 1 else client.gather(client.compute(lazy))
        )
        np.testing.assert_array_equal(found, expected)


def test_warnings_in_workers_are_errors(client: Any, da: Any) -> None:
    """Else the tests above would tell nothing."""
    with pytest.raises(RuntimeWarning, match="divide by zero"):
        client.compute(da.log(da.zeros(4, chunks=2))).result()


def _count(xp: Any, block: Any, axes: tuple[int, ...]) -> Any:
    number = threads.number_of_threads()
    return (xp.full(tuple(1 if i in axes else n for i, n in enumerate(block.shape)), number),)


def _largest(xp: Any, parts: Any) -> Any:
    return (xp.max(parts[0], axis=0),)


def _read(xp: Any, parts: Any, axes: tuple[int, ...]) -> Any:
    return xp.squeeze(parts[0], axis=axes)


def _count_entries(xp: Any, block: Any) -> Any:
    return xp.full(block.shape, threads.number_of_threads())


class CountsThreads(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # which has no types
    """Gives the number of threads that it may use as the second class's share of four."""

    def fit(self, X: Any, y: Any) -> CountsThreads:
        self.n_features_in_, self.classes_ = X.shape[1], np.unique(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        share = threads.number_of_threads() / 4
        return np.tile([1 - share, share], (len(X), 1))


def test_one_thread_for_each_chunk(client: Any, da: Any) -> None:
    if (os.cpu_count() or 1) < 2:
        pytest.skip("one processor alone allows one thread alone")
    assert set(client.run(threads.number_of_threads).values()) == {2}
    x = da.zeros((8, 4), chunks=(2, 2))
    lifted = engine.reduced(_count, _largest, _read, (x,), (0, 1), keepdims=False, dtype=np.int64)
    mapped = engine.mapped(_count_entries, x, np.int64)
    estimator = CountsThreads().fit(np.zeros((2, 4)), [0, 1])
    shares = np.exp(log_proba(estimator, x))
    found = client.gather(client.compute([lifted, mapped, shares]))
    assert found[0] == 1
    assert (found[1] == 1).all()
    np.testing.assert_allclose(found[2][:, 1], 0.25)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")
def test_worker_killed(cluster: Any, client: Any) -> None:
    from benchmarks.cluster import disturbed, kill, roundoffs, source, undisturbed, wait_for_all

    y = agnostic_lse.logsumexp(source(0, "float64", count=80))
    expected = undisturbed(client, y)
    run = disturbed(cluster, client, y, 0.5, kill(client))
    assert run.held > 0  # so that something was lost
    assert run.result == expected
    assert roundoffs(client, source(0, "float64", seconds=0.0, count=80), run.result) <= 4
    wait_for_all(cluster, run.worker)


def test_chunk_raises(client: Any) -> None:
    from benchmarks.cluster import UnreadableError, source, undisturbed

    y = agnostic_lse.logsumexp(source(1, "float64", (7,), seconds=0.0, count=20))
    with pytest.raises(UnreadableError, match=r"^chunk 7 cannot be read$"):
        undisturbed(client, y)
    whole = agnostic_lse.logsumexp(source(1, "float64", seconds=0.0, count=20))
    assert np.isfinite(undisturbed(client, whole))


def test_tasks_share_one_estimator(da: Any) -> None:
    """Not one for each block, all of which would travel."""
    cloudpickle = available_package("cloudpickle")
    estimator = CountsThreads().fit(np.zeros((2, 4)), [0, 1])
    estimator.large_ = np.zeros(100_000)
    lazy = log_proba(estimator, da.zeros((20, 4), chunks=(1, 4)))
    tasks = dict(available_package("dask.base").optimize(lazy)[0].__dask_graph__())
    assert len(tasks) >= 20
    sizes = [len(cloudpickle.dumps(task)) for task in tasks.values()]
    assert sum(size > estimator.large_.nbytes for size in sizes) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the example measures memory as Unix does")
def test_example() -> None:
    available_package("distributed")
    script = ROOT / "examples" / "larger_than_memory" / "scoring_out_of_core.py"
    run = subprocess.run(
        [sys.executable, script, "--rows", "200000"],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    exact, plain, clipped = (
        float(n) for n in re.findall(r"(?:loss|loop|clipped): ([\d.]+)", run.stdout)
    )
    assert exact == pytest.approx(plain, rel=1e-14)
    assert clipped < 0.8 * exact
    infinite = re.search(r"log-probabilities ([\d,]+) are -inf", run.stdout)
    assert infinite is not None
    assert int(infinite[1].replace(",", "")) > 100  # of 2,000 rows; the fewer, the wider the dtype
