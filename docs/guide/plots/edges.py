"""What arrives at the nodes of a graph, as a log-sum-exp for each."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from agnostic_lse import segment_logsumexp
from docs.guide.plots.style import Theme, arrow, box, diagram, draw

SCORES = np.asarray([-1000.0, -1001.0, -3.0, -2.0, -2.0])
SOURCES = [0, 1, 1, 2, 3]
TARGETS = np.asarray([0, 0, 1, 1, 1])


def picture(figure: Figure, theme: Theme) -> None:
    """Draw the edges with their scores, and the nodes with their sums."""
    axes = diagram(figure, 10, 4.4)
    axes.set_title("One call sums all edges into the node at which they end")
    sums = segment_logsumexp(SCORES, TARGETS, num_segments=2)
    colours = [theme.blue, theme.green]
    sources = [3.7, 2.65, 1.6, 0.55]
    targets = [3.2, 1.3]
    for node, height in enumerate(sources):
        box(axes, theme, (0.6, height), "abcd"[node], theme.ink)
    for score, source, target in zip(SCORES, SOURCES, TARGETS, strict=True):
        start, end = (0.85, sources[source]), (5.35, targets[target])
        arrow(axes, colours[target], start, end)
        at = (2.65, start[1] + (end[1] - start[1]) * 0.4)
        axes.text(
            *at, f"{score:g}", color=colours[target], ha="center", va="center",
            bbox={"facecolor": theme.paper, "edgecolor": "none", "pad": 1.5}, zorder=3,
        )  # fmt: skip
    for node, (height, total) in enumerate(zip(targets, sums, strict=True)):
        box(axes, theme, (5.6, height), "AB"[node], colours[node])
        axes.text(6.2, height, f"log-sum-exp {total:.3f}", color=colours[node], va="center")


draw(picture, height=2.9)
