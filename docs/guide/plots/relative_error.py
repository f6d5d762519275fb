"""Relative errors of log-sum-exp and of log-softmax, against 50 digits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import scipy
from matplotlib.figure import Figure

from agnostic_lse import log_softmax, logsumexp
from docs.guide.plots.style import Theme, draw

GAPS = np.linspace(0.25, 50, 200)
FLOOR = 1e-18
SCIPY = "SciPy " + ".".join(scipy.__version__.split(".")[:2])


def errors(function: Callable[[Any], Any], sign: float) -> np.ndarray:
    """Return relative errors of a function of the gap x that is sign * log1p(exp(-x))."""
    out = []
    with np.errstate(divide="ignore"):
        for gap in GAPS:
            with mpmath.workdps(50):
                exact = sign * mpmath.log1p(mpmath.exp(-mpmath.mpf(float(gap))))
                out.append(float(abs(mpmath.mpf(float(function(gap))) / exact - 1)))
    return np.maximum(out, FLOOR)


SUMS = {
    "shift alone": lambda x: np.log(np.sum(np.exp([0.0, -x]))),
    SCIPY: lambda x: scipy.special.logsumexp([0.0, -x]),
    "agnostic_lse": lambda x: logsumexp([0.0, -x]),
}
SHARES = {
    "shift alone": lambda x: np.log(1 / np.sum(np.exp([0.0, -x]))),
    SCIPY: lambda x: scipy.special.log_softmax([x, 0.0])[0],
    "agnostic_lse": lambda x: log_softmax([x, 0.0])[0],
}
MEASURED = [
    {name: errors(function, 1.0) for name, function in SUMS.items()},
    {name: errors(function, -1.0) for name, function in SHARES.items()},
]


def picture(figure: Figure, theme: Theme) -> None:
    """Draw the errors of both over the gap between the exponents."""
    panels = figure.subplots(1, 2, sharey=True)
    figure.suptitle(
        "The shift alone loses a digit each time that x grows by 2.3",
        x=0.01, ha="left", size=11.5, weight="bold",
    )  # fmt: skip
    names = ["logsumexp([0, -x])", "log_softmax([x, 0])[0]"]
    for axes, name, measured in zip(panels, names, MEASURED, strict=True):
        axes.set_title(name, size=10, weight="normal", family="monospace", pad=4)
        exact = [label for label, error in measured.items() if error[-1] < 0.5]
        lost = [label for label in measured if label not in exact]
        for label, error in measured.items():
            colour = theme.blue if label in exact else theme.orange
            axes.semilogy(GAPS, error, color=colour, linewidth=1.3)
        axes.text(17, 1e-2, "\n".join(lost), color=theme.orange, ha="right")
        axes.text(50, 2e-15, "\n".join(exact), color=theme.blue, ha="right")
        axes.set(xlabel="x", xlim=(0, 50), ylim=(FLOOR, 30))
    panels[0].set_ylabel("relative error")


draw(picture, height=3.6)
