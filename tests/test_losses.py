"""The loss without clipping and its scorer: values, backends, labels, weights, refusals."""

from __future__ import annotations

import copy
import math
import pickle
import re
from typing import Any

import array_api_compat as compat
import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_iris
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    StratifiedKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from agnostic_lse import log_expit, log_softmax
from agnostic_lse.sklearn import LogProbabilityMixin, log_loss, neg_log_loss_scorer
from tests.backends import Backend

INF, NAN = math.inf, math.nan
RNG = np.random.default_rng(0)
SCORES = RNG.normal(size=(40, 3)) * 300
LOG_PROBA = log_softmax(SCORES, axis=1)
CODES = RNG.integers(0, 3, size=40)
WEIGHTS = RNG.uniform(size=40) * (RNG.uniform(size=40) > 0.3)
NAMES = np.asarray(["cat", "dog", "owl"])


def exact(log_proba: Any, codes: Any, weights: Any = None) -> float:
    """Return the loss to 50 digits of the log-probabilities given."""
    weights = np.ones(len(codes)) if weights is None else weights
    with mp.workdps(50):
        terms = [
            mp.mpf(float(w)) * mp.mpf(float(row[code]))
            for row, code, w in zip(log_proba, codes, weights, strict=True)
            if w
        ]
        return float(-mp.fsum(terms) / mp.fsum(map(float, weights)))


def close(actual: Any, expected: float, rtol: float = 1e-15) -> None:
    np.testing.assert_allclose(float(actual), expected, rtol=rtol, atol=0)


class TestValues:
    def test_what_clipping_hides(self) -> None:
        log_proba = np.asarray([[-2058.0, 0.0], [0.0, -2058.0]])
        assert log_loss(["cat", "dog"], log_proba) == 2058.0
        assert 36 < sklearn.metrics.log_loss(["cat", "dog"], np.exp(log_proba)) < 37

    def test_exact(self) -> None:
        close(log_loss(CODES, LOG_PROBA), exact(LOG_PROBA, CODES))
        close(log_loss(CODES, LOG_PROBA, sample_weight=WEIGHTS), exact(LOG_PROBA, CODES, WEIGHTS))

    @pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
    def test_as_scikit_learn_where_nothing_is_clipped(self, weights: Any) -> None:
        log_proba = log_softmax(SCORES / 100, axis=1)
        theirs = sklearn.metrics.log_loss(CODES, np.exp(log_proba), sample_weight=weights)
        close(log_loss(CODES, log_proba, sample_weight=weights), theirs, rtol=1e-14)

    def test_probability_0_of_the_true_class(self) -> None:
        log_proba = [[0.0, -INF], [-INF, 0.0]]
        assert log_loss([0, 1], log_proba) == 0.0
        assert math.copysign(1, log_loss([0, 1], log_proba)) == 1
        assert log_loss([1, 0], log_proba) == INF
        assert log_loss([1, 1], log_proba, sample_weight=[0, 1], labels=[0, 1]) == 0.0
        assert log_loss([0, 1], [[-INF, -INF], [-INF, 0.0]]) == INF

    def test_nan(self) -> None:
        log_proba = [[NAN, 0.0], [-INF, 0.0]]
        assert math.isnan(log_loss([0, 1], log_proba))
        assert math.isnan(log_loss([1, 0], log_proba))
        assert log_loss([0, 1], log_proba, sample_weight=[0, 1]) == 0.0
        assert math.isnan(log_loss([0, 1], [NAN, -1.0]))

    def test_a_sample_of_weight_0_may_hold_anything(self) -> None:
        log_proba = [[0.3, 0.7], [0.0, -INF], [INF, 1.0]]
        assert log_loss([0, 0, 1], log_proba, sample_weight=[0, 2, 0]) == 0.0

    @pytest.mark.parametrize("scale", [1e-320, 1e-5, 1.0, 1e307])
    def test_scale_of_the_weights(self, scale: float) -> None:
        weights = np.asarray([1.0, 3.0, 0.0, 4.0]) * scale
        close(
            log_loss(CODES[:4], LOG_PROBA[:4], sample_weight=weights, labels=[0, 1, 2]),
            exact(LOG_PROBA[:4], CODES[:4], weights),
        )

    def test_beside_an_infinite_loss_a_weight_may_vanish(self) -> None:
        assert log_loss([1, 0], [[0.0, -INF]] * 2, sample_weight=[1e-320, 1e300]) == INF

    def test_two_labels_in_one_dimension(self) -> None:
        score = RNG.normal(size=40) * 100
        both = np.stack([log_expit(-score), log_expit(score)], axis=1)
        y = RNG.integers(0, 2, size=40)
        # From the nearest number to a logarithm near 0, the complement keeps its digits too.
        close(log_loss(y, both[:, 1]), log_loss(y, both), rtol=1e-15)
        assert log_loss(["no", "yes"], [-4.248354255291589e-18, 0.0]) == 20.0

    def test_rounding_above_0(self) -> None:
        assert log_loss([1, 1], [2e-16, 0.0], labels=[0, 1]) == -1e-16
        assert log_loss([0, 1], [2e-16, 0.0]) == INF

    def test_float32_loses_nothing(self) -> None:
        n = 10_000_000
        log_proba = np.full((n, 2), -0.1, dtype=np.float32)
        log_proba[:, 0] = np.log(-np.expm1(np.float64(log_proba[0, 1])))
        y = np.ones(n, dtype=np.int8)
        y[0] = 0
        expected = (float(-log_proba[0, 0]) - (n - 1) * float(log_proba[1, 1])) / n
        close(log_loss(y, log_proba), expected, rtol=4e-16)

    @settings(deadline=None, max_examples=50)
    @given(st.permutations(range(40)), st.integers(1, 40))
    def test_order_and_repetition(self, order: list[int], repeated: int) -> None:
        loss = log_loss(CODES, LOG_PROBA, labels=[0, 1, 2])
        close(log_loss(CODES[order], LOG_PROBA[order], labels=[0, 1, 2]), loss, rtol=1e-14)
        twice = np.concatenate([order, order[:repeated]])
        weights = np.ones(40)
        weights[order[:repeated]] = 2
        close(
            log_loss(CODES[twice], LOG_PROBA[twice], labels=[0, 1, 2]),
            log_loss(CODES, LOG_PROBA, sample_weight=weights, labels=[0, 1, 2]),
            rtol=1e-14,
        )


