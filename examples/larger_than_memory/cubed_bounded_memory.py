"""
Cubed: a plan that is checked against memory
============================================

A sum of an array on disk, whose plan Cubed checks against the memory of a worker before anything
runs.

Run it from a checkout: ``python examples/larger_than_memory/cubed_bounded_memory.py``
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import cubed
import numpy as np
import zarr
from cubed.core.ops import reduction

from agnostic_lse import logsumexp

UNIT = np.finfo(np.float64).eps / 2
SHAPE, CHUNKS = (4_000, 1_000), (200, 250)
# What logsumexp itself takes while it sums a block of 0.4 MB, of which a plan cannot know. In a
# real job what Python and its packages take, some 100 MB or more, belongs to it too.
OWN = 4 * 8 * 200 * 250


# %%
# A reduction of Cubed's own
# --------------------------
#
# Blocks are reduced by ``logsumexp``, and so are their results, until one is left.


def cubed_logsumexp(x: Any, axis: int | None = None) -> Any:
    """Return the logarithms of sums of a Cubed array, lazily: those of its blocks, summed again."""
    return reduction(x, logsumexp, axis=axis, dtype=x.dtype)


def stored(path: Path) -> Any:
    """Write an array to disk, and return it whole to compare with."""
    whole = np.random.default_rng(0).normal(scale=10, size=SHAPE)
    zarr.create_array(store=path, shape=SHAPE, chunks=CHUNKS, dtype="float64")[:] = whole
    return whole


# %%
# Along each axis, and with too little memory
# -------------------------------------------
#
# What a plan needs is known before it runs. A plan that needs more than a worker has is refused.


def main() -> None:
    """Sum along each axis, and see a plan refused that needs more memory than a worker has."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "exponents.zarr"
        whole = stored(path)
        spec = cubed.Spec(work_dir=folder, allowed_mem="4MB", reserved_mem=OWN)
        x = cubed.from_zarr(str(path), spec=spec)
        for axis in (None, 0, 1):
            lazy = cubed_logsumexp(x, axis=axis)
            plan = lazy.plan()
            assert plan.max_projected_mem <= spec.allowed_mem < whole.nbytes
            expected = logsumexp(whole, axis=axis)
            size = np.maximum(1, np.abs(expected))
            units = np.max(np.abs(lazy.compute() - expected) / size) / UNIT
            # Each of both rounds, and so do the logarithms of blocks: see docs/engines.md.
            assert units <= 6
            needed = f"{plan.max_projected_mem / 1e6:.1f} MB of {spec.allowed_mem / 1e6:.1f}"
            print(f"axis {axis}: {plan.num_tasks} tasks, {needed}, {units:.1f} units of roundoff")

        too_small = cubed.Spec(work_dir=folder, allowed_mem="2MB", reserved_mem=OWN)
        try:
            cubed_logsumexp(cubed.from_zarr(str(path), spec=too_small)).compute()
        except ValueError as error:
            print(f"refused before it ran: {error}")
        else:
            raise AssertionError("2 MB were enough for a plan that needs more")


if __name__ == "__main__":
    main()
