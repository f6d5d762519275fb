"""Dask's arrays: what is read, how often, in how many tasks, and what estimators make of blocks."""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn import config_context
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.mixture import GaussianMixture
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler

import agnostic_lse
from agnostic_lse import (
    log_softmax,
    logaddexp,
    logcumsumexp,
    logmatmulexp,
    logmeanexp,
    logsubexp,
    logsumexp,
    softmax,
)
from agnostic_lse._engines import choice, threads
from agnostic_lse._engines.dask import reduced
from agnostic_lse.sklearn import (
    LogPoolClassifier,
    LogProbabilityClassifier,
    LogProbabilityTransformer,
    LogSoftmaxTransformer,
    LogSumExpTransformer,
    log_loss,
    log_proba,
    log_responsibilities,
)
from tests.backends import available_package
from tests.reference import log_sum, roundoffs

dask = available_package("dask")
da = available_package("dask.array")

INF, NAN = math.inf, math.nan
ONES = np.ones(8)
REDUCTIONS: list[Any] = [logsumexp, logmeanexp]
ALL: list[Any] = [*REDUCTIONS, softmax, log_softmax, logcumsumexp]
each_reduction = pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)
each_function = pytest.mark.parametrize("function", ALL, ids=lambda f: f.__name__)


def numbers(*shape: int) -> Any:
    return np.random.default_rng(0).normal(scale=10, size=shape)


def in_chunks(x: Any, chunks: Any) -> Any:
    return da.from_array(x, chunks=chunks)


def close(actual: Any, expected: Any, rtol: float = 2e-15) -> None:
    np.testing.assert_allclose(np.asarray(actual), expected, rtol=rtol, atol=1e-300)


@pytest.fixture
def uncomputed() -> Any:
    """Refuse to compute anything."""

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("something was computed")

    return dask.config.set(scheduler=refuse)


class TestGraph:
    @each_function
    @pytest.mark.parametrize("axis", [0, 1, -1])
    def test_nothing_is_computed(
        self, uncomputed: Any, function: Callable[..., Any], axis: int
    ) -> None:
        x = numbers(9, 8)
        with uncomputed:
            out = function(in_chunks(x, (2, 3)), axis=axis)
        close(out, function(x, axis=axis), 1e-13)
        assert out.dtype == out._meta.dtype == np.float64
        assert out._meta.ndim == out.ndim

    @each_function
    def test_input_is_read_once(self, function: Callable[..., Any]) -> None:
        read: Counter[Any] = Counter()

        def block(block_info: Any = None) -> Any:
            read[tuple(block_info[None]["chunk-location"])] += 1
            return np.ones((2, 3))

        x = da.map_blocks(block, chunks=((2,) * 4, (3,) * 5), dtype=float)
        out = function(x, axis=1)
        read.clear()
        out.compute(scheduler="synchronous")
        assert len(read) == 20
        assert set(read.values()) == {1}

    @each_reduction
    @pytest.mark.parametrize("axis", [None, 0, 1, (0, 1)])
    @pytest.mark.parametrize("keepdims", [False, True])
    def test_as_many_tasks_as_a_sum(
        self, function: Callable[..., Any], axis: Any, keepdims: bool
    ) -> None:
        x = in_chunks(numbers(40, 50), (4, 5))
        ours = function(x, axis=axis, keepdims=keepdims)
        theirs = x.sum(axis=axis, keepdims=keepdims)
        assert len(dict(ours.__dask_graph__())) == len(dict(theirs.__dask_graph__()))
        assert ours.chunks == theirs.chunks

    def test_rows_that_are_whole_take_one_task(self) -> None:
        x = in_chunks(numbers(40, 50), (4, 50))
        ours, theirs = log_softmax(x, axis=1), da.exp(x)
        assert len(dict(ours.__dask_graph__())) == len(dict(theirs.__dask_graph__()))

    def test_split_every(self) -> None:
        x = in_chunks(numbers(64), 1)
        counts = []
        for split in (2, 8, 64):
            with dask.config.set(split_every=split):
                out = logsumexp(x)
            counts.append(len(dict(out.__dask_graph__())))
            close(out, logsumexp(numbers(64)))
        assert counts == sorted(counts, reverse=True)
        assert counts[0] > counts[-1]

    def test_equal_calls_have_equal_names(self) -> None:
        x = in_chunks(numbers(8, 6), 2)
        for function in (*ALL, LogSoftmaxTransformer(2.0).transform):
            options = {} if function not in ALL else {"axis": 1}
            assert function(x, **options).name == function(x, **options).name
        assert logsumexp(x, axis=0).name != logsumexp(x, axis=1).name
        assert logsumexp(x).name != logmeanexp(x).name

    def test_chunks_use_one_thread_and_the_kernels_chosen(self) -> None:
        seen = []

        def lift(_: Any, x: Any, __: Any) -> Any:
            seen.append((threads.number_of_threads(), choice.chosen()))
            return (x[:1],)

        def merge(_: Any, parts: Any) -> Any:
            return tuple(part[0] for part in parts)

        with agnostic_lse.kernels("off"):
            out = reduced(lift, merge, lambda _, parts, __: parts[0], (in_chunks(ONES, 2),), (0,))
        out.compute()
        assert seen == [(1, "off")] * 4


