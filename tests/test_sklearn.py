"""The scikit-learn layer: estimator checks, namespaces, names, refusals."""

from __future__ import annotations

import math
import os
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any, Self

import array_api_compat as compat
import mpmath as mp
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import scipy.sparse
import sklearn
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_iris
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from agnostic_lse import log_softmax, logsumexp, softmax
from agnostic_lse.sklearn import LogProbabilityMixin, LogSoftmaxTransformer, LogSumExpTransformer
from tests.backends import Backend, to_numpy
from tests.reference import log_sum

INF, NAN = math.inf, math.nan
SCORES = [[40.0, 0.0, -3.0], [1.0, -INF, 2.0], [-700.0, -700.0, -700.0]]


HOLDS_STRICT_BACK = tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 7)
HELD_BACK = (
    "under array_api_dispatch, scikit-learn before 1.7 holds array-api-strict to the standard of "
    "2023.12, which has no Python scalars in where and maximum"
)


@pytest.fixture(autouse=True)
def _strict_flags() -> Iterator[None]:
    """Undo what scikit-learn before 1.7 does to array-api-strict for the whole process."""
    try:
        import array_api_strict
    except ImportError:
        yield
        return
    flags = array_api_strict.get_array_api_strict_flags()
    yield
    array_api_strict.set_array_api_strict_flags(
        **{
            name: flags[name]
            for name in ("api_version", "boolean_indexing", "data_dependent_shapes")
        }
    )


@pytest.fixture
def dispatch(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let scikit-learn work in the namespace of its input."""
    if HOLDS_STRICT_BACK and "library" in request.fixturenames:
        library = request.getfixturevalue("library")
        if library.is_strict:
            pytest.skip(HELD_BACK)
    with config_context(array_api_dispatch=True):
        yield


@pytest.fixture
def strict() -> Any:
    """Give array-api-strict, for tests in which scikit-learn dispatches to it."""
    if HOLDS_STRICT_BACK:
        pytest.skip(HELD_BACK)
    return pytest.importorskip("array_api_strict")


@pytest.fixture
def narrow_jax() -> Iterator[Any]:
    """Give JAX as it is by default, without 64 bits."""
    jax = pytest.importorskip("jax")
    wide = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    yield jax
    jax.config.update("jax_enable_x64", wide)


def close(actual: Any, expected: Any, rtol: float = 1e-15) -> None:
    np.testing.assert_allclose(to_numpy(actual), expected, rtol=rtol, atol=0)


def lies_beside(actual: Any, x: Any) -> bool:
    """Return whether two arrays share namespace and device."""
    return bool(
        compat.array_namespace(actual) is compat.array_namespace(x)
        and compat.device(actual) == compat.device(x)
    )


class Host(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier that runs wherever its samples lie."""

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        return tags


class Density(LogProbabilityMixin, Host):
    """Each class has a normal density with independent features."""

    def fit(self, X: Any, y: Any) -> Self:
        X, y, member = _training_data(self, X, y)
        xp = compat.array_namespace(X)
        count = xp.sum(member, axis=0)[:, None]
        self.log_prior_ = xp.log(count[:, 0] / X.shape[0])
        self.mean_ = member.T @ X / count
        # floor of the variance, for classes of one sample
        self.variance_ = member.T @ X**2 / count - self.mean_**2 + 1e-3
        return self

    def predict_joint_log_proba(self, X: Any) -> Any:
        check_is_fitted(self)
        X = _floating(validate_data(self, X, reset=False))
        xp = compat.array_namespace(X)
        squares = (X[:, None, :] - self.mean_) ** 2 / self.variance_
        density = -0.5 * xp.sum(squares + xp.log(2 * xp.pi * self.variance_), axis=2)
        return density + self.log_prior_


class Linear(LogProbabilityMixin, Host):
    """Multinomial logistic regression, by gradient ascent."""

    def fit(self, X: Any, y: Any) -> Self:
        X, y, member = _training_data(self, X, y)
        xp = compat.array_namespace(X)
        self.centre_ = xp.mean(X, axis=0)
        self.scale_ = xp.std(X, axis=0) + 1e-3
        self.coef_ = xp.zeros_like(self.centre_[:, None] * member[:1, :])
        self.intercept_ = xp.zeros_like(member[0, :])
        for _ in range(40):
            surplus = member - softmax(self._scores(X), axis=1)
            self.coef_ = self.coef_ + ((X - self.centre_) / self.scale_).T @ surplus / X.shape[0]
            self.intercept_ = self.intercept_ + xp.mean(surplus, axis=0)
        return self

    def predict_joint_log_proba(self, X: Any) -> Any:
        check_is_fitted(self)
        return self._scores(_floating(validate_data(self, X, reset=False)))

    def _scores(self, X: Any) -> Any:
        return ((X - self.centre_) / self.scale_) @ self.coef_ + self.intercept_


def _training_data(host: Any, X: Any, y: Any) -> tuple[Any, Any, Any]:
    """Return the samples, the labels and each sample's membership of each class, 0 or 1."""
    X, y = validate_data(host, X, y)
    y = to_numpy(y)
    check_classification_targets(y)
    classes, code = np.unique(y, return_inverse=True)
    X = _floating(X)
    xp, device = compat.array_namespace(X), compat.device(X)
    numeric = classes.dtype.kind in "biuf"
    host.classes_ = xp.asarray(classes, device=device) if numeric else classes
    member = xp.asarray(np.eye(len(classes), dtype=np.float32)[code], device=device)
    return X, y, xp.astype(member, X.dtype)


def _floating(X: Any) -> Any:
    xp = compat.array_namespace(X)
    return X if xp.isdtype(X.dtype, "real floating") else xp.astype(X, xp.float64)


STATELESS = "nothing that fit keeps is an array, so transform takes any namespace"
EXPECTED_FAILURES = {
    LogSoftmaxTransformer: {"check_array_api_same_namespace": STATELESS},
    LogSumExpTransformer: {"check_array_api_same_namespace": STATELESS},
}


CHECKS = parametrize_with_checks(
    [
        LogSoftmaxTransformer(),
        LogSoftmaxTransformer(temperature=0.5),
        LogSumExpTransformer(),
        LogSumExpTransformer(groups={"first": 0, "pair": [0, 1]}),
        Density(),
        Linear(),
    ],
    expected_failed_checks=lambda estimator: EXPECTED_FAILURES.get(type(estimator), {}),
).mark


# pytest wants a list, which scikit-learn before 1.9 does not give.
@pytest.mark.parametrize(CHECKS.args[0], list(CHECKS.args[1]), **CHECKS.kwargs)
def test_estimator_checks(request: pytest.FixtureRequest, estimator: Any, check: Any) -> None:
    if HOLDS_STRICT_BACK and check.keywords.get("array_namespace") == "array_api_strict":
        request.applymarker(pytest.mark.xfail(reason=HELD_BACK))
    check(estimator)


def test_array_api_checks_are_not_skipped() -> None:
    assert os.environ.get("SCIPY_ARRAY_API") == "1", "without it, scikit-learn skips them"


def test_import_of_the_package_leaves_scikit_learn_alone() -> None:
    code = "import sys, agnostic_lse; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_import_without_scikit_learn() -> None:
    code = "import sys; sys.modules['sklearn'] = None; import agnostic_lse.sklearn"
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert run.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: agnostic_lse.sklearn was imported, but scikit-learn is not "
        "installed: pip install scikit-learn."
    )


