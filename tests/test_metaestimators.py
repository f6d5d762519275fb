"""Classifiers and a transformer around others: scikit-learn's checks, namespaces, folds, pools."""

from __future__ import annotations

import gc
import math
import pickle
import weakref
from collections.abc import Iterator
from typing import Any

import array_api_compat as compat
import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    ShuffleSplit,
    cross_val_predict,
    cross_val_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import check_is_fitted

from agnostic_lse.sklearn import (
    LogPoolClassifier,
    LogProbabilityClassifier,
    LogProbabilityTransformer,
    log_proba,
)
from tests.backends import Backend, to_numpy

INF = math.inf
X, Y = load_iris(return_X_y=True)


class InOrderOfAppearance(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Gaussian naive Bayes whose classes are not sorted."""

    def fit(self, X: Any, y: Any) -> Any:
        y = np.asarray(y)
        self.inner_ = GaussianNB().fit(X, y)
        self.classes_ = y[np.sort(np.unique(y, return_index=True)[1])]
        self.order_ = np.searchsorted(self.inner_.classes_, self.classes_)
        return self

    def predict_proba(self, X: Any) -> Any:
        return self.inner_.predict_proba(X)[:, self.order_]


NAMES = np.asarray(load_iris().target_names)[Y]
FAR = X * 1e4
LINEAR = LogisticRegression(max_iter=1000)
PAIR = [("bayes", GaussianNB()), ("linear", LINEAR)]
VERSION = tuple(map(int, sklearn.__version__.split(".")[:2]))

CHECKED = [
    LogProbabilityClassifier(LogisticRegression()),
    LogProbabilityClassifier(GaussianNB(), smoothing=0.01),
    LogProbabilityClassifier(HistGradientBoostingClassifier(max_iter=5)),
    LogProbabilityTransformer(LogisticRegression()),
    LogProbabilityTransformer(GaussianNB(), cv=2),
    LogPoolClassifier([("a", LogisticRegression()), ("b", GaussianNB())]),
    LogPoolClassifier([("a", LogisticRegression()), ("b", GaussianNB())], pool="log"),
]
OUT_OF_FOLD = {
    "check_transformer_general": "out of fold, fit_transform differs from transform on purpose",
    "check_transformer_data_not_an_array": "the same",
}


GAUSSIAN = {"check_array_api_mixed_inputs": "scikit-learn's own GaussianNB does not pass it"}


def expected_failures(estimator: BaseEstimator) -> dict[str, str]:
    predicts_by_it = isinstance(getattr(estimator, "estimator", None), GaussianNB)
    folds = OUT_OF_FOLD if getattr(estimator, "cv", None) else {}
    return folds | (GAUSSIAN if predicts_by_it and hasattr(estimator, "predict") else {})


CHECKS = parametrize_with_checks(CHECKED, expected_failed_checks=expected_failures).mark


@pytest.mark.filterwarnings("ignore:.*number of classes.*:UserWarning")
@pytest.mark.filterwarnings("ignore:The least populated class:UserWarning")
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_estimator_checks(estimator: BaseEstimator, check: Any) -> None:
    check(estimator)


class TestLogProbabilityClassifier:
    def test_is_exact_where_the_classifier_is_not(self) -> None:
        model = LogProbabilityClassifier(LINEAR).fit(X, NAMES)
        out = model.predict_log_proba(FAR)
        assert np.all(np.isfinite(out))
        with np.errstate(divide="ignore"):
            assert np.isinf(model.estimator_.predict_log_proba(FAR)).sum() > 100
        np.testing.assert_array_equal(model.predict_proba(FAR), np.exp(out))

    def test_predicts_as_the_one_inside(self) -> None:
        model = LogProbabilityClassifier(LINEAR).fit(X, NAMES)
        inner = clone(LINEAR).fit(X, NAMES)
        np.testing.assert_array_equal(model.predict(X), inner.predict(X))
        np.testing.assert_array_equal(model.decision_function(X), inner.decision_function(X))
        np.testing.assert_array_equal(model.classes_, inner.classes_)
        assert model.score(X, NAMES) == inner.score(X, NAMES)

    def test_methods_are_those_of_the_one_inside(self) -> None:
        assert not hasattr(LogProbabilityClassifier(GaussianNB()), "decision_function")
        assert not hasattr(LogProbabilityClassifier(LinearSVC()), "predict_log_proba")
        assert not hasattr(LogProbabilityClassifier(SGDClassifier()), "predict_proba")
        assert hasattr(LogProbabilityClassifier(SGDClassifier(loss="log_loss")), "predict_proba")

    def test_names_of_columns(self) -> None:
        frame = pd.DataFrame(X, columns=list("abcd"))
        model = LogProbabilityClassifier(LINEAR).fit(frame, NAMES)
        assert list(model.feature_names_in_) == list("abcd")
        assert model.n_features_in_ == 4
        with pytest.raises(ValueError, match="feature names"):
            model.predict_log_proba(frame[list("dcba")])
        assert not hasattr(model.fit(X, NAMES), "feature_names_in_")

    def test_searches_and_cross_validation(self) -> None:
        search = GridSearchCV(
            LogProbabilityClassifier(LINEAR), {"estimator__C": [0.01, 1.0]}, scoring="neg_log_loss"
        ).fit(X, NAMES)
        assert search.best_params_ == {"estimator__C": 1.0}
        model = LogProbabilityClassifier(GaussianNB())
        assert cross_val_score(model, X, NAMES).mean() > 0.9
        out = cross_val_predict(model, X, NAMES, method="predict_log_proba")
        assert out.shape == (150, 3)

    def test_calibration_around_it(self) -> None:
        model = CalibratedClassifierCV(LogProbabilityClassifier(LINEAR), cv=3).fit(X, NAMES)
        assert np.all(np.isfinite(log_proba(model, FAR)))

    def test_frozen(self) -> None:
        inner = clone(LINEAR).fit(X, NAMES)
        model = LogProbabilityClassifier(FrozenEstimator(inner)).fit(X[:2], NAMES[:2])
        np.testing.assert_array_equal(model.predict_log_proba(FAR), log_proba(inner, FAR))

    def test_smoothing(self) -> None:
        model = LogProbabilityClassifier(DummyClassifier(strategy="most_frequent"), smoothing=0.3)
        out = model.fit(X[:60], Y[:60]).predict_proba(X[:1])
        np.testing.assert_allclose(out, [[0.85, 0.15]])
        with pytest.raises(
            ValueError, match=r"^smoothing is 1, but a number from 0 to less than 1"
        ):
            clone(model).set_params(smoothing=1).fit(X, Y)

    def test_metadata_routing(self) -> None:
        weights = np.linspace(0, 1, len(Y))
        expected = clone(LINEAR).fit(X, Y, sample_weight=weights).decision_function(X)
        model = LogProbabilityClassifier(LINEAR).fit(X, Y, sample_weight=weights)
        np.testing.assert_array_equal(model.decision_function(X), expected)
        with config_context(enable_metadata_routing=True):
            asks = clone(LINEAR).set_fit_request(sample_weight=True)
            routed = LogProbabilityClassifier(asks).fit(X, Y, sample_weight=weights)
            np.testing.assert_array_equal(routed.decision_function(X), expected)
            with pytest.raises(Exception, match="sample_weight"):
                LogProbabilityClassifier(LINEAR).fit(X, Y, sample_weight=weights)

    def test_scores_as_the_one_inside(self) -> None:
        search = GridSearchCV(LINEAR, {"C": [1.0]}, scoring="neg_log_loss")
        model = LogProbabilityClassifier(search).fit(X, NAMES)
        assert model.score(X, NAMES) == model.estimator_.score(X, NAMES) < 0
        weights = np.linspace(0, 1, len(Y))
        plain = LogProbabilityClassifier(GaussianNB()).fit(X, Y)
        expected = plain.estimator_.score(X, Y, sample_weight=weights)
        assert plain.score(X, Y, sample_weight=weights) == expected
        with config_context(enable_metadata_routing=True):
            asks = GaussianNB().set_score_request(sample_weight=True)
            routed = LogProbabilityClassifier(asks).fit(X, Y)
            assert routed.score(X, Y, sample_weight=weights) == expected

    @pytest.mark.parametrize(
        "model",
        [
            LogProbabilityClassifier(GaussianNB()),
            LogProbabilityTransformer(GaussianNB()),
            LogPoolClassifier([("a", GaussianNB())]),
        ],
        ids=lambda model: type(model).__name__,
    )
    def test_samples_are_not_kept(self, model: Any) -> None:
        samples = X.copy()
        fitted = clone(model).fit(samples, Y)
        still_there = weakref.ref(samples)
        del samples
        gc.collect()
        assert still_there() is None
        assert fitted.n_features_in_ == 4

    def test_html_and_pickle(self) -> None:
        model = LogProbabilityClassifier(make_pipeline(StandardScaler(), LINEAR)).fit(X, NAMES)
        assert "StandardScaler" in estimator_html_repr(model)
        copy = pickle.loads(pickle.dumps(model))  # noqa: S301 (our own)
        np.testing.assert_array_equal(copy.predict_log_proba(FAR), model.predict_log_proba(FAR))

    def test_several_outputs(self) -> None:
        samples, labels = make_multilabel_classification(random_state=0, n_classes=2)
        model = LogProbabilityClassifier(MultiOutputClassifier(LINEAR)).fit(samples, labels)
        out = model.predict_log_proba(samples)
        assert [each.shape for each in out] == [(100, 2), (100, 2)]
        np.testing.assert_array_equal(model.predict_proba(samples)[0], np.exp(out[0]))

    def test_unfitted(self) -> None:
        with pytest.raises(sklearn.exceptions.NotFittedError):
            LogProbabilityClassifier(LINEAR).predict(X)


class TestLogProbabilityTransformer:
    def test_out_of_fold(self) -> None:
        folds = KFold(3, shuffle=True, random_state=0)
        out = LogProbabilityTransformer(LINEAR, cv=folds).fit_transform(X, NAMES)
        expected = np.empty((150, 3))
        for train, test in folds.split(X):
            expected[test] = log_proba(clone(LINEAR).fit(X[train], NAMES[train]), X[test])
        np.testing.assert_array_equal(out, expected)

    def test_all_in_one(self) -> None:
        model = LogProbabilityTransformer(LINEAR)
        out = model.fit_transform(X, NAMES)
        np.testing.assert_array_equal(out, model.transform(X))

    def test_a_class_that_a_fold_lacks(self) -> None:
        y = np.repeat(["a", "b", "c"], 50)
        model = LogProbabilityTransformer(GaussianNB(), cv=KFold(3))
        out = model.fit_transform(X, y)
        assert np.all(np.isneginf(out[np.arange(150), np.repeat([0, 1, 2], 50)]))
        smooth = clone(model).set_params(smoothing=1e-9).fit_transform(X, y)
        np.testing.assert_allclose(smooth.min(), math.log(1e-9 / 3))

    def test_names(self) -> None:
        model = LogProbabilityTransformer(LINEAR, cv=3).set_output(transform="pandas")
        out = model.fit_transform(X, NAMES)
        names = ["log_proba_setosa", "log_proba_versicolor", "log_proba_virginica"]
        assert list(out.columns) == names
        assert list(model.transform(X).columns) == names

    def test_stacking_is_a_pipeline(self) -> None:
        first = make_union(*(LogProbabilityTransformer(member, cv=3) for _, member in PAIR))
        model = make_pipeline(first, LogisticRegression(C=0.1, max_iter=5000))
        assert cross_val_score(model, X, NAMES).mean() > 0.9

    def test_parameters_of_fit_follow_the_folds(self) -> None:
        weights = np.linspace(0.1, 1, len(Y))
        folds = KFold(3, shuffle=True, random_state=0)
        model = LogProbabilityTransformer(LINEAR, cv=folds)
        out = model.fit_transform(X, Y, sample_weight=weights)
        train, test = next(iter(folds.split(X)))
        fold = clone(LINEAR).fit(X[train], Y[train], sample_weight=weights[train])
        np.testing.assert_array_equal(out[test], log_proba(fold, X[test]))
        with config_context(enable_metadata_routing=True):
            asks = clone(LINEAR).set_fit_request(sample_weight=True)
            routed = clone(model).set_params(estimator=asks)
            np.testing.assert_array_equal(routed.fit_transform(X, Y, sample_weight=weights), out)

    def test_smoothing_of_labels_is_that_of_transform(self) -> None:
        samples, labels = make_multilabel_classification(random_state=0)
        options = {"cv": KFold(2, shuffle=True, random_state=0), "smoothing": 0.999}
        model = LogProbabilityTransformer(OneVsRestClassifier(LINEAR), **options)
        out = np.exp(model.fit_transform(samples, labels))
        np.testing.assert_allclose(out, np.exp(model.transform(samples)), atol=0.01)
        np.testing.assert_allclose(out, 0.5, atol=0.01)

    def test_groups_by_a_list_of_splits(self) -> None:
        splits = list(GroupKFold(3).split(X, Y, np.arange(150) % 10))
        out = LogProbabilityTransformer(GaussianNB(), cv=splits).fit_transform(X, Y)
        assert out.shape == (150, 3)

    def test_refusals(self) -> None:
        with pytest.raises(ValueError, match=r"^cv holds out .* but each exactly once was"):
            LogProbabilityTransformer(LINEAR, cv=ShuffleSplit(2)).fit_transform(X, Y)
        samples, labels = make_multilabel_classification(random_state=0, n_classes=2)
        model = LogProbabilityTransformer(MultiOutputClassifier(LINEAR))
        with pytest.raises(
            ValueError,
            match=r"^MultiOutputClassifier has classes for each of 2 outputs, but those of",
        ):
            model.fit(samples, labels)
        assert not hasattr(model, "estimator_")


class TestLogPoolClassifier:
    @pytest.mark.parametrize("pool", ["linear", "log"])
    @pytest.mark.parametrize("weights", [None, [3, 1], [0, 2]])
    def test_against_mpmath(self, pool: str, weights: Any) -> None:
        model = LogPoolClassifier(PAIR, weights=weights, pool=pool).fit(X, NAMES)
        samples = np.concatenate([X[::20], 30 * X[::30]])
        out = model.predict_log_proba(samples)
        members = [log_proba(member, samples) for member in model.estimators_]
        shares = [mp.mpf(weight) / sum(weights or [1, 1]) for weight in weights or [1, 1]]
        with mp.workdps(50):
            for i, row in enumerate(out):
                logs = [[mp.mpf(float(v)) for v in member[i]] for member in members]
                if pool == "linear":
                    columns = zip(*([mp.exp(v) for v in row] for row in logs), strict=True)
                    true = [
                        mp.log(sum(w * p for w, p in zip(shares, column, strict=True)))
                        for column in columns
                    ]
                else:
                    raw = [
                        sum(w * v for w, v in zip(shares, column, strict=True))
                        for column in zip(*logs, strict=True)
                    ]
                    total = mp.log(sum(map(mp.exp, raw)))
                    true = [v - total for v in raw]
                np.testing.assert_allclose(row, [float(v) for v in true], rtol=1e-12, atol=1e-45)

    def test_a_veto_counts_unless_it_weighs_nothing(self) -> None:
        never = DummyClassifier(strategy="constant", constant="setosa")
        pair = [("never", never), ("linear", LINEAR)]
        pooled = LogPoolClassifier(pair, pool="log").fit(X, NAMES)
        np.testing.assert_array_equal(pooled.predict_log_proba(X), [[0, -INF, -INF]] * 150)
        pooled.set_params(weights=[0, 1]).fit(X, NAMES)
        alone = log_proba(pooled.estimators_[1], X)
        np.testing.assert_allclose(pooled.predict_log_proba(X), alone, rtol=1e-13)

    def test_access_by_name(self) -> None:
        model = LogPoolClassifier(PAIR).set_params(linear__C=0.5, bayes="drop")
        assert model.get_params()["linear__C"] == 0.5
        model.fit(X, NAMES)
        assert list(model.named_estimators_) == ["linear"]
        assert model.named_estimators["bayes"] == "drop"
        np.testing.assert_allclose(
            model.predict_log_proba(X), log_proba(model.named_estimators_.linear, X), rtol=1e-13
        )
        search = GridSearchCV(LogPoolClassifier(PAIR), {"linear__C": [0.1, 1], "pool": ["log"]})
        assert search.fit(X, NAMES).score(X, NAMES) > 0.9

    def test_members_that_know_other_classes(self) -> None:
        few = FrozenEstimator(GaussianNB().fit(X[:100], NAMES[:100]))
        model = LogPoolClassifier([("few", few), ("all", GaussianNB())]).fit(X, NAMES)
        assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
        expected = log_proba(model.named_estimators_.all, X)[:, 2] - math.log(2)
        np.testing.assert_allclose(model.predict_log_proba(X)[:, 2], expected, rtol=1e-13)

    def test_jobs_and_weights_of_samples(self) -> None:
        weights = np.linspace(0.1, 1, len(Y))
        one = LogPoolClassifier(PAIR).fit(X, NAMES, sample_weight=weights)
        two = LogPoolClassifier(PAIR, n_jobs=2).fit(X, NAMES, sample_weight=weights)
        np.testing.assert_array_equal(one.predict_log_proba(FAR), two.predict_log_proba(FAR))
        with config_context(enable_metadata_routing=True):
            asks = [
                ("bayes", GaussianNB().set_fit_request(sample_weight=True)),
                ("linear", clone(LINEAR).set_fit_request(sample_weight=True)),
            ]
            routed = LogPoolClassifier(asks).fit(X, NAMES, sample_weight=weights)
        np.testing.assert_array_equal(routed.predict_log_proba(X), one.predict_log_proba(X))

    def test_classes_in_any_order(self) -> None:
        backwards = NAMES[::-1], X[::-1]
        alone = InOrderOfAppearance().fit(backwards[1], backwards[0])
        assert list(alone.classes_) == ["virginica", "versicolor", "setosa"]
        pair = [("a", InOrderOfAppearance()), ("b", InOrderOfAppearance())]
        model = LogPoolClassifier(pair).fit(backwards[1], backwards[0])
        np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(X), rtol=1e-12)
        folds = KFold(3, shuffle=True, random_state=0)
        make = LogProbabilityTransformer(InOrderOfAppearance(), cv=folds)
        out = make.fit_transform(backwards[1], backwards[0])
        np.testing.assert_allclose(np.exp(out), alone.predict_proba(backwards[1]), atol=0.5)

    def test_members_whose_probabilities_come_with_the_fit(self) -> None:
        stacked = StackingClassifier([("bayes", GaussianNB())])
        model = LogPoolClassifier([("stacked", stacked)]).fit(X, NAMES)
        np.testing.assert_allclose(model.predict_proba(X).sum(axis=1), 1)

    def test_several_labels_are_refused(self) -> None:
        samples, labels = make_multilabel_classification(random_state=0)
        with pytest.raises(ValueError, match=r"^y has shape \(100, 5\), but one class for each"):
            LogPoolClassifier([("a", OneVsRestClassifier(LINEAR))]).fit(samples, labels)

    def test_classes_of_several_kinds_are_refused(self) -> None:
        pair = [
            (name, FrozenEstimator(GaussianNB().fit(X, y))) for name, y in (("a", Y), ("b", NAMES))
        ]
        with pytest.raises(ValueError, match=r"^the classifiers have classes of dtypes"):
            LogPoolClassifier(pair).fit(X, Y)

    def test_parameters_set_after_the_fit(self) -> None:
        model = LogPoolClassifier(PAIR, weights=[1e308, 1e308]).fit(X, NAMES)
        before = model.predict_log_proba(X)
        np.testing.assert_array_equal(
            model.set_params(bayes="drop", weights=[1, 3]).predict_log_proba(X), before
        )
        with pytest.raises(ValueError, match=r"^pool is 'lin', but 'linear' or 'log'"):
            model.set_params(pool="lin").predict(X)

    def test_html(self) -> None:
        assert "GaussianNB" in estimator_html_repr(LogPoolClassifier(PAIR))

    @pytest.mark.parametrize(
        ("parameters", "sentence"),
        [
            ({"pool": "mean"}, "^pool is 'mean', but 'linear' or 'log' was expected"),
            ({"weights": [1]}, r"^weights is \[1\], but a list of 2 finite numbers of 0 and more"),
            ({"weights": [0, 0]}, "not all of them 0, was expected: pass one for each classifier"),
            ({"weights": [1, -1]}, "numbers of 0 and more, not all of them 0, was expected"),
            ({"weights": "abc"}, "^weights is 'abc', but a list of 2 finite numbers"),
            ({"weights": [[1, 1]]}, "but a list of 2 finite numbers"),
            ({"estimators": []}, r"^estimators is \[\], in which no classifier is left"),
            ({"estimators": None}, "^estimators is None, in which no classifier is left"),
            ({"estimators": [GaussianNB()]}, "in which no classifier is left"),
            ({"bayes": "drop", "linear": "drop"}, "'drop'.*, in which no classifier is left"),
        ],
    )
    def test_refusals(self, parameters: dict[str, Any], sentence: str) -> None:
        model = LogPoolClassifier(PAIR).set_params(**parameters)
        with pytest.raises(ValueError, match=sentence):
            model.fit(X, NAMES)
        with pytest.raises(sklearn.exceptions.NotFittedError):
            check_is_fitted(model)

    def test_members_without_probabilities(self) -> None:
        with pytest.raises(TypeError, match=r"^'svm' is LinearSVC\(\), which has no predict_proba"):
            LogPoolClassifier([("svm", LinearSVC())]).fit(X, NAMES)


@pytest.fixture
def dispatch(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")
    with config_context(array_api_dispatch=True):
        yield


# What scikit-learn runs in other namespaces, and since which version; none of it on JAX or Dask.
DISPATCHING = {
    "LinearDiscriminantAnalysis": (LinearDiscriminantAnalysis(), (1, 6)),
    "GaussianNB": (GaussianNB(), (1, 8)),
    "LogisticRegression": (LogisticRegression(max_iter=1000), (1, 9)),
}
RUNS = (Backend.STRICT, Backend.STRICT_DEVICE1, Backend.TORCH, Backend.TORCH_CUDA, Backend.CUPY)


def pipelines(name: str) -> list[Any]:
    inner = DISPATCHING[name][0]
    return [
        make_pipeline(StandardScaler(), LogProbabilityClassifier(inner)),
        LogProbabilityClassifier(make_pipeline(StandardScaler(), inner)),
        make_pipeline(StandardScaler(), LogPoolClassifier([("a", inner), ("b", inner)])),
        make_pipeline(StandardScaler(), LogProbabilityTransformer(inner)),
        make_pipeline(StandardScaler(), LogProbabilityTransformer(inner, cv=3)),
    ]


def run(model: Any, samples: Any, targets: Any) -> Any:
    """Fit a pipeline, and return its log-probabilities of the samples."""
    if hasattr(model, "transform"):
        return model.fit_transform(samples, targets)
    fitted = model.fit(samples, targets)
    predicted = fitted.predict(samples)
    assert compat.array_namespace(predicted) is compat.array_namespace(samples)
    return fitted.predict_log_proba(samples)


# StandardScaler's own, by 0 / 0, in array-api-strict
@pytest.mark.filterwarnings("ignore:invalid value encountered in divide:RuntimeWarning")
@pytest.mark.usefixtures("dispatch")
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("name", DISPATCHING)
class TestNamespaces:
    """A pipeline of what scikit-learn runs in a namespace stays there from end to end."""

    def test_stays(self, library: Backend, array: Any, name: str, n_classes: int) -> None:
        if library not in RUNS:
            pytest.skip(f"scikit-learn's estimators do not run on {library}")
        since = DISPATCHING[name][1]
        if since > VERSION or (VERSION < (1, 7) and library is not Backend.TORCH):
            pytest.skip(f"scikit-learn {sklearn.__version__} does not dispatch {name}")
        rows = slice(50 * n_classes)
        samples, targets = array(X[rows]), array(Y[rows])
        for model in pipelines(name):
            with config_context(array_api_dispatch=False):
                expected = clone(model)
                out_on_host = run(expected, X[rows], Y[rows])
            out = run(clone(model), samples, targets)
            assert compat.array_namespace(out) is compat.array_namespace(samples)
            assert compat.device(out) == compat.device(samples)
            np.testing.assert_allclose(to_numpy(out), out_on_host, rtol=1e-3, atol=1e-6)
