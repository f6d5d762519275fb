"""The forward algorithm of a hidden Markov model, with and without logarithms."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from agnostic_lse import logmatmulexp, logsumexp
from docs.guide.plots.style import Theme, draw

STEPS = 800
TRANSITIONS = np.asarray([[0.95, 0.05], [0.10, 0.90]])
MEANS = np.asarray([0.0, 3.0])


def likelihoods() -> tuple[np.ndarray, np.ndarray]:
    """Return the likelihood after each step, and its logarithm by logmatmulexp."""
    rng = np.random.default_rng(0)
    hidden = np.empty(STEPS, dtype=int)
    hidden[0] = 0
    for step in range(1, STEPS):
        hidden[step] = rng.random() < TRANSITIONS[hidden[step - 1], 1]
    seen = rng.normal(MEANS[hidden])
    log_seen = -0.5 * (seen[:, None] - MEANS) ** 2 - 0.5 * np.log(2 * np.pi)
    plain, logarithms = np.asarray([0.5, 0.5]), np.log([0.5, 0.5])
    direct, exact = [], []
    for row in log_seen:
        plain = plain @ TRANSITIONS * np.exp(row)
        logarithms = logmatmulexp(logarithms, np.log(TRANSITIONS)) + row
        direct.append(plain.sum())
        exact.append(logsumexp(logarithms))
    return np.asarray(direct), np.asarray(exact)


DIRECT, EXACT = likelihoods()


def picture(figure: Figure, theme: Theme) -> None:
    """Draw the log-likelihood over the length of the sequence."""
    axes = figure.add_subplot()
    last = int(np.count_nonzero(DIRECT))
    axes.set_title(f"The likelihood is 0 after {last} steps, its logarithm goes on")
    axes.plot(np.log(DIRECT[:last]), color=theme.orange, linewidth=7, alpha=0.45)
    axes.plot(last - 1, np.log(DIRECT[last - 1]), "o", color=theme.orange, markersize=9)
    axes.plot(EXACT, color=theme.blue)
    axes.text(last + 20, EXACT[last - 1] + 10, "p @ A: becomes 0", color=theme.orange, va="bottom")
    axes.text(650, EXACT[700] - 20, "logmatmulexp", color=theme.blue, ha="right", va="top")
    axes.set(xlabel="steps", ylabel="log-likelihood", xlim=(0, STEPS), ylim=(None, 30))


draw(picture, height=3.0)
