"""The scikit-learn door: its own checks, and what a pipeline of this library's steps gives."""

from __future__ import annotations

import math
import pickle
from collections.abc import Iterator
from typing import Any

import array_api_compat as compat
import array_api_strict
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from agnostic_lse import log_softmax, logsumexp
from agnostic_lse.sklearn import LogProbabilityMixin, LogSoftmaxTransformer, LogSumExpTransformer
from tests.backends import to_numpy

INF, NAN = math.inf, math.nan


class Centroids(LogProbabilityMixin, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A Gaussian of unit width around the mean of each class, in any namespace."""

    def fit(self, X: Any, y: Any) -> Centroids:
        X, y = validate_data(self, X, y)
        labels = to_numpy(y)
        check_classification_targets(labels)
        self.classes_ = np.unique(labels)
        xp = compat.array_namespace(X)
        real = X.dtype if xp.isdtype(X.dtype, "real floating") else xp.float64
        share = (labels[:, None] == self.classes_).astype(np.float64)
        share = xp.asarray(share / share.sum(axis=0), device=compat.device(X))
        self.means_ = xp.matrix_transpose(xp.astype(share, real)) @ xp.astype(X, real)
        return self

    def predict_joint_log_proba(self, X: Any) -> Any:
        check_is_fitted(self)
        X = validate_data(self, X, reset=False)
        xp = compat.array_namespace(X)
        apart = xp.astype(X, self.means_.dtype)[:, None, :] - self.means_[None, :, :]
        return -0.5 * xp.sum(apart * apart, axis=2)


class NaiveBayes(LogProbabilityMixin, GaussianNB):  # type: ignore[misc]
    """scikit-learn's own joint log-density, read by the mixin."""


def expected_failures(estimator: Any) -> dict[str, str]:
    if isinstance(estimator, Centroids):
        return {
            "check_array_api_same_namespace": (
                "it is for the host to compare what it has learned with X, by scikit-learn's "
                "private check_same_namespace; this host lets the library say so"
            )
        }
    return {
        "check_array_api_same_namespace": (
            "nothing that was learned lies on a device: any namespace may follow any other"
        )
    }


class TestChecks:
    """scikit-learn's own checks, those of the array API on every library that is installed."""

    @parametrize_with_checks(  # type: ignore[untyped-decorator]
        [
            LogSoftmaxTransformer(),
            LogSoftmaxTransformer(temperature=2.0),
            LogSumExpTransformer(),
            Centroids(),
        ],
        expected_failed_checks=expected_failures,
    )
    def test_estimator(self, estimator: Any, check: Any) -> None:
        check(estimator)


@pytest.fixture
def dispatch() -> Iterator[None]:
    """Let scikit-learn pass arrays on as they are."""
    with sklearn.config_context(array_api_dispatch=True):
        yield


@pytest.mark.usefixtures("dispatch")
class TestOnEveryBackend:
    SCORES = ((40.0, 0.0, -INF), (1.0, 2.0, 3.0), (-INF, -INF, -INF))

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_log_softmax(self, xp: Any, array: Any, dtype: str) -> None:
        x = array(self.SCORES, dtype)
        out = LogSoftmaxTransformer().fit_transform(x)
        assert type(out) is type(x)
        assert out.dtype == getattr(xp, dtype)
        assert compat.device(out) == compat.device(x)
        np.testing.assert_array_equal(to_numpy(out), to_numpy(log_softmax(x, axis=1)))
        assert to_numpy(out)[0, 0] == np.asarray(-4.248354255291589e-18, dtype)

    def test_temperature(self, array: Any) -> None:
        out = LogSoftmaxTransformer(temperature=2.0).fit_transform(array(self.SCORES))
        expected = log_softmax(np.asarray(self.SCORES) / 2, axis=1)
        np.testing.assert_allclose(to_numpy(out), expected, rtol=1e-15)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_pooled(self, xp: Any, array: Any, dtype: str) -> None:
        x = array(self.SCORES, dtype)
        out = LogSumExpTransformer({"a": [0, 2], "b": 1}).fit_transform(x)
        assert type(out) is type(x)
        assert out.dtype == getattr(xp, dtype)
        assert compat.device(out) == compat.device(x)
        columns = np.asarray(self.SCORES, dtype)
        np.testing.assert_array_equal(to_numpy(out)[:, 1], columns[:, 1])
        expected = logsumexp(columns[:, [0, 2]], axis=1)
        np.testing.assert_allclose(to_numpy(out)[:, 0], expected, rtol=1e-6)

    @pytest.mark.parametrize("value", [NAN, INF])
    @pytest.mark.parametrize("make", [LogSoftmaxTransformer, LogSumExpTransformer])
    def test_refused(self, array: Any, make: Any, value: float) -> None:
        good, bad = array([[0.0, 1.0]]), array([[0.0, value]])
        sentence = rf"X of {make.__name__} holds NaN or \+inf, but numbers below \+inf were"
        with pytest.raises(ValueError, match=sentence):
            make().fit(bad)
        with pytest.raises(ValueError, match=sentence):
            make().fit(good).transform(bad)

    @pytest.mark.parametrize("labels", [["no", "yes"], [3, 7], [False, True]])
    def test_mixin(self, array: Any, labels: list[Any]) -> None:
        x = array([[0.0], [2.0], [98.0], [100.0]])
        y = np.asarray([labels[0]] * 2 + [labels[1]] * 2)
        model = Centroids().fit(x, y if y.dtype.kind == "U" else array(y))
        log_proba = model.predict_log_proba(x)
        assert type(log_proba) is type(x)
        assert compat.device(log_proba) == compat.device(x)
        np.testing.assert_array_equal(to_numpy(log_proba)[0], [0.0, -4900.0])
        np.testing.assert_array_equal(to_numpy(model.predict_proba(x))[0], [1.0, 0.0])
        expected = [-0.5, -0.5, -0.5, -0.5]
        np.testing.assert_array_equal(to_numpy(model.score_samples(x)), expected)
        predicted = model.predict(x)
        np.testing.assert_array_equal(to_numpy(predicted), y)
        if y.dtype.kind != "U":
            assert type(predicted) is type(x)
            assert compat.device(predicted) == compat.device(x)

    def test_classes_on_the_device(self, array: Any) -> None:
        x = array([[0.0], [2.0], [98.0], [100.0]])
        model = Centroids().fit(x, array([3, 3, 7, 7]))
        model.classes_ = array([3, 7])
        assert type(model.predict(x)) is type(x)
        np.testing.assert_array_equal(to_numpy(model.predict(x)), [3, 3, 7, 7])

    def test_pipeline(self, array: Any) -> None:
        steps = [("soften", LogSoftmaxTransformer(2.0)), ("pool", LogSumExpTransformer([0, 1, 0]))]
        x = array(self.SCORES[:2])
        out = Pipeline(steps).fit(x).transform(x)
        assert type(out) is type(x)
        np.testing.assert_allclose(to_numpy(logsumexp(out, axis=1)), [0.0, 0.0], atol=1e-15)


class TestTransformers:
    X = np.log(np.asarray([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]))
    FRAME = pd.DataFrame(X, columns=["cat", "dog", "owl"])

    @pytest.mark.parametrize(
        ("groups", "names"),
        [
            (None, ["logsumexp"]),
            ({"furry": ["cat", "dog"], "bird": "owl"}, ["furry", "bird"]),
            ({"furry": [0, 1], "all": [0, 1, -1]}, ["furry", "all"]),
            ({"mixed": ["cat", 2]}, ["mixed"]),
            (["mammal", "mammal", "bird"], ["mammal", "bird"]),
            (np.asarray([1, 1, 0]), ["1", "0"]),
            (pd.Series(["x", "y", "x"]), ["x", "y"]),
        ],
    )
    def test_groups(self, groups: Any, names: list[str]) -> None:
        model = LogSumExpTransformer(groups).fit(self.FRAME)
        assert list(model.get_feature_names_out()) == names
        expected = [logsumexp(self.X[:, model.groups_[name]], axis=1) for name in names]
        np.testing.assert_array_equal(model.transform(self.FRAME), np.stack(expected, axis=1))

    @pytest.mark.parametrize(
        ("groups", "sentence"),
        [
            ({}, "groups is empty, but at least one group"),
            ([], "groups has 0 labels, but X has 3 columns"),
            (["a", "b"], "groups has 2 labels, but X has 3 columns: pass one label"),
            ("abc", "groups is 'abc', but a mapping from names to columns or one label"),
            (5, "groups is 5, but a mapping"),
            ([1, "1", 2], "labels that differ but read alike"),
            ({"a": []}, "group 'a' is empty, but at least one column"),
            (
                {"a": ["cow"]},
                r"names the column 'cow', but the columns are \['cat', 'dog', 'owl'\]",
            ),
            ({"a": [3]}, "names the column 3, but X has 3 columns"),
            ({"a": [0.5]}, "group 'a' names the column 0.5, but"),
            ({"a": [True]}, "group 'a' names the column True, but"),
            ({"a": [0, "cat"]}, "group 'a' names a column more than once"),
            ({1: [0]}, "groups has the key 1, but names of outputs are strings: pass '1'"),
        ],
    )
    def test_groups_refused(self, groups: Any, sentence: str) -> None:
        with pytest.raises(ValueError, match=sentence):
            LogSumExpTransformer(groups).fit(self.FRAME)

    def test_names_need_a_frame(self) -> None:
        with pytest.raises(ValueError, match="names the column 'cat', but X came without column"):
            LogSumExpTransformer({"a": "cat"}).fit(self.X)

    @pytest.mark.parametrize("temperature", [0, -1.0, INF, NAN, "1", None, 1j])
    def test_temperature_refused(self, temperature: Any) -> None:
        model = LogSoftmaxTransformer(temperature)
        sentence = "temperature is .*, but a finite number above 0 was expected"
        with pytest.raises(ValueError, match=sentence):
            model.fit(self.X)
        with pytest.raises(ValueError, match=sentence):
            model.transform(self.X)

    def test_feature_names(self) -> None:
        model = LogSoftmaxTransformer().fit(self.FRAME)
        assert list(model.get_feature_names_out()) == ["cat", "dog", "owl"]
        pool = LogSumExpTransformer().fit(self.FRAME)
        assert list(pool.get_feature_names_out(["cat", "dog", "owl"])) == ["logsumexp"]
        for wrong in (["cat"], ["a", "b", "c"]):
            with pytest.raises(ValueError, match="input_features"):
                pool.get_feature_names_out(wrong)

    def test_set_output(self) -> None:
        groups = {"furry": ["cat", "dog"], "bird": ["owl"]}
        pipeline = make_pipeline(LogSoftmaxTransformer(), LogSumExpTransformer(groups))
        out = pipeline.set_output(transform="pandas").fit_transform(self.FRAME)
        assert list(out.columns) == ["furry", "bird"]
        np.testing.assert_allclose(np.exp(out), [[0.75, 0.25], [0.3, 0.7]])
        by_index = make_pipeline(LogSoftmaxTransformer(), LogSumExpTransformer([0, 0, 1]))
        out = by_index.set_output(transform="default").fit_transform(self.FRAME)
        assert type(out) is np.ndarray

    @pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
    def test_float_dtypes(self, dtype: Any) -> None:
        x = self.X.astype(dtype)
        for model in (LogSoftmaxTransformer(3), LogSumExpTransformer(), LogSoftmaxTransformer()):
            assert model.fit_transform(x).dtype == dtype

    def test_integers(self) -> None:
        for model in (LogSoftmaxTransformer(2), LogSumExpTransformer([0, 0])):
            assert model.fit_transform([[1, 2], [3, 4]]).dtype == np.float64

    def test_without_fit(self) -> None:
        out = LogSoftmaxTransformer().transform([[40.0, 0.0]])
        assert out[0, 0] == -4.248354255291589e-18

    @pytest.mark.parametrize(
        "model", [LogSoftmaxTransformer(2.0), LogSumExpTransformer({"a": [0], "b": [1, 2]})]
    )
    def test_clone_and_pickle(self, model: Any) -> None:
        fitted = clone(model).fit(self.X)
        copy = pickle.loads(pickle.dumps(fitted))  # noqa: S301 (its own)
        np.testing.assert_array_equal(copy.transform(self.X), fitted.transform(self.X))
        assert clone(fitted).get_params() == model.get_params()

    def test_in_compositions(self) -> None:
        union = FeatureUnion([("keep", LogSoftmaxTransformer()), ("all", LogSumExpTransformer())])
        assert union.fit_transform(self.X).shape == (2, 4)
        columns = ColumnTransformer(
            [("pool", LogSumExpTransformer(), ["cat", "owl"])], remainder="passthrough"
        )
        assert list(columns.fit(self.FRAME).get_feature_names_out()) == [
            "pool__logsumexp",
            "remainder__dog",
        ]

    def test_input_is_kept(self) -> None:
        x = self.X.copy()
        x.flags.writeable = False
        make_pipeline(LogSoftmaxTransformer(2.0), LogSumExpTransformer()).fit_transform(x)
        np.testing.assert_array_equal(x, self.X)

    def test_search_over_temperature(self) -> None:
        X, y = load_iris(return_X_y=True)
        pipeline = make_pipeline(LogSoftmaxTransformer(), LogisticRegression(max_iter=1000))
        search = GridSearchCV(pipeline, {"logsoftmaxtransformer__temperature": [0.5, 5.0]}, cv=3)
        search.fit(X, y)
        assert search.best_score_ > 0.6

    def test_foreign_arrays_without_dispatch(self) -> None:
        x = array_api_strict.asarray([[40.0, 0.0]])
        out = LogSoftmaxTransformer().fit_transform(x)
        assert type(out) is np.ndarray


class TestMixin:
    def test_beside_naive_bayes(self) -> None:
        X, y = load_iris(return_X_y=True)
        ours, theirs = NaiveBayes().fit(X, y), GaussianNB().fit(X, y)
        np.testing.assert_allclose(
            ours.predict_log_proba(X), theirs.predict_log_proba(X), rtol=1e-10, atol=1e-12
        )
        np.testing.assert_array_equal(ours.predict(X), theirs.predict(X))
        np.testing.assert_allclose(ours.predict_proba(X).sum(axis=1), 1, rtol=1e-15)

    def test_row_of_no_class(self) -> None:
        class Nowhere(Centroids):
            def predict_joint_log_proba(self, X: Any) -> Any:
                return super().predict_joint_log_proba(X) - INF

        model = Nowhere().fit([[0.0], [1.0]], ["a", "b"])
        np.testing.assert_array_equal(model.predict_proba([[0.0]]), [[0.0, 0.0]])
        np.testing.assert_array_equal(model.predict_log_proba([[0.0]]), [[-INF, -INF]])
        assert model.score_samples([[0.0]])[0] == -INF
        assert list(model.predict([[0.0]])) == ["a"]

    def test_lists_of_classes(self) -> None:
        class Listed(Centroids):
            def fit(self, X: Any, y: Any) -> Listed:
                super().fit(X, y)
                self.classes_ = list(self.classes_)
                return self

        model = Listed().fit([[0.0], [1.0]], ["a", "b"])
        assert list(model.predict([[0.9]])) == ["b"]
