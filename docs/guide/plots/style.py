"""How the site's pictures look: each is drawn twice, for a light page and for a dark one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure


class Theme(NamedTuple):
    """A page's colours, and those of Okabe and Ito (2008), darker or lighter where need be."""

    paper: str
    ink: str
    faint: str
    blue: str
    orange: str
    green: str
    purple: str


LIGHT = Theme("#ffffff", "#22262e", "#a3abb8", "#0072b2", "#d55e00", "#00805d", "#a8508a")
DARK = Theme("#14181e", "#ced6dd", "#6b7585", "#56b4e9", "#e69f00", "#2ec495", "#cc79a7")


def draw(picture: Callable[[Figure, Theme], None], height: float = 3.4, width: float = 6.4) -> None:
    """Draw a picture for both themes.

    Parameters
    ----------
    picture : callable
        Draws on the figure that it is given, in the colours that it is given.
    height, width : float
        In inches, of 100 pixels each.
    """
    for theme in (LIGHT, DARK):
        with plt.rc_context(_settings(theme)):
            figure = plt.figure(figsize=(width, height), layout="constrained")
            picture(figure, theme)
            figure.draw_without_rendering()  # makes the ticks, while the settings hold


def _settings(theme: Theme) -> dict[Any, Any]:
    return {
        "axes.edgecolor": theme.ink,
        "axes.facecolor": "none",
        "axes.labelcolor": theme.ink,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
        "axes.titlesize": 11.5,
        "axes.titleweight": "bold",
        "figure.facecolor": "none",
        "font.size": 10,
        "lines.linewidth": 2,
        "lines.solid_capstyle": "round",
        "text.color": theme.ink,
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
    }


def diagram(figure: Figure, width: float, height: float) -> Axes:
    """Return axes without an axis, of so many units, for boxes and arrows.

    Parameters
    ----------
    figure : Figure
        Has nothing else on it.
    width, height : float
        The largest coordinates.

    Returns
    -------
    Axes
        From 0 on in both directions.
    """
    axes = figure.add_subplot()
    axes.set(xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return axes


def box(axes: Axes, theme: Theme, at: tuple[float, float], text: str, colour: str) -> None:
    """Write text in a box with a coloured border.

    Parameters
    ----------
    axes : Axes
        Where it is drawn.
    theme : Theme
        The page's.
    at : tuple of two floats
        Its centre.
    text : str
        What it says.
    colour : str
        Of its border.
    """
    look = {"boxstyle": "round,pad=0.4", "facecolor": theme.paper, "edgecolor": colour}
    axes.text(*at, text, ha="center", va="center", bbox={**look, "linewidth": 1.5}, zorder=3)


def arrow(
    axes: Axes, colour: str, start: tuple[float, float], end: tuple[float, float], bend: float = 0.0
) -> None:
    """Draw an arrow.

    Parameters
    ----------
    axes : Axes
        Where it is drawn.
    colour : str
        Of the arrow.
    start, end : tuples of two floats
        Its ends.
    bend : float
        How far it is bent aside, as a part of its length.
    """
    shape = {"arrowstyle": "-|>", "color": colour, "linewidth": 1.5, "mutation_scale": 12}
    axes.annotate(
        "", end, start, arrowprops={**shape, "connectionstyle": f"arc3,rad={bend}"}, zorder=2
    )