class TestBackends:
    """Every namespace, with labels from NumPy and from the namespace itself."""

    @pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
    def test_labels_of_numpy(self, library: Backend, array: Any, weights: Any) -> None:
        out = log_loss(NAMES[CODES], array(LOG_PROBA), sample_weight=weights)
        self.check(library, out, exact(LOG_PROBA, CODES, weights))
        if weights is not None:  # which may lie beside the log-probabilities too
            out = log_loss(CODES, array(LOG_PROBA), sample_weight=array(weights))
            self.check(library, out, exact(LOG_PROBA, CODES, weights))

    @pytest.mark.parametrize("dtype", ["int64", "int32", "uint8", "float64"])
    @pytest.mark.parametrize("labels", [[0, 1, 2], [2, 0, 1, 1], np.arange(3.0)], ids=str)
    def test_labels_beside(self, library: Backend, array: Any, dtype: str, labels: Any) -> None:
        out = log_loss(array(CODES, dtype), array(LOG_PROBA), labels=labels)
        self.check(library, out, exact(LOG_PROBA, CODES))

    def test_labels_found(self, library: Backend, array: Any) -> None:
        if library is Backend.DASK:
            with pytest.raises(ValueError, match=r"^labels is None, but y_true is an Array whose"):
                log_loss(array(CODES), array(LOG_PROBA))
            return
        self.check(library, log_loss(array(CODES), array(LOG_PROBA)), exact(LOG_PROBA, CODES))
        self.check(
            library, log_loss(array(CODES), array(LOG_PROBA), labels=array([0, 1, 2])),
            exact(LOG_PROBA, CODES),
        )  # fmt: skip

    def test_booleans_in_one_dimension(self, library: Backend, array: Any) -> None:
        out = log_loss(array([True, False, True]), array([-1.0, -2.0, -40.0]), labels=[False, True])
        self.check(library, out, (1 + 40 - math.log1p(-math.exp(-2))) / 3)
        out = log_loss([1, 0, 0], array([0.0, -INF, -0.0]))
        self.check(library, out, INF)

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
    def test_dtypes(self, library: Backend, array: Any, dtype: str) -> None:
        if dtype != "float32" and not library.knows(dtype):
            pytest.skip(f"{library} has no {dtype}")
        x = array(log_softmax(SCORES / 100, axis=1), dtype)
        out = log_loss(CODES, x)
        expected = exact(log_softmax(SCORES / 100, axis=1), CODES)
        if library is Backend.DASK:
            assert out.dtype == x.dtype
        close(out, expected, rtol={"float16": 2e-3, "bfloat16": 2e-2, "float32": 1e-6}[dtype])

    def test_infinite_loss(self, library: Backend, array: Any) -> None:
        x = array([[0.0, -INF], [-INF, 0.0], [0.0, -INF]])
        self.check(library, log_loss([0, 1, 0], x), 0.0)
        self.check(library, log_loss([0, 1, 1], x), INF)
        self.check(library, log_loss([0, 1, 1], x, sample_weight=[1, 1, 0]), 0.0)
        self.check(library, log_loss([0, 1, 1], x, sample_weight=[1e300, 1, 1e-300]), INF)

    def test_refused(self, library: Backend, array: Any) -> None:
        if library is Backend.DASK:
            return  # whose entries are not known
        with pytest.raises(ValueError, match=r"^Row 0 of log_proba has exponentials that sum to"):
            log_loss(CODES, array(np.exp(LOG_PROBA)))
        with pytest.raises(ValueError, match=r"^y_true has the label .*3.*, which is none of \[0,"):
            log_loss(array([0, 1, 3]), array(LOG_PROBA[:3]), labels=[0, 1, 2])
        with pytest.raises(ValueError, match=r"^sample_weight has an entry that is negative"):
            log_loss([0, 1, 2], array(LOG_PROBA[:3]), sample_weight=array([1.0, -1.0, 1.0]))

    @staticmethod
    def check(library: Backend, out: Any, expected: float) -> None:
        if library is Backend.DASK:
            assert compat.is_dask_array(out)
            assert out.shape == ()
        else:
            assert type(out) is float
        close(out, expected)

    def test_jit_and_gradient(self) -> None:
        jax = pytest.importorskip("jax")
        jax.config.update("jax_enable_x64", True)
        x, y = jax.numpy.asarray(LOG_PROBA), jax.numpy.asarray(CODES)

        def loss(x: Any, y: Any, weights: Any = None) -> Any:
            return log_loss(y, x, sample_weight=weights, labels=[0, 1, 2])

        close(jax.jit(loss)(x, y), exact(LOG_PROBA, CODES))
        close(jax.jit(loss)(x, y, jax.numpy.asarray(WEIGHTS)), exact(LOG_PROBA, CODES, WEIGHTS))
        close(jax.jit(lambda x: log_loss(NAMES[CODES], x))(x), exact(LOG_PROBA, CODES))
        close(jax.jit(lambda y: loss(x, y))(y), exact(LOG_PROBA, CODES))
        slope = jax.grad(loss)(x, y)
        np.testing.assert_allclose(slope, -np.eye(3)[CODES] / 40, rtol=1e-15)
        with pytest.raises(ValueError, match=r"^labels is None, but y_true is a"):
            jax.jit(log_loss)(y, x)
        with pytest.raises(TypeError, match=r"^y_true is a .* whose entries are not known yet"):
            jax.jit(lambda y: log_loss(y, LOG_PROBA, labels=[0, 1, 2]))(y)

    def test_narrow_jax(self) -> None:
        jax = pytest.importorskip("jax")
        wide = jax.config.jax_enable_x64
        jax.config.update("jax_enable_x64", False)
        try:
            x = jax.numpy.asarray(LOG_PROBA)
            out = log_loss(CODES, x, sample_weight=WEIGHTS)
            close(out, exact(LOG_PROBA, CODES, WEIGHTS), rtol=1e-6)
        finally:
            jax.config.update("jax_enable_x64", wide)

    def test_derivatives_of_torch_do_not_warn(self) -> None:
        torch = pytest.importorskip("torch")
        x = torch.asarray(LOG_PROBA, requires_grad=True)
        close(log_loss(CODES, x), exact(LOG_PROBA, CODES))

    def test_unknown_chunks(self) -> None:
        da = pytest.importorskip("dask.array")
        x = da.from_array(LOG_PROBA, chunks=(10, 3))
        y = da.from_array(CODES, chunks=10)
        kept = da.from_array(np.arange(40) < 30, chunks=10)
        close(
            log_loss(y[kept], x[kept], labels=[0, 1, 2]).compute(),
            exact(LOG_PROBA[:30], CODES[:30]),
        )

        match = (
            r"^y_true lies in host memory, but log_proba is a Dask array of unknown chunks: call"
        )
        with pytest.raises(ValueError, match=match):
            log_loss(CODES[:30], x[kept])
        with pytest.raises(ValueError, match=match.replace("y_true", "sample_weight")):
            log_loss(y[kept], x[kept], labels=[0, 1, 2], sample_weight=np.ones(30))

    def test_labels_from_another_namespace(self) -> None:
        torch = pytest.importorskip("torch")
        strict = pytest.importorskip("array_api_strict")
        x = strict.asarray(LOG_PROBA, device=strict.Device("device1"))
        close(log_loss(torch.asarray(CODES), x), exact(LOG_PROBA, CODES))
        close(log_loss(strict.asarray(CODES), x), exact(LOG_PROBA, CODES))
        close(log_loss(torch.asarray(CODES), LOG_PROBA), exact(LOG_PROBA, CODES))


