"""
Responsibilities far from all centres
=====================================

Far from both components of a mixture one of the responsibilities is 1 and the other 0, after
rounding. Their logarithms are still different at every place.

Run it from a checkout: ``python examples/classifiers/mixture_responsibilities.py``
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.mixture import GaussianMixture

from agnostic_lse.sklearn import log_responsibilities

GREEN, ORANGE = "#009E73", "#D55E00"  # Okabe and Ito's palette

# %%
# A narrow component and a wide one
# ---------------------------------
#
# ``log_responsibilities`` of a fitted mixture is exact. The logarithm of ``predict_proba`` is 0
# where that has been rounded to 1, and :math:`-\infty` where it has been rounded to 0.

rng = np.random.default_rng(0)
X = np.concatenate([rng.normal(0, 1, size=(500, 1)), rng.normal(6, 2, size=(500, 1))])
mixture = GaussianMixture(2, means_init=[[0.0], [6.0]]).fit(X)
samples = np.asarray([[0.0], [10.0], [100.0], [1000.0], [-1000.0]])
exact = log_responsibilities(mixture, samples)
with np.errstate(divide="ignore"):
    rounded = np.log(mixture.predict_proba(samples))
print(f"{'x':>6} {'exact log r':>12} {'second':>10} {'by predict_proba':>17} {'second':>10}")
for x, (first, second), (log_first, log_second) in zip(samples, exact, rounded, strict=True):
    print(f"{x[0]:6.0f} {first:12.4g} {second:10.3g} {log_first:17.4g} {log_second:10.3g}")

# %%
# On both sides of the narrow component the wide one takes over, and the first one's
# log-responsibility falls as a parabola does.

line = np.linspace(-60, 80, 2000)[:, None]
exact = log_responsibilities(mixture, line)[:, 0]
with np.errstate(divide="ignore"):
    rounded = np.log(mixture.predict_proba(line)[:, 0])
figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
axes.plot(line, exact, color=GREEN, lw=4, alpha=0.6, label="log_responsibilities")
axes.plot(line, rounded, "--", color=ORANGE, label="log of predict_proba")
ends = np.flatnonzero(np.isfinite(rounded))[[0, -1]]
axes.plot(line[ends], rounded[ends], "o", color=ORANGE)
axes.set(
    title=f"By predict_proba it is -inf outside {line[ends[0], 0]:.0f} to {line[ends[1], 0]:.0f}",
    xlabel="x",
    ylabel="log-responsibility of the narrow component",
)
axes.legend(loc="lower center")
plt.show()
