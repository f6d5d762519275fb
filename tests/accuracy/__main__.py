"""Measure the largest errors, beside other libraries: ``python -m tests.accuracy``.

``--only "logsumexp, signed"`` measures the rows of that name, and writes no page; with ``--update``
it writes them beside the results that other rows had.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import strategies as st

import agnostic_lse
from tests.accuracy.long_sums import long_sums
from tests.accuracy.problems import ENTRYWISE, PROBLEMS, Arguments, Problem, one_row
from tests.accuracy.report import draw, page
from tests.accuracy.rivals import rivals, run, versions
from tests.backends import Backend

OURS = tuple(
    backend for backend in (Backend.NUMPY, Backend.TORCH, Backend.JAX) if backend.missing() is None
)


class Worst:
    """The largest error so far of each library, and the arguments of ours."""

    def __init__(self, name: str, dtype: str) -> None:
        self.name, self.dtype, self.problem = name, dtype, PROBLEMS[name]
        self.numbers = 0
        self.errors: dict[str, float] = {}
        self.arguments: Arguments = ()

    def add(self, arguments: Arguments) -> float:
        """Run all libraries on the arguments, and return our largest error."""
        subnormal = any(
            np.any((np.abs(part) < np.finfo(self.dtype).tiny) & (part != 0))
            for x in arguments
            if x.dtype.kind in "fc"
            for part in (x.real, x.imag)
        )
        largest = max((self.errors.get(f"agnostic_lse, {b}", 0.0) for b in OURS), default=0.0)
        exact = self.problem.exact(*arguments)
        self.numbers += len(exact)

        def note(library: str, backend: Backend, function: Any) -> float:
            errors = self.problem.errors(arguments, run(function, backend, arguments), exact)
            error = max(errors, default=0.0)
            self.errors[library] = max(self.errors.get(library, 0.0), error)
            return error

        # JAX takes subnormal weights for 0, which are the largest weights of some rows.
        skipped = Backend.JAX if subnormal and self.problem.terms else None
        ours = [
            note(f"agnostic_lse, {backend}", backend, self.problem)
            for backend in OURS
            if backend is not skipped
        ]
        if max(ours) > largest:
            self.arguments = arguments
        for library, (backend, functions) in RIVALS.items():
            if self.name in functions and backend is not skipped:
                note(library, backend, functions[self.name])
        return max(ours)

    def table(self) -> dict[str, Any]:
        return {
            "function": self.name,
            "dtype": self.dtype,
            "numbers": self.numbers,
            "errors": {k: finite(v) for k, v in self.errors.items()},
            "our_worst_arguments": [as_json(x) for x in self.arguments],
        }


RIVALS = rivals()


def finite(error: float) -> float | str:
    """Return an error as JSON can hold it."""
    return round(error, 2) if math.isfinite(error) else "infinite"


def as_json(x: Any) -> Any:
    """Return numbers as JSON can hold them: complex ones as pairs."""
    return np.stack([x.real, x.imag], -1).tolist() if np.iscomplexobj(x) else x.tolist()


def drawn(problem: Problem, dtype: str, rounds: int) -> Iterator[Arguments]:
    rng = np.random.default_rng(20)
    for _ in range(rounds):
        yield problem.draw(rng, dtype)


def screened(problem: Problem, dtype: str) -> Iterator[Arguments]:
    """Yield the worst of many arguments between -1.5 and 1.5, where results are small.

    The same function with more digits stands for the truth here: the worst are measured later.
    """
    wider = np.float64 if dtype == "float32" else np.longdouble
    rng = np.random.default_rng(30)
    entries = 100_000
    if problem.arrange is one_row:
        drawn = [(rng.uniform(-1.5, 0.2, size=(entries, k)).astype(dtype),) for k in (2, 3, 4)]
    elif problem.arrange in ENTRYWISE:
        pair = (rng.uniform(-1.5, 1.5, size=entries).astype(dtype) for _ in range(2))
        drawn = [problem.arrange(*pair)]
    else:
        return
    for arguments in drawn:
        true = np.asarray(problem(*(x.astype(wider) for x in arguments))).reshape(entries, -1)
        sizes = sum(np.abs(x.astype(wider)).reshape(entries, -1).mean(axis=1) for x in arguments)
        for backend in OURS:
            out = run(problem.__call__, backend, arguments).astype(wider)
            off = np.abs(out.reshape(entries, -1) - true)
            off = np.where(np.isfinite(off), off, 0) / np.maximum(np.abs(true), sizes[:, None])
            worst = np.argsort(off.max(axis=1))[-20:]
            yield tuple(x[worst] for x in arguments)


def numbers(dtype: str) -> st.SearchStrategy[list[float]]:
    width: Literal[32, 64] = 32 if dtype == "float32" else 64
    size = st.one_of(
        st.floats(-800, 800, width=width, allow_subnormal=False),
        st.floats(-2, 2, width=width, allow_subnormal=False),
        st.sampled_from([0.0, -1.0, 1.0, -0.5, 0.5, -0.6875, 0.6875, -40.0, -17.0, -104.0, 88.0]),
    )
    return st.lists(size, min_size=6, max_size=6)


def search(worst: Worst, examples: int) -> None:
    """Look for arguments that make our error large, from those that do already."""
    problem, dtype, terms = worst.problem, worst.dtype, worst.problem.terms
    limits = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.target],
        suppress_health_check=list(HealthCheck),
    )

    @limits
    @given(st.randoms(use_true_random=False))
    def climb_terms(rng: random.Random) -> None:
        assert terms is not None
        error = worst.add(terms(rng, dtype, rows=4, subnormal=rng.random() < 0.2))
        target(min(error, 1e300))

    @limits
    @given(numbers(dtype), numbers(dtype), st.booleans())
    def climb(x: list[float], y: list[float], near_0: bool) -> None:
        first, second = np.asarray(x, dtype=dtype), np.asarray(y, dtype=dtype)
        if near_0:
            first = first - agnostic_lse.logsumexp(first)
        error = worst.add(problem.arrange(first, second))
        target(min(error, 1e300))

    if terms is None:
        climb()
    else:
        climb_terms()


def measure(rounds: int, examples: int, names: list[str]) -> list[dict[str, Any]]:
    tables = []
    started = time.perf_counter()
    for i, name in enumerate(names):
        problem = PROBLEMS[name]
        for dtype in ("float32", "float64"):
            worst = Worst(name, dtype)
            for arguments in (*drawn(problem, dtype, rounds), *screened(problem, dtype)):
                worst.add(arguments)
            search(worst, examples)
            tables.append(worst.table())
            ours = {k: v for k, v in worst.errors.items() if k.startswith("agnostic")}
            theirs = {k: v for k, v in worst.errors.items() if k not in ours}
            print(
                f"[{i + 1}/{len(names)} {time.perf_counter() - started:4.0f} s] "
                f"{name:27} {dtype}  ours {max(ours.values()):.3g}  "
                + "  ".join(f"{k} {v:.3g}" for k, v in theirs.items()),
                flush=True,
            )
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.accuracy", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/accuracy.json"))
    parser.add_argument("--page", type=Path, default=Path("docs/accuracy.md"))
    parser.add_argument("--rounds", type=int, default=200, help="random draws for each function")
    parser.add_argument("--examples", type=int, default=1000, help="of each search")
    parser.add_argument("--long-sums", type=int, default=10**8, help="their length; 0 for none")
    parser.add_argument(
        "--only", nargs="+", choices=PROBLEMS, metavar="ROW", help="print these, and write nothing"
    )
    parser.add_argument(
        "--update", action="store_true", help="write what --only measures beside the other results"
    )
    parser.add_argument("--show", action="store_true", help="print the worst arguments, too")
    options = parser.parse_args()
    tables = measure(options.rounds, options.examples, options.only or list(PROBLEMS))
    if options.show:
        for table in tables:
            print(table["function"], table["dtype"], table["errors"], table["our_worst_arguments"])
    if options.only and not options.update:
        return
    results = {
        "unit": "roundoffs times the condition number",
        "processor": platform.machine(),
        "python": platform.python_version(),
        "versions": versions(),
        "random_draws": options.rounds,
        "searched_examples": options.examples,
    }
    if options.only:
        before = json.loads(options.out.read_text())
        kept = [table for table in before["results"] if table["function"] not in options.only]
        order = list(PROBLEMS)
        tables = sorted([*kept, *tables], key=lambda table: order.index(table["function"]))
        results |= {"results": tables, "long_sums": before["long_sums"]}
    else:
        sums = long_sums(options.long_sums) if options.long_sums else []
        results |= {"results": tables, "long_sums": sums}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=1) + "\n")
    picture = options.page.with_suffix(".png")
    draw(results, picture)
    options.page.write_text(page(results, picture.name))
    print(f"{options.out}, {options.page} and {picture} written", file=sys.stderr)


if __name__ == "__main__":
    main()
