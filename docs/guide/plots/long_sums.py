"""The error of sums in float32 over their length."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from agnostic_lse import LogSumExpAccumulator, logsumexp
from docs.guide.plots.style import Theme, draw

LENGTHS = [2**power for power in range(14, 25)]
BATCH = 16384
UNIT = 2.0**-24


def measured() -> dict[str, list[float]]:
    """Return the errors of the logarithms of sums of uniform numbers' exponentials, in units."""
    x = np.random.default_rng(0).random(LENGTHS[-1], dtype=np.float32)
    chain = np.cumsum(np.exp(x), dtype=np.float32)
    truth = np.cumsum(np.exp(x, dtype=np.float64))
    errors: dict[str, list[float]] = {"chain": [], "logsumexp": [], "accumulator": []}
    seen = LogSumExpAccumulator()
    start = 0
    for length in LENGTHS:
        exact = np.log(truth[length - 1])
        for batch in x[start:length].reshape(-1, BATCH):
            seen = seen.update(batch)
        start = length
        values = {
            "chain": np.log(chain[length - 1]),
            "logsumexp": logsumexp(x[:length]),
            "accumulator": seen.value(),
        }
        for name, value in values.items():
            errors[name].append(abs(float(value) / exact - 1) / UNIT)
    return errors


MEASURED = measured()


def picture(figure: Figure, theme: Theme) -> None:
    """Draw the errors of the logarithm in units of roundoff."""
    axes = figure.add_subplot()
    axes.set_title("A chain's error grows with its length, a state's does not")
    axes.loglog(LENGTHS, MEASURED["chain"], "o-", color=theme.orange, markersize=4)
    axes.loglog(LENGTHS, MEASURED["logsumexp"], color=theme.blue, linewidth=7, alpha=0.45)
    axes.loglog(LENGTHS, MEASURED["accumulator"], "o-", color=theme.green, markersize=4)
    axes.text(1.2e6, 9e3, "one addition\nafter the other", color=theme.orange, ha="right")
    axes.text(1.7e4, 2e-2, "logsumexp", color=theme.blue)
    axes.text(1.7e4, 6e-3, "accumulator, by batches", color=theme.green)
    axes.set(xlabel="numbers of float32", ylabel="error in units of roundoff")
    axes.set(xlim=(1.3e4, 2.1e7), ylim=(3e-3, 3e5))


draw(picture)