class TestLabels:
    @pytest.mark.parametrize(
        "y",
        [
            NAMES[CODES],
            NAMES[CODES].tolist(),
            NAMES[CODES].astype(object),
            pd.Series(NAMES[CODES], index=range(40, 0, -1)),
            pd.Series(NAMES[CODES], dtype="category"),
            pd.Series(CODES, dtype="Int64"),
            pd.Series(CODES, dtype="float32"),
            CODES[::-1][::-1].astype(">i4"),
            CODES - 1.5,
        ],
        ids=lambda y: f"{type(y).__name__}-{getattr(y, 'dtype', '')}",
    )
    def test_kinds(self, y: Any) -> None:
        assert log_loss(y, LOG_PROBA) == log_loss(CODES, LOG_PROBA)
        assert log_loss(y, pd.DataFrame(LOG_PROBA), labels=y) == log_loss(CODES, LOG_PROBA)

    def test_whole_messages(self) -> None:
        match = (
            r"^Row 0 of log_proba has exponentials that sum to 0\.7358, but log-probabilities, "
            r"whose exponentials sum to 1, were expected: pass predict_log_proba\(X\), or "
            r"agnostic_lse\.log_softmax\(scores, axis=1\) of scores\.$"
        )
        with pytest.raises(ValueError, match=match):
            log_loss([0, 1], [[-1.0, -1.0], [-1.0, -2.0]])
        match = (
            r"^y_true has 1 distinct label, \[0\], but log_proba has 2 columns: pass labels with "
            r"one label for each column, and at least two\.$"
        )
        with pytest.raises(ValueError, match=match):
            log_loss([0, 0], [[0.0, -INF]] * 2)

    def test_lists(self) -> None:
        assert log_loss([0, 1], [[0, -INF], [-INF, 0]]) == 0.0

    def test_columns_are_in_sorted_order_of_the_labels(self) -> None:
        log_proba = np.log([[0.5, 0.25, 0.25]])
        close(log_loss(["b"], log_proba, labels=["c", "a", "b", "a"]), math.log(4))

    @pytest.mark.parametrize(
        ("y", "log_proba", "options", "match"),
        [
            ([0, 0], [[0.0, -INF]] * 2, {}, "y_true has 1 distinct label, [0], but log_proba"),
            ([0, 1], [[0.0, -INF, -INF]] * 2, {}, "y_true has 2 distinct labels, [0, 1], but log_"),
            ([0, 1, 2], [-1.0] * 3, {}, "y_true has 3 distinct labels, [0, 1, 2], but log_p"),
            ([0, 1], [-1.0] * 2, {"labels": [0]}, "labels has 1 distinct label, [0], but log_pr"),
            ([0], [[0.0]], {"labels": [0]}, "labels has 1 distinct label, [0], but log_proba has"),
            ([0, 5], [-1.0] * 2, {"labels": [0, 1]}, "y_true has the label 5, which is none of"),
            ([0, 5], [-1.0] * 2, {"labels": ["a", "b"]}, "y_true has the label 0, which is none"),
            ([0.0, NAN], [-1.0] * 2, {}, "y_true has the label nan, which is none of [0.0, nan]"),
            ([0, 1, 1], [-1.0] * 2, {}, "y_true has shape (3,), but log_proba has 2 rows: pass on"),
            ([[0, 1]], [-1.0] * 2, {}, "y_true has shape (1, 2), but one dimension was expected"),
            (0, [-1.0], {}, "y_true has shape (), but one dimension was expected"),
            ([0, 1], [-1.0] * 2, {"labels": 2}, "labels has shape (), but one dimension was exp"),
            ([], np.empty((0, 2)), {"labels": [0, 1]}, "log_proba has shape (0, 2), but one row"),
            ([0], np.zeros((1, 1, 1)), {}, "log_proba has shape (1, 1, 1), but one row"),
            ([0, 1], [-1.0] * 2, {"sample_weight": [0, 0]}, "sample_weight is 0 for all samples"),
            ([0, 1], [-1.0] * 2, {"sample_weight": [NAN, 1]}, "sample_weight has an entry that is"),
            ([0, 1], [-1.0] * 2, {"sample_weight": [INF, 1]}, "sample_weight has an entry that is"),
            ([0, 1], [-1.0] * 2, {"sample_weight": [-1, 1]}, "sample_weight has an entry that is"),
            ([0, 1], [-1.0] * 2, {"sample_weight": [1]}, "sample_weight has shape (1,), but log"),
            ([0, 1], [0.3, 0.6], {}, "log_proba has the entry 0.6, but log-probabilities, which"),
            ([0, 1], [1e-4, 1e-5], {}, "log_proba has the entry 0.0001, but log-probabilities, wh"),
            ([0, 1], [[-1.0, -1.0], [-1.0, -2.0]], {}, "Row 0 of log_proba has exponentials"),
            ([0, 1], [[0.0, -INF], [1e4, 0.0]], {}, "Row 1 of log_proba has exponentials "),
        ],
    )  # fmt: skip
    def test_refused(self, y: Any, log_proba: Any, options: Any, match: str) -> None:
        with pytest.raises(ValueError, match="^" + re.escape(match)):
            log_loss(y, log_proba, **options)

    @pytest.mark.parametrize(
        ("y", "log_proba", "options", "match"),
        [
            ([0, 1], np.asarray([-1.0, -2.0], dtype=complex), {}, "log_proba has dtype complex128"),
            ([0, 1], np.ma.masked_array([-1.0, -2.0]), {}, "log_proba is a masked array"),
            (np.ma.masked_array([0, 1]), [-1.0, -2.0], {}, "y_true is a masked array"),
            ([0, 1], scipy.sparse.eye_array(2).tocsr(), {}, "log_proba is a sparse"),
            ([0, 1], ["a", "b"], {}, "log_proba is a "),
            ([0, 1], [-1.0, -2.0], {"sample_weight": ["1", "2"]}, "sample_weight has dtype <U1"),
            (np.asarray([0, "a"], dtype=object), [-1.0, -2.0], {}, "y_true has labels that cannot"),
            (np.asarray([0, 1], dtype=object), [-1.0, -2.0], {"labels": ["a", "b"]},
             "y_true has dtype object and the labels ['a', 'b'] have dtype <U1"),
        ],
    )  # fmt: skip
    def test_refused_kinds(self, y: Any, log_proba: Any, options: Any, match: str) -> None:
        with pytest.raises(TypeError, match="^" + re.escape(match)):
            log_loss(y, log_proba, **options)

    def test_labels_that_a_namespace_cannot_hold(self) -> None:
        torch = pytest.importorskip("torch")
        y, x = torch.asarray([0, 1]), torch.asarray([-1.0, -2.0])
        for labels in (["a", "b"], [0.5, 1.5]):
            with pytest.raises(ValueError, match=r"^y_true has dtype torch.int64, which does not"):
                log_loss(y, x, labels=labels)


