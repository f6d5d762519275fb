"""Responsibilities of a mixture's components, far from all of their centres.

Run it from a checkout: ``python examples/classifiers/mixture_responsibilities.py``
"""

from __future__ import annotations

import numpy as np
from sklearn.mixture import GaussianMixture

from agnostic_lse.sklearn import log_responsibilities


def main() -> None:
    """Fit a mixture of two and print log-responsibilities at growing distances."""
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


if __name__ == "__main__":
    main()
