"""Exact log-probabilities of fitted classifiers: every one of scikit-learn's, and others."""

from __future__ import annotations

import math
import subprocess
import sys
import warnings
from typing import Any

import mpmath as mp
import numpy as np
import pytest
import scipy.sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import all_estimators

from agnostic_lse import _classifiers
from agnostic_lse.sklearn import (
    LogProbabilityClassifier,
    LogProbabilityMixin,
    log_proba,
    log_proba_source,
    register_log_proba,
)
from tests.backends import available_package
from tests.classifier_references import (
    cases,
    disagreement,
    fit_case,
    near_and_far,
    reference_log_proba,
)

X, Y = load_iris(return_X_y=True)
INF = math.inf
CASES = [(n, name) for n in (2, 3) for name, _ in cases(n)]
# Its own predict_proba sums coefficients of some thousands, which nothing better is known of.
OPAQUE_ERROR = 1e-9
# What scikit-learn itself warns of, on purpose
OUTLIERS = "ignore:Outlier label .* is not in training classes:UserWarning"


@pytest.fixture(scope="module")
def fitted() -> dict[tuple[int, str], Any]:
    """Return all cases, fitted."""
    out = {}
    for n_classes in (2, 3):
        samples, targets, _, _ = near_and_far(n_classes)
        for name, estimator in cases(n_classes):
            out[n_classes, name] = fit_case(name, clone(estimator), samples, targets)
    return out


def flat(outputs: Any) -> list[Any]:
    return [np.asarray(each) for each in (outputs if isinstance(outputs, list) else [outputs])]


@pytest.mark.filterwarnings(OUTLIERS)
@pytest.mark.parametrize(("n_classes", "name"), CASES)
class TestEveryClassifier:
    def test_against_a_reference(
        self, fitted: dict[tuple[int, str], Any], n_classes: int, name: str
    ) -> None:
        estimator = fitted[n_classes, name]
        rtol = OPAQUE_ERROR if name.startswith("GaussianProcess") else 1e-11
        for rows in near_and_far(n_classes)[2:]:
            reference = reference_log_proba(estimator, rows)
            pairs = zip(flat(log_proba(estimator, rows)), flat(reference), strict=True)
            for out, true in pairs:
                assert out.shape == true.shape
                # Rows of which all probabilities are 0 have none, or in older versions nan.
                true[np.isnan(true) & np.isneginf(out)] = -INF
                np.testing.assert_allclose(out, true, rtol=rtol, atol=0)

    def test_source(self, fitted: dict[tuple[int, str], Any], n_classes: int, name: str) -> None:
        estimator = fitted[n_classes, name]
        assert log_proba_source(estimator).startswith(f"{type(estimator).__name__}: ")

    def test_the_reference_is_scikit_learns(
        self, fitted: dict[tuple[int, str], Any], n_classes: int, name: str
    ) -> None:
        estimator = fitted[n_classes, name]
        rows = near_and_far(n_classes)[2]
        assert disagreement(estimator, rows, reference_log_proba(estimator, rows)) < 1e-9


WITH_PROBABILITIES = [
    cls for _, cls in all_estimators(type_filter="classifier") if hasattr(cls, "predict_proba")
]


@pytest.mark.parametrize("cls", WITH_PROBABILITIES, ids=lambda cls: cls.__name__)
def test_scikit_learn_has_no_other(cls: type) -> None:
    """A classifier that is new in scikit-learn has neither rule nor case, and fails here."""
    assert any(f"sklearn.{base.__name__}" in _classifiers._RULES for base in cls.__mro__)
    assert any(name.startswith(cls.__name__) for _, name in CASES)


def test_every_rule_is_followed(fitted: dict[tuple[int, str], Any]) -> None:
    """A base class that does not define what its rule stands for would never be found."""
    served = {
        rule.function
        for estimator in fitted.values()
        if (rule := _classifiers._rule_of(estimator)) is not None
    }
    of_sklearn = {
        rule.function for name, rule in _classifiers._RULES.items() if name.startswith("sklearn.")
    }
    # Each delegating rule has a function of its own; constants stand inside OneVsRestClassifier.
    assert of_sklearn <= served