class TestChunks:
    @each_function
    def test_of_unknown_length(self, function: Callable[..., Any]) -> None:
        x = numbers(12, 4)
        unknown = in_chunks(x, (5, 2))
        unknown = unknown[unknown[:, 0] > 0]
        close(function(unknown, axis=1), function(x[x[:, 0] > 0], axis=1), 1e-14)

    @each_reduction
    def test_of_unknown_length_with_weights(self, function: Callable[..., Any]) -> None:
        x, b = numbers(12, 4), np.abs(numbers(12, 4))
        keep = x[:, 0] > 0
        one, other = in_chunks(x, (5, 2)), in_chunks(b, (5, 2))
        there = one[:, 0] > 0
        out = function(one[there], axis=1, b=other[there], where=one[there] < 5)
        close(out, function(x[keep], axis=1, b=b[keep], where=x[keep] < 5), 1e-14)

    @each_function
    @pytest.mark.parametrize("axis", [0, 1])
    def test_of_no_length(self, function: Callable[..., Any], axis: int) -> None:
        x = numbers(6, 4)
        empty = in_chunks(x, ((0, 2, 0, 4, 0), (4, 0)))
        close(function(empty, axis=axis), function(x, axis=axis), 1e-14)

    def test_of_no_length_beside_one(self) -> None:
        """A block of length 0 must not be broadcast against one of length 1."""
        x = in_chunks(np.zeros(1), 1)
        there = in_chunks(np.asarray([True]), ((1, 0),))
        np.testing.assert_array_equal(softmax(x, where=there).compute(), [1.0])
        assert logsumexp(x, where=there).compute() == 0
        nothing = da.concatenate([da.zeros((0, 3))] * 2)
        for axis in (None, 0, 1):
            out = logsumexp(nothing, axis=axis, b=da.ones((0, 3))).compute()
            np.testing.assert_array_equal(out, logsumexp(np.empty((0, 3)), axis=axis))

    @pytest.mark.parametrize("function", [logaddexp, logsubexp], ids=lambda f: f.__name__)
    def test_of_two_kinds(self, function: Callable[..., Any]) -> None:
        """What covers the same entries meets, and not what has the same number."""
        x1, x2 = np.arange(1.0, 6.0), np.arange(0.0, 5.0) / 2
        out = function(in_chunks(x1, ((1, 4),)), in_chunks(x2, ((4, 1),)))
        close(out, function(x1, x2))
        turned = np.asarray([1j, 0, 2j, 1, 0.5])
        out = logaddexp(in_chunks(turned, ((1, 4),)), in_chunks(x2, ((2, 3),)))
        close(out, logaddexp(turned, x2))

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize("include_initial", [False, True])
    def test_of_unknown_length_in_scans(self, reverse: bool, include_initial: bool) -> None:
        x = numbers(8, 3)
        options = {"reverse": reverse, "include_initial": include_initial}
        for keep in (np.arange(8) % 3 == 1, np.arange(8) > 5, np.arange(8) < 0):
            there = in_chunks(keep, 2)
            for axis in (0, 1):
                out = logcumsumexp(in_chunks(x, 2)[there], axis=axis, **options)
                close(out, logcumsumexp(x[keep], axis=axis, **options), 1e-14)
            out = logcumsumexp(in_chunks(x[:, 0].copy(), 2)[there], **options)
            close(out, logcumsumexp(x[keep, 0], **options), 1e-14)

    def test_of_unknown_length_refused(self) -> None:
        unknown = in_chunks(np.ones((4, 2)), 2)
        unknown = unknown[unknown[:, 0] > 0]
        match = r"^x has shape \(nan, 2\), but known lengths were expected: call its compute_chunk_"
        with pytest.raises(ValueError, match=match):
            logcumsumexp(unknown)
        with pytest.raises(ValueError, match=r"^a has shape \(nan, 2, 1\), but known lengths were"):
            logmatmulexp(unknown[:, :, None], unknown[:, None, :])

    def test_of_unknown_length_in_products(self) -> None:
        x = numbers(6, 3)
        keep = x[:, 0] > 0
        lazy, lazy_row, there = in_chunks(x, 2), in_chunks(x[:, 0].copy(), 2), in_chunks(keep, 2)
        lazy, lazy_row, x, row = lazy[there], lazy_row[there], x[keep], x[keep, 0]
        for ours, theirs in (
            (logmatmulexp(lazy.T, lazy), logmatmulexp(x.T, x)),
            (logmatmulexp(lazy_row, lazy), logmatmulexp(row, x)),
            (logmatmulexp(lazy.T, lazy_row), logmatmulexp(x.T, row)),
            (logmatmulexp(lazy[:, :0], da.zeros((0, 2))), logmatmulexp(x[:, :0], np.zeros((0, 2)))),
        ):
            close(ours, theirs, 1e-13)

    @each_reduction
    @pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0), (2, 0, 3)])
    def test_of_nothing(self, function: Callable[..., Any], shape: tuple[int, ...]) -> None:
        x = np.empty(shape)
        for axis in (None, *range(len(shape))):
            for given in (in_chunks(x, 2), da.empty(shape)):
                out = function(given, axis=axis).compute()
                np.testing.assert_array_equal(out, function(x, axis=axis))
        assert softmax(da.empty(shape), axis=0).compute().shape == shape

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "complex64"])
    @pytest.mark.parametrize("options", [{}, {"b": True}, {"where": True}, {"b": True, "where": 1}])
    @pytest.mark.parametrize("axis", [None, 1, (0, 2)])
    def test_agree_with_numpy(self, dtype: str, options: dict[str, Any], axis: Any) -> None:
        rng = np.random.default_rng(3)
        x = (3 * rng.normal(size=(5, 6, 4))).astype(dtype)
        b, where = rng.normal(size=x.shape).astype(np.float32), rng.random(x.shape) < 0.7
        both: dict[str, Any] = {"b": b, "where": where}
        given = {name: both[name] for name in options}
        lazy = {name: in_chunks(array, (2, 4, 3)) for name, array in given.items()}
        size, sign = logsumexp(in_chunks(x, (2, 4, 3)), axis=axis, return_sign=True, **lazy)
        wanted = logsumexp(x, axis=axis, return_sign=True, **given)
        mean = logmeanexp(in_chunks(x, (2, 4, 3)), axis=axis, **lazy)
        pairs = [
            (size, wanted[0]),
            (sign, wanted[1]),
            (mean, logmeanexp(x, axis=axis, **given)),
            (
                logsumexp(in_chunks(x, (2, 4, 3)), axis=axis, keepdims=True, **lazy),
                logsumexp(x, axis=axis, keepdims=True, **given),
            ),
        ]
        for ours, theirs in pairs:
            computed = ours.compute()
            assert ours.dtype == computed.dtype == theirs.dtype
            assert ours.shape == computed.shape == theirs.shape
            tolerance = 30 * float(np.finfo(theirs.dtype).eps)
            np.testing.assert_allclose(computed, theirs, rtol=tolerance, atol=tolerance)

    def test_nothing_warns(self) -> None:
        special = [INF, -INF, NAN, 1.7e308, -1.7e308, 800.0, -800.0, 0.0]
        x = np.asarray([[one, other] for one in special for other in special])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            for function in ALL:
                np.testing.assert_allclose(
                    function(in_chunks(x, (3, 1)), axis=1).compute(scheduler="threads"),
                    function(x, axis=1),
                    rtol=1e-14,
                )


