"""
The importance-weighted variational bound
=========================================

The evidence of a latent variable model is estimated by the mean of importance weights, and a
variational bound by its logarithm. Each weight is a density of the data, and underflows.

Run it from a checkout: ``python examples/classics/importance_weighted_bound.py``
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from agnostic_lse import LogSumExpAccumulator, logmeanexp

GREEN, ORANGE, BLUE = "#009E73", "#D55E00", "#0072B2"  # Okabe and Ito's palette

# %%
# A model whose evidence is known
# -------------------------------
#
# Four latent variables :math:`z \sim \mathcal{N}(0, I)` make 1000 numbers that are seen with noise,
# :math:`x \sim \mathcal{N}(Wz, I)`. Then :math:`x \sim \mathcal{N}(0, WW^T + I)`, which gives the
# exact log-evidence to compare with (M. E. Tipping and C. M. Bishop, "Probabilistic principal
# component analysis", Journal of the Royal Statistical Society B, 1999).

N_LATENT, N_SEEN = 4, 1000
LOG_2_PI = np.log(2 * np.pi)

rng = np.random.default_rng(0)
W = rng.normal(scale=0.1, size=(N_SEEN, N_LATENT))
x = W @ rng.normal(size=N_LATENT) + rng.normal(size=N_SEEN)

covariance = W @ W.T + np.eye(N_SEEN)
log_determinant = np.linalg.slogdet(covariance)[1]
log_evidence = -(N_SEEN * LOG_2_PI + log_determinant + x @ np.linalg.solve(covariance, x)) / 2
print(f"exact log-evidence: {log_evidence:.6f}")

# %%
# The bound
# ---------
#
# Samples come from a proposal :math:`q`, here a Gaussian around the mean of the posterior that is
# too wide by a factor of 2. A sample's weight is :math:`w = p(x, z) / q(z)`, and :math:`L_K`, the
# expectation of :math:`\log \frac{1}{K} \sum_k w_k`, is a lower bound of the log-evidence that
# rises with :math:`K` and tends to it (Y. Burda, R. Grosse and R. Salakhutdinov, "Importance
# weighted autoencoders", 2016).

precision = np.eye(N_LATENT) + W.T @ W
mean = np.linalg.solve(precision, W.T @ x)
spread = 2 / np.sqrt(np.diag(precision))


def log_weights(rng: np.random.Generator, n: int) -> Any:
    """Return the log-weights of n samples of the proposal."""
    noise = rng.standard_normal((N_LATENT, n))
    z = mean[:, None] + spread[:, None] * noise
    # |x - Wz|^2 + |z|^2, multiplied out so that a sample costs 4 x 4 products and not 1000 x 4
    squares = x @ x - 2 * (x @ W) @ z + np.sum(z * (precision @ z), axis=0)
    log_joint = -((N_SEEN + N_LATENT) * LOG_2_PI + squares) / 2
    log_q = -(N_LATENT * LOG_2_PI + np.sum(noise**2, axis=0)) / 2 - np.sum(np.log(spread))
    return log_joint - log_q


log_w = log_weights(np.random.default_rng(1), 1000)
with np.errstate(divide="ignore"):
    print("by the formula:", np.log(np.mean(np.exp(log_w))))
print(f"logmeanexp of the same 1000 samples: {logmeanexp(log_w):.6f}")

# %%
# How it tightens
# ---------------
#
# :math:`L_1` is the evidence lower bound, which lies below the log-evidence by the Kullback-Leibler
# divergence of the proposal from the posterior. For large :math:`K` the gap is half of the variance
# of :math:`w / p(x)`, divided by :math:`K` (S. Nowozin, "Debiasing evidence approximations", 2018).
# Between Gaussians both are known.
#
# The mean of weights over the evidence, :math:`r`, has the expectation 1. So the gap, the
# expectation of :math:`-\log r`, is that of :math:`r - 1 - \log r` too, which varies far less.

proposal = np.diag(spread**-2)
log_det = np.linalg.slogdet(precision)[1]
divergence = (np.trace(precision * spread**2) - N_LATENT - log_det - 2 * np.sum(np.log(spread))) / 2
log_second_moment = (
    log_det + np.sum(np.log(spread)) - np.linalg.slogdet(2 * precision - proposal)[1] / 2
)
variance = np.expm1(log_second_moment)

sizes = 10 ** np.arange(6)
log_w = log_weights(np.random.default_rng(2), 2_000_000)
bounds, gaps = [], []
for size in sizes:
    log_means = logmeanexp(log_w.reshape(-1, size), axis=1)
    log_r = log_means - log_evidence
    bounds.append(log_means)
    gaps.append(np.mean(np.expm1(log_r) - log_r))
    print(f"K = {size:6}: bound {log_evidence - gaps[-1]:.6f}, gap {gaps[-1]:.2e}")
print(f"exact: gap {divergence:.4f} for K = 1, about {variance / 2:.2f} / K for large K")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
quantiles = np.asarray([np.quantile(some, [0.05, 0.95]) for some in bounds])
left.fill_between(sizes, *quantiles.T, color=GREEN, alpha=0.25, lw=0, label="90 % of estimates")
left.semilogx(sizes, log_evidence - np.asarray(gaps), "o-", color=GREEN, label="bound")
left.axhline(log_evidence, color="black", ls="--", lw=1, label="exact log-evidence")
left.set(title="The bound rises to the log-evidence", xlabel="K", ylabel="nats")
left.legend(loc="lower right")
right.loglog(sizes, gaps, "o", color=GREEN, label="measured")
right.loglog(sizes, variance / 2 / sizes, color=BLUE, lw=1, label="variance / 2K")
right.plot(1, divergence, "x", color=ORANGE, markersize=9, mew=2, label="divergence")
right.set(title="The gap shrinks as 1/K", xlabel="K", ylabel="gap in nats")
right.legend()
plt.show()

# %%
# Ten million samples in the memory of a batch
# --------------------------------------------
#
# An accumulator takes samples as they come, and holds a few numbers whatever their count.

seen = LogSumExpAccumulator()
rng = np.random.default_rng(3)
while seen.count < 10_000_000:
    seen.update(log_weights(rng, 100_000))
estimate = seen.value() - np.log(seen.count)
print(f"K = {seen.count}: {estimate:.6f}, off by {abs(estimate - log_evidence):.1e}")
print(f"expected: about {np.sqrt(variance / seen.count):.1e}")
