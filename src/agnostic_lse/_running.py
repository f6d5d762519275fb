"""Sums of exponentials that lose no digits, however many others join them."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import array_api_compat as compat
import numpy as np

from . import _engines, _logsum, _signed, _sums
from ._elementary import two_sum
from ._means import log_mean_of
from ._namespace import Array, DType, Namespace, finished, working
from ._reductions import signed_result
from ._state import State


class RunningSum(NamedTuple):
    """A sum of exponentials that loses no digits, however many others join it.

    It is the state of the sum, but for two things. Its peak is one that the sum has had, less than
    1 below the present one. So a peak that rises slowly does not rescale the rest each time, and
    two rescalings in turn divide by e at least what the first has rounded. And `lost` is what
    rounding has taken from the lead and the rest.
    """

    peak: Array
    rest: Array
    lead: Array
    scale: Array
    lost: Array

    @classmethod
    def of(cls, xp: Namespace, state: State) -> RunningSum:
        """Return the sum of a state."""
        peak, rest, lead, scale = _signed.signed(xp, state)
        return cls(peak, rest, lead, scale, xp.zeros_like(rest))

    def of_dtype(self, xp: Namespace, dtype: DType) -> RunningSum:
        """Return the sum in the dtypes to calculate in for results of a dtype."""
        return RunningSum(*(working(xp, part, dtype) for part in self))

    def state(self) -> State:
        """Return the state."""
        return State(self.peak, self.rest + self.lost, self.lead, self.scale)

    def joined(self, xp: Namespace, other: RunningSum) -> RunningSum:
        """Return the sum of both."""
        above = _signed.above(xp, State(*other[:4]), State(*self[:4]))
        kept = (~(above >= 1) & ~xp.isnan(other.peak)) | xp.isnan(self.peak)
        top = _signed.chosen(xp, kept, self, other)
        low = _signed.chosen(xp, kept, other, self)
        whole, change, factor = _signed.joining(xp, State(*low[:4]), State(*top[:4]))
        lead, lost = two_sum(top.lead, whole)
        rest, more = two_sum(top.rest, factor * low.rest)
        rest, again = two_sum(rest, change)
        lost = (lost + more + again) + (top.lost + factor * low.lost)
        # Else what is lost would grow, and lose digits of its own.
        rest, lost = two_sum(rest, lost)
        return RunningSum(top.peak, rest, lead, top.scale, lost)


def running_sum(xp: Namespace, a: Array, b: Array | None, axes: tuple[int, ...]) -> RunningSum:
    """Return ``sum(b * exp(a))`` along the axes, without them."""
    if compat.is_dask_namespace(xp):
        blocks = _engines.sum_of_blocks((a, b, None), axes, _read, False)
        return _apart(blocks, a.dtype if b is None else b.dtype, a.dtype)
    a, b, _ = _sums.nonempty_terms(xp, a, b, None, axes)
    return _read(xp, _engines.state_of(xp, a, b, None, axes), axes)


def _read(xp: Namespace, parts: Sequence[Array | None], axes: tuple[int, ...]) -> RunningSum:
    """Return a state without the axes."""
    if axes:
        parts = [None if part is None else xp.squeeze(part, axis=axes) for part in parts]
    return RunningSum.of(xp, State(*parts))


def _made(function: Callable[..., Any], *sums: RunningSum, dtype: DType) -> Any:
    """Return what a function makes of sums: at once, or on Dask when it is asked for."""
    if compat.is_dask_array(sums[0].peak):
        parts = tuple(part for each in sums for part in each)
        return _engines.dask.entrywise(functools.partial(_of_parts, function), parts, dtype)
    return function(compat.array_namespace(sums[0].peak), *sums)


def _of_parts(function: Callable[..., Any], xp: Namespace, *parts: Array | None) -> Any:
    size = len(RunningSum._fields)
    sums = (parts[start : start + size] for start in range(0, len(parts), size))
    return function(xp, *itertools.starmap(RunningSum, sums))


def joined(dtype: DType, one: RunningSum, other: RunningSum) -> RunningSum:
    """Return two sums together, in the dtypes to calculate in for results of a dtype."""
    both: Any = _made(functools.partial(_joined, dtype), one, other, dtype=dtype)
    if isinstance(both, RunningSum):
        return both
    return _apart(both, one.rest.dtype, other.rest.dtype)


def _joined(dtype: DType, xp: Namespace, one: RunningSum, other: RunningSum) -> RunningSum:
    return one.of_dtype(xp, dtype).joined(xp, other.of_dtype(xp, dtype))


def _apart(blocks: Array, *dtypes: DType) -> RunningSum:
    """Return the parts of a Dask array, whose blocks are sums, as arrays of their own."""
    dtype = np.result_type(*dtypes)
    kinds = (dtype, dtype, dtype, np.empty(0, dtype).real.dtype, dtype)
    return RunningSum(
        *(
            _engines.dask.read_from(functools.partial(_part, place, kind), blocks, (), kind)
            for place, kind in enumerate(kinds)
        )
    )


def _part(place: int, dtype: DType, xp: Namespace, parts: RunningSum, _: tuple[int, ...]) -> Array:
    return xp.astype(parts[place], dtype, copy=False)


def log_size(dtype: DType, place: int | None, of: DType, total: RunningSum) -> Any:
    """Return the logarithm of a sum, or by its place one of its size and its sign."""
    return _made(functools.partial(_log_size, dtype, place), total, dtype=of)


def _log_size(dtype: DType, place: int | None, xp: Namespace, total: RunningSum) -> Any:
    out = signed_result(xp, _logsum.value(xp, total.state()), dtype, place is not None)
    return out if place is None else out[place]


def log_mean(dtype: DType, plain: int, total: RunningSum, weights: RunningSum | None) -> Any:
    """Return the logarithm of a mean over a number of terms and a sum of weights."""
    sums = (total,) if weights is None else (total, weights)
    return _made(functools.partial(_log_mean, dtype, plain), *sums, dtype=dtype)


def _log_mean(
    dtype: DType,
    plain: int,
    xp: Namespace,
    total: RunningSum,
    weights: RunningSum | None = None,
) -> Any:
    state = total.state()
    zero = xp.zeros_like(state.scale)
    mass = State(zero - (xp.inf if plain == 0 else 0), zero + max(plain - 1, 0))
    if weights is not None:
        mass = RunningSum.of(xp, mass).joined(xp, weights).state()
    return finished(xp, log_mean_of(xp, state, mass), dtype)
