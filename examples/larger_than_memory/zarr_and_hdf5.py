"""
Zarr and HDF5: arrays on disk
=============================

Sums of arrays on disk, through Dask and by a plain loop, in the memory of a few blocks.

Run it from a checkout: ``python examples/larger_than_memory/zarr_and_hdf5.py``
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import dask.array as da
import h5py
import numpy as np
import zarr

from agnostic_lse import LogSumExpAccumulator, logsumexp

UNIT = np.finfo(np.float64).eps / 2
ROWS, COLUMNS = 64_000, 100
BLOCK = 4_000  # rows, which make 3.2 MB of the 51.2 MB


# %%
# An array of 51 MB, written block by block
# -----------------------------------------
#
# Zarr cuts it into chunks of 3.2 MB, and so does HDF5.


def block(start: int) -> Any:
    """Make the rows that begin at this one."""
    return np.random.default_rng(start).normal(scale=10, size=(BLOCK, COLUMNS))


def write(on_disk: Any) -> None:
    """Write an array of Zarr or HDF5 block by block."""
    for start in range(0, ROWS, BLOCK):
        on_disk[start : start + BLOCK] = block(start)


# %%
# A plain loop
# ------------
#
# Whatever can be sliced can be summed, one block at a time.


def in_a_loop(on_disk: Any) -> Any:
    """Sum the columns of whatever can be sliced; one block is in memory at a time."""
    seen = LogSumExpAccumulator()
    for start in range(0, ROWS, BLOCK):
        seen.update(on_disk[start : start + BLOCK], axis=0)
    return seen.value()


# %%
# Four ways
# ---------
#
# Both files through Dask and by the loop, against the sum of the whole.


def main() -> None:
    """Sum the columns of both in both ways, and compare with the sum of the whole."""
    expected = logsumexp(np.concatenate([block(i) for i in range(0, ROWS, BLOCK)]), axis=0)
    shape, chunks = (ROWS, COLUMNS), (BLOCK, COLUMNS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "exponents.zarr"
        in_zarr = zarr.create_array(store=path, shape=shape, chunks=chunks, dtype="float64")
        with h5py.File(Path(folder) / "exponents.h5", "w") as file:
            in_hdf5 = file.create_dataset("x", shape=shape, chunks=chunks, dtype="float64")
            write(in_zarr)
            write(in_hdf5)
            lazy = {
                "Zarr": da.from_zarr(str(path)),
                "HDF5": da.from_array(in_hdf5, chunks=chunks),
            }
            results = {f"{name}, Dask": logsumexp(x, axis=0).compute() for name, x in lazy.items()}
            results |= {"Zarr, loop": in_a_loop(in_zarr), "HDF5, loop": in_a_loop(in_hdf5)}
    for name, result in results.items():
        units = np.max(np.abs(result - expected) / np.maximum(1, np.abs(expected))) / UNIT
        assert units <= 4
        print(f"{name}: {ROWS * COLUMNS * 8 / 1e6:.1f} MB, {units:.1f} units of roundoff")
    # Both loops have seen the same numbers in the same order.
    assert np.array_equal(results["Zarr, loop"], results["HDF5, loop"])


if __name__ == "__main__":
    main()
