"""Log-responsibilities: against exact numbers and scikit-learn's, on backends, refusals."""

from __future__ import annotations

import re
from typing import Any

import array_api_compat as compat
import mpmath as mp
import numpy as np
import pandas as pd
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import config_context
from sklearn.cluster import KMeans
from sklearn.exceptions import NotFittedError
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture

from agnostic_lse import logsumexp
from agnostic_lse.sklearn import log_responsibilities
from tests.backends import Backend, to_numpy

KINDS = ["full", "tied", "diag", "spherical"]
PRIORS = ["dirichlet_process", "dirichlet_distribution"]
RNG = np.random.default_rng(0)
MIXING = np.asarray([[1.0, 0.9, 0.3], [0.0, 0.4, 0.2], [0.0, 0.0, 0.5]])
SAMPLES = np.concatenate([RNG.normal(size=(60, 3)) + shift for shift in (0, 4, -5)]) @ MIXING
FAR = SAMPLES[::9] + RNG.normal(size=(20, 3)) * 1e3
HAS_ARRAY_API = tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 8)


def fitted(kind: str, shift: float = 0.0) -> Any:
    mixture = GaussianMixture(3, covariance_type=kind, random_state=0)
    return mixture.fit(SAMPLES + shift)


# Digits that the squares of samples at 1e150 take, down to the units
DIGITS = 400


def magnitude(vector: Any, matrix: Any) -> list[Any]:
    """Return the sums of the sizes of the terms of a product."""
    return [mp.fsum(abs(v * f) for v, f in zip(vector, column, strict=True)) for column in matrix]


def largest_error(mixture: Any, X: Any, actual: Any = None) -> float:
    """Return the largest error of log-responsibilities in units of roundoff.

    It is relative to the sizes of what the log-odds to the nearest component are summed from: the
    squares, or of one covariance for all, the products of differences. Those of each component
    count by its probability too.
    """
    actual = log_responsibilities(mixture, X) if actual is None else actual
    kind = mixture.covariance_type
    with mp.workdps(DIGITS):
        means = [[mp.mpf(float(m)) for m in mean] for mean in mixture.means_]
        factors = []  # by columns
        for k in range(len(means)):
            factor = (
                mixture.precisions_cholesky_ if kind == "tied" else mixture.precisions_cholesky_[k]
            )
            factor = factor if factor.ndim == 2 else np.eye(X.shape[1]) * factor
            factors.append([[mp.mpf(float(f)) for f in column] for column in factor.T])
        worst = 0.0
        for x, row in zip(X, actual, strict=True):
            away = [[mp.mpf(float(a)) - m for a, m in zip(x, mean, strict=True)] for mean in means]
            joint, sizes = [], []
            for k, factor in enumerate(factors):
                scaled = [mp.fdot(away[k], column) for column in factor]
                log_det = mp.fsum(mp.log(column[i]) for i, column in enumerate(factor))
                weight = mp.log(mp.mpf(float(mixture.weights_[k])))
                joint.append(weight + log_det - mp.fsum(s * s for s in scaled) / 2)
                sizes.append(mp.fsum(s * s for s in magnitude(away[k], factor)) / 2)
            best = joint.index(max(joint))
            others = [s - joint[best] for k, s in enumerate(joint) if k != best]
            whole = mp.log1p(mp.fsum(map(mp.exp, others)))
            exact = [s - joint[best] - whole for s in joint]
            sizes = [size + sizes[best] for size in sizes]
            if kind == "tied":
                for k, factor in enumerate(factors):
                    apart = [a - b for a, b in zip(away[k], away[best], strict=True)]
                    both = [a + b for a, b in zip(away[k], away[best], strict=True)]
                    sizes[k] = mp.fdot(magnitude(apart, factor), magnitude(both, factor)) / 2
            mixed = mp.fdot(map(mp.exp, exact), sizes)
            for log_r, expected, size in zip(row, exact, sizes, strict=True):
                off = abs(mp.mpf(float(log_r)) - expected)
                worst = max(worst, float(off / max(size + mixed, 1)) * 2.0**53)
        return worst


