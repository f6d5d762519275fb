"""The tail of a distribution, from both ends."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from scipy.special import gammaln

from agnostic_lse import logcumsumexp
from docs.guide.plots.style import Theme, draw

COUNTS = np.arange(200)
LOG_P = COUNTS * np.log(10.0) - 10.0 - gammaln(COUNTS + 1.0)
EXACT = logcumsumexp(LOG_P, reverse=True)
with np.errstate(divide="ignore", invalid="ignore"):
    NAIVE = np.log(1.0 - np.concatenate([[0.0], np.cumsum(np.exp(LOG_P))[:-1]]))


def picture(figure: Figure, theme: Theme) -> None:
    """Draw the logarithms of the tails over where they begin."""
    axes = figure.add_subplot()
    axes.set_title("Summed from its far end, a tail keeps its digits")
    axes.plot(COUNTS, EXACT, color=theme.blue)
    axes.text(62, -48, "logcumsumexp(log_p, reverse=True)", color=theme.blue)
    shown = np.isfinite(NAIVE)
    axes.plot(COUNTS[shown], NAIVE[shown], ".", color=theme.orange, markersize=6)
    last = COUNTS[shown][-1]
    axes.annotate(
        f"log(1 - cumsum(p)):\nnothing after k = {last}",
        (last, NAIVE[shown][-1]), (5, -110), color=theme.orange, va="center",
        arrowprops={"arrowstyle": "-", "color": theme.orange, "shrinkB": 4},
    )  # fmt: skip
    axes.set(xlabel="k", ylabel="log P(count ≥ k)", xlim=(0, 120), ylim=(-215, 8))


draw(picture)