class TestMeans:
    """One round over blocks, each of which has had two."""

    @pytest.mark.parametrize("chunks", [1, 3, 100])
    @pytest.mark.parametrize(
        "x",
        [
            np.linspace(-1e-3, 1e-3, 300),
            np.append(np.zeros(299), 2.0),
            np.append(np.full(299, -40.0), 6.0),
            np.linspace(-300, 5.7, 300),
            np.append(np.full(299, 1e-20), -1e-20),
        ],
        ids=["near 0", "a lone peak", "a peak above nothing", "a slope", "tiny"],
    )
    def test_accuracy(self, x: Any, chunks: int) -> None:
        exact = log_sum(x.tolist()) - log_sum([0.0] * len(x))
        size = max(abs(exact), float(np.sum(softmax(x) * np.abs(x))))
        mean = logmeanexp(in_chunks(x, chunks)).compute()
        assert roundoffs(mean, exact, size, "float64") <= 4

    @pytest.mark.parametrize(
        "b",
        [
            [1e300, 1e300, 1e-300, 1e-300],
            [1e-300, 1e-300, 2e-300, 1e-300],
            [1e308, 1e308, 1e308, 1e308],
            [0.0, 0.0, 1.0, 2.0],
            [0.0, 0.0, 0.0, 0.0],
            [1.0, -1.0, 2.0, 3.0],
            [1.0, -1.0, 2.0, -2.0],
            [-1.0, -2.0, -3.0, -4.0],
            [1.0, 2.0, -1.0, 0.5],
            [1e-320, 0.0, 1e300, 0.0],
        ],
    )
    def test_weights(self, b: list[float]) -> None:
        for x in ([0.1, 0.2, 0.3, 0.4], [INF, 0.0, 1.0, -INF], [-INF, -INF, 700.0, 3.0]):
            out = logmeanexp(in_chunks(np.asarray(x), 2), b=in_chunks(np.asarray(b), 2))
            close(out.compute(), logmeanexp(x, b=b), 1e-14)

    def test_derivation(self) -> None:
        """A mean of many blocks errs no more than one of few."""
        x = np.random.default_rng(1).normal(size=4096)
        exact = log_sum(x.tolist()) - log_sum([0.0] * len(x))
        for chunks in (2, 64, 4096):
            mean = logmeanexp(in_chunks(x, chunks)).compute()
            assert roundoffs(mean, exact, max(abs(exact), 1), "float64") <= 4


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    X[:, 0] += 30 * (np.arange(60) % 3)
    return X, np.asarray(["a", "b", "c"])[np.arange(60) % 3]


