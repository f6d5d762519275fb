"""Time it on PyTorch's and JAX's own arrays, beside what these libraries have themselves.

``python -m benchmarks.own``, which is what ``agnostic-lse bench`` does, at several sizes.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agnostic_lse import _bench
from agnostic_lse._timing import Effort
from benchmarks import report
from benchmarks.measure import environment

SIZES = (1000, 10_000, 100_000, 1_000_000)
LIBRARIES = ("PyTorch", "JAX, jitted")


def main() -> int:
    """Measure, save and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the smallest size alone; saves none")
    parser.add_argument("--out", type=Path, help="where to save the results")
    options = parser.parse_args()
    effort = Effort(2, 0.02) if options.quick else Effort(5, 0.2)
    cases, left_out = [], dict[str, str]()
    with _bench.confined(None):
        for size in SIZES[:1] if options.quick else SIZES:
            print(f"{size:,} numbers ...", file=sys.stderr)
            problems = _bench.problems(size, quick=False)
            found = _bench.results(problems, effort, left_out, LIBRARIES)
            cases += [{"size": size, **result} for result in found]
    if left_out:
        print("\n".join(f"{name}: left out, {why}" for name, why in left_out.items()))
        return 1
    results = environment(cases=cases)
    report.keep(results, "own", options)
    print("\n".join(report.own_section(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
