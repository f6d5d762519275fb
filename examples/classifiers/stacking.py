"""Stacking in log space: log-probabilities of some classifiers are features of another.

Run it from a checkout: ``python examples/classifiers/stacking.py``
"""

from __future__ import annotations

from typing import Any

from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier, StackingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from agnostic_lse.sklearn import (
    LogProbabilityClassifier,
    LogProbabilityTransformer,
    neg_log_loss_scorer,
)

FIRST = {
    "bayes": GaussianNB(var_smoothing=1e-3),
    "linear": make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)),
    "trees": ExtraTreesClassifier(30, random_state=0),
}


SCORING = {"accuracy": "accuracy", "loss": neg_log_loss_scorer}


def last() -> Any:
    """Return the classifier on top: few numbers to learn, so a strong penalty."""
    return LogProbabilityClassifier(LogisticRegression(C=0.03, max_iter=2000))


def main() -> None:
    """Compare both ways of stacking by their exact losses on held-out digits."""
    X, y = load_digits(return_X_y=True)
    # A tree's leaf gives a probability of 0, of which a share of 1e-3 makes a finite feature.
    features = make_union(
        *(LogProbabilityTransformer(model, cv=3, smoothing=1e-3) for model in FIRST.values())
    )
    ways = {
        "log-probabilities, a pipeline": make_pipeline(features, StandardScaler(), last()),
        "probabilities, StackingClassifier": StackingClassifier(
            list(FIRST.items()), final_estimator=last(), cv=3
        ),
    }
    print(f"{'stacked on':<36}{'accuracy':>9}{'log-loss':>10}")
    for name, model in ways.items():
        wrapped = LogProbabilityClassifier(model)
        scores = cross_validate(wrapped, X, y, cv=3, scoring=SCORING)
        means = scores["test_accuracy"].mean(), -scores["test_loss"].mean()
        print(f"{name:<36}{means[0]:>9.3f}{means[1]:>10.3f}")


if __name__ == "__main__":
    main()