class TestValues:
    @pytest.mark.parametrize("shift", [0.0, 1e6])
    @pytest.mark.parametrize("kind", KINDS)
    def test_exact(self, kind: str, shift: float) -> None:
        mixture = fitted(kind, shift)
        for X in (SAMPLES[::9] + shift, FAR + shift):
            assert largest_error(mixture, X) < 8

    def test_scikit_learn_loses_digits_away_from_0(self) -> None:
        mixture = fitted("diag", 1e6)
        theirs = mixture._estimate_log_prob_resp(SAMPLES[::9] + 1e6)[1]
        assert largest_error(mixture, SAMPLES[::9] + 1e6, theirs) > 1e6

    @pytest.mark.parametrize("distance", [1e3, 1e9, 1e150])
    def test_one_covariance_keeps_the_digits_far_away(self, distance: float) -> None:
        mixture = fitted("tied")
        X = SAMPLES[:5] * distance
        assert largest_error(mixture, X) < 8

    @pytest.mark.parametrize("kind", KINDS)
    def test_finite_where_probabilities_are_0(self, kind: str) -> None:
        mixture = fitted(kind)
        assert (mixture.predict_proba(FAR) == 0).any()
        out = log_responsibilities(mixture, FAR)
        assert np.isfinite(out).all()
        assert (out.argmax(axis=1) == mixture.predict(FAR)).all()

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("prior", [None, *PRIORS])
    def test_as_scikit_learn(self, kind: str, prior: Any) -> None:
        mixture = fitted(kind)
        if prior:
            mixture = BayesianGaussianMixture(
                n_components=4,
                covariance_type=kind,
                weight_concentration_prior_type=prior,
                max_iter=500,
                tol=1e-2,
                random_state=0,
            ).fit(SAMPLES)
        for X in (SAMPLES, FAR[:5]):
            joint = mixture._estimate_weighted_log_prob(X)
            expected = joint - logsumexp(joint, axis=1, keepdims=True)
            np.testing.assert_allclose(
                log_responsibilities(mixture, X), expected, rtol=1e-9, atol=1e-9
            )

    def test_one_component(self) -> None:
        mixture = GaussianMixture(1).fit(SAMPLES)
        assert (log_responsibilities(mixture, FAR) == 0).all()

    def test_a_component_of_weight_0(self) -> None:
        mixture = fitted("full")
        mixture.weights_ = np.asarray([0.5, 0.0, 0.5])
        out = log_responsibilities(mixture, SAMPLES)
        assert (out[:, 1] == -np.inf).all()
        assert np.isfinite(out[:, [0, 2]]).all()

    @settings(deadline=None, max_examples=30)
    @given(st.sampled_from(KINDS), st.permutations(range(3)), st.permutations(range(20)))
    def test_order(self, kind: str, components: list[int], rows: list[int]) -> None:
        mixture = fitted(kind)
        out = log_responsibilities(mixture, FAR)
        for name in ("weights_", "means_", "precisions_cholesky_"):
            if kind != "tied" or name != "precisions_cholesky_":
                setattr(mixture, name, getattr(mixture, name)[components])
        permuted = log_responsibilities(mixture, FAR[rows])
        np.testing.assert_allclose(permuted, out[rows][:, components], rtol=1e-13)


