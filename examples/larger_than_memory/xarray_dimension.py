"""
xarray: along a named dimension
===============================

Sums and shares along a named dimension of xarray's arrays, lazily where they are Dask's.

Run it from a checkout: ``python examples/larger_than_memory/xarray_dimension.py``
"""

from __future__ import annotations

from typing import Any

import dask
import numpy as np
import xarray as xr

import agnostic_lse

UNIT = np.finfo(np.float64).eps / 2


# %%
# Two functions for DataArrays and Datasets
# -----------------------------------------
#
# ``apply_ufunc`` puts the named dimension last and hands over the array, NumPy's or Dask's. Names,
# coordinates and attributes stay.


def logsumexp(x: Any, dim: str) -> Any:
    """Return the logarithms of sums along a dimension of a DataArray or of a whole Dataset."""
    return xr.apply_ufunc(
        agnostic_lse.logsumexp,
        x,
        input_core_dims=[[dim]],  # which comes last
        kwargs={"axis": -1},
        dask="allowed",
        keep_attrs=True,
    )


def softmax(x: Any, dim: str) -> Any:
    """Return the shares along a dimension of a DataArray, in the order of its dimensions."""
    shares = xr.apply_ufunc(
        agnostic_lse.softmax,
        x,
        input_core_dims=[[dim]],
        output_core_dims=[[dim]],
        kwargs={"axis": -1},
        dask="allowed",
    )
    return shares.transpose(*x.dims)


# %%
# Nothing is computed early
# -------------------------
#
# While the lazy results are made, a scheduler stands by that refuses to compute anything. They are
# then compared with those of NumPy's arrays without names.


def refuse(*_: Any, **__: Any) -> Any:
    """Stand in for a scheduler where nothing may be computed."""
    raise AssertionError("something was computed early")


def main() -> None:
    """Compare NumPy's and Dask's arrays under names with NumPy's without."""
    values = np.random.default_rng(0).normal(scale=10, size=(60, 4, 500))
    x = xr.DataArray(
        values,
        dims=("time", "model", "member"),
        coords={"time": np.arange(60), "model": list("abcd"), "member": np.arange(500)},
        attrs={"units": "nats"},
    )
    lazy = x.chunk(time=20, member=100)
    with dask.config.set(scheduler=refuse):
        sums, shares = logsumexp(lazy, "member"), softmax(lazy, "member")
    for got in (logsumexp(x, "member"), sums.compute(scheduler="threads")):
        expected = agnostic_lse.logsumexp(values, axis=2)
        units = np.max(np.abs(got.values - expected) / np.maximum(1, np.abs(expected))) / UNIT
        assert units <= 4
        assert got.dims == ("time", "model")
        assert set(got.coords) == {"time", "model"}
        assert got.attrs == x.attrs
        print(f"logsumexp: {dict(got.sizes)}, {units:.1f} units of roundoff")
    for got in (softmax(x, "member"), shares.compute(scheduler="threads")):
        expected = agnostic_lse.softmax(values, axis=2)
        units = np.max(np.abs(got.values - expected) / expected) / UNIT
        assert units <= 10  # each of both errs by up to 5
        assert got.dims == x.dims
        assert set(got.coords) == set(x.coords)
        print(f"softmax: {dict(got.sizes)}, {units:.1f} units of roundoff")
    # Names, not positions: the same along another dimension
    assert logsumexp(lazy, "time").dims == ("model", "member")


if __name__ == "__main__":
    main()
