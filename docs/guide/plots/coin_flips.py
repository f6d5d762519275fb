"""The likelihood of coin flips: as a product, and as a sum of logarithms."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from docs.guide.plots.style import Theme, draw

FLIPS = np.arange(1, 1501)
LOGARITHMS = np.cumsum(np.full(1500, np.log(0.5))) / np.log(10)


def picture(figure: Figure, theme: Theme) -> None:
    """Draw products as long as they are not 0."""
    axes = figure.add_subplot()
    axes.set_title("Products of probabilities end at 0, sums of logarithms go on")
    axes.plot(FLIPS, LOGARITHMS, color=theme.blue)
    axes.text(1230, -445, "sum of\nlogarithms", color=theme.blue, ha="right")
    for dtype, colour in ((np.float64, theme.orange), (np.float32, theme.green)):
        product = np.cumprod(np.full(1500, 0.5, dtype=dtype))
        last = int(np.count_nonzero(product))
        name = np.dtype(dtype).name
        with np.errstate(divide="ignore"):
            axes.plot(FLIPS[:last], np.log10(product[:last]), color=colour, linewidth=7, alpha=0.45)
        axes.plot(last, LOGARITHMS[last - 1], "o", color=colour, markersize=9)
        text = f"product of {name}: 0 after {last} flips"
        text = text if last < 500 else text.replace(": ", ":\n")
        axes.text(last + 40, LOGARITHMS[last - 1], text, color=colour, va="bottom")
    axes.set(xlabel="flips of a fair coin", ylabel="decimal exponent of the likelihood")
    axes.set(xlim=(0, 1560), ylim=(-470, 15))


draw(picture)