class TestComplement:
    """The less probable of two classes, of which scikit-learn computes 1 - p."""

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("margin", [20, 34, 37, 700, 1e5])
    def test_margins(self, margin: float, dtype: str) -> None:
        model = LogisticRegression().fit(np.array([[-1.0], [1.0]]), [0, 1])
        model.coef_, model.intercept_ = np.ones((1, 1), dtype), np.zeros(1, dtype)
        out = log_proba(model, np.array([[margin]], dtype))[0]
        with mp.workdps(50):
            true = [-mp.log1p(mp.exp(mp.mpf(margin))), -mp.log1p(mp.exp(-mp.mpf(margin)))]
        assert out.dtype == dtype
        np.testing.assert_allclose(out, np.array([*map(float, true)], dtype), rtol=3e-7)


class Overrides(LogisticRegression):  # type: ignore[misc]
    def decision_function(self, X: Any) -> Any:
        return 2 * super().decision_function(X)


class Clips(LogisticRegression):  # type: ignore[misc]
    def predict_proba(self, X: Any) -> Any:
        return np.clip(super().predict_proba(X), 0.1, 0.9)


class Own(GaussianNB):  # type: ignore[misc]
    def predict_log_proba(self, X: Any) -> Any:
        return np.zeros((len(X), 3))


class Joint(LogProbabilityMixin, GaussianNB):  # type: ignore[misc]
    pass


class ClipsJoint(Joint):
    def predict_proba(self, X: Any) -> Any:
        return np.clip(super().predict_proba(X), 0.1, 0.9)


class Plain(LogisticRegression):  # type: ignore[misc]
    """Changes nothing that counts."""

    def score(self, *_: Any, **__: Any) -> float:
        return 1.0


class Unknown(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    def fit(self, _: Any, y: Any) -> Any:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Any) -> Any:
        return np.repeat([[0.0, 1.0 + 1e-17, -1e-17]], len(X), axis=0)


class TestSubclasses:
    @pytest.mark.parametrize(
        ("cls", "source"),
        [
            (Plain, "Plain: logistic function or softmax of decision_function"),
            (Overrides, "Overrides: logarithm of predict_proba"),
            (Clips, "Clips: logarithm of predict_proba"),
            (Own, "Own: its own predict_log_proba"),
            (Joint, "Joint: its own predict_log_proba"),
            (ClipsJoint, "ClipsJoint: logarithm of predict_proba"),
            (Unknown, "Unknown: logarithm of predict_proba"),
        ],
    )
    def test_follow_unless_they_override(self, cls: type, source: str) -> None:
        estimator = cls(**({"max_iter": 1000} if issubclass(cls, LogisticRegression) else {}))
        estimator.fit(X, Y)
        assert log_proba_source(estimator) == source
        out = log_proba(estimator, X)
        expected = estimator.predict_log_proba(X) if cls in (Own, Joint) else None
        if expected is None:
            expected = np.full((150, 3), -INF)
            p = estimator.predict_proba(X)
            np.log(p, out=expected, where=p > 0)
        np.testing.assert_allclose(out, expected, rtol=1e-12)

    def test_parameters_set_after_the_fit_count_for_nothing(self) -> None:
        model = GradientBoostingClassifier(n_estimators=5).fit(X[:100], Y[:100])
        before = log_proba(model, X)
        np.testing.assert_array_equal(log_proba(model.set_params(loss="exponential"), X), before)

    def test_methods_of_an_instance_count_too(self) -> None:
        estimator = LogisticRegression(max_iter=1000).fit(X, Y)
        estimator.decision_function = lambda X: np.zeros((len(X), 3))
        assert log_proba_source(estimator) == "LogisticRegression: logarithm of predict_proba"


