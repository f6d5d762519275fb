"""Exponents before and after the largest is subtracted."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from docs.guide.plots.style import Theme, arrow, draw

EXPONENTS = [1000.0, 800.0, 400.0, -100.0]
LOW = math.log(np.finfo(float).smallest_subnormal)
HIGH = math.log(np.finfo(float).max)


def picture(figure: Figure, theme: Theme) -> None:
    """Draw the exponents as dots on two lines, over the range of float64."""
    axes = figure.add_subplot()
    axes.set_title("After the shift nothing overflows, and only trifles underflow")
    axes.axvspan(LOW, HIGH, color=theme.blue, alpha=0.15, linewidth=0)
    axes.text((LOW + HIGH) / 2, 1.42, "exp(x) fits in a float64", color=theme.blue, ha="center")
    axes.text(LOW - 20, 1.42, "becomes 0", ha="right")
    axes.text(HIGH + 20, 1.42, "becomes inf", ha="left")
    largest = max(EXPONENTS)
    for exponent in EXPONENTS:
        arrow(axes, theme.faint, (exponent, 0.93), (exponent - largest, 0.08))
        for row, x in ((1, exponent), (0, exponent - largest)):
            colour = theme.green if LOW < x < HIGH else theme.orange
            colour = theme.ink if x < LOW else colour
            axes.plot(x, row, "o", color=colour, markersize=8, zorder=3)
            above = 0.12 if row else -0.12
            va = "bottom" if row else "top"
            axes.text(x, row + above, f"{x:g}", color=colour, ha="center", va=va)
    axes.set(xlim=(-1280, 1180), ylim=(-0.45, 1.65), xlabel="exponent x")
    axes.set_yticks([0, 1], ["less the\nlargest", "as given"])
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)


draw(picture, height=3.0)
