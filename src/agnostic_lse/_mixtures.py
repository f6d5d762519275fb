"""Log-responsibilities of the components of scikit-learn's mixtures."""

from __future__ import annotations

from typing import Any

import array_api_compat as compat
import numpy as np
from scipy.special import digamma
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.utils.validation import check_is_fitted, validate_data

from ._namespace import Array, Namespace, quiet
from ._reductions import log_softmax
from ._rows import by_blocks
from ._validation import lies_on, widest_dtype
from ._wording import kind_of

# What decides the responsibilities of scikit-learn's own mixtures
_DECISIVE = (
    "_estimate_log_prob",
    "_estimate_log_weights",
    "_estimate_weighted_log_prob",
    "_estimate_log_prob_resp",
    "predict_proba",
)


@quiet
@by_blocks
def log_responsibilities(mixture: Any, X: Any) -> Any:
    r"""Log-probability of each component of a fitted mixture, given each sample.

    Parameters
    ----------
    mixture : GaussianMixture or BayesianGaussianMixture
        One of scikit-learn's mixtures, fitted.
    X : array_like of shape (n_samples, n_features)
        Samples.

    Returns
    -------
    array of shape (n_samples, n_components)
        Logarithms of what ``mixture.predict_proba(X)`` returns, finite and exact also where those
        are 0 or 1. In the namespace and on the device of the mixture's `means_`, and of the wider
        dtype of theirs and that of `X`.

    Raises
    ------
    NotFittedError
        If the mixture is not fitted.
    TypeError
        If `mixture` is no such mixture, or of a subclass that calculates probabilities in a way of
        its own.
    ValueError
        If `X` has nan or infinite entries, other columns than in the fit, or does not lie where
        the mixture was fitted.

    See Also
    --------
    LogProbabilityMixin : The same for classifiers.
    agnostic_lse.log_softmax : The function behind it.

    Notes
    -----
    With the weights :math:`w_k`, means :math:`\mu_k` and precisions
    :math:`\Lambda_k = U_k U_k^T`, that is `precisions_cholesky_`,

    .. math::
       \log r_{ik} = s_{ik} - \log \sum_j e^{s_{ij}} \quad\text{with}\quad
       s_{ik} = \log w_k + \log \det U_k - \tfrac12 \lVert (x_i - \mu_k) U_k \rVert^2.

    For a `BayesianGaussianMixture` the logarithms of weights and determinants are their
    expectations, as in its own `predict_proba`.

    Of a Dask array the result is one too, lazily, as of `log_proba`.

    The difference from the mean is taken first. scikit-learn expands the square, or multiplies
    first, and loses digits where the means are far from 0 relative to the spread: all of them, in
    the end. Of ``covariance_type="tied"`` the squares themselves are taken from each other before
    they round. The others err by a few units of roundoff of the squares, which overflow, to -inf
    for all components, from a distance of 1e154 spreads on, or 1e19 in float32.

    Under scikit-learn's ``array_api_dispatch`` a mixture that was fitted on arrays of another
    namespace takes those; without it `X` becomes a NumPy array.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.mixture import GaussianMixture
    >>> from agnostic_lse.sklearn import log_responsibilities
    >>> X = np.asarray([[-1.0], [1.0], [9.0], [11.0]])
    >>> mixture = GaussianMixture(2, means_init=[[0.0], [10.0]], reg_covar=0).fit(X)
    >>> print(log_responsibilities(mixture, [[0.0], [100.0]]).round(6) + 0.0)
    [[   0.  -50.]
     [-950.    0.]]
    >>> print(mixture.predict_proba([[0.0], [100.0]])[1])
    [0. 1.]
    """
    weigh = _refuse_others(mixture)
    check_is_fitted(mixture)
    X = validate_data(mixture, X, reset=False)
    xp, means = compat.array_namespace(X), mixture.means_
    if not lies_on(xp, compat.device(X), means):
        raise ValueError(
            f"X is {kind_of(X)} on {compat.device(X)}, but {type(mixture).__name__} was fitted on "
            f"{kind_of(means)} on {compat.device(means)}: move one of them."
        )
    if not xp.isdtype(X.dtype, "real floating"):
        X = xp.astype(X, widest_dtype(xp, compat.device(X)))
    return log_softmax(_log_joint(xp, mixture, X, weigh(mixture)), axis=1)