def test_import_beside_a_broken_scikit_learn() -> None:
    code = "import sys; sys.modules['scipy'] = None; import agnostic_lse.sklearn"
    run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "scipy" in run.stderr.splitlines()[-1]


def tempered(row: Sequence[float] | npt.NDArray[Any], temperature: float) -> list[float]:
    """Return the exact log-softmax of ``row / temperature``."""
    with mp.workdps(400):
        scaled = [mp.mpf(float(score)) / mp.mpf(temperature) for score in row]
        peak = max(scaled)
        if mp.isinf(peak):
            return [-INF] * len(row)
        others = [score for i, score in enumerate(scaled) if i != scaled.index(peak)]
        log_whole = mp.log1p(mp.fsum(mp.exp(score - peak) for score in others))
        return [float(score - peak - log_whole) for score in scaled]


def close_to_exact(actual: Any, expected: list[list[float]]) -> None:
    """Compare with exact numbers, to a few units of roundoff or the smallest normal number."""
    actual = to_numpy(actual)
    limits = np.finfo(actual.dtype)
    with np.errstate(all="ignore"):
        rounded = np.asarray(expected).astype(actual.dtype)
    np.testing.assert_allclose(
        actual.astype(np.float64),
        rounded.astype(np.float64),
        rtol=4 * float(limits.eps),
        atol=float(limits.tiny) if actual.dtype != np.float16 else float(limits.smallest_subnormal),
    )


# The largest numbers, whose halves are exact.
MOST32, MOST64 = float(np.finfo(np.float32).max), float(np.finfo(np.float64).max)
TEMPERED = [
    ("float64", [40.0, 0.0, -3.0], 0.5),
    ("float64", [40.0, 0.0, -3.0], 7.0),
    ("float64", [1e6, 1e6 + 0.125], 1e3),  # 1000 and 1000.000125, were it divided first
    ("float64", [-INF, 0.0, 1.0], 0.25),
    ("float64", [1e308, -1e308], 1e308),
    ("float64", [1.7e308, -1.7e308], 2.5),
    ("float64", [1e308, 0.5e308], 3.0),
    ("float64", [-1e10, -1e9], 1e-290),
    ("float64", [65504.0, -65504.0], 1e6),
    ("float64", [3.0, 3.0], 5e-324),
    ("float64", [3.0, -1.0, -INF], 1.7e308),
    ("float64", [2e-308, 0.0], 2e-308),
    ("float64", [1e-323, 0.0], 5e-324),
    ("float64", [0.0, -MOST64 / 2], 0.5),
    ("float64", [0.0, -MOST64 / 2, -MOST64], 0.75),
    ("float32", [3e38, 0.0], 1e300),
    ("float32", [3e38, 0.0, -INF], 1e300),
    ("float32", [3e38, -3e38], 1e39),
    ("float32", [1e-38, 0.0], 1.5e-38),
    ("float32", [7.0, 3.0], 1e-45),
    ("float32", [7.0, 7.0, 3.0], 1e-300),
    ("float32", [0.0, -MOST32 / 2], 0.5),
    ("float32", [0.0, -MOST32 / 2, -MOST32], 0.75),
]