class TestRegister:
    @pytest.fixture(autouse=True)
    def undone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_classifiers, "_REGISTERED", dict(_classifiers._REGISTERED))

    def test_rule(self) -> None:
        class Thresholds:
            def decision_function(self, X: Any) -> Any:
                return np.asarray(X)[:, 0]

        class Shifted(Thresholds):
            def decision_function(self, X: Any) -> Any:
                return np.asarray(X)[:, 0] + 1

        @register_log_proba(Thresholds, reads=["decision_function"])
        def rule(estimator: Any, X: Any) -> Any:
            return np.stack([estimator.decision_function(X)] * 2, axis=1)

        assert log_proba(Thresholds(), [[3.0]]).tolist() == [[3.0, 3.0]]
        assert log_proba_source(Thresholds()) == "Thresholds: rule, a registered rule"
        with pytest.raises(TypeError, match=r"^<.*Shifted.*> has no predict_proba, but"):
            log_proba(Shifted(), [[3.0]])
        assert rule(Thresholds(), [[1.0]]).tolist() == [[1.0, 1.0]]

    def test_takes_the_place_of_the_librarys_own(self) -> None:
        register_log_proba(GaussianNB)(lambda _, X: np.full((len(X), 2), -1.0))
        estimator = GaussianNB().fit(X, Y)
        assert log_proba(estimator, X[:1]).tolist() == [[-1.0, -1.0]]
        assert log_proba(make_pipeline(StandardScaler(), estimator).fit(X, Y), X[:1])[0, 0] == -1

    @pytest.mark.parametrize(
        ("given", "error", "sentence"),
        [
            (
                np.array([["a"]], object),
                TypeError,
                "the rule of GaussianNB is an ndarray of dtype object",
            ),
            (np.ones((2, 2), complex), TypeError, "complex"),
            (np.zeros(2), ValueError, r"^the rule of GaussianNB gave shape \(2,\), but one row"),
            (None, TypeError, "the rule of GaussianNB"),
        ],
    )
    def test_what_a_rule_gives_is_checked(self, given: Any, error: Any, sentence: str) -> None:
        register_log_proba(GaussianNB)(lambda *_: given)
        with pytest.raises(error, match=sentence):
            log_proba(GaussianNB().fit(X, Y), X, smoothing=0.1)

    def test_a_rule_may_give_several_outputs_or_a_list(self) -> None:
        register_log_proba(GaussianNB)(lambda *_: [np.zeros((1, 2)), np.zeros((1, 3))])
        assert [each.shape for each in log_proba(GaussianNB(), X)] == [(1, 2), (1, 3)]
        register_log_proba(GaussianNB)(lambda *_: [[-1.0, -2.0]])
        assert log_proba(GaussianNB(), X).tolist() == [[-1.0, -2.0]]

    def test_refuses_what_cannot_be_read(self) -> None:
        with pytest.raises(TypeError, match=r"^reads is 'predict', but a sequence of names"):
            register_log_proba(GaussianNB, reads="predict")
        with pytest.raises(ValueError, match=r"^reads has 'nothing', which is no method of Gauss"):
            register_log_proba(GaussianNB, reads=["nothing"])
        with pytest.raises(TypeError, match=r"^3 was decorated, but a function"):
            register_log_proba(GaussianNB)(3)  # type: ignore[type-var]

    def test_refuses_what_is_no_class(self) -> None:
        with pytest.raises(TypeError, match=r"^cls is a GaussianNB, but a class of classifiers"):
            register_log_proba(GaussianNB())


