"""A tree of states, from four batches to one value."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from docs.guide.plots.style import Theme, arrow, box, diagram, draw

BATCHES = [[0.0, 1.0], [1000.0, 998.0], [-5.0, 999.0], [1001.0, 3.0]]

State = tuple[float, float]


def lift(batch: list[float]) -> State:
    """Return the largest term, and the sum of the others relative to it."""
    peak = max(batch)
    others = sorted(batch)[:-1]
    return peak, sum(math.exp(x - peak) for x in others)


def merge(one: State, other: State) -> State:
    """Return the state of both batches."""
    low, high = sorted([one, other])
    return high[0], high[1] + math.exp(low[0] - high[0]) * (1 + low[1])


def picture(figure: Figure, theme: Theme) -> None:
    """Draw the batches, their states, what these merge to, and the value."""
    axes = diagram(figure, 10, 6.6)
    axes.set_title("States of any parts merge to that of the whole, in any order")
    heights = [6.1, 4.75, 2.9, 1.45, 0.3]
    for height, name in zip(heights, ("batches", "lift", "merge", "merge", "value"), strict=True):
        axes.text(0.0, height, name, va="center", weight="bold")
    states = [lift(batch) for batch in BATCHES]
    places = [2.2, 4.55, 6.9, 9.2]
    for batch, place in zip(BATCHES, places, strict=True):
        text = "[" + ", ".join(f"{x:g}" for x in batch) + "]"
        axes.text(place, heights[0], text, ha="center", va="center")
        arrow(axes, theme.faint, (place, heights[0] - 0.3), (place, heights[1] + 0.62))
    colour = theme.blue
    level = 1
    while True:
        for state, place in zip(states, places, strict=True):
            text = f"peak {state[0]:g}\nrest {state[1]:.3g}"
            box(axes, theme, (place, heights[level]), text, colour)
        if len(states) == 1:
            break
        merged = list(zip(places[::2], places[1::2], strict=True))
        for left, right in merged:
            middle = (left + right) / 2
            for side in (left, right):
                end = (middle + (side - middle) * 0.25, heights[level + 1] + 0.55)
                arrow(axes, theme.faint, (side, heights[level] - 0.6), end)
        states = [merge(*pair) for pair in zip(states[::2], states[1::2], strict=True)]
        places = [(left + right) / 2 for left, right in merged]
        colour = theme.green
        level += 1
    peak, rest = states[0]
    arrow(axes, theme.faint, (places[0], heights[3] - 0.6), (places[0], heights[4] + 0.25))
    text = f"peak + log1p(rest) = {peak + math.log1p(rest):.6f}"
    axes.text(places[0], heights[4], text, ha="center", va="center", color=theme.green)


draw(picture, height=4.4)
