"""
A classifier whose log-probabilities are never -inf
===================================================

A classifier of one's own hands its scores to a mixin, and has ``predict``, ``predict_proba``,
``predict_log_proba`` and ``score_samples``.

Run it from a checkout: ``python examples/classifiers/digits_classifier.py``
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import check_is_fitted, validate_data

from agnostic_lse.sklearn import LogProbabilityMixin

# %%
# The classifier
# --------------
#
# Besides ``fit`` the mixin asks for one method: log-probabilities up to a constant for each row,
# which is what a linear model's scores are.


class SoftmaxRegression(LogProbabilityMixin, ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Logistic regression that hands its scores, not its probabilities, to the mixin."""

    def fit(self, X: Any, y: Any) -> SoftmaxRegression:
        """Learn the weights that scikit-learn's LogisticRegression learns."""
        X, y = validate_data(self, X, y)
        model = LogisticRegression(max_iter=2000).fit(X, y)
        self.classes_, self.coef_, self.intercept_ = model.classes_, model.coef_, model.intercept_
        return self

    def predict_joint_log_proba(self, X: Any) -> Any:
        """Return the scores: the log-probabilities up to a constant for each row."""
        check_is_fitted(self)
        scores = validate_data(self, X, reset=False) @ self.coef_.T + self.intercept_
        # Of two classes LogisticRegression weighs the second alone: the first has the score 0.
        return np.hstack([np.zeros_like(scores), scores]) if len(self.classes_) == 2 else scores


# %%
# One bright image
# ----------------
#
# The pixels of a held-out image are made 100 times as bright, as by a camera with more bits than
# that of the images to learn from. scikit-learn's own classifier has the same weights, but takes
# the logarithm of probabilities that are 0 already.


def main() -> None:
    """Fit two pipelines with the same weights and compare what they say of one bright image."""
    import matplotlib.pyplot as plt

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, random_state=0, stratify=y
    )
    bright = 100 * X_test[:1]
    log_proba = {}
    for model in (SoftmaxRegression(), LogisticRegression(max_iter=2000)):
        pipeline = make_pipeline(StandardScaler(), model).fit(X_train, y_train)
        with np.errstate(divide="ignore"):
            log_proba[type(model).__name__] = pipeline.predict_log_proba(bright)[0]
    for name, row in log_proba.items():
        print(f"{name}: {np.isneginf(row).sum()} of 10 are -inf, the smallest is {row.min():.1f}")

    _, (left, right) = plt.subplots(
        1, 2, figsize=(8, 3.4), layout="constrained", width_ratios=[1, 2]
    )
    left.imshow(bright.reshape(8, 8), cmap="gray_r")
    left.set(title=f"A bright {y_test[0]}", xticks=[], yticks=[])
    ours, theirs = log_proba.values()
    digits = np.arange(10)
    right.bar(digits, ours, color="#009E73", label="SoftmaxRegression")
    finite = np.isfinite(theirs)
    right.plot(digits[finite], theirs[finite], "D", color="#D55E00", label="LogisticRegression")
    for digit in digits[~finite]:
        right.text(digit, ours.min() * 1.08, "-inf", color="#D55E00", ha="center")
    right.set(
        title=f"By the same weights: {np.sum(~finite)} of 10 are -inf, or none",
        xlabel="digit",
        ylabel="log-probability",
        xticks=digits,
        ylim=(ours.min() * 1.12, -ours.min() * 0.25),
    )
    right.axhline(0, color="black", lw=0.8)
    right.legend(ncols=2, loc="upper center")
    plt.show()


if __name__ == "__main__":
    main()