def _refuse_others(mixture: Any) -> Any:
    """Return what gives the logarithms of the weights of a mixture that is known."""
    known = {GaussianMixture: _log_weights, BayesianGaussianMixture: _expected_log_weights}
    for base, weigh in known.items():
        if isinstance(mixture, base):
            for name in _DECISIVE:
                if getattr(type(mixture), name) is not getattr(base, name):
                    raise TypeError(
                        f"mixture is {kind_of(mixture)} with {name} of its own, but "
                        f"probabilities as {base.__name__} calculates them were expected: pass its "
                        "joint log-densities to agnostic_lse.log_softmax."
                    )
            return weigh
    raise TypeError(
        f"mixture is {kind_of(mixture)}, but a mixture of scikit-learn was expected: pass "
        "a fitted GaussianMixture or BayesianGaussianMixture."
    )


def _log_joint(xp: Namespace, mixture: Any, X: Array, log_weights: Array) -> Array:
    """Return the logarithms of the joint densities, up to a constant for each row."""
    kind, means, factors = mixture.covariance_type, mixture.means_, mixture.precisions_cholesky_
    columns = []
    for k in range(means.shape[0]):
        factor = factors if kind == "tied" else factors[k, ...]
        away = X - means[k, :]
        scaled = away @ factor if kind in ("full", "tied") else away * factor
        diagonal = xp.linalg.diagonal(factor) if kind in ("full", "tied") else factor
        log_det = xp.sum(xp.log(diagonal)) * (X.shape[1] if kind == "spherical" else 1)
        columns.append(log_det - 0.5 * xp.sum(scaled * scaled, axis=1))
    joint = xp.stack(columns, axis=1) + log_weights
    return _relative(xp, mixture, X, log_weights, joint) if kind == "tied" else joint


def _relative(xp: Namespace, mixture: Any, X: Array, log_weights: Array, joint: Array) -> Array:
    """Return the joint log-densities less the largest of each row, of one covariance for all.

    Far from all means the squares differ by far less than they are large. Their differences are
    products, ``|a|^2 - |b|^2 = (a - b) (a + b)``, of which the first factor depends on no sample.
    """
    means, factor = mixture.means_, mixture.precisions_cholesky_
    best = xp.argmax(joint, axis=1)
    nearest = xp.take(means, best, axis=0)
    columns = []
    for k in range(means.shape[0]):
        apart = xp.take((means - means[k, :]) @ factor, best, axis=0)
        both = ((X - means[k, :]) + (X - nearest)) @ factor
        log_odds = log_weights[k] - xp.take(log_weights, best)
        columns.append(log_odds - 0.5 * xp.sum(apart * both, axis=1))
    return xp.stack(columns, axis=1)


def _log_weights(mixture: Any) -> Array:
    return compat.array_namespace(mixture.weights_).log(mixture.weights_)


def _expected_log_weights(mixture: Any) -> Array:
    """Return the expectations of log-weights, and of what log-densities of the fit's means lack.

    That is for the n features of a component of nu degrees of freedom, with the digammas' sum of a
    Wishart distribution, ``(sum(digamma((nu - i) / 2)) - n log(nu) - n / mean_precision) / 2``.
    """
    concentration = mixture.weight_concentration_
    if mixture.weight_concentration_prior_type == "dirichlet_process":
        taken, left = concentration
        whole = digamma(taken + left)
        before = np.concatenate([[0.0], np.cumsum(digamma(left) - whole)[:-1]])
        log_weights = digamma(taken) - whole + before
    else:
        log_weights = digamma(concentration) - digamma(np.sum(concentration))
    freedom, n_features = mixture.degrees_of_freedom_, mixture.means_.shape[1]
    log_precision = np.sum(digamma(0.5 * (freedom - np.arange(n_features)[:, None])), axis=0)
    lacking = log_precision - n_features * (np.log(freedom) + 1 / mixture.mean_precision_)
    return log_weights + 0.5 * lacking
