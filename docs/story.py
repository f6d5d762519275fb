"""The landing page's picture: which log-probabilities survive a softmax of two scores.

The README's is the light one: ``python -c "import docs.story, matplotlib.pyplot as plt;
plt.figure(1).savefig('docs/story.png', dpi=160, facecolor='white')"``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special
from matplotlib.figure import Figure
from sklearn.linear_model import LogisticRegression

from agnostic_lse import log_softmax, logexpm1
from docs.guide.plots.style import Theme, draw

Method = Callable[[np.ndarray[Any, Any]], Any]

# Magnitudes of log p, from nearly certain to nearly impossible, four to a decade
MAGNITUDES = 10.0 ** np.arange(-323, 308, 0.25)
MODEL = LogisticRegression(C=np.inf).fit([[-1.0], [1.0], [-1.0], [1.0]], [0, 1, 1, 0])
MODEL.coef_[:], MODEL.intercept_[:] = 1, 0  # so that a sample is its log-odds


def logistic(scores: np.ndarray[Any, Any]) -> Any:
    """Ask scikit-learn's regression, of which the first of these is a sample's log-odds."""
    return MODEL.predict_log_proba([scores[:1]])[0, ::-1]


def naive(scores: np.ndarray[Any, Any]) -> Any:
    """Write it as a textbook does."""
    return np.log(np.exp(scores) / np.exp(scores).sum())


METHODS: dict[str, Method] = {
    "log(exp(x) / sum(exp(x)))": naive,
    "scikit-learn, predict_log_proba": logistic,
    "scipy.special.log_softmax": scipy.special.log_softmax,
    "agnostic_lse.log_softmax": log_softmax,
}


def survives(method: Method, magnitude: float) -> bool:
    """Tell whether a log-probability of this magnitude comes out within a percent."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if magnitude < 1:  # of the likelier class, log p = -log(1 + exp(-t))
            likely = method(np.asarray([-float(logexpm1(magnitude)), 0.0]))[0]
            return bool(abs(likely + magnitude) <= 0.01 * magnitude)
        return bool(
            abs(method(np.asarray([magnitude, 0.0]))[1] + magnitude) <= 0.01 * magnitude + 0.4
        )


def bars(method: Method) -> tuple[float, float]:
    """Return the decades between which everything survives, around 1."""
    lost = [np.log10(m) for m in MAGNITUDES if not survives(method, float(m))]
    below = max((decade for decade in lost if decade < 0), default=-np.inf)
    above = min((decade for decade in lost if decade > 0), default=np.inf)
    kept = [decade for decade in np.log10(MAGNITUDES) if below < decade < above]
    return min(kept), max(kept)


def picture(figure: Figure, theme: Theme) -> None:
    """Draw a bar for each method."""
    axes = figure.add_subplot()
    axes.set_title("The log-probabilities that survive, in float64")
    for row, (name, method) in enumerate(reversed(METHODS.items())):
        low, high = bars(method)
        colour = theme.blue if method is log_softmax else theme.orange
        axes.barh(row, high - low, left=low, height=0.34, color=colour)
        axes.text(-323, row + 0.27, name, family="monospace", va="bottom")
    ticks = [-323, -200, -100, 0, 100, 200, 308]
    axes.set_xticks(ticks, [rf"$10^{{{tick}}}$" if tick else "1" for tick in ticks])
    axes.set(xlim=(-330, 312), ylim=(-0.4, len(METHODS) - 0.15), yticks=[])
    axes.set_xlabel(r"$-\log p$:  nearly certain $\longleftarrow\longrightarrow$ nearly impossible")
    axes.spines["left"].set_visible(False)


draw(picture, width=5.2, height=3.5)