class TestEstimators:
    @pytest.mark.parametrize(
        "model",
        [
            make_pipeline(StandardScaler(), LogisticRegression(C=1e4)),
            HistGradientBoostingClassifier(max_iter=3),
            GaussianNB(),
        ],
        ids=["pipeline", "boosting", "naive Bayes"],
    )
    def test_log_proba(self, uncomputed: Any, model: Any) -> None:
        X, y = data()
        model.fit(X, y)
        lazy = in_chunks(X, (7, 2))
        with uncomputed:
            out = log_proba(model, lazy, smoothing=1e-9)
        wanted = log_proba(model, X, smoothing=1e-9)
        assert out.shape == wanted.shape
        assert out.dtype == wanted.dtype
        np.testing.assert_array_equal(out.compute(), wanted)

    @pytest.mark.parametrize(
        "model",
        [
            LogProbabilityClassifier(LogisticRegression()),
            LogPoolClassifier([("one", GaussianNB()), ("two", LogisticRegression())]),
        ],
        ids=["around one", "pool"],
    )
    @pytest.mark.parametrize("method", ["predict_log_proba", "predict_proba", "predict"])
    def test_classifiers(self, uncomputed: Any, model: Any, method: str) -> None:
        X, y = data()
        model.fit(X, y)
        with uncomputed:
            out = getattr(model, method)(in_chunks(X, (7, 3)))
        wanted = getattr(model, method)(X)
        assert (out.shape, out.dtype) == (wanted.shape, wanted.dtype)
        np.testing.assert_array_equal(out.compute(), wanted)

    @pytest.mark.parametrize(
        "transformer",
        [
            LogSoftmaxTransformer(),
            LogSoftmaxTransformer(0.3),
            LogSumExpTransformer({"front": [0, 1], "back": [2]}),
            LogProbabilityTransformer(LogisticRegression()),
        ],
        ids=lambda t: type(t).__name__,
    )
    def test_transformers(self, uncomputed: Any, transformer: Any) -> None:
        X, y = data()
        transformer.fit(X, y)
        lazy = in_chunks(X, (7, 2))
        with uncomputed:
            out = transformer.transform(lazy)
        np.testing.assert_array_equal(out.compute(), transformer.transform(X))
        assert transformer.transform(lazy[lazy[:, 0] > 1]).compute().shape[1] == out.shape[1]

    def test_mixtures(self, uncomputed: Any) -> None:
        X, _ = data()
        mixture = GaussianMixture(2, random_state=0).fit(X)
        with uncomputed:
            out = log_responsibilities(mixture, in_chunks(X, (10, 3)))
        np.testing.assert_array_equal(out.compute(), log_responsibilities(mixture, X))

    def test_several_outputs(self, uncomputed: Any) -> None:
        X, y = data()
        model = MultiOutputClassifier(LogisticRegression()).fit(X, np.stack((y, y == "a"), axis=1))
        with uncomputed:
            out = log_proba(model, in_chunks(X, (10, 3)))
        for ours, theirs in zip(out, log_proba(model, X), strict=True):
            np.testing.assert_array_equal(ours.compute(), theirs)

    def test_estimators_are_kept_as_they_are(self) -> None:
        X, y = data()
        transformer, model = LogSoftmaxTransformer(2.0), LogisticRegression(C=1e-3).fit(X, y)
        lazy = in_chunks(X, (7, 3))
        scores, log_p = transformer.transform(lazy), log_proba(model, lazy)
        wanted = transformer.transform(X), log_proba(model, X)
        transformer.set_params(temperature=5.0)
        model.set_params(C=100.0).fit(X, y)
        np.testing.assert_array_equal(scores.compute(), wanted[0])
        np.testing.assert_array_equal(log_p.compute(), wanted[1])

    def test_configuration_of_scikit_learn_goes_along(self) -> None:
        lazy = in_chunks(np.asarray([[0.0, NAN], [1.0, 2.0]]), 1)
        with config_context(assume_finite=True):
            out = LogSoftmaxTransformer().fit_transform(lazy)
        assert np.isnan(out.compute(scheduler="threads")[0]).all()

    def test_lazy_containers_are_refused(self) -> None:
        xr = available_package("xarray")
        X, y = data()
        model = LogisticRegression().fit(X, y)
        lazy = xr.DataArray(in_chunks(X, (7, 3)), dims=("row", "column"))
        for use in (functools.partial(log_proba, model), LogProbabilityClassifier(model).fit(X, y)):
            with pytest.raises(TypeError, match=r"^X is a lazy DataArray"):
                getattr(use, "predict_log_proba", use)(lazy)

    def test_unfitted(self) -> None:
        with pytest.raises(NotFittedError, match="not fitted yet"):
            log_proba(LogisticRegression(), in_chunks(np.ones((4, 2)), 2))

    @pytest.mark.parametrize("rows", [(0, 20, 40, 0), (60, 0), (0, 60), (30, 0, 0, 30), (0, 0)])
    @pytest.mark.parametrize("columns", [(3,), (0, 3), (1, 0, 2)])
    def test_chunks_of_nothing(self, rows: tuple[int, ...], columns: tuple[int, ...]) -> None:
        X, y = data()
        model = LogisticRegression().fit(X, y)
        lazy = in_chunks(X[: sum(rows)], (rows, columns))
        classifier = LogProbabilityClassifier(model).fit(X, y)
        for use in (functools.partial(log_proba, model), classifier.predict_log_proba):
            out, wanted = use(lazy), use(X)[: sum(rows)]
            assert out.shape == wanted.shape
            np.testing.assert_array_equal(out.compute(), wanted)
        for transformer in (LogSoftmaxTransformer(), LogSumExpTransformer({"front": [0, 2]})):
            out = transformer.fit(X).transform(lazy)
            np.testing.assert_array_equal(out.compute(), transformer.transform(X)[: sum(rows)])
        mixture = GaussianMixture(2, random_state=0).fit(X)
        out = log_responsibilities(mixture, lazy).compute()
        np.testing.assert_array_equal(out, log_responsibilities(mixture, X)[: sum(rows)])

    @pytest.mark.parametrize("count", [1, 3])
    def test_log_loss_of_chunks_of_nothing(self, count: int) -> None:
        y, log_p = np.arange(count) % 2, np.log(np.full((count, 2), [0.25, 0.75]))
        weights = np.arange(1.0, count + 1)
        wanted = log_loss(y, log_p, sample_weight=weights, labels=[0, 1])
        kinds = [(0, count), (count, 0), (0, count, 0), (count,)]
        for one, two, three in itertools.product(kinds, repeat=3):
            given = in_chunks(y, (one,)), in_chunks(log_p, (two, (1, 0, 1)))
            weighed = in_chunks(weights, (three,))
            close(log_loss(*given, sample_weight=weighed, labels=[0, 1]).compute(), wanted)
            given = in_chunks(y, (one,)), in_chunks(log_p[:, 1].copy(), (two,))
            close(log_loss(*given, sample_weight=weighed, labels=[0, 1]).compute(), wanted)

    def test_log_loss(self, uncomputed: Any) -> None:
        X, y = data()
        model = LogisticRegression().fit(X, y)
        with uncomputed:
            log_p = log_proba(model, in_chunks(X, (7, 3)))
            loss = log_loss(in_chunks(y, 7), log_p, labels=model.classes_)
        close(loss.compute(), log_loss(y, log_proba(model, X)), 1e-14)

    def test_log_loss_of_an_unknown_label(self) -> None:
        log_p = in_chunks(np.log(np.full((2, 2), 0.5)), (1, 2))
        y = in_chunks(np.asarray([0, 7]), 1)
        assert np.isnan(log_loss(y, log_p, labels=[0, 1]).compute())
        weights = in_chunks(np.asarray([1.0, 0.0]), 1)
        close(log_loss(y, log_p, labels=[0, 1], sample_weight=weights).compute(), math.log(2))

    def test_refusals(self) -> None:
        X, y = data()
        model = LogisticRegression().fit(X, y)
        with pytest.raises(ValueError, match=r"^X has shape \(60,\), but two dimensions"):
            log_proba(model, in_chunks(X[:, 0], 7))
        categories = make_pipeline(OrdinalEncoder(), LogisticRegression()).fit([[1], [2]], [0, 1])
        match = (
            r"^A row of zeros, given to learn what becomes of X, was refused by Pipeline \(Found "
        )
        with pytest.raises(ValueError, match=match):
            log_proba(categories, in_chunks(np.ones((4, 1)), 2))

    def test_errors_of_blocks_reach_the_caller(self) -> None:
        X, y = data()
        model = LogisticRegression().fit(X, y)
        X[50, 1] = NAN
        out = log_proba(model, in_chunks(X, (7, 3)))
        with pytest.raises(ValueError, match="Input X contains NaN"):
            out.compute()