class TestSmoothing:
    def test_gives_finite_numbers(self) -> None:
        estimator = DummyClassifier(strategy="most_frequent").fit(X, Y)
        assert log_proba(estimator, X[:1]).tolist() == [[0, -INF, -INF]]
        out = log_proba(estimator, X[:1], smoothing=0.03)
        np.testing.assert_allclose(np.exp(out), [[0.98, 0.01, 0.01]])
        tiny = log_proba(estimator, X[:1], smoothing=1e-300)
        np.testing.assert_allclose(tiny[0, 1], math.log(1e-300) - math.log(3))

    def test_spreads_over_present_and_absent_for_labels(self) -> None:
        samples, labels = make_multilabel_classification(random_state=0)
        inner = LogisticRegression(max_iter=1000)
        for estimator in (OneVsRestClassifier(inner), MLPClassifier((3,), max_iter=1)):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                estimator = make_pipeline(StandardScaler(), estimator).fit(samples, labels)
            p = np.exp(log_proba(estimator, samples))
            out = np.exp(log_proba(estimator, samples, smoothing=0.1))
            np.testing.assert_allclose(out, 0.9 * p + 0.05)

    @pytest.mark.parametrize("smoothing", [-0.1, 1, True, "0.1", math.nan])
    def test_refusals(self, smoothing: Any) -> None:
        with pytest.raises(ValueError, match=r"^smoothing is .*, but a number from 0 to less than"):
            log_proba(GaussianNB().fit(X, Y), X, smoothing=smoothing)


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        "estimator",
        [
            LinearRegression(),
            SGDClassifier(),
            VotingClassifier([("a", GaussianNB())]),
            OneVsRestClassifier(SGDClassifier()),
        ],
        ids=lambda estimator: type(estimator).__name__,
    )
    def test_no_probabilities(self, estimator: Any) -> None:
        with pytest.raises(TypeError, match="has no predict_proba, but a classifier that gives"):
            log_proba(estimator.fit(X, Y), X)

    @pytest.mark.parametrize("function", [lambda it: log_proba(it, X), log_proba_source])
    def test_not_a_classifier(self, function: Any) -> None:
        with pytest.raises(TypeError, match=r"^3 has no predict_proba"):
            function(3)

    def test_weights_that_sum_to_nothing(self) -> None:
        members = [("a", GaussianNB()), ("b", GaussianNB())]
        model = VotingClassifier(members, voting="soft", weights=[0, 0]).fit(X, Y)
        with pytest.raises(ValueError, match=r"^weights of the VotingClassifier are .*, which sum"):
            log_proba(model, X)

    def test_chains_of_classes(self) -> None:
        model = ClassifierChain(GaussianNB()).fit(X, np.stack([Y, Y], axis=1))
        with pytest.raises(ValueError, match=r"^GaussianNB in the ClassifierChain has 3"):
            log_proba(model, X)

    def test_temperatures_without_some_class(self) -> None:
        try:
            model = CalibratedClassifierCV(GaussianNB(), method="temperature", cv=KFold(3))
            model.fit(X, Y)
        except ValueError:
            pytest.skip("scikit-learn before 1.8 has no temperature")
        with pytest.raises(ValueError, match=r"^a member of the Calib.* has seen 2 of 3 classes"):
            log_proba(model, X)

    @pytest.mark.parametrize(
        "estimator",
        [
            GaussianNB(),
            LogisticRegression(),
            make_pipeline(StandardScaler(), GaussianNB()),
            GridSearchCV(GaussianNB(), {"var_smoothing": [1e-9]}),
            KNeighborsClassifier(),
            BaggingClassifier(),
            LogProbabilityClassifier(GaussianNB()),
            StackingClassifier([("a", GaussianNB())]),
            MLPClassifier(),
            OneVsRestClassifier(GaussianNB()),
        ],
        ids=lambda estimator: type(estimator).__name__,
    )
    def test_not_fitted(self, estimator: Any) -> None:
        with pytest.raises(NotFittedError):
            log_proba(estimator, X)
        with pytest.raises(NotFittedError):
            log_proba_source(estimator)


def test_sources_name_each_member_once() -> None:
    members = [("forest", RandomForestClassifier(2)), ("bayes", GaussianNB()), ("b", GaussianNB())]
    estimator = make_pipeline(StandardScaler(), VotingClassifier(members, voting="soft"))
    assert log_proba_source(estimator.fit(X, Y)).split("; ") == [
        "Pipeline: those of the classifier in it",
        "VotingClassifier: mean of those of its members, in log space",
        "RandomForestClassifier: logarithm of predict_proba, whose zeros are true",
        "GaussianNB: softmax of predict_joint_log_proba",
    ]


class Scaled(Pipeline):  # type: ignore[misc,unused-ignore]  # scikit-learn has no types
    """A pipeline with parameters of its own, of which no part can be taken."""

    def __init__(self, C: float = 1.0) -> None:
        self.C = C
        steps = [("scaler", StandardScaler()), ("none", "passthrough")]
        super().__init__([*steps, ("classifier", LogisticRegression(C=C))])


def test_pipelines_of_a_subclass() -> None:
    estimator = Scaled(C=2.0).fit(X, Y)
    np.testing.assert_allclose(np.exp(log_proba(estimator, X)), estimator.predict_proba(X))


@pytest.mark.filterwarnings("ignore:The `probability` parameter:FutureWarning")
def test_wrapped_again() -> None:
    inner = LogProbabilityClassifier(SVC(probability=True, random_state=0), smoothing=0.01)
    outer = make_pipeline(StandardScaler(), inner).fit(X, Y)
    np.testing.assert_array_equal(log_proba(outer, X), outer.predict_log_proba(X))
    assert log_proba_source(outer).endswith("; SVC: logarithm of predict_proba")


def test_votes_in_threads_are_quiet() -> None:
    model = BaggingClassifier(RidgeClassifier(), n_estimators=4, n_jobs=2, random_state=0)
    assert np.isneginf(log_proba(model.fit(X, Y), X)).any()


def test_sparse_samples() -> None:
    sparse = scipy.sparse.csr_array(X)
    for estimator in (LogisticRegression(max_iter=1000), MLPClassifier((4,), tol=1.0)):
        fitted = estimator.fit(sparse, Y)
        np.testing.assert_allclose(log_proba(fitted, sparse), log_proba(fitted, X), rtol=1e-10)


