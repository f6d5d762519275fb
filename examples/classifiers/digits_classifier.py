"""A classifier of handwritten digits whose log-probabilities are never -inf.

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


class SoftmaxRegression(LogProbabilityMixin, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
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


def main() -> None:
    """Fit a pipeline and print the smallest log-probability of one bright image."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, _ = train_test_split(X, y, test_size=0.3, random_state=0, stratify=y)
    model = make_pipeline(StandardScaler(), SoftmaxRegression()).fit(X_train, y_train)
    log_proba = model.predict_log_proba(100 * X_test[:1])
    print(f"finite: {np.isfinite(log_proba).all()}, smallest: {log_proba.min():.1f}")


if __name__ == "__main__":
    main()
