"""The times as pictures, as a page of the documentation, and as a table in the README."""

from __future__ import annotations

import json
import math
import re
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import RESULTS, save

Entry = dict[str, Any]
Results = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """How a contender is called and drawn. The colours are Okabe and Ito's, safe for all eyes."""

    label: str
    marker: str
    color: str
    hollow: bool = False


OURS, OFF = "agnostic_lse", "agnostic_lse, kernels off"
LOOKS = {
    OURS: Look("agnostic_lse", "o", "#009E73"),
    OFF: Look("agnostic_lse, kernels off", "o", "#009E73", hollow=True),
    "scipy": Look("SciPy", "s", "#D55E00"),
    "scikit-learn": Look("scikit-learn, private", "v", "#E69F00"),
    "numpy, three lines": Look("NumPy, three lines", "P", "#000000"),
    "torch": Look("PyTorch", "D", "#0072B2"),
    "torch, compiled": Look("PyTorch, compiled", "D", "#0072B2", hollow=True),
    "jax": Look("JAX, jitted", "^", "#CC79A7"),
    "cupyx": Look("CuPy", "s", "#D55E00"),
    "numpy.max": Look("numpy.max: one read", "|", "0.45"),
    "copy": Look("a copy", "x", "0.45"),
}
LIMITS = ("numpy.max", "copy")
# What the short tables compare with, in their order.
RIVALS = ("scipy", "cupyx", "torch", "torch, compiled", "jax", "numpy, three lines")
PACKAGES = {"scipy": "scipy", "torch": "torch", "jax": "jax", "scikit-learn": "scikit-learn"}
DTYPES = {"float64": "double precision", "float32": "single precision"}
FUNCTIONS = ("logsumexp", "log_softmax", "softmax")

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGE, PICTURE, SIZES_PICTURE = (
    ROOT / "docs" / n for n in ("speed.md", "speed.png", "speed_sizes.png")
)
PLACE = re.compile(r"(<!-- speed -->\n).*?(\n<!-- end of speed -->)", re.DOTALL)


# Numbers


def geometric_mean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs)) if logs else math.nan


def ratios(entries: Iterable[Entry], ours: str, theirs: str) -> list[tuple[float, Entry]]:
    """Return how many times as long as ours theirs takes, wherever both were timed."""
    return [
        (each[theirs] / each[ours], entry)
        for entry in entries
        if {ours, theirs} <= (each := entry["nanoseconds_each"]).keys()
    ]


def chosen(entries: Iterable[Entry], **what: Any) -> list[Entry]:
    return [e for e in entries if all(e[key] == value for key, value in what.items())]


def threads_of(results: Results) -> list[Any]:
    return list(dict.fromkeys(entry["threads"] for entry in results["cases"]))


def contenders(entries: Iterable[Entry]) -> list[str]:
    found = {name for entry in entries for name in entry["nanoseconds_each"]}
    return [name for name in LOOKS if name in found]


# Words


def digits(value: float) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")


def fold(value: float) -> str:
    return "-" if not math.isfinite(value) else f"{value:#.2g}" if value < 10 else f"{value:.0f}"