class TestLogSoftmax:
    def test_a_probability_close_to_1_keeps_its_digits(self) -> None:
        out = LogSoftmaxTransformer().fit_transform([[40.0, 0.0]])
        assert out.tolist() == [[-4.248354255291589e-18, -40.0]]

    @pytest.mark.parametrize(("dtype", "row", "temperature"), TEMPERED)
    @pytest.mark.usefixtures("dispatch")
    def test_temperature(
        self, library: Backend, array: Any, dtype: str, row: list[float], temperature: float
    ) -> None:
        given = np.asarray([row], dtype=dtype)
        read = given
        if library is Backend.JAX:  # which takes what lies below the normal numbers for 0
            read = np.where(np.abs(given) < np.finfo(dtype).tiny, 0, given)
        out = LogSoftmaxTransformer(temperature).fit_transform(array(given, dtype))
        close_to_exact(out, [tempered(scores, temperature) for scores in read])

    @pytest.mark.parametrize(("dtype", "row", "temperature"), TEMPERED)
    @pytest.mark.usefixtures("dispatch")
    def test_temperature_traced(self, dtype: str, row: list[float], temperature: float) -> None:
        jax = pytest.importorskip("jax")
        x = Backend.JAX.namespace().asarray([row], dtype=dtype)  # it enables 64 bits
        transformer = LogSoftmaxTransformer(temperature)
        close_to_exact(jax.jit(transformer.fit_transform)(x), to_numpy(transformer.transform(x)))

    @pytest.mark.parametrize("temperature", [1e-320, 1e-50, 1e-9, 1e9, 1e50, 1e300])
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_no_temperature_is_too_far_for_a_dtype(self, temperature: float, dtype: str) -> None:
        scores = np.asarray([[7.0, 7.0, -INF], [-7.0, 9.0, 7.0], [-INF] * 3], dtype=dtype)
        out = LogSoftmaxTransformer(temperature).fit_transform(scores)
        assert out.dtype == dtype
        close_to_exact(out, [tempered(row, temperature) for row in scores])

    @pytest.mark.parametrize("temperature", [1.0, 0.5])
    @pytest.mark.usefixtures("dispatch")
    def test_float16_may_overflow_to_minus_infinity(
        self, library: Backend, array: Any, temperature: float
    ) -> None:
        if not library.knows("float16"):
            assert not library.has("float16")
            return
        scores = array([[65504.0, -65504.0]], "float16")
        out = LogSoftmaxTransformer(temperature).fit_transform(scores)
        assert to_numpy(out).tolist() == [[0.0, -INF]]

    @pytest.mark.parametrize("temperature", [1.0, 0.5])
    def test_foreign_byte_order(self, temperature: float) -> None:
        scores = np.asarray(SCORES)
        out = LogSoftmaxTransformer(temperature).fit_transform(scores.astype(">f8"))
        assert out.dtype.isnative
        assert out.tolist() == LogSoftmaxTransformer(temperature).transform(scores).tolist()

    @pytest.mark.parametrize("temperature", [1.0, 0.5])
    @pytest.mark.usefixtures("dispatch")
    def test_every_backend(self, array: Any, temperature: float) -> None:
        x = array(SCORES)
        out = LogSoftmaxTransformer(temperature).fit(x).transform(x)
        assert lies_beside(out, x)
        close(out, log_softmax(np.asarray(SCORES) / temperature, axis=1))
        close(x, SCORES)

    @pytest.mark.parametrize(
        "temperature",
        [0, -1.0, INF, NAN, True, "hot", None, 1j, np.ones(1), 10**400, -(10**400), 10**5000],
        ids=lambda value: "10**5000" if isinstance(value, int) and value == 10**5000 else None,
    )
    def test_refused_temperatures(self, temperature: Any) -> None:
        match = "^temperature is .*, but a positive finite number was expected: pass one, such as"
        with pytest.raises(ValueError, match=match):
            LogSoftmaxTransformer(temperature).fit(SCORES)
        with pytest.raises(ValueError, match=match):
            LogSoftmaxTransformer(temperature).transform(SCORES)

    @pytest.mark.parametrize("temperature", [2, np.float32(2), np.float16(2), np.int8(2)])
    def test_any_real_number_is_a_temperature(self, temperature: Any) -> None:
        out = LogSoftmaxTransformer(temperature).fit_transform(
            np.asarray([[4.0, 0.0]], dtype=np.float32)
        )
        assert out.dtype == np.float32
        close(out, log_softmax(np.asarray([[2.0, 0.0]], dtype=np.float32)))

    def test_stateless(self) -> None:
        close(LogSoftmaxTransformer().transform([[0.0, 0.0]]), [[-math.log(2)] * 2])
        with pytest.raises(NotFittedError):
            LogSoftmaxTransformer().get_feature_names_out()

    def test_set_output(self, container: Any) -> None:
        frame = container({"a": [40.0, 0.0], "b": [0.0, 0.0]})
        transformer = LogSoftmaxTransformer().set_output(transform=container.library)
        out = transformer.fit_transform(frame)
        assert type(out) is type(frame)
        assert list(out.columns) == list(transformer.feature_names_in_) == ["a", "b"]
        close(out.to_numpy(), log_softmax(frame.to_numpy(), axis=1))
        assert type(clone(transformer).fit_transform(frame)) is type(frame)

    def test_set_output_keeps_the_index(self) -> None:
        frame = pd.DataFrame({"a": [1.0, 2.0], "b": [2.0, 1.0]}, index=["first", "second"])
        out = LogSoftmaxTransformer().set_output(transform="pandas").fit_transform(frame)
        assert list(out.index) == ["first", "second"]

    def test_grid_search_finds_the_temperature(self) -> None:
        # Labels drawn from softmax(scores / 4): the likelihood is highest there.
        rng = np.random.default_rng(0)
        scores = rng.normal(size=(2000, 3)) * 8
        chances = softmax(scores / 4, axis=1).cumsum(axis=1)
        y = (rng.random((2000, 1)) > chances).sum(axis=1)
        pipeline = Pipeline([("log", LogSoftmaxTransformer()), ("classify", AsTheyCome())])
        search = GridSearchCV(
            pipeline, {"log__temperature": [0.25, 1.0, 4.0, 16.0]}, scoring="neg_log_loss", cv=3
        )
        assert search.fit(scores, y).best_params_ == {"log__temperature": 4.0}


class AsTheyCome(LogProbabilityMixin, Host):
    """Log-probabilities in, the same out."""

    def __init__(self, classes: Any = None) -> None:
        self.classes = classes

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002
        self.classes_ = np.unique(y) if self.classes is None else self.classes
        return self

    def predict_joint_log_proba(self, X: Any) -> Any:
        return X


