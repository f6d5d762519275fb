"""The numbers that floats hold, on a line of their exponents."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from docs.guide.plots.style import Theme, draw

NUMBERS = {
    "1400\nflips": 1400 * math.log10(0.5),
    "1000\nflips": 1000 * math.log10(0.5),
    "1\nflip": math.log10(0.5),
    r"$e^{700}$": 700 * math.log10(math.e),
    r"$e^{1000}$": 1000 * math.log10(math.e),
}


def ends(name: str) -> tuple[float, float]:
    """Return the decimal exponents of the smallest and of the largest number of a type."""
    limits = np.finfo(np.dtype(name))
    return math.log10(limits.smallest_subnormal), math.log10(limits.max)


def picture(figure: Figure, theme: Theme) -> None:
    """Draw bars for the types, and dots for the numbers."""
    axes = figure.add_subplot()
    axes.set_title("1400 flips of a coin, and e^1000, lie beyond the ends of float64")
    rows = ("float16", theme.purple), ("float32", theme.green), ("float64", theme.blue)
    for row, (name, colour) in enumerate(rows):
        low, high = ends(name)
        axes.barh(row, high - low, left=low, height=0.5, color=colour)
        axes.text(high + 12, row, name, color=colour, va="center")
    low, high = ends("float64")
    for name, exponent in NUMBERS.items():
        inside = low < exponent < high
        colour = theme.ink if inside else theme.orange
        axes.plot(exponent, 3.1, "o", color=colour, markersize=7)
        axes.text(exponent, 3.45, name, color=colour, ha="center", va="bottom")
    axes.text(-421, 2.75, "becomes 0", color=theme.orange, ha="center", va="top")
    axes.text(434, 2.75, "becomes inf", color=theme.orange, ha="center", va="top")
    axes.set(xlim=(-490, 500), ylim=(-0.5, 4.4), yticks=[], xlabel="decimal exponent")
    axes.set_xticks([-400, -300, -200, -100, 0, 100, 200, 300, 400])
    axes.spines["left"].set_visible(False)


draw(picture, height=3.2)
