"""The numbers of float64 that are next to 1."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from docs.guide.plots.style import Theme, draw

GAP = np.spacing(1.0)
TERM = np.exp(-40.0)


def picture(figure: Figure, theme: Theme) -> None:
    """Draw 1, its neighbours and the sum of 1 and exp(-40), in units of the gap."""
    axes = figure.add_subplot()
    axes.set_title(
        f"1 + exp(-40) lies {TERM / GAP:.0%} of the way to the next number: it becomes 1"
    )
    axes.axhline(0, color=theme.ink, linewidth=1.5)
    neighbours = {
        "$1 - 1.1·10^{-16}$": -0.5,
        "$1$": 0.0,
        "$1 + 2.2·10^{-16}$": 1.0,
    }
    for name, place in neighbours.items():
        axes.plot([place, place], [-0.25, 0.25], color=theme.blue, linewidth=3)
        axes.text(place, -0.45, name, color=theme.blue, ha="center", va="top")
    axes.annotate(
        f"$1 + {TERM * 1e18:.1f}·10^{{-18}}$",
        (TERM / GAP, 0.05),
        (0.25, 0.8),
        color=theme.orange,
        va="center",
        arrowprops={"arrowstyle": "-|>", "color": theme.orange, "linewidth": 1.5},
    )
    axes.plot(TERM / GAP, 0, "o", color=theme.orange, markersize=5, zorder=3)
    axes.text(0.5, -0.1, "no float64 in between", color=theme.ink, ha="center", va="top")
    axes.set(xlim=(-0.75, 1.3), ylim=(-0.9, 1.1))
    axes.set_axis_off()


draw(picture, height=1.9)