class TestLogSumExp:
    def test_a_small_term_is_not_lost(self) -> None:
        out = LogSumExpTransformer().fit_transform([[0.0, -40.0]])
        assert out.tolist() == [[4.248354255291589e-18]]

    @pytest.mark.parametrize("groups", [None, {"front": [0, 1], "back": [-1], "all": range(3)}])
    @pytest.mark.usefixtures("dispatch")
    def test_every_backend(self, array: Any, groups: Any) -> None:
        x = array(SCORES)
        out = LogSumExpTransformer(groups).fit(x).transform(x)
        assert lies_beside(out, x)
        pooled = [slice(None)] if groups is None else [slice(2), slice(2, 3), slice(None)]
        expected = [[float(log_sum(row[columns])) for columns in pooled] for row in SCORES]
        close(out, expected)
        close(x, SCORES)

    @pytest.mark.parametrize(
        ("groups", "expected"),
        [
            ({"dog": ["beagle", "poodle"], "cat": "siamese"}, {"dog": [0, 1], "cat": [2]}),
            ({"dog": [0, "poodle"], "cat": -1}, {"dog": [0, 1], "cat": [2]}),
            ({"dog": (0, 1), "pet": np.arange(3)}, {"dog": [0, 1], "pet": [0, 1, 2]}),
            ({"dog": pd.Index(["poodle", "beagle"])}, {"dog": [1, 0]}),
            ({7: np.int8(1)}, {"7": [1]}),
            (["dog", "dog", "cat"], {"dog": [0, 1], "cat": [2]}),
            (("cat", None, "cat"), {"cat": [0, 2]}),
            (np.asarray([2, 0, 2]), {"2": [0, 2], "0": [1]}),
            (pd.Series(["dog", "cat", "dog"]), {"dog": [0, 2], "cat": [1]}),
            (pd.Categorical(["dog", "cat", "dog"]), {"dog": [0, 2], "cat": [1]}),
            (["dog", NAN, "cat"], {"dog": [0], "cat": [2]}),
            ([pd.NA, "dog", pd.NaT], {"dog": [1]}),
            (pd.Series(["dog", None, "cat"]), {"dog": [0], "cat": [2]}),
            (pd.Series(["dog", None, "cat"], dtype=object), {"dog": [0], "cat": [2]}),
            (pd.Series(["dog", None, "cat"], dtype="string"), {"dog": [0], "cat": [2]}),
            (pd.Index(["dog", None, "cat"]), {"dog": [0], "cat": [2]}),
            (pd.Categorical(["dog", None, "cat"]), {"dog": [0], "cat": [2]}),
            (pd.Series([7, None, 8], dtype="Int64"), {"7": [0], "8": [2]}),
            (
                pd.Series({"siamese": "cat", "poodle": "dog", "beagle": "dog"}),
                {"dog": [0, 1], "cat": [2]},
            ),
            (pd.Series([7, None, 8]), {"7": [0], "8": [2]}),
            (np.asarray([7.0, NAN, 7.0]), {"7": [0, 2]}),
        ],
        ids=str,
    )
    def test_groups(self, groups: Any, expected: dict[str, list[int]]) -> None:
        X = pd.DataFrame(SCORES, columns=["beagle", "poodle", "siamese"])
        transformer = LogSumExpTransformer(groups).fit(X)
        assert transformer.groups_ == expected
        assert transformer.get_feature_names_out().tolist() == list(expected)
        values = X.to_numpy()
        columns = [logsumexp(values[:, indices], axis=1) for indices in expected.values()]
        assert transformer.transform(X).tolist() == np.stack(columns, axis=1).tolist()

    @pytest.mark.parametrize(
        ("groups", "sentence"),
        [
            ({}, "groups is empty, but at least one group was expected: name one, or pass None to"),
            ([None] * 3, "groups is empty, but at least one group was expected: name one, or"),
            ([NAN] * 3, "groups is empty, but at least one group was expected: name one, or pass"),
            ({"dog": []}, "groups['dog'] is empty, but at least one column was expected: name one"),
            (
                {"dog": "dgo"},
                "groups['dog'] has the column name 'dgo', which 0 columns of X have: ",
            ),
            (
                {"dog": 3},
                "groups['dog'] has index 3, but X has 3 feature(s): pass indices from -3 ",
            ),
            ({"dog": -4}, "groups['dog'] has index -4, but X has 3 feature(s): pass indices from "),
            (
                {"dog": [0, -3]},
                "groups['dog'] has column 0 more than once, which would count it as",
            ),
            ({"dog": ["a", 0]}, "groups['dog'] has column 0 more than once, which would count it"),
            ({"dog": [True]}, "groups['dog'] has True, but column names or integer indices were "),
            ({"dog": [1.0]}, "groups['dog'] has 1.0, but column names or integer indices were "),
            (
                {"dog": {0, 1}},
                "groups['dog'] has type set, but a list of column names or of integer",
            ),
            ({"dog": None}, "groups['dog'] has type NoneType, but a list of column names or of "),
            ({1: 0, "1": 1}, "groups gives the output name '1' to more than one group: give each "),
            (["1", 1, 1], "groups gives the output name '1' to more than one group: give each "),
            ({("a", "b"): 0}, "groups names an output ('a', 'b'), but strings or integers were "),
            ([True] * 3, "groups names an output True, but strings or integers were expected: "),
            (
                pd.Series(["dog", "cat"], index=["c", "a"]),
                "groups has 2 labels, but X has 3 feature(s): pass one label for each ",
            ),
            (
                pd.Series(["dog", "dog", "cat", "dog"], index=["a", "b", "c", "a"]),
                "groups has 4 labels, but X has 3 feature(s): pass one label for each ",
            ),
            (
                pd.Series({"a": "cat", "b": "dog", "x": "dog"}),
                "groups is a Series indexed by 'a', 'b', 'x', but X has other column names: index",
            ),
            (
                pd.Series({2: "cat", 1: "dog", 0: "dog"}),
                "groups is a Series indexed by 2, 1, 0, but X has other column names: index it by ",
            ),
            ([0.5] * 3, "groups names an output 0.5, but strings or integers were expected: "),
            (["dog"], "groups has 1 label, but X has 3 feature(s): pass one label for each "),
            (
                ["dog"] * 4,
                "groups has 4 labels, but X has 3 feature(s): pass one label for each ",
            ),
            ("dog", "groups has type str, but a mapping from output names to columns, or a list "),
            (
                np.eye(3),
                "groups has type ndarray, but a mapping from output names to columns, or a ",
            ),
            (
                pd.DataFrame([["dog"] * 3] * 3, index=["c", "b", "a"]),
                "groups has type DataFrame, but a mapping from output names to columns, or a ",
            ),
            (3, "groups has type int, but a mapping from output names to columns, or a list with "),
        ],
        ids=str,
    )
    def test_refused_groups(self, groups: Any, sentence: str) -> None:
        X = pd.DataFrame(SCORES, columns=["a", "b", "c"])
        with pytest.raises(ValueError, match="^" + re.escape(sentence)) as caught:
            LogSumExpTransformer(groups).fit(X)
        assert str(caught.value).count(". ") == 0

    def test_names_need_names(self) -> None:
        match = r"^groups\['dog'\] has the column name 'a', but X has no column names: pass a Data"
        with pytest.raises(ValueError, match=match):
            LogSumExpTransformer({"dog": ["a"]}).fit(SCORES)

    def test_only_some_of_many_names_are_told(self) -> None:
        X = pd.DataFrame(np.zeros((1, 11)), columns=[f"breed{i}" for i in range(11)])
        with pytest.raises(ValueError, match=r"\('breed0', .*'breed9', \.\.\.\), or integer"):
            LogSumExpTransformer({"dog": "breed11"}).fit(X)

    def test_unfitted(self) -> None:
        with pytest.raises(NotFittedError):
            LogSumExpTransformer().transform(SCORES)
        with pytest.raises(NotFittedError):
            LogSumExpTransformer().get_feature_names_out()

    def test_a_refused_fit_is_none(self) -> None:
        transformer = LogSumExpTransformer({"dog": 7})
        with pytest.raises(ValueError, match=r"^groups\['dog'\] has index 7"):
            transformer.fit(SCORES)
        with pytest.raises(NotFittedError):
            transformer.transform(SCORES)

    def test_names_of_the_outputs(self) -> None:
        X = pd.DataFrame(SCORES, columns=["a", "b", "c"])
        transformer = LogSumExpTransformer().fit(X)
        assert transformer.groups_ is None
        assert transformer.get_feature_names_out().tolist() == ["logsumexptransformer0"]
        transformer.set_params(groups={"dog": 0}).fit(X)
        assert transformer.get_feature_names_out(["a", "b", "c"]).tolist() == ["dog"]
        with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
            transformer.get_feature_names_out(["c", "b", "a"])

    def test_set_output(self, container: Any) -> None:
        frame = container({"a": [0.0, 1.0], "b": [0.0, -INF], "c": [2.0, 3.0]})
        groups = {"front": ["a", "b"], "back": "c"}
        transformer = LogSumExpTransformer(groups).set_output(transform=container.library)
        out = transformer.fit_transform(frame)
        assert type(out) is type(frame)
        assert list(out.columns) == ["front", "back"]
        assert out.to_numpy().tolist() == [[math.log(2), 2.0], [1.0, 3.0]]

    def test_columns_in_another_order_are_refused(self) -> None:
        X = pd.DataFrame(SCORES, columns=["a", "b", "c"])
        transformer = LogSumExpTransformer({"dog": "a"}).fit(X)
        with pytest.raises(ValueError, match="feature names should match"):
            transformer.transform(X[["c", "b", "a"]])

    def test_groups_changed_after_fit_change_nothing(self) -> None:
        groups = {"dog": [0, 1]}
        transformer = LogSumExpTransformer(groups).fit(SCORES)
        before = transformer.transform(SCORES).tolist()
        groups["dog"].append(2)
        assert transformer.transform(SCORES).tolist() == before


