"""Time what does not depend on the size: a call of ten numbers, and the import.

``python -m benchmarks.overhead``
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from agnostic_lse._timing import Effort, fastest
from benchmarks import report
from benchmarks.contenders import FUNCTIONS, OFF, OURS, ways
from benchmarks.measure import RESULTS, environment
from benchmarks.speed import numbers

COMPARED = (OURS, OFF, "scipy", "numpy, three lines")
OPTIONAL = (
    *("array_api_strict", "cupy", "dask", "jax", "llvmlite", "matplotlib", "ml_dtypes"),
    *("numba", "pandas", "polars", "scipy", "sklearn", "torch"),
)
# What to import, by what was imported before, which does not count.
IMPORTS = {
    "numpy": ("numpy", ""),
    "agnostic_lse": ("agnostic_lse", ""),
    "agnostic_lse, after numpy": ("agnostic_lse", "numpy"),
}


def calls(repeats: int) -> dict[str, dict[str, float]]:
    """Return the microseconds of a call of ten numbers, for each function."""
    found, x = {}, numbers((10,), "float64")
    for function in FUNCTIONS:
        every = ways(function, x, 0, {})
        chosen = {name: every[name] for name in COMPARED if name in every}
        least, _ = fastest(chosen, Effort(repeats, 0.2))
        found[function] = {name: float(f"{s * 1e6:.4g}") for name, s in least.items()}
    return found


def imported(module: str, before: str) -> tuple[float, list[str]]:
    """Return the milliseconds of an import in a new process, and the optional packages loaded."""
    script = (
        "import json, sys, time\n"
        f"{f'import {before}' if before else ''}\n"
        "start = time.perf_counter()\n"
        f"import {module}\n"
        "took = (time.perf_counter() - start) * 1e3\n"
        f"print(json.dumps([took, [m for m in {OPTIONAL} if m in sys.modules]]))\n"
    )
    command = [sys.executable, "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    took, loaded = json.loads(run.stdout)
    return took, loaded


def imports(repeats: int) -> tuple[dict[str, float], list[str]]:
    """Return the least milliseconds of each import, in turn, and what ours loads."""
    least = dict.fromkeys(IMPORTS, float("inf"))
    for _ in range(repeats + 1):  # the first may find no compiled files, or a cold disk
        for name, modules in IMPORTS.items():
            least[name] = min(least[name], imported(*modules)[0])
    return {k: round(v, 1) for k, v in least.items()}, imported(*IMPORTS["agnostic_lse"])[1]


def measure(quick: bool) -> dict[str, Any]:
    milliseconds, loaded = imports(3 if quick else 10)
    return environment(
        unit="the least of the repeats",
        quick=quick,
        microseconds=calls(3 if quick else 10),
        import_milliseconds=milliseconds,
        optional_packages_loaded=loaded,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few repeats, and no file")
    parser.add_argument(
        "--out", type=Path, help=f"default: {RESULTS}/overhead.json, none of --quick"
    )
    options = parser.parse_args()
    results = measure(options.quick)
    print("\n".join(report.overhead_section(results)))
    report.keep(results, "overhead", options)


if __name__ == "__main__":
    main()
