"""The log-probabilities of both outcomes over the log-odds."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from agnostic_lse import log_expit
from docs.guide.plots.style import Theme, draw

ODDS = np.linspace(-8, 8, 321)


def picture(figure: Figure, theme: Theme) -> None:
    """Draw log p and log(1 - p)."""
    axes = figure.add_subplot()
    axes.set_title("Far from 0, a log-probability is the log-odds or nearly 0")
    axes.plot(ODDS, log_expit(ODDS), color=theme.blue)
    axes.plot(ODDS, log_expit(-ODDS), color=theme.orange)
    axes.plot(0, -np.log(2), "o", color=theme.ink, markersize=7)
    axes.annotate(
        "p = 1/2: both are -log 2", (0, -np.log(2)), (0, -3), ha="center", va="top",
        arrowprops={"arrowstyle": "-", "color": theme.ink, "shrinkB": 6},
    )  # fmt: skip
    axes.text(-4.3, -4.7, "log p\n= log_expit(x)", color=theme.blue, va="top")
    axes.text(4.3, -4.7, "log(1 - p)\n= log_expit(-x)", color=theme.orange, ha="right", va="top")
    axes.set(xlabel="log-odds x = log(p / (1 - p))", ylabel="log-probability")
    axes.set(xlim=(-8, 8), ylim=(-8.2, 0.4))


draw(picture, height=3.0)