class Container:
    """A library of data frames, making one from a dictionary of columns."""

    def __init__(self, library: str) -> None:
        self.library = library

    def __call__(self, columns: dict[str, list[float]]) -> Any:
        module = pytest.importorskip(self.library)
        frame = module.DataFrame(columns)
        if not hasattr(StandardScaler().fit(module.DataFrame({"a": [0.0]})), "feature_names_in_"):
            pytest.skip(
                f"scikit-learn {sklearn.__version__} itself finds no column names in frames of "
                f"{self.library} {module.__version__}"
            )
        return frame


@pytest.fixture(params=["pandas", "polars"])
def container(request: pytest.FixtureRequest) -> Container:
    return Container(request.param)


TRANSFORMERS = [
    LogSoftmaxTransformer(),
    LogSoftmaxTransformer(temperature=0.5),
    LogSumExpTransformer(),
    LogSumExpTransformer({"front": [0, 1], "back": -1}),
]


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=repr)
class TestBoth:
    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "bool"])
    @pytest.mark.usefixtures("dispatch")
    def test_dtypes(self, library: Backend, array: Any, transformer: Any, dtype: str) -> None:
        if dtype == "float16" and not library.knows(dtype):
            return
        values = np.asarray([[1, 0, 1], [0, 0, 0]])
        x = array(values, dtype)
        out = clone(transformer).fit(x).transform(x)
        floating = dtype if dtype.startswith("float") else "float64"
        assert lies_beside(out, x)
        assert to_numpy(out).dtype == floating
        expected = clone(transformer).fit_transform(values.astype(np.float64))
        close(out, expected, rtol=4 * float(np.finfo(floating).eps))

    @pytest.mark.parametrize(("entry", "came"), [(NAN, "NaN"), (INF, r"\+inf")])
    @pytest.mark.usefixtures("dispatch")
    def test_refused_entries(
        self, library: Backend, array: Any, transformer: Any, entry: float, came: str
    ) -> None:
        good, bad = array([[0.0, -INF, 1.0]]), array([[0.0, -INF, entry]])
        fitted = clone(transformer).fit(good)
        name = type(transformer).__name__
        match = (
            f"^X contains {came}, but {name} expects finite numbers or -inf: replace these "
            r"entries or drop their rows\.$"
        )
        if library is Backend.DASK:  # the entries are not known before they are computed
            out = clone(transformer).fit(bad).transform(bad)
            with pytest.raises(ValueError, match=match):
                out.compute()
            return
        with pytest.raises(ValueError, match=match):
            clone(transformer).fit(bad)
        with pytest.raises(ValueError, match=match):
            fitted.transform(bad)

    def test_nothing_is_refused_unread(self, transformer: Any) -> None:
        with config_context(assume_finite=True):
            out = clone(transformer).fit_transform([[0.0, NAN, 1.0]])
        assert np.isnan(out).any()

    def test_dask_computes_nothing(self, transformer: Any) -> None:
        dask = pytest.importorskip("dask")
        array = pytest.importorskip("dask.array").from_array(np.asarray(SCORES), chunks=2)

        def refuse(*_: Any, **__: Any) -> None:
            raise AssertionError("something was computed")

        with config_context(array_api_dispatch=True), dask.config.set(scheduler=refuse):
            out = clone(transformer).fit(array).transform(array)
        close(out, clone(transformer).fit_transform(SCORES))

    @pytest.mark.usefixtures("dispatch")
    def test_jax_traces(self, transformer: Any) -> None:
        jax = pytest.importorskip("jax")
        x = jax.numpy.asarray(np.asarray(SCORES))
        out = jax.jit(lambda x: clone(transformer).fit(x).transform(x))(x)
        close(out, clone(transformer).fit_transform(np.asarray(x)), rtol=4e-7)

    def test_without_dispatch_arrays_become_numpys(
        self, library: Backend, array: Any, transformer: Any
    ) -> None:
        if library in (Backend.STRICT_DEVICE1, Backend.TORCH_CUDA, Backend.CUPY):
            with pytest.raises((RuntimeError, TypeError)):  # the library's own refusal to copy
                clone(transformer).fit_transform(array(SCORES))
            return
        out = clone(transformer).fit_transform(array(SCORES))
        assert type(out) is type(array(SCORES)) if library is Backend.DASK else np.ndarray
        close(to_numpy(out), clone(transformer).fit_transform(SCORES))

    def test_fit_and_transform_may_differ_in_namespace(self, transformer: Any, strict: Any) -> None:
        fitted = clone(transformer).fit(SCORES)
        with config_context(array_api_dispatch=True):
            out = fitted.transform(strict.asarray(SCORES))
        assert compat.is_array_api_strict_namespace(compat.array_namespace(out))

    def test_refused_containers(self, transformer: Any) -> None:
        masked = np.ma.masked_array(SCORES, mask=np.isinf(SCORES))
        with pytest.raises(
            TypeError, match=r"^X is a masked array, .*: pass X\.filled\(-np\.inf\)"
        ):
            clone(transformer).fit(masked)
        sparse = scipy.sparse.csr_array(np.eye(3))
        with pytest.raises(TypeError, match=r"^X is a sparse csr_array, .*: pass a dense array\.$"):
            clone(transformer).fit(sparse)

    @pytest.mark.parametrize("dtype", ["timedelta64[ns]", "datetime64[ns]", "datetime64[s]"])
    def test_dates_are_refused(self, transformer: Any, dtype: str) -> None:
        dates = np.asarray([["NaT", "NaT", "NaT"]], dtype=dtype)
        match = f"^X has dtype {re.escape(dtype)}, but numbers were expected: convert it to numbers"
        fitted = clone(transformer).fit(SCORES)
        for given in (dates, pd.DataFrame(dates)):
            with pytest.raises(TypeError, match=match):
                clone(transformer).fit(given)
            with pytest.raises(TypeError, match=match):
                fitted.transform(given)

    def test_complex_numbers_are_refused(self, transformer: Any, strict: Any) -> None:
        with pytest.raises(ValueError, match=r"^Complex data not supported"):
            clone(transformer).fit(np.ones((1, 3), dtype=complex))
        match = r"^Complex data not supported: X has dtype .*complex128, but real numbers were exp"
        with config_context(array_api_dispatch=True), pytest.raises(ValueError, match=match):
            clone(transformer).fit(strict.ones((1, 3), dtype=strict.complex128))

    def test_pickle(self, transformer: Any) -> None:
        fitted = clone(transformer).fit(SCORES)
        copy = pickle.loads(pickle.dumps(fitted))  # noqa: S301
        assert copy.n_features_in_ == 3
        assert copy.transform(SCORES).tolist() == fitted.transform(SCORES).tolist()

    def test_parameters_survive_a_clone(self, transformer: Any) -> None:
        assert clone(transformer).get_params() == transformer.get_params()

    def test_number_of_columns(self, transformer: Any) -> None:
        with pytest.raises(ValueError, match="expecting 3 features as input"):
            clone(transformer).fit(SCORES).transform([[0.0] * 4])


