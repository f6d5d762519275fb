"""Mislabelled images of digits, found among the largest of their exact losses.

Run it from a checkout: ``python examples/classifiers/mislabelled_digits.py``
"""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agnostic_lse.sklearn import LogProbabilityClassifier, log_loss

N_WRONG = 10


def main() -> None:
    """Flip some labels, and look for them among the largest out-of-fold losses."""
    X, truth = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    wrong = rng.choice(len(truth), N_WRONG, replace=False)
    y = truth.copy()
    y[wrong] = (truth[wrong] + rng.integers(1, 10, N_WRONG)) % 10
    # With hardly any penalty the regression is sure of itself: many probabilities are exactly 0.
    model = make_pipeline(StandardScaler(), LogisticRegression(C=1e6, max_iter=5000))
    exact = LogProbabilityClassifier(model)
    log_proba = cross_val_predict(exact, X, y, cv=5, method="predict_log_proba")
    own = np.arange(len(y)), y
    loss = -log_proba[own]
    clipped = -np.log(np.clip(np.exp(log_proba[own]), 2.0**-52, 1))
    print(f"{'image':>5} {'label':>5} {'truth':>5} {'exact loss':>10} {'clipped':>7}")
    for i in np.argsort(-loss)[:15]:
        print(f"{i:5} {y[i]:5} {truth[i]:5} {loss[i]:10.1f} {clipped[i]:7.2f}")
    found = np.isin(wrong, np.argsort(-loss)[:50]).sum()
    print(f"{found} of the {N_WRONG} wrong labels are among the 50 largest losses;")
    print(f"clipping makes {(clipped == clipped.max()).sum()} losses equal, the largest of them.")
    print(f"mean: {log_loss(y, log_proba):.3f}, clipped: {clipped.mean():.3f}")


if __name__ == "__main__":
    main()
