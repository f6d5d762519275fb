"""
Stacking in log space
=====================

Classifiers whose log-probabilities are the features of another classifier, as a pipeline, beside
scikit-learn's stacking of probabilities.

Run it from a checkout: ``python examples/classifiers/stacking.py``
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
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
X, y = load_digits(return_X_y=True)

# %%
# Two ways to stack
# -----------------
#
# ``LogProbabilityTransformer`` with ``cv`` gives log-probabilities that are out of fold for the
# rows it was fitted on. A tree's leaf gives a probability of 0, of which a share of 1e-3 makes a
# finite feature.


def last() -> Any:
    """Return the classifier on top: few numbers to learn, so a strong penalty."""
    return LogProbabilityClassifier(LogisticRegression(C=0.03, max_iter=2000))


transformers = {
    name: LogProbabilityTransformer(model, cv=3, smoothing=1e-3) for name, model in FIRST.items()
}
ways = {
    "log-probabilities, a pipeline": make_pipeline(
        make_union(*transformers.values()), StandardScaler(), last()
    ),
    "probabilities, StackingClassifier": StackingClassifier(
        list(FIRST.items()), final_estimator=last(), cv=3
    ),
}
print(f"{'stacked on':<36}{'accuracy':>9}{'log-loss':>10}")
for name, model in ways.items():
    scores = cross_validate(LogProbabilityClassifier(model), X, y, cv=3, scoring=SCORING)
    means = scores["test_accuracy"].mean(), -scores["test_loss"].mean()
    print(f"{name:<36}{means[0]:>9.3f}{means[1]:>10.3f}")

# %%
# What the classifier on top sees
# -------------------------------
#
# Two of the thirty features: what naive Bayes and the linear model say of the digit 8. As
# probabilities nearly all lie in the corners, where a classifier on top can tell no two of them
# apart. As log-probabilities they spread out.

bayes, linear = (transformers[name].fit_transform(X, y)[:, 8] for name in ("bayes", "linear"))
figure, panels = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
for axes, title, of in (
    (panels[0], "Probabilities crowd in corners", np.exp),
    (panels[1], "Log-probabilities spread out", np.asarray),
):
    for name, colour, marker, rows in (
        ("other digits", "#0072B2", ".", y != 8),
        ("digit 8", "#D55E00", "x", y == 8),
    ):
        axes.scatter(
            of(bayes[rows]), of(linear[rows]), s=14, c=colour, marker=marker, label=name, lw=0.8
        )
    axes.set(title=title, xlabel="naive Bayes on 8", ylabel="linear model on 8")
panels[0].legend(loc="center")
plt.show()
