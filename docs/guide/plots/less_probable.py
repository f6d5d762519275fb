"""The log-probability of the less probable class, by scikit-learn and from the scores."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression

from agnostic_lse.sklearn import log_proba
from docs.guide.plots.style import Theme, draw

MODEL = LogisticRegression().fit([[-2.0], [-1.0], [1.0], [2.0]], ["no", "no", "yes", "yes"])
SCORES = np.linspace(30, 45, 1501)
SAMPLES = (SCORES[:, None] - MODEL.intercept_) / MODEL.coef_[0]
with np.errstate(divide="ignore"):
    THEIRS = MODEL.predict_log_proba(SAMPLES)[:, 0]
OURS = log_proba(MODEL, SAMPLES)[:, 0]


def picture(figure: Figure, theme: Theme) -> None:
    """Draw both over the score."""
    axes = figure.add_subplot()
    last = np.count_nonzero(np.isfinite(THEIRS)) - 1
    axes.set_title("Rounded first, a log-probability goes in steps, and then to -inf")
    axes.plot(SCORES, OURS, color=theme.blue)
    axes.plot(SCORES[: last + 1], THEIRS[: last + 1], color=theme.orange, linewidth=1.6)
    axes.plot(SCORES[last], THEIRS[last], "o", color=theme.orange, markersize=7)
    axes.text(
        SCORES[last] + 0.3, THEIRS[last] + 0.2, f"predict_log_proba: -inf above {SCORES[last]:.1f}",
        color=theme.orange, va="bottom",
    )  # fmt: skip
    axes.text(41, -41.8, "log_proba", color=theme.blue, ha="right", va="top")
    axes.set(xlabel="log-odds of the other class", ylabel="log-probability", xlim=(30, 45))


draw(picture)
