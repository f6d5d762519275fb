"""Log-sum-exp beside the maximum."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from agnostic_lse import logsumexp
from docs.guide.plots.style import Theme, draw

X = np.linspace(-3, 3, 301)


def picture(figure: Figure, theme: Theme) -> None:
    """Draw the maximum of x and 0, and what smooths it at several temperatures."""
    axes = figure.add_subplot()
    axes.set_title("Log-sum-exp is the maximum with its corner rounded off")
    axes.plot(X, np.maximum(X, 0), color=theme.ink)
    axes.text(1.5, 1.35, "max(x, 0)", va="top")
    for temperature, colour in ((3.0, theme.purple), (1.0, theme.blue), (0.3, theme.green)):
        pairs = np.stack([X, np.zeros_like(X)]) / temperature
        axes.plot(X, temperature * logsumexp(pairs, axis=0), color=colour)
        at_0 = temperature * np.log(2)
        axes.plot(0, at_0, "o", color=colour)
        text = f"t = {temperature:g}"
        axes.text(-0.1, at_0 + 0.03, text, color=colour, ha="right", va="bottom")
    axes.set(xlabel="x", xlim=(-3, 3), ylim=(-0.1, 4))
    axes.set_ylabel("t · logsumexp([x/t, 0])")


draw(picture)
