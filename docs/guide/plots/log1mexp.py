"""Relative errors of four ways to log(1 - exp(x)), against many digits."""

from __future__ import annotations

import math

import mpmath
import numpy as np
from matplotlib.figure import Figure

from agnostic_lse import log1mexp
from docs.guide.plots.style import Theme, draw

X = -np.logspace(-20, 2.5, 300)
FLOOR = 1e-18


def errors(values: np.ndarray) -> np.ndarray:
    """Return the relative errors of values at X."""
    with mpmath.workdps(200):
        exact = [mpmath.log1p(-mpmath.exp(mpmath.mpf(float(x)))) for x in X]
        off = [
            float(abs(mpmath.mpf(float(value)) / truth - 1))
            for value, truth in zip(values, exact, strict=True)
        ]
    return np.clip(off, FLOOR, 1.0)


with np.errstate(divide="ignore"):
    NAIVE = errors(np.log(1 - np.exp(X)))
    NEAR_0 = errors(np.log(-np.expm1(X)))
    FAR = errors(np.log1p(-np.exp(X)))
OURS = errors(log1mexp(X))


def picture(figure: Figure, theme: Theme) -> None:
    """Draw the errors over the size of x."""
    axes = figure.add_subplot()
    axes.set_title("Each formula fails on one side of log 2, log1mexp on neither")
    axes.loglog(-X, NAIVE, color=theme.orange, linewidth=6, alpha=0.4)
    for error, colour in ((NEAR_0, theme.purple), (FAR, theme.green), (OURS, theme.blue)):
        axes.loglog(-X, error, color=colour, linewidth=1.6)
    axes.axvline(math.log(2), color=theme.faint, linewidth=1, zorder=0)
    axes.text(math.log(2) * 0.7, 1, "log 2", ha="right", va="bottom")
    axes.text(1e-9, 2e-4, "log(1 - exp(x)), on both sides", color=theme.orange, va="bottom")
    axes.text(1e-14, 1e-8, "log1p(-exp(x))", color=theme.green, ha="right")
    axes.text(1.5, 1e-9, "log(-expm1(x))", color=theme.purple, ha="right")
    axes.text(1e-13, 5e-16, "log1mexp(x)", color=theme.blue, ha="center")
    axes.set(xlabel="-x", ylabel="relative error", xlim=(1e-20, 400), ylim=(FLOOR / 4, 10))
    axes.minorticks_off()


draw(picture)
