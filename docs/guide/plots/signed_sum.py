"""A sum of two terms of opposite sign, as it is and as a logarithm with a sign."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from agnostic_lse import logsumexp
from docs.guide.plots.style import Theme, draw

X = np.linspace(-100, 100, 2001)


def log_normal(x: np.ndarray, scale: float) -> np.ndarray:
    """Return the logarithm of a normal density around 0."""
    return np.asarray(-0.5 * (x / scale) ** 2 - np.log(scale * np.sqrt(2 * np.pi)))


EXPONENTS = np.stack([log_normal(X, 1.0), log_normal(X, 2.0)])
SIZE, SIGN = logsumexp(EXPONENTS, axis=0, b=[[1.0], [-1.0]], return_sign=True)


def picture(figure: Figure, theme: Theme) -> None:
    """Draw the difference, and the logarithm of its size in the colour of its sign."""
    above, below = figure.subplots(2, 1, height_ratios=[1, 1.25])
    above.set_title("Where a difference underflows, its logarithm and sign go on")
    near = np.linspace(-8, 8, 400)
    difference = np.exp(log_normal(near, 1.0)) - np.exp(log_normal(near, 2.0))
    above.axhline(0, color=theme.faint, linewidth=1)
    above.plot(near, np.where(difference > 0, difference, np.nan), color=theme.blue)
    above.plot(near, np.where(difference < 0, difference, np.nan), color=theme.orange)
    above.text(1.1, 0.13, "N(0, 1) - N(0, 2²)", color=theme.ink)
    above.set(xlim=(-8, 8), ylabel="difference")
    for sign, colour in ((1, theme.blue), (-1, theme.orange)):
        below.plot(X, np.where(sign == SIGN, SIZE, np.nan), color=colour)
    below.axhline(-745, color=theme.faint, linewidth=1)
    below.text(0, -760, "below this line the difference is 0 in float64", ha="center", va="top")
    below.text(-38, -420, "sign -1", color=theme.orange, ha="center")
    below.annotate(
        "sign +1", (0, -5), (0, -420), color=theme.blue, ha="center",
        arrowprops={"arrowstyle": "-", "color": theme.blue, "shrinkB": 2},
    )  # fmt: skip
    below.set(xlim=(-100, 100), ylim=(-1300, 40), xlabel="x", ylabel="log|difference|")


draw(picture, height=4.2)