class TestInput:
    def test_frames_and_integers(self) -> None:
        frame = pd.DataFrame(SAMPLES, columns=["a", "b", "c"])
        mixture = GaussianMixture(2, random_state=0).fit(frame)
        assert log_responsibilities(mixture, frame).shape == (180, 2)
        with pytest.raises(ValueError, match="feature names"):
            log_responsibilities(mixture, frame[["c", "b", "a"]])
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            assert log_responsibilities(mixture, [[1, 2, 3]]).dtype == np.float64

    def test_float32(self) -> None:
        mixture = GaussianMixture(3, random_state=0).fit(SAMPLES.astype(np.float32))
        out = log_responsibilities(mixture, FAR.astype(np.float32))
        assert out.dtype == np.result_type(mixture.means_.dtype, np.float32)
        np.testing.assert_allclose(
            out, mixture._estimate_log_prob_resp(FAR.astype(np.float32))[1], rtol=1e-3
        )

    @pytest.mark.parametrize("kind", KINDS)
    def test_on_every_backend(self, library: Backend, array: Any, kind: str) -> None:
        if library is Backend.DASK:
            pytest.skip("scikit-learn fits no mixtures on Dask's arrays")
        if library.is_strict and not HAS_ARRAY_API:
            pytest.skip("scikit-learn before 1.8 fits no mixtures on array-api-strict's arrays")
        mixture = fitted(kind)
        expected = log_responsibilities(mixture, FAR)
        for name in ("weights_", "means_", "precisions_cholesky_"):
            setattr(mixture, name, array(getattr(mixture, name)))
        x = array(FAR)
        with config_context(array_api_dispatch=True):
            out = log_responsibilities(mixture, x)
        assert type(out) is type(x)
        assert compat.device(out) == compat.device(x)
        np.testing.assert_allclose(to_numpy(out), expected, rtol=1e-13)

    @pytest.mark.skipif(not HAS_ARRAY_API, reason="scikit-learn before 1.8 fits NumPy's alone")
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("module", ["torch", "array_api_strict"])
    def test_fitted_elsewhere(self, module: str, kind: str) -> None:
        xp = pytest.importorskip(module)
        options = {"init_params": "random_from_data", "random_state": 0}
        with config_context(array_api_dispatch=True):
            x, far = xp.asarray(SAMPLES), xp.asarray(FAR)
            mixture = GaussianMixture(3, covariance_type=kind, **options).fit(x)
            out = log_responsibilities(mixture, far)
            theirs = mixture._estimate_log_prob_resp(far)[1]
        assert type(out) is type(x)
        np.testing.assert_allclose(to_numpy(out), to_numpy(theirs), rtol=1e-9, atol=1e-8)

    def test_elsewhere(self) -> None:
        strict = pytest.importorskip("array_api_strict")
        if not HAS_ARRAY_API:
            pytest.skip("scikit-learn before 1.7 holds array-api-strict to an old standard")
        match = (
            r"^X is an Array on .*, but GaussianMixture was fitted on an ndarray on cpu: move one"
        )
        mixture = fitted("full")
        with config_context(array_api_dispatch=True), pytest.raises(ValueError, match=match):
            log_responsibilities(mixture, strict.asarray(SAMPLES))


class TestRefusals:
    @pytest.mark.parametrize("mixture", [GaussianMixture(2), BayesianGaussianMixture()], ids=repr)
    def test_not_fitted(self, mixture: Any) -> None:
        with pytest.raises(NotFittedError, match=r"is not fitted yet"):
            log_responsibilities(mixture, SAMPLES)

    @pytest.mark.parametrize(
        ("article", "mixture"), [("a", KMeans(2)), ("a", None), ("an", GaussianMixture)], ids=repr
    )
    def test_others(self, article: str, mixture: Any) -> None:
        match = (
            rf"^mixture is {article} {type(mixture).__name__}, but a mixture of scikit-learn was "
            r"expected: pass a fitted GaussianMixture or BayesianGaussianMixture\.$"
        )
        with pytest.raises(TypeError, match=match):
            log_responsibilities(mixture, SAMPLES)

    @pytest.mark.parametrize("base", [GaussianMixture, BayesianGaussianMixture])
    @pytest.mark.parametrize(
        "name", ["_estimate_log_prob", "_estimate_log_weights", "predict_proba"]
    )
    def test_subclasses(self, base: Any, name: str) -> None:
        plain = type("Plain", (base,), {})(random_state=0).fit(SAMPLES)
        assert (log_responsibilities(plain, SAMPLES) == 0).all()
        own = type("Own", (base,), {name: lambda *_: 0.0})()
        own.__dict__ |= plain.__dict__
        with pytest.raises(
            TypeError, match=rf"^mixture is an Own with {name} of its own, but prob"
        ):
            log_responsibilities(own, SAMPLES)

    @pytest.mark.parametrize(
        ("X", "match"),
        [
            ([[0.0, 1.0]], "X has 2 features, but GaussianMixture is expecting 3 features"),
            ([[0.0, 1.0, np.nan]], "Input X contains NaN"),
            ([[0.0, 1.0, np.inf]], "Input X contains infinity"),
            ([0.0, 1.0, 2.0], "Expected 2D array, got 1D array instead"),
        ],
    )
    def test_samples(self, X: Any, match: str) -> None:
        with pytest.raises(ValueError, match=re.escape(match)):
            log_responsibilities(fitted("full"), X)