def seconds(value: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= unit:
            return f"{digits(value / unit)} {name}"
    return f"{digits(value * 1e9)} ns"


def numbers_name(numbers: Iterable[int]) -> str:
    return " x ".join(f"{n:,}".replace(",", " ") for n in numbers)


def shape_name(entry: Entry) -> str:
    numbers = numbers_name(entry["shape"])
    return f"{numbers}, axis {entry['axis']}" if len(entry["shape"]) > 1 else numbers


def threads_name(threads: Any) -> str:
    return "1 thread" if threads == 1 else f"{threads} threads"


def label(name: str, results: Results) -> str:
    """Return a contender's name with its version."""
    number = results["versions"].get(PACKAGES.get(name, ""), "")
    text, *rest = LOOKS[name].label.split(",")
    return ",".join([f"{text} {number}".strip(), *rest])


def machine(results: Results) -> str:
    caches = ", ".join(f"{name} {size}" for name, size in results["caches"].items())
    virtual = "a virtual machine of " if "hypervisor" in results["flags"] else ""
    instructions = [flag for flag in results["flags"] if flag != "hypervisor"]
    parts = [
        results["processor"],
        f"{virtual}{results['cores']} cores and {results['processors']} processors",
        f"caches {caches}" if caches else "",
        " ".join(instructions),
        f"{results['memory_gib']:.0f} GiB of memory" if results["memory_gib"] else "",
    ]
    return ", ".join(part for part in parts if part)


def software(results: Results) -> str:
    named = {"Python": results["python"], **results["versions"]}
    return ", ".join(f"{name} {number}" for name, number in named.items())


def caveats(results: Results) -> list[str]:
    """Return what a reader must know of how the numbers came about."""
    notes = []
    if results["quick"]:
        notes.append("**A short run, of small arrays and few repeats: not a measurement yet.**")
    return notes


def linked(words: str, picture: str) -> str:
    """Return a picture that leads to itself, since on a phone it is too small to read."""
    return f"[![{words}]({picture})]({picture})"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|---" + "|--:" * (len(head) - 1) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


# Tables


def ratio_rows(results: Results, ours: str) -> Iterable[list[str]]:
    """Yield for each rival the mean ratio of each function, at every number of threads."""
    for rival in RIVALS:
        cells = []
        for function in FUNCTIONS:
            means = [
                geometric_mean(
                    r
                    for r, _ in ratios(
                        chosen(results["cases"], threads=t, function=function), ours, rival
                    )
                )
                for t in threads_of(results)
            ]
            cells.append(" / ".join(map(fold, means)))
        if any(cell.strip("-/ ") for cell in cells):
            yield [label(rival, results), *cells]


def worst(results: Results, rival: str, ours: str = OURS) -> str:
    """Return a sentence on the case in which a rival does best."""
    found = ratios(results["cases"], ours, rival)
    if not found:
        return ""
    ratio, entry = min(found, key=lambda pair: pair[0])
    pace = (
        f"takes {fold(ratio)} times our time"
        if ratio >= 1
        else f"is {fold(1 / ratio)} times as fast as `agnostic_lse`"
    )
    return (
        f"In its best case of these, `{entry['function']}` of {shape_name(entry)}, "
        f"{entry['dtype']}, {threads_name(entry['threads'])}, "
        f"{LOOKS[rival].label.split(',')[0]} {pace}."
    )


def counts(results: Results) -> str:
    return " / ".join(threads_name(t) for t in threads_of(results))


def short_table(results: Results, ours: str = OURS) -> list[str]:
    head = ["", *(f"`{function}`" for function in FUNCTIONS)]
    return table(head, ratio_rows(results, ours))


def without_kernels(results: Results) -> str:
    """Return a sentence on what the first rival takes where there are no kernels."""
    rival, *means = next(iter(ratio_rows(results, OFF)))
    return f"That is with Numba's kernels, the extra `fast`; without: {rival} {', '.join(means)}."


def readme_table(results: Results, others: dict[str, Results]) -> str:
    """Return what stands between the marks in the README."""
    shapes = len({(*e["shape"], e["axis"]) for e in results["cases"]})
    dtypes = len({e["dtype"] for e in results["cases"]})
    smallest = min(math.prod(e["shape"]) for e in results["cases"])
    lines = [
        "How many times as long others take on NumPy's arrays, or on their own beside them:",
        f"geometric means over {shapes} shapes of {numbers_name([smallest])} numbers or more and",
        f"{dtypes} dtypes, {counts(results)}.",
        "",
        *short_table(results),
        without_kernels(results),
        worst(results, "jax"),
        *([own_sentence(others["own"])] if "own" in others else []),
        "How others compare at every size: [`docs/comparison.md`](docs/comparison.md#speed).",
        f"Measured on {results['processor']}; all numbers: [`docs/speed.md`](docs/speed.md).",
    ]
    return "\n".join([*lines, *(f"\n{note}" for note in caveats(results))])


def summary(results: Results) -> str:
    """Return what the terminal shows after a measurement."""
    lines = [f"Times as long as with kernels, {counts(results)}:", "", *short_table(results)]
    lines += [f"Times as long as without kernels, {counts(results)}:", ""]
    lines += [*short_table(results, OFF), worst(results, "jax")]
    lines += [f"left out: {name}: {why}" for name, why in results["left_out"].items()]
    return "\n".join([*lines, *caveats(results)])


def distance_rows(results: Results, limit: str, threads: Any) -> Iterable[list[str]]:
    for name in contenders(results["cases"]):
        if name in LIMITS:
            continue
        cells = [
            digits(
                geometric_mean(
                    r
                    for r, _ in ratios(
                        chosen(results["cases"], threads=threads, function=f), limit, name
                    )
                )
            )
            for f in FUNCTIONS
        ]
        yield [label(name, results), *cells]


def case_rows(entries: Sequence[Entry], names: Sequence[str]) -> Iterable[list[str]]:
    """Yield the nanoseconds of each case, with the least of all but the limits in bold."""
    for entry in entries:
        each = entry["nanoseconds_each"]
        least = min(value for name, value in each.items() if name not in LIMITS)
        cells = []
        for name in names:
            text = digits(each.get(name, math.nan))
            cells.append(f"**{text}**" if each.get(name) == least and name not in LIMITS else text)
        yield [f"`{entry['function']}`, {shape_name(entry)}", *cells]


def size_rows(entries: Sequence[Entry], names: Sequence[str]) -> Iterable[list[str]]:
    for entry in entries:
        each, size = entry["nanoseconds_each"], entry["elements"]
        cells = [seconds(each[n] * size * 1e-9) if n in each else "-" for n in names]
        yield [numbers_name([size]), *cells]


# The page


def heads(names: Iterable[str]) -> list[str]:
    return [LOOKS[name].label for name in names]


def every_case(results: Results) -> list[str]:
    lines = []
    for threads in threads_of(results):
        for dtype, title in DTYPES.items():
            entries = chosen(results["cases"], threads=threads, dtype=dtype)
            if not entries:
                continue
            names = contenders(entries)
            where = f", {threads_name(threads)}" if threads else ""
            lines += [f"### {title.capitalize()}{where}", ""]
            lines += table(["nanoseconds per element", *heads(names)], case_rows(entries, names))
    return lines


def every_size(results: Results) -> list[str]:
    lines = []
    for threads in threads_of(results):
        entries = chosen(results["sizes"], threads=threads)
        names = contenders(entries)
        lines += [f"### {threads_name(threads).capitalize()}", ""]
        lines += table(["numbers", *heads(names)], size_rows(entries, names))
    return lines


def introduction(results: Results) -> list[str]:
    repeats = results["repeats"]
    return [
        "# Speed",
        "",
        "`logsumexp`, `log_softmax` and `softmax` of NumPy arrays, beside other libraries on their",
        "own arrays of the same numbers, which are standard normal. `make bench` measures anew.",
        "",
        f"- **Machine:** {machine(results)}.",
        f"- **Software:** {software(results)}.",
        f"- **In turn:** all libraries run in one process, in turn, at least {repeats} times over,",
        "  in an order drawn anew each time, until the fastest of each came twice. It is what",
        "  counts, since the machine may be busy. Compilation does not count, nor does moving the",
        "  numbers to a library's own arrays. Each call makes its result anew.",
        "- **Threads:** for each number of threads there is a process, confined from its start to",
        "  as many processors (`os.sched_setaffinity`), since JAX takes its number of threads from",
        "  these and cannot change it later. SciPy, scikit-learn and NumPy use one thread anyway.",
        "  PyTorch's threads sleep when they wait (`OMP_WAIT_POLICY=passive`): on a busy machine",
        "  they would else wait for each other many times longer than they work, and in turn they",
        "  would slow down whoever comes next.",
        "- **Limits:** `numpy.max` of all numbers reads the memory once, and `numpy.copyto` reads",
        "  and writes it, both by one thread; nothing that leaves the caches is much faster.",
        "- **Checked:** whoever gives another answer is left out.",
        "",
        *(line for note in caveats(results) for line in (note, "")),
    ]


def in_short(results: Results) -> list[str]:
    lines = [
        "## In short",
        "",
        f"How many times as long others take, {counts(results)}: geometric means over shapes and",
        "dtypes, more than 1 where `agnostic_lse` is the faster.",
        "",
        *short_table(results),
        "The same with `agnostic_lse` without its kernels, `AGNOSTIC_LSE_KERNELS=off`:",
        "",
        *short_table(results, OFF),
    ]
    sentences = (worst(results, rival) for rival in RIVALS)
    return [*lines, *(f"- {sentence}" for sentence in sentences if sentence), ""]


def distances(results: Results) -> list[str]:
    lines = ["## How far from the memory's pace", ""]
    for threads in threads_of(results):
        for limit, what in (
            ("numpy.max", "one read, `numpy.max`"),
            ("copy", "a copy, `numpy.copyto`"),
        ):
            lines += [f"Times as long as {what}, {threads_name(threads)}, geometric means:", ""]
            lines += table(
                ["", *(f"`{f}`" for f in FUNCTIONS)], distance_rows(results, limit, threads)
            )
    return lines


def memory_row(entry: Entry, names: Iterable[str]) -> list[str]:
    extra = entry["extra_bytes"]
    cells = [
        f"{extra[n] / entry['bytes']:.2f}" if isinstance(extra.get(n), int) else extra.get(n, "-")
        for n in names
    ]
    axis = f", axis {entry['axis']}" if "axis" in entry else ""
    return [f"`{entry['function']}`, {numbers_name(entry['shape'])}{axis}", *cells]


def memory_section(memory: Results) -> list[str]:
    names = [n for n in LOOKS if any(n in e["extra_bytes"] for e in memory["cases"])]
    rows = [memory_row(entry, names) for entry in memory["cases"]]
    return [
        "## Memory",
        "",
        "The most memory held during a call beyond the arguments and the result, over the size of",
        f"one argument, {memory['cases'][0]['bytes'] / 1e6:,.0f} MB; each in a process of its own",
        "(`python -m benchmarks.memory`).",
        "",
        *table(["", *heads(names)], rows),
    ]


def overhead_section(overhead: Results) -> list[str]:
    names = [n for n in LOOKS if any(n in each for each in overhead["microseconds"].values())]
    rows = [
        [f"`{function}`", *(digits(each.get(n, math.nan)) for n in names)]
        for function, each in overhead["microseconds"].items()
    ]
    loaded = ", ".join(overhead["optional_packages_loaded"]) or "none"
    times = ", ".join(f"`{k}` {digits(v)} ms" for k, v in overhead["import_milliseconds"].items())
    return [
        "## What a call costs",
        "",
        "Microseconds for ten numbers (`python -m benchmarks.overhead`):",
        "",
        *table(["", *heads(names)], rows),
        f"Importing: {times}. Optional packages that `import agnostic_lse` loads: {loaded}.",
        "",
    ]


def dask_section(results: Results) -> list[str]:
    """Return what Dask's arrays cost: time, chunks held at once, and tasks."""
    return [
        "## On Dask",
        "",
        f"Vectors in memory of {results['times'][0]['size']:,} numbers, cut into chunks, Dask",
        f"{results['versions']['dask']}, {threads_name(results['processors'])} at most, SciPy with",
        "`SCIPY_ARRAY_API=1`, in nanoseconds for each number (`python -m benchmarks.dask`):",
        "",
        *dask_times(results["times"]),
        "How often each chunk of the input is made, and how many of all 100, in 20 rows of 5, are",
        "held at once:",
        "",
        *dask_reads(results["reads"]),
        "Tasks after Dask's optimisation, and milliseconds until they are ready to run:",
        "",
        *dask_graphs(results["graphs"]),
    ]


def dask_times(entries: Sequence[Entry]) -> list[str]:
    names = list(entries[0]["nanoseconds_each"])
    rows = []
    for entry in entries:
        each = entry["nanoseconds_each"]
        what = f"{entry['scheduler']}, {entry['dtype']}, chunks of {entry['chunk']:,}"
        rows.append([what, *(digits(each[name]) for name in names)])
    return table(["", *(f"`{name}`" for name in names)], rows)


def dask_reads(entries: Sequence[Entry]) -> list[str]:
    """Return a row for each function, and a column for each axis and scheduler."""
    rows = []
    for name in entries[0]["each"] | entries[-1]["each"]:
        of_all = [entry["each"].get(name) for entry in entries]
        cells = [
            f"{', '.join(map(str, each['made']))}; {each['held']}" if each else "-"
            for each in of_all
        ]
        rows.append([f"`{name}`", *cells])
    heads = (f"axis {entry['axis']}, {entry['scheduler']}" for entry in entries)
    return table(["times made; held", *heads], rows)


def dask_graphs(entries: Sequence[Entry]) -> list[str]:
    names = list(entries[0]["each"])
    rows = []
    for entry in entries:
        shape = " x ".join(f"{n:,}" for n in entry["chunks"])
        cells = [
            each.get("raises") or f"{each['tasks']:,}, {digits(each['ready_milliseconds'])} ms"
            for each in map(entry["each"].get, names)
        ]
        rows.append([f"{shape} chunks, axis {entry['axis']}", *cells])
    return table(["", *(f"`{name}`" for name in names)], rows)


def own_ratios(results: Results, library: str, size: int) -> list[str]:
    """Return for each function how many times as long the library's own takes, as a mean."""
    cells = []
    for function in FUNCTIONS:
        cases = [
            list(entry["seconds"].values())
            for entry in chosen(results["cases"], library=library, size=size, function=function)
        ]
        cells.append(fold(geometric_mean(theirs / ours for ours, theirs in cases)))
    return cells


def own_section(results: Results) -> list[str]:
    """Return what PyTorch's and JAX's own functions take on their own arrays, beside ours there."""
    libraries = dict.fromkeys(entry["library"] for entry in results["cases"])
    sizes = dict.fromkeys(entry["size"] for entry in results["cases"])
    rows = [
        [f"{library}, {size:,} numbers", *own_ratios(results, library, size)]
        for library in libraries
        for size in sizes
    ]
    return [
        "## On PyTorch's and JAX's own arrays",
        "",
        "Above, each library has arrays of its own. Here all functions have the same arrays,",
        "PyTorch's or JAX's; on the latter all are jitted, so that no kernel of ours can serve.",
        f"How many times as long the library's own take, {threads_name(results['processors'])}, as",
        "geometric means over rows of a thousand in both dtypes, rows of ten and a vector",
        "(`python -m benchmarks.own`); below 1 they are the faster:",
        "",
        *table(["", *(f"`{function}`" for function in FUNCTIONS)], rows),
        "What ours take longer for is digits: of one large term and many small ones, their",
        f"logarithms err by up to {own_worst(results)} units of roundoff, ours by at most",
        f"{own_worst(results, ours=True)}.",
        "",
    ]


def own_worst(results: Results, ours: bool = False) -> str:
    """Return the largest error beside one peak, ours or others'."""
    errors = [
        error
        for entry in results["cases"]
        for name, error in entry["error_one_peak"].items()
        if (name == OURS) == ours
    ]
    return f"{max(errors):.1f}" if ours else f"{max(errors):.0e}"


def own_sentence(results: Results) -> str:
    """Return what the README says of arrays of other libraries."""
    largest = max(entry["size"] for entry in results["cases"])
    libraries = dict.fromkeys(entry["library"] for entry in results["cases"])
    means = "; ".join(
        f"{library} {', '.join(own_ratios(results, library, largest))}" for library in libraries
    )
    return (
        f"On other libraries' arrays, of {largest:,} numbers, their own functions take, in the "
        f"same order, so many times as long as ours: {means}."
    )


def gpu_section(gpu: Results) -> list[str]:
    return [
        "## On a GPU",
        "",
        f"{gpu['device']}; {software(gpu)}. Timed with CUDA events, JAX by the host's clock over",
        "many calls in a row (`make bench-gpu`). How many times as long others take:",
        "",
        *short_table(gpu),
        "The same without kernels:",
        "",
        *short_table(gpu, OFF),
        *every_case(gpu),
    ]


SECTIONS: dict[str, Callable[[Results], list[str]]] = {
    "own": own_section,
    "gpu": gpu_section,
    "memory": memory_section,
    "overhead": overhead_section,
    "dask": dask_section,
}


def page(results: Results, others: dict[str, Results]) -> str:
    """Return the page in Markdown, with a section for each of the other results there are."""
    lines = introduction(results)
    lines += [linked("Nanoseconds per element of each library", PICTURE.name), ""]
    lines += in_short(results) + distances(results)
    lines += ["## Against size", "", "`logsumexp` of a vector of double precision."]
    lines += ["", linked("Time against size", SIZES_PICTURE.name), "", *every_size(results)]
    lines += [
        "## Every case",
        "",
        "The fastest in bold, the limits aside.",
        "",
        *every_case(results),
    ]
    for name, section in SECTIONS.items():
        if name in others:
            lines += section(others[name])
    return "\n".join(lines).rstrip() + "\n"


def written(text: str, results: Results, others: dict[str, Results]) -> str:
    """Return a text with the table in its place."""
    return PLACE.sub(lambda found: f"{found[1]}{readme_table(results, others)}{found[2]}", text)


# The pictures


def _figure(width: float, height: float) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _style(name: str) -> dict[str, Any]:
    look = LOOKS[name]
    return {
        "marker": look.marker,
        "markersize": {OURS: 8, OFF: 11}.get(name, 7),
        "markerfacecolor": "white" if look.hollow else look.color,
        "markeredgecolor": look.color,
        "markeredgewidth": 1.6,
        "color": look.color,
        "label": look.label,
        "zorder": 4 if name == OURS else 3,
    }


def _tidy(axes: Any, grid: str) -> None:
    axes.grid(axis=grid, which="major", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def draw_cases(results: Results) -> Any:
    """Draw the nanoseconds per element of each case, at the largest number of threads."""
    threads = threads_of(results)[-1]
    entries = chosen(results["cases"], threads=threads)
    rows = list(dict.fromkeys(map(shape_name, entries)))
    figure = _figure(14, 8)
    panels = figure.subplots(len(DTYPES), len(FUNCTIONS), sharex=True, sharey=True)
    for line, dtype in zip(panels, DTYPES, strict=True):
        for axes, function in zip(line, FUNCTIONS, strict=True):
            here = chosen(entries, dtype=dtype, function=function)
            for row in range(0, len(rows), 2):
                axes.axhspan(row - 0.5, row + 0.5, color="0.96", zorder=0)
            for name in contenders(here):
                points = [
                    (e["nanoseconds_each"][name], rows.index(shape_name(e)))
                    for e in here
                    if name in e["nanoseconds_each"]
                ]
                axes.plot(*zip(*points, strict=True), linestyle="none", **_style(name))
            axes.set_xscale("log")
            axes.set_title(f"{function}, {dtype}", fontsize=11)
            axes.set_yticks(range(len(rows)), rows)
            _tidy(axes, "x")
    panels[0][0].set_ylim(len(rows) - 0.5, -0.5)
    for axes in panels[-1]:
        axes.set_xlabel("nanoseconds per element")
    _legend(figure, entries)
    figure.suptitle(f"{results['processor']}, {threads_name(threads)}: further left is faster")
    return figure


def draw_sizes(results: Results) -> Any:
    """Draw the time against the size, at the least and the largest number of threads."""
    ends = list(dict.fromkeys((threads_of(results)[0], threads_of(results)[-1])))
    figure = _figure(6.5 * len(ends), 5.5)
    panels = figure.subplots(1, len(ends), sharey=True, squeeze=False)[0]
    for axes, threads in zip(panels, ends, strict=True):
        entries = chosen(results["sizes"], threads=threads)
        for name in contenders(entries):
            points = [
                (e["elements"], e["nanoseconds_each"][name] * e["elements"] * 1e-9)
                for e in entries
                if name in e["nanoseconds_each"]
            ]
            width = 2.2 if name == OURS else 1.2
            axes.plot(*zip(*points, strict=True), linewidth=width, **_style(name))
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("numbers in the vector")
        axes.set_title(f"logsumexp, float64, {threads_name(threads)}", fontsize=11)
        _tidy(axes, "both")
    panels[0].set_ylabel("seconds")
    _legend(figure, results["sizes"])
    return figure


def _legend(figure: Any, entries: Iterable[Entry]) -> None:
    """Put every contender into one legend, those too that a panel lacks."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    labels = [text for text in heads(contenders(entries)) if text in found]
    figure.legend(
        [found[text] for text in labels], labels, loc="outside lower center", ncols=5, frameon=False
    )


def write(path: Path) -> None:
    """Write the page, the pictures and the README's table from the results in a file."""
    results = json.loads(path.read_text())
    others = {
        name: json.loads(other.read_text())
        for name in SECTIONS
        if (other := path.with_name(f"{name}.json")).exists()
    }
    PAGE.write_text(page(results, others))
    draw_cases(results).savefig(PICTURE, dpi=120)
    draw_sizes(results).savefig(SIZES_PICTURE, dpi=120)
    README.write_text(written(README.read_text(), results, others))
    print(f"{PAGE.name}, {PICTURE.name}, {SIZES_PICTURE.name} and {README.name} written")


def keep(results: Results, name: str, options: Namespace) -> None:
    """Save results where the options say, and by default write the page that shows them."""
    if options.out or not options.quick:
        save(results, options.out or RESULTS / f"{name}.json")
    if not (options.out or options.quick):
        write(RESULTS / "speed.json")