def test_float32_stays() -> None:
    estimator = LogisticRegression(max_iter=1000).fit(X, Y)
    estimator.coef_, estimator.intercept_ = (
        each.astype("float32") for each in (estimator.coef_, estimator.intercept_)
    )
    assert log_proba(estimator, X.astype("float32")).dtype == "float32"


BOOSTERS = {
    "xgboost": (
        "XGBClassifier",
        {"n_estimators": 60, "learning_rate": 1.0, "min_child_weight": 0, "reg_lambda": 0},
    ),
    "lightgbm": (
        "LGBMClassifier",
        {"n_estimators": 60, "learning_rate": 3.0, "verbose": -1, "min_child_samples": 2},
    ),
    "catboost": (
        "CatBoostClassifier",
        {
            "iterations": 300,
            "learning_rate": 1.0,
            "l2_leaf_reg": 1e-9,
            "verbose": False,
            "allow_writing_files": False,
        },
    ),
}


@pytest.mark.filterwarnings("ignore")  # of the packages themselves, new ones every few months
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("package", BOOSTERS)
class TestOtherPackages:
    def test_margins(self, package: str, n_classes: int) -> None:
        name, options = BOOSTERS[package]
        cls = getattr(available_package(package), name)
        rows = slice(50 * n_classes)
        estimator = cls(**options).fit(X[rows], Y[rows])
        out = log_proba(estimator, X[rows])
        p = estimator.predict_proba(X[rows])
        assert out.shape == p.shape
        # Some of theirs are 0 or 1, or have lost digits in float32.
        near = (p > 1e-4) & (p < 1 - 1e-4)
        np.testing.assert_allclose(np.exp(out[near]), p[near], rtol=1e-3)
        assert np.all(np.isfinite(out))
        np.testing.assert_allclose(np.exp(out).sum(axis=1), 1, rtol=1e-5)
        assert log_proba_source(estimator).startswith(f"{name}: logistic function or softmax of")
        assert np.exp(out).min() < 1e-4  # far enough to tell

    def test_other_objectives_have_no_rule(self, package: str, n_classes: int) -> None:
        name, options = BOOSTERS[package]
        cls = getattr(available_package(package), name)
        other = {
            "xgboost": {"objective": "binary:hinge"},
            "lightgbm": {"objective": "multiclassova"},
            "catboost": {"loss_function": "MultiClassOneVsAll"},
        }[package]
        if package == "xgboost" and n_classes > 2:
            other = {"objective": "multi:softprob"}
            assert cls(**options, **other).fit(X, Y).predict_proba(X).shape == (150, 3)
            return
        estimator = cls(**options, **other).fit(X, Y if package != "xgboost" else Y > 0)
        assert log_proba_source(estimator).endswith(("predict_proba", "predict_log_proba"))


@pytest.mark.filterwarnings("ignore")
class TestOtherPackagesUnusualModels:
    def test_labels_of_xgboost(self) -> None:
        cls = available_package("xgboost").XGBClassifier
        samples, labels = make_multilabel_classification(random_state=0)
        model = cls(n_estimators=5).fit(samples, labels)
        p = model.predict_proba(samples)
        np.testing.assert_allclose(np.exp(log_proba(model, samples)), p, rtol=1e-5)
        out = np.exp(log_proba(model, samples, smoothing=0.5))
        np.testing.assert_allclose(out, 0.5 * p + 0.25, rtol=1e-5)

    @pytest.mark.parametrize("n_classes", [2, 3])
    @pytest.mark.parametrize("boosting", ["boosting", "boosting_type"])
    def test_forests_of_lightgbm(self, boosting: str, n_classes: int) -> None:
        cls = available_package("lightgbm").LGBMClassifier
        options = {boosting: "rf", "bagging_freq": 1, "bagging_fraction": 0.5, "verbose": -1}
        model = cls(n_estimators=5, **options).fit(X[: 50 * n_classes], Y[: 50 * n_classes])
        np.testing.assert_allclose(np.exp(log_proba(model, X)), model.predict_proba(X), rtol=1e-12)


def test_nothing_is_imported_for_a_rule() -> None:
    script = (
        "import sys, numpy as np\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from agnostic_lse.sklearn import log_proba\n"
        "log_proba(LogisticRegression().fit(np.eye(2), [0, 1]), np.eye(2))\n"
        f"print([name for name in {list(BOOSTERS)} if name in sys.modules])\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
