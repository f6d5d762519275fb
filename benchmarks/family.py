"""Time the scan and the product beside other libraries: ``python benchmarks/family.py``.

All ways to the same result run in turn, several times over, since the machine may be busy; what
counts is the fastest of each.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import time
import tracemalloc
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

import agnostic_lse
from agnostic_lse import logcumsumexp, logmatmulexp, logsumexp

Ways = dict[str, Callable[[], Any]]


def fastest(ways: Ways, rounds: int) -> dict[str, float]:
    """Return the least seconds of each way; the first round, which may compile, does not count."""
    best = dict.fromkeys(ways, float("inf"))
    for turn in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if turn:
                best[name] = min(best[name], time.perf_counter() - start)
    return best


def peak_memory(way: Callable[[], Any]) -> int:
    """Return the most bytes that NumPy held at once, beyond what it held before."""
    way()
    tracemalloc.start()
    way()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def scan(length: int, dtype: str, rounds: int) -> dict[str, Any]:
    """Time cumulative sums of standard normal exponents."""
    torch, jax = importlib.import_module("torch"), importlib.import_module("jax")
    x = np.random.default_rng(0).normal(size=length).astype(dtype)
    on_torch, on_jax = torch.asarray(x), jax.numpy.asarray(x)
    jitted, theirs = jax.jit(logcumsumexp), jax.jit(jax.lax.cumlogsumexp)
    seconds = fastest(
        {
            "agnostic_lse, numpy": lambda: logcumsumexp(x),
            "numpy.logaddexp.accumulate": lambda: np.logaddexp.accumulate(x),
            "agnostic_lse, torch": lambda: logcumsumexp(on_torch),
            "torch.logcumsumexp": lambda: torch.logcumsumexp(on_torch, 0),
            "agnostic_lse, jax": lambda: jitted(on_jax).block_until_ready(),
            "jax.lax.cumlogsumexp": lambda: theirs(on_jax).block_until_ready(),
        },
        rounds,
    )
    return {
        "what": f"logcumsumexp of {length:.0e} numbers, {dtype}",
        "nanoseconds_each": {k: round(s / length * 1e9, 2) for k, s in seconds.items()},
    }


def product(n: int, dtype: str, spread: float, rounds: int) -> dict[str, Any]:
    """Time products of square matrices of normal exponents of a standard deviation."""
    torch, jax = importlib.import_module("torch"), importlib.import_module("jax")
    rng = np.random.default_rng(0)
    a, b = ((rng.normal(size=(n, n)) * spread).astype(dtype) for _ in range(2))
    on_torch = [torch.asarray(x) for x in (a, b)]
    on_jax = [jax.numpy.asarray(x) for x in (a, b)]
    jitted, matmul = jax.jit(logmatmulexp), jax.jit(jax.numpy.matmul)

    def broadcast() -> Any:
        return logsumexp(a[..., None] + b, axis=-2)

    ways: Ways = {
        "numpy": lambda: logmatmulexp(a, b),
        "numpy, matmul": lambda: a @ b,
        "torch": lambda: logmatmulexp(*on_torch),
        "torch, matmul": lambda: on_torch[0] @ on_torch[1],
        "jax": lambda: jitted(*on_jax).block_until_ready(),
        "jax, matmul": lambda: matmul(*on_jax).block_until_ready(),
    }
    seconds = fastest(ways, rounds) | {
        "numpy, broadcast": fastest({"": broadcast}, 1)[""],
    }
    size = 3 * a.nbytes
    return {
        "what": f"logmatmulexp of {n} x {n} x {n}, {dtype}, standard deviation {spread:g}",
        "milliseconds": {k: round(s * 1e3, 2) for k, s in seconds.items()},
        "times_matmul": {
            k: round(seconds[k] / seconds[f"{k}, matmul"], 1) for k in ("numpy", "torch", "jax")
        },
        "broadcast_over_ours": round(seconds["numpy, broadcast"] / seconds["numpy"], 1),
        "peak_memory_over_arguments_and_result": {
            "numpy": round(peak_memory(ways["numpy"]) / size, 1),
            "numpy, broadcast": round(peak_memory(broadcast) / size, 1),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/family.json"))
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    importlib.import_module("jax").config.update("jax_enable_x64", True)
    results = [
        *(scan(10**k, dtype, options.rounds) for k in (6, 7) for dtype in ("float64", "float32")),
        *(
            product(512, dtype, spread, options.rounds)
            for dtype in ("float64", "float32")
            for spread in (1.0, 10.0, 300.0)
        ),
    ]
    for result in results:
        print(json.dumps(result, indent=1))
    environment = {
        "machine": platform.machine(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "agnostic_lse": agnostic_lse.__version__,
        **{name: version(name) for name in ("numpy", "torch", "jax")},
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps({**environment, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