class TestTogether:
    FRAME = pd.DataFrame(SCORES, columns=["a", "b", "c"]).assign(other=[1.0, 2.0, 3.0])

    def test_pipeline(self) -> None:
        groups = {"front": ["a", "b"], "back": "c"}
        pipeline = make_pipeline(LogSoftmaxTransformer(), LogSumExpTransformer(groups))
        out = pipeline.set_output(transform="pandas").fit_transform(self.FRAME[["a", "b", "c"]])
        assert list(out.columns) == ["front", "back"]
        close(logsumexp(out.to_numpy(), axis=1) + 1, np.ones(3))

    def test_column_transformer(self) -> None:
        scores = ["a", "b", "c"]
        transformer = ColumnTransformer(
            [
                ("log", LogSoftmaxTransformer(), scores),
                ("pool", LogSumExpTransformer({"front": ["a", "b"]}), scores),
            ],
            remainder="passthrough",
        )
        out = transformer.fit_transform(self.FRAME)
        names = ["log__a", "log__b", "log__c", "pool__front", "remainder__other"]
        assert transformer.get_feature_names_out().tolist() == names
        close(out[:, :3], log_softmax(SCORES, axis=1))
        close(out[:, 3], logsumexp(np.asarray(SCORES)[:, :2], axis=1))

    def test_feature_union(self) -> None:
        union = FeatureUnion([("log", LogSoftmaxTransformer()), ("norm", LogSumExpTransformer())])
        out = union.fit_transform(SCORES)
        assert union.get_feature_names_out().tolist()[-1] == "norm__logsumexptransformer0"
        close(out[:, :3] + out[:, 3:], SCORES, rtol=1e-14)


JOINT = [[0.0, -40.0, -800.0], [-1000.0, -1001.0, -INF], [-INF, -INF, -INF], [2.0, 3.0, 3.0]]
METHODS = ["predict", "predict_proba", "predict_log_proba", "score_samples"]
LABELS = [
    np.asarray(["bird", "cat", "dog"]),
    np.asarray(["bird", "cat", "dog"], dtype=object),
    ["bird", "cat", "dog"],
    np.asarray(["2001", "2002", "2003"], dtype="datetime64[Y]"),
]


