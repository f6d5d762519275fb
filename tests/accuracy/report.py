"""The errors as a picture, and as a page of the documentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

LABELS = {
    "agnostic_lse": ("agnostic_lse, worst of NumPy, PyTorch and JAX", "o", "#0b6e4f"),
    "scipy": ("SciPy, or NumPy where it has none", "s", "#c1440e"),
    "jax": ("JAX", "^", "#7b3fa0"),
    "torch": ("PyTorch", "D", "#1f77b4"),
}
DTYPES = {"float64": "double precision", "float32": "single precision"}
BOUND, LEAST, LOST = 4, 0.3, 1e17


def worst_of(errors: dict[str, Any], library: str) -> float | None:
    """Return the largest error of a library's ways, or None where it has none."""
    found = [
        LOST if value == "infinite" else float(value)
        for name, value in errors.items()
        if name == library or name.startswith(f"{library},")
    ]
    return max(found, default=None)


def page(results: dict[str, Any], picture: str) -> str:
    """Return a page in Markdown with a table of all errors."""

    def cell(entry: dict[str, Any], library: str) -> str:
        error = worst_of(entry["errors"], library)
        return "-" if error is None else "all" if error >= LOST else f"{error:.3g}"

    used = ", ".join(f"{name} {number}" for name, number in results["versions"].items())
    lines = [
        "# Accuracy",
        "",
        "The largest errors found against `mpmath`, in units of roundoff times the condition",
        "number of the problem. All libraries had the same arguments: at random, at many scales",
        "and near answers of 0, and from a search that climbs to whatever makes this library's",
        "error larger. `make accuracy` measures them anew; the tests do so in short, on every",
        "backend.",
        "",
        "Terms with weights, and complex ones, are tried where they do harm: exponents up to 1e18",
        "that tie or nearly do, and weights that nearly cancel, from the smallest numbers to the",
        "largest. Their condition number, with the rounding of weights, is among the",
        "[promises](reference/promises.md). These rows show the larger of two errors: the one",
        "in that unit, and the one in which exponents count relative to the largest term. Only the",
        "second is large where a weight is lost beside a large exponent.",
        "",
        f"{used}, {results['processor']}.",
        "",
        f"[![The same errors as a picture]({picture})]({picture})",
        "",
        "Under each library is what it has itself, or what its users write where it has nothing,",
        'such as `log1p(-exp(x))`; NumPy\'s stands under SciPy where SciPy has none. "All" is an',
        "infinity or nan where there is a number, or the reverse. A dash: no such function.",
        "",
        "| function | dtype | numbers | on NumPy | on PyTorch | on JAX | SciPy | PyTorch | JAX |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    columns = [*(f"agnostic_lse, {name}" for name in ("numpy", "torch", "jax"))]
    for entry in results["results"]:
        cells = (cell(entry, library) for library in (*columns, "scipy", "torch", "jax"))
        name = f"`{entry['function'].split(',')[0]}`" + ",".join(
            ["", *entry["function"].split(",")[1:]]
        )
        lines.append(f"| {name} | {entry['dtype']} | {entry['numbers']} | {' | '.join(cells)} |")
    lines += [
        "",
        "## Long sums",
        "",
        f"`logsumexp` of {results['long_sums'][0]['length']:.0e} numbers of single precision."
        if results["long_sums"]
        else "Not measured.",
        "",
        "| numbers | layout of memory | on NumPy | on PyTorch | on JAX | SciPy | PyTorch | JAX |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for entry in results["long_sums"]:
        cells = (cell(entry, library) for library in (*columns, "scipy", "torch", "jax"))
        lines.append(f"| {entry['kind']} | {entry['layout']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw the largest error of each library for each function."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    functions = list(dict.fromkeys(entry["function"] for entry in results["results"]))
    figure = Figure(figsize=(11, 6.5), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (dtype, title) in zip(
        figure.subplots(1, 2, sharey=True), DTYPES.items(), strict=True
    ):
        axes.axvspan(LEAST, BOUND, color="#0b6e4f", alpha=0.1, lw=0)
        axes.axvline(LOST, color="0.6", lw=0.8, ls=":")
        for library, (label, marker, color) in reversed(LABELS.items()):
            points = [
                (min(max(error, LEAST), LOST), functions.index(entry["function"]))
                for entry in results["results"]
                if entry["dtype"] == dtype
                and (error := worst_of(entry["errors"], library)) is not None
            ]
            axes.scatter(
                *zip(*points, strict=True), s=46, marker=marker, c=color, label=label, zorder=3
            )
        axes.set_xscale("log")
        axes.set_xlim(LEAST * 0.8, LOST * 8)
        axes.set_title(title)
        axes.set_xlabel("largest error, in roundoffs times the condition number")
        axes.set_yticks(range(len(functions)), functions)
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.text(BOUND, -0.9, " bound: 4", color="#0b6e4f", va="center")
        axes.text(LOST, -0.9, "all lost ", color="0.4", va="center", ha="right")
        axes.set_ylim(len(functions) - 0.4, -1.4)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles[::-1], labels[::-1], loc="outside lower center", ncols=4, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
