"""
Lifetimes that are known by an interval
=======================================

A part that worked at one inspection and not at the next has failed in between. Its likelihood is
a difference of two probabilities of survival, and the logarithm of that is not defined where both
round to the same number.

Run it from a checkout: ``python examples/classics/interval_censored_lifetimes.py``
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import minimize

from agnostic_lse import logsubexp

GREEN, ORANGE, BLUE = "#009E73", "#D55E00", "#0072B2"  # Okabe and Ito's palette

# %%
# Parts that are inspected once a day
# -----------------------------------
#
# Lifetimes of 500 parts follow a Weibull distribution: the logarithm of the probability to live
# longer than :math:`t` is :math:`-(t/\lambda)^k`. Of each part only the days before and after its
# failure are known (B. W. Turnbull, "The empirical distribution function with arbitrarily grouped,
# censored and truncated data", Journal of the Royal Statistical Society B, 1976).

SCALE, SHAPE = 10.0, 1.5
after = np.ceil(SCALE * np.random.default_rng(0).weibull(SHAPE, size=500))
before = after - 1
print(f"failures between day {before.min():.0f} and day {after.max():.0f}")

# %%
# As the formula is written
# -------------------------
#
# The likelihood of a part is :math:`S(a) - S(b)`. If the scale is far too small, both are 0. If it
# is far too large, both are 1. Then the log-likelihood is :math:`-\infty`, and no search finds its
# way from there. ``logsubexp`` takes the logarithms of both, and gives that of the difference with
# all its digits: by way of :math:`\log(1 - e^{-x})`, for which see M. Mächler, "Accurately
# computing log(1 - exp(-\|a\|))", 2012.


def by_the_formula(scale: float, shape: float) -> float:
    """Return the log-likelihood of all parts, in the order in which the formula is written."""
    survival_before, survival_after = (np.exp(-((t / scale) ** shape)) for t in (before, after))
    with np.errstate(divide="ignore"):
        return float(np.sum(np.log(survival_before - survival_after)))


def log_likelihood(scale: float, shape: float) -> float:
    """Return the same in log space."""
    return float(np.sum(logsubexp(-((before / scale) ** shape), -((after / scale) ** shape))))


for scale in (0.1, SCALE, 1e9, 1e13):
    exact, naive = log_likelihood(scale, SHAPE), by_the_formula(scale, SHAPE)
    print(f"scale {scale:g}: log-likelihood {exact:.6f}, by the formula {naive:.6f}")

# %%
# A search for the maximum
# ------------------------
#
# Nelder and Mead's method tries one pair of parameters after the other, from a start that is wrong
# by a factor of 100.


def fit(likelihood: Callable[[float, float], float], start: tuple[float, float]) -> Any:
    """Return the parameters of the largest likelihood that a search finds."""
    with np.errstate(invalid="ignore"):
        found = minimize(
            lambda logs: -likelihood(*np.exp(logs)), np.log(start), method="Nelder-Mead"
        )
    return np.exp(found.x)


start = SCALE / 100, SHAPE
for name, likelihood in (("formula", by_the_formula), ("logsubexp", log_likelihood)):
    scale, shape = fit(likelihood, start)
    print(f"{name}: from {start[0]}, {start[1]} to scale {scale:.4f}, shape {shape:.4f}")

scales = np.geomspace(1e-2, 1e14, 321)
curve = np.asarray([log_likelihood(scale, SHAPE) for scale in scales])
by_formula = np.asarray([by_the_formula(scale, SHAPE) for scale in scales])
finite = scales[np.isfinite(by_formula)]
print(f"the formula is finite for scales from {finite[0]:.2g} to {finite[-1]:.2g}")

figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
axes.loglog(scales, -curve, color=GREEN, lw=4, alpha=0.6, label="logsubexp")
axes.loglog(scales, -by_formula, "--", color=ORANGE, label="formula")
for end in (finite[0], finite[-1]):
    axes.plot(end, -by_formula[scales == end], "o", color=ORANGE)
axes.plot(start[0], -log_likelihood(*start), "s", color=BLUE, label="start of the search")
axes.set(
    title="By the formula the likelihood is 0 on both sides",
    xlabel="scale in days, the true one being 10",
    ylabel="minus the log-likelihood",
)
axes.legend()
plt.show()