class TestMixin:
    @pytest.mark.parametrize("method", METHODS)
    def test_not_fitted(self, method: str) -> None:
        match = (
            rf"^AsTheyCome has no classes_, since it is not fitted yet: call fit before {method}"
        )
        with pytest.raises(NotFittedError, match=match):
            getattr(AsTheyCome(), method)([[0.0, 1.0]])

    @pytest.mark.parametrize("classes", LABELS, ids=["strings", "objects", "list", "dates"])
    def test_labels_that_only_numpy_holds(self, library: Backend, array: Any, classes: Any) -> None:
        labels = AsTheyCome(classes).fit(None).predict(array(JOINT))
        if library is Backend.DASK:
            assert compat.is_dask_array(labels)
            labels = labels.compute()
        assert type(labels) is np.ndarray
        assert labels.tolist() == np.asarray(classes)[[0, 0, 0, 1]].tolist()

    @pytest.mark.parametrize("classes", [[3, 5, 9], [0.5, 1.5, 2.5]], ids=str)
    def test_labels_that_are_numbers(self, array: Any, classes: list[float]) -> None:
        x = array(JOINT)
        for given in (classes, np.asarray(classes), array(classes)):
            labels = AsTheyCome(given).fit(None).predict(x)
            assert lies_beside(labels, x)
            assert to_numpy(labels).tolist() == [classes[i] for i in (0, 0, 0, 1)]

    def test_booleans_are_numbers(self, array: Any) -> None:
        x = array([[0.0, 1.0], [1.0, 0.0]])
        labels = AsTheyCome(np.asarray([False, True])).fit(None).predict(x)
        assert lies_beside(labels, x)
        assert to_numpy(labels).tolist() == [True, False]

    @pytest.mark.parametrize(
        "dtype",
        ["uint8", "uint16", "uint32", "uint64", ">i8", "float16", "longdouble", ">f4", "complex64"],
    )
    def test_labels_of_every_numeric_dtype(self, array: Any, dtype: str) -> None:
        x = array(JOINT)
        classes = np.asarray([9, 5, 3], dtype=dtype)
        fixed = classes.copy()
        fixed.flags.writeable = False
        for given in (classes, classes[::-1], np.repeat(classes, 2)[::2], fixed):
            labels = AsTheyCome(given).fit(None).predict(x)
            assert type(labels) is np.ndarray or lies_beside(labels, x)
            assert to_numpy(labels).tolist() == given[[0, 0, 0, 1]].tolist()

    def test_labels_that_the_host_keeps_but_its_namespace_cannot_index(self, array: Any) -> None:
        labels = AsTheyCome(array([3, 5, 9], "uint16")).fit(None).predict(array(JOINT))
        assert to_numpy(labels).tolist() == [3, 3, 3, 5]

    @pytest.mark.parametrize(
        "classes",
        [
            np.asarray([3_000_000_000, 5, 9]),
            np.asarray([2**63, 5, 9], dtype=np.uint64),
            np.asarray([0.1, 0.2, 0.3]),
            np.asarray([1e300, 2.0, 3.0]),
            [3_000_000_000, 5, 9],
        ],
        ids=str,
    )
    def test_labels_that_32_bits_cannot_hold(self, narrow_jax: Any, classes: Any) -> None:
        labels = AsTheyCome(classes).fit(None).predict(narrow_jax.numpy.asarray(JOINT))
        assert type(labels) is np.ndarray
        assert labels.tolist() == np.asarray(classes)[[0, 0, 0, 1]].tolist()

    @pytest.mark.parametrize("classes", [[3, 5, 9], [0.5, NAN, 2.5]], ids=str)
    def test_labels_that_32_bits_hold(self, narrow_jax: Any, classes: list[float]) -> None:
        x = narrow_jax.numpy.asarray(JOINT)
        labels = AsTheyCome(np.asarray(classes)).fit(None).predict(x)
        assert lies_beside(labels, x)
        np.testing.assert_array_equal(to_numpy(labels), np.asarray(classes)[[0, 0, 0, 1]])

    def test_labels_from_another_namespace_follow(self, array: Any) -> None:
        strict = pytest.importorskip("array_api_strict")
        classes = strict.asarray([3, 5, 9], device=strict.Device("device1"))
        x = array(JOINT)
        labels = AsTheyCome(classes).fit(None).predict(x)
        assert lies_beside(labels, x)
        assert to_numpy(labels).tolist() == [3, 3, 3, 5]

    def test_values(self, array: Any) -> None:
        x = array(JOINT)
        host = AsTheyCome(np.arange(3)).fit(None)
        log_proba = host.predict_log_proba(x)
        proba = host.predict_proba(x)
        density = host.score_samples(x)
        assert all(lies_beside(out, x) for out in (log_proba, proba, density))
        close(log_proba[0, 0], -4.248354255291589e-18)
        close(density[0], 4.248354255291589e-18)
        close(log_proba, log_softmax(np.asarray(JOINT), axis=1))
        close(proba, softmax(np.asarray(JOINT), axis=1))
        # A sample that no class explains
        assert to_numpy(log_proba)[2].tolist() == [-INF] * 3
        assert to_numpy(proba)[2].tolist() == [0.0] * 3
        assert float(to_numpy(density)[2]) == -INF

    @pytest.mark.parametrize("joint", [[0.0, 1.0], [[0.0, 1.0]], np.zeros((1, 4)), 0.0], ids=str)
    @pytest.mark.parametrize("method", METHODS)
    def test_refused_shapes(self, joint: npt.ArrayLike, method: str) -> None:
        match = (
            r"^AsTheyCome\.predict_joint_log_proba gave shape \(.*\), but one row for each sample "
            "and one column for each of the 3 classes_ were expected: return such an array.$"
        )
        host = AsTheyCome(np.arange(3)).fit(None)
        with pytest.raises(ValueError, match=match):
            getattr(host, method)(joint)

    @pytest.mark.parametrize(
        "classes",
        [
            None,
            {"no"},
            "no",
            np.zeros((2, 2)),
            [np.arange(2), np.arange(3)],
            [np.arange(2), np.arange(2)],
        ],
        ids=str,
    )
    @pytest.mark.parametrize("method", METHODS)
    def test_refused_classes(self, classes: Any, method: str) -> None:
        match = (
            rf"^AsTheyCome\.classes_ is an? {type(classes).__name__}, but a one-dimensional array "
            "with one label for each class was expected: set such an array, or wrap a classifier "
            r"for each output in sklearn\.multioutput\.MultiOutputClassifier\.$"
        )
        host = AsTheyCome().fit(None, [0])
        host.classes_ = classes
        with pytest.raises(ValueError, match=match):
            getattr(host, method)([[0.0, 1.0]])

    @pytest.mark.parametrize(
        "joint",
        [
            np.ones((1, 3), dtype=object),
            np.ma.masked_array(np.ones((1, 3)), mask=True),
            np.asarray([["a", "b", "c"]]),
            np.ones((1, 3), dtype=complex),
            np.ones((1, 3), dtype="timedelta64[s]"),
            scipy.sparse.csr_array(np.ones((1, 3))),
            None,
        ],
        ids=lambda joint: type(joint).__name__,
    )
    @pytest.mark.parametrize("method", METHODS)
    def test_refused_joint_log_probabilities(self, joint: Any, method: str) -> None:
        host = AsTheyCome(np.arange(3)).fit(None)
        match = r"^AsTheyCome\.predict_joint_log_proba\(X\) (is an?|has dtype) .*[:,] .*\.$"
        with pytest.raises(TypeError, match=match):
            getattr(host, method)(joint)

    def test_every_real_dtype(self, library: Backend, array: Any) -> None:
        host = AsTheyCome(np.arange(2)).fit(None)
        for dtype in ("bool", "uint8", "int64", "float16", "bfloat16", "float32", "float64"):
            if dtype in ("float16", "bfloat16") and not library.knows(dtype):
                continue
            x = array([[0, 1], [1, 0]], dtype)
            assert to_numpy(host.predict(x)).tolist() == [1, 0]
            assert host.predict_log_proba(x).dtype == log_softmax(x, axis=1).dtype

    def test_lists_and_integers(self) -> None:
        host = AsTheyCome(["no", "yes"]).fit(None)
        assert host.predict([[1, 2], [3, 0]]).tolist() == ["yes", "no"]
        close(host.predict_proba([[0, 0]]), [[0.5, 0.5]])

    @pytest.mark.usefixtures("dispatch")
    @pytest.mark.parametrize("host", [Density(), Linear()], ids=repr)
    def test_fitted_on_every_backend(self, library: Backend, array: Any, host: Any) -> None:
        if library is Backend.DASK and isinstance(host, Linear):
            return  # the steps of its iterative fit make one task graph, which takes minutes
        iris = load_iris()
        labels = iris.target_names[iris.target]
        x = array(iris.data)
        fitted = clone(host).fit(x, labels)
        plain = clone(host).fit(iris.data, labels)
        assert (fitted.predict(x) == plain.predict(iris.data)).all()
        assert (plain.predict(iris.data) == labels).mean() > 0.9
        assert lies_beside(fitted.predict_log_proba(x), x)
        close(fitted.predict_log_proba(x), plain.predict_log_proba(iris.data), rtol=1e-9)

    def test_beside_scikit_learns_own(self) -> None:
        iris = load_iris()

        class ExactGaussianNB(LogProbabilityMixin, GaussianNB):  # type: ignore[misc]
            pass

        exact = ExactGaussianNB().fit(iris.data, iris.target)
        theirs = GaussianNB().fit(iris.data, iris.target)
        np.testing.assert_allclose(
            exact.predict_log_proba(iris.data), theirs.predict_log_proba(iris.data), atol=1e-12
        )
        assert (exact.predict(iris.data) == theirs.predict(iris.data)).all()
        # Where theirs rounds the largest log-probability to 0, it is below 0.
        largest = exact.predict_log_proba(iris.data).max(axis=1)
        assert (theirs.predict_log_proba(iris.data).max(axis=1) == 0).any()
        assert (largest < 0).all()

    @pytest.mark.parametrize("host", [Density(), Linear()], ids=repr)
    def test_pickle(self, host: Any) -> None:
        iris = load_iris()
        fitted = clone(host).fit(iris.data, iris.target)
        copy = pickle.loads(pickle.dumps(fitted))  # noqa: S301
        assert (copy.predict_log_proba(iris.data) == fitted.predict_log_proba(iris.data)).all()

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.usefixtures("dispatch")
    def test_samples_lie_where_those_of_fit_did(self, method: str, strict: Any) -> None:
        iris = load_iris()
        fitted = Density().fit(strict.asarray(iris.data), strict.asarray(iris.target))
        match = (
            rf"^Inputs passed to Density\.{method}\(\) must use the same namespace and the same "
            r"device as those passed to fit\(\), but X is an? .* on .* and log_prior_ an? .* on .*"
        )
        elsewhere = strict.asarray(iris.data, device=strict.Device("device1"))
        for samples in (iris.data, pd.DataFrame(iris.data), elsewhere):
            with pytest.raises(ValueError, match=match):
                getattr(fitted, method)(samples)
            fitted.scores_ = np.ones(3)  # a diagnostic lies nowhere
        plain = Density().fit(iris.data, iris.target)
        match = match.replace("log_prior_ an? .*", "log_prior_ an ndarray")
        with pytest.raises(ValueError, match=match):
            getattr(plain, method)(elsewhere)

    @pytest.mark.usefixtures("dispatch")
    def test_a_diagnostic_may_lie_elsewhere(self, array: Any) -> None:
        iris = load_iris()
        x = array(iris.data)
        fitted = Density().fit(x, iris.target)
        expected = to_numpy(fitted.predict_log_proba(x))
        fitted.scores_ = np.ones(3)
        close(fitted.predict_log_proba(x), expected)
        assert lies_beside(fitted.predict(x), x)

    @pytest.mark.usefixtures("dispatch")
    def test_names_and_numbers_may_lie_elsewhere(self, strict: Any) -> None:
        iris = load_iris()
        X, y = strict.asarray(iris.data), iris.target_names[iris.target]
        fitted = Density().fit(X, y)
        fitted.feature_names_in_ = np.asarray(iris.feature_names, dtype=object)
        fitted.score_ = np.float64(0.9)
        with pytest.warns(UserWarning, match="X does not have valid feature names"):
            assert fitted.predict(X).tolist() == Density().fit(X, y).predict(X).tolist()
