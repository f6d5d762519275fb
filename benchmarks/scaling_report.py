"""The cost model as a page of the documentation, beside what was measured."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

from benchmarks.report import ROOT, digits, table

PAGE = ROOT / "docs" / "scaling.md"
Results = dict[str, Any]
SPLIT = 4  # as many states as Dask merges in a task, unless `split_every` says another

PLACE = re.compile(r"(<!-- measured -->\n).*?(<!-- end of measured -->)", re.DOTALL)


def tasks(chunks: int, split: int = SPLIT) -> int:
    """Return how many tasks a sum along one axis takes, the making of its chunks included."""
    count, left = 2 * chunks, chunks
    while True:
        left = math.ceil(left / split)
        count += left
        if left == 1:
            return count


def measured(results: Results) -> str:
    """Return what goes between the marks on the page."""
    machine = f"{results['processors']} processors ({results['processor']})"
    return "\n".join(
        [
            "## Measured",
            "",
            f"On {machine}, of {results['entries']:,} standard normal numbers of float32, 4 GB.",
            "",
            *_constants(results),
            *_errors(results),
            *_times(results),
            *_memory(results),
            *_extended(results),
        ]
    )


def written(text: str, results: Results) -> str:
    """Return the page with what was measured in its place."""
    return PLACE.sub(lambda found: f"{found[1]}{measured(results)}{found[2]}", text)


def _constants(results: Results) -> list[str]:
    states = ", ".join(f"{s['bytes']:,} ({s['pickled']:,})" for s in results["states"])
    slots = ", ".join(f"{s['slots']:,}" for s in results["states"])
    on_threads = digits(results["seconds_of_a_task"] * 1e6)
    on_a_cluster = digits(results["seconds_of_a_task_on_a_cluster"] * 1e6)
    return [
        "| | |",
        "|---|---|",
        f"| t, a term | {digits(results['seconds_of_a_term'] * 1e9)} ns |",
        f"| s, a task on threads, beside its terms | {on_threads} us |",
        f"| s, a task on a cluster of three processes, empty | {on_a_cluster} us |",
        f"| bytes of a state (of its pickle) of {slots} sums | {states} |",
        "",
    ]


def _errors(results: Results) -> list[str]:
    rows = [
        [e["way"], f"{e['chunks']:,}", f"{e['value']:.9g}", f"{e['roundoffs']:.3f}"]
        for e in results["errors"]
    ]
    return [
        "### Error",
        "",
        f"The exact value, by float64 and `math.fsum`, is {results['exact']:.14g}, from which the",
        "nearest number of float32 may be 1 unit of roundoff away.",
        "",
        *table(["", "chunks or batches", "value", "units of roundoff"], rows),
    ]


def _times(results: Results) -> list[str]:
    off = max(abs(math.log(e["seconds"] / e["foretold"])) for e in results["sums"])
    rows = [
        [
            f"{e['chunks']:,}",
            f"{e['tasks']:,}",
            f"{tasks(e['chunks']):,}",
            digits(e["seconds"]),
            digits(e["foretold"]),
        ]
        for e in results["sums"]
    ]
    return [
        "### Tasks and time",
        "",
        *table(
            ["chunks", "tasks", "tasks, foretold", "seconds on threads", "seconds, foretold"], rows
        ),
        f"The time is foretold within a factor of {math.exp(off):.1f}.",
        "",
    ]


def _memory(results: Results) -> list[str]:
    rows = [
        [
            f"{e['chunk_bytes'] / 1e6:.0f} MB",
            f"{e['chunks']:,}",
            f"{e['chunk_bytes'] * e['chunks'] / 1e9:.1f} GB",
            f"{e['held_bytes'] / 1e6:.0f} MB",
            f"{(e['chunk_bytes'] + 2**21) * e['threads'] / 1e6:.0f} MB",
        ]
        for e in results["memory"]
    ]
    return [
        "### Memory",
        "",
        "Resident beyond what was there before, of a process whose two threads make the chunks and",
        "sum them.",
        "",
        *table(["a chunk", "chunks", "in all", "held at most", "foretold"], rows),
    ]


def _extended(results: Results) -> list[str]:
    """Foretell what cannot be measured here."""
    term, task = results["seconds_of_a_term"], results["seconds_of_a_task_on_a_cluster"]
    rows = []
    for numbers, workers, chunk in (
        (10**9, 2, 10**7),
        (10**12, 100, 10**8),
        (10**15, 1000, 10**9),
        (10**15, 10_000, 10**10),
    ):
        chunks = numbers // chunk
        depth = math.log2(chunks)
        error = (4 + 2.5 * depth) / math.log(numbers)
        rows.append(
            [
                _power(numbers),
                f"{workers:,}",
                f"{4 * chunk / 1e9:g} GB",
                _power(chunks),
                f"{tasks(chunks):,}",
                _duration(numbers * 4 / workers / 1e9),
                _duration(numbers * term / workers),
                _duration(tasks(chunks) * task),
                f"{176 * chunks * SPLIT / (SPLIT - 1) / 1e6:,.3g} MB",
                f"{error:.2f}",
            ]
        )
    return [
        "## Extended",
        "",
        "Of float32, one sum over all, at 1 GB/s for each worker's reading. Reading, summing and",
        "scheduling go on at once, so that the longest of the three is what it takes. The error is",
        "the worst of as many float64 numbers; those of float32 err by 4 at most.",
        "",
        *table(
            [
                "numbers",
                "workers",
                "a chunk",
                "chunks",
                "tasks",
                "reading",
                "summing",
                "scheduling",
                "bytes between workers",
                "units of roundoff",
            ],
            rows,
        ),
        f"With {digits(_least(term, task))} million numbers in a chunk for each worker, the",
        "scheduler keeps up with summing. By accumulators, one for each worker, there is no",
        "scheduling, a worker needs the memory of one batch, and the error is at most 4 units,",
        "whatever their number.",
        "",
    ]


def _least(term: float, task: float) -> float:
    """Return the millions of numbers in a chunk, for each worker, that keep the scheduler ahead."""
    return tasks(10**6) / 10**6 * task / term / 1e6


def _power(number: int) -> str:
    return f"10^{round(math.log10(number))}"


def _duration(seconds: float) -> str:
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60)):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 3600:.3g} h"


def write(path: Path) -> None:
    """Write the page from the results in a file."""
    PAGE.write_text(written(PAGE.read_text(), json.loads(path.read_text())))
    print(f"{PAGE.name} written")