class ExactNB(LogProbabilityMixin, GaussianNB):  # type: ignore[misc]
    """Gaussian naive Bayes with exact log-probabilities."""


class Unsorted(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose classes are in an order of its own."""

    def fit(self, X: Any, y: Any) -> Unsorted:  # noqa: ARG002 (scikit-learn passes it)
        self.classes_ = np.unique(y)[::-1]
        return self

    def predict_log_proba(self, X: Any) -> Any:
        return np.log([[0.5, 0.25, 0.25]] * len(X))


def iris(bright: float = 1.0) -> tuple[Any, Any]:
    data = load_iris()
    X = np.concatenate([data.data, bright * data.data[:3]])
    return X, np.concatenate([data.target_names[data.target], ["virginica"] * 3])


class TestScorer:
    def test_value(self) -> None:
        X, y = iris(100)
        fitted = ExactNB().fit(X[:150], y[:150])
        score = neg_log_loss_scorer(fitted, X, y)
        assert type(score) is float
        assert score == -log_loss(y, fitted.predict_log_proba(X))
        weights = np.arange(153.0)
        assert neg_log_loss_scorer(fitted, X, y, sample_weight=weights) == -log_loss(
            y, fitted.predict_log_proba(X), sample_weight=weights
        )

    def test_as_scikit_learn_where_nothing_is_clipped(self) -> None:
        X, y = iris()
        model = make_pipeline(StandardScaler(), GaussianNB(var_smoothing=1))
        ours = cross_val_score(model, X, y, cv=4, scoring=neg_log_loss_scorer)
        theirs = cross_val_score(model, X, y, cv=4, scoring="neg_log_loss")
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)

    def test_two_classes_keep_both_columns(self) -> None:
        X, y = [[0.0], [1.0], [40.0], [41.0]], ["a", "a", "b", "b"]
        fitted = ExactNB().fit(X, y)
        score = neg_log_loss_scorer(fitted, [[1e3]], ["a"])
        assert fitted.predict_log_proba([[1e3]])[0, 1] == 0  # from which a's cannot be told
        assert score == fitted.predict_log_proba([[1e3]])[0, 0] < -1e5

    def test_samples_that_lack_a_class(self) -> None:
        X, y = iris()
        fitted = ExactNB().fit(X, y)
        assert neg_log_loss_scorer(fitted, X[:10], y[:10]) > -1e-3

    def test_classes_in_another_order(self) -> None:
        fitted = Unsorted().fit(None, ["a", "b", "c"])
        close(neg_log_loss_scorer(fitted, [0, 0], ["c", "c"]), -math.log(2))

    def test_model_selection(self) -> None:
        X, y = iris(100)
        grid = {"var_smoothing": [1e-9, 1e-2]}
        folds = KFold(3, shuffle=True, random_state=0)
        search = GridSearchCV(ExactNB(), grid, scoring=neg_log_loss_scorer, cv=folds).fit(X, y)
        assert np.isfinite(search.cv_results_["mean_test_score"]).all()
        several = {"ours": neg_log_loss_scorer, "theirs": "neg_log_loss", "accuracy": "accuracy"}
        scores = cross_validate(search.best_estimator_, X, y, cv=folds, scoring=several)
        alone = cross_val_score(search.best_estimator_, X, y, cv=folds, scoring=neg_log_loss_scorer)
        assert scores["test_ours"].tolist() == alone.tolist()

    def test_metadata_routing(self) -> None:
        X, y = iris(100)
        weights = np.append(np.ones(150), [0.0] * 3)
        scorer = copy.deepcopy(neg_log_loss_scorer)
        folds = list(StratifiedKFold(3).split(X, y))
        with config_context(enable_metadata_routing=True):
            assert scorer.set_score_request(sample_weight=True) is scorer
            estimator = ExactNB().set_fit_request(sample_weight=False)
            search = GridSearchCV(estimator, {"var_smoothing": [1e-9]}, scoring=scorer, cv=folds)
            results = search.fit(X, y, sample_weight=weights).cv_results_
        for i, (train, test) in enumerate(folds):
            log_proba = ExactNB().fit(X[train], y[train]).predict_log_proba(X[test])
            expected = -log_loss(y[test], log_proba, sample_weight=weights[test])
            assert results[f"split{i}_test_score"][0] == expected

    def test_copies(self) -> None:
        X, y = iris()
        fitted = ExactNB().fit(X, y)
        copies = [
            pickle.loads(pickle.dumps(neg_log_loss_scorer)),  # noqa: S301 (our own)
            copy.deepcopy(neg_log_loss_scorer),
            clone(neg_log_loss_scorer, safe=False),
        ]
        for scorer in copies:
            assert repr(scorer) == "neg_log_loss_scorer"
            assert scorer(fitted, X, y) == neg_log_loss_scorer(fitted, X, y)

    def test_no_log_probabilities(self) -> None:
        X, y = iris()
        match = (
            r"^LinearSVC has no predict_log_proba, which neg_log_loss_scorer calls: wrap it in "
            r"agnostic_lse\.sklearn\.LogProbabilityClassifier\(estimator\)\.$"
        )
        with pytest.raises(AttributeError, match=match):
            neg_log_loss_scorer(LinearSVC().fit(X, y), X, y)
        with pytest.raises(AttributeError, match=match):
            cross_val_score(LinearSVC(), X, y, scoring=neg_log_loss_scorer, error_score="raise")

    def test_log_probabilities_of_another_namespace(self, array: Any) -> None:
        class Elsewhere(Unsorted):
            def predict_log_proba(self, X: Any) -> Any:
                return array(super().predict_log_proba(X))

        X, y = iris()
        close(
            neg_log_loss_scorer(Elsewhere().fit(X, y), X, y),
            neg_log_loss_scorer(Unsorted().fit(X, y), X, y),
        )
