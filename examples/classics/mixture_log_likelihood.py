"""
The likelihood of a mixture in many dimensions
==============================================

A density in 800 dimensions is a product of 800 factors, and most often smaller than any number of
float64. Expectation maximisation needs sums of such densities, and quotients of them.

Run it from a checkout: ``python examples/classics/mixture_log_likelihood.py``
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from agnostic_lse import logsumexp

GREEN, ORANGE, BLUE = "#009E73", "#D55E00", "#0072B2"  # Okabe and Ito's palette

# %%
# Three groups of 800 coordinates each
# ------------------------------------
#
# Each coordinate tells hardly anything: the centres lie 0.2 apart in it, and the spread is 1. All
# 800 together tell the groups apart.

N_SAMPLES, N_DIMENSIONS = 900, 800
SHARES, SPREADS = np.asarray([0.5, 0.3, 0.2]), np.asarray([1.0, 1.05, 1.1])

rng = np.random.default_rng(0)
centres = rng.normal(scale=0.15, size=(3, N_DIMENSIONS))
group = rng.choice(3, N_SAMPLES, p=SHARES)
X = centres[group] + SPREADS[group, None] * rng.normal(size=(N_SAMPLES, N_DIMENSIONS))


def log_density(X: Any, means: Any, variances: Any) -> Any:
    """Return the log-density of each sample under each spherical Gaussian."""
    distance = np.sum(X**2, axis=1)[:, None] - 2 * X @ means.T + np.sum(means**2, axis=1)
    return -(X.shape[1] * np.log(2 * np.pi * variances) + distance / variances) / 2


# %%
# As the formula is written
# -------------------------
#
# The likelihood of a sample is :math:`p(x) = \sum_k w_k \, \mathcal{N}(x; \mu_k, \sigma_k^2 I)`,
# and the responsibility of a component is its share of that sum. Of these samples every density is
# 0 in every component, so that the log-likelihood is :math:`-\infty` and the responsibilities are
# 0/0.

log_densities = log_density(X, centres, SPREADS**2)
densities = np.exp(log_densities)
likelihood = densities @ SHARES
with np.errstate(divide="ignore", invalid="ignore"):
    print("log-likelihood:", np.log(likelihood).mean())
    print("responsibilities of the first sample:", (SHARES * densities / likelihood[:, None])[0])

# %%
# ``logsumexp`` takes the shares as weights ``b``, and a difference of logarithms takes the place of
# the quotient.

log_likelihood = logsumexp(log_densities, axis=1, b=SHARES)
print(f"log-likelihood: {log_likelihood.mean():.6f}")
log_r = np.log(SHARES) + log_densities - log_likelihood[:, None]
print(
    "responsibilities of the first sample:",
    np.exp(log_r[0]),
    "their logarithms:",
    log_r[0].round(2),
)

# %%
# From which dimension on
# -----------------------
#
# With the first coordinates only, the product has fewer factors. Below :math:`e^{-745}`, which is
# about :math:`2^{-1075}`, float64 has nothing but 0.

dimensions = np.arange(20, N_DIMENSIONS + 1, 20)
exact = np.empty(len(dimensions))
naive = np.empty(len(dimensions))
for i, d in enumerate(dimensions):
    some = log_density(X[:, :d], centres[:, :d], SPREADS**2)
    exact[i] = logsumexp(some, axis=1, b=SHARES).mean()
    with np.errstate(divide="ignore"):
        naive[i] = np.log(np.exp(some) @ SHARES).mean()
last = dimensions[np.isfinite(naive)][-1]
print(f"the formula's log-likelihood is finite up to {last} dimensions of {N_DIMENSIONS}")

# %%
# Expectation maximisation
# ------------------------
#
# From three centres drawn near the mean of all samples, each round calculates responsibilities, and
# then weights, centres and variances from them. No round can lower the log-likelihood (A. P.
# Dempster, N. M. Laird and D. B. Rubin, "Maximum likelihood from incomplete data via the EM
# algorithm", Journal of the Royal Statistical Society B, 1977).

N_ROUNDS = 30
weights, variances = np.full(3, 1 / 3), np.full(3, X.var())
means = X.mean(axis=0) + np.random.default_rng(1).normal(scale=0.1, size=(3, N_DIMENSIONS))
curve = []
for _ in range(N_ROUNDS):
    log_densities = log_density(X, means, variances)
    log_likelihood = logsumexp(log_densities, axis=1, b=weights)
    curve.append(float(log_likelihood.mean()))
    r = weights * np.exp(log_densities - log_likelihood[:, None])
    weights = r.mean(axis=0)
    means = r.T @ X / np.sum(r, axis=0)[:, None]
    squares = r.T @ X**2 / np.sum(r, axis=0)[:, None]
    variances = np.mean(squares - means**2, axis=1)

assert np.all(np.diff(curve) > -1e-9)
agreement = adjusted_rand_score(group, np.argmax(r, axis=1))
print(f"log-likelihood: {curve[0]:.3f} at first, {curve[-1]:.3f} after {N_ROUNDS} rounds")
print(f"weights: {weights.round(3)}, spreads: {np.sqrt(variances).round(3)}")
print(f"adjusted Rand index with the true groups: {agreement:.3f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
left.plot(dimensions, exact, color=GREEN, lw=4, alpha=0.6, label="logsumexp")
left.plot(dimensions, naive, "--", color=ORANGE, label="log of the sum of densities")
left.plot(last, naive[dimensions == last], "o", color=ORANGE)
left.set(
    title=f"The formula ends at {last} dimensions",
    xlabel="dimensions",
    ylabel="mean log-likelihood of a sample",
)
left.legend()
right.plot(curve, "o-", color=BLUE, markersize=4)
right.set(title="In log space EM rises at every round", xlabel="round of EM")
plt.show()

# %%
# scikit-learn's mixture keeps logarithms too. With the parameters found here, its ``score_samples``
# and ours agree to about 15 digits.

mixture = GaussianMixture(3, covariance_type="spherical")
mixture.weights_, mixture.means_, mixture.covariances_ = weights, means, variances
mixture.precisions_cholesky_ = 1 / np.sqrt(variances)
log_likelihood = logsumexp(log_density(X, means, variances), axis=1, b=weights)
difference = np.max(np.abs(mixture.score_samples(X) / log_likelihood - 1))
print(f"largest relative difference from score_samples: {difference:.0e}")
