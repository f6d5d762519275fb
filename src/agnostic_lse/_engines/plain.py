"""States of NumPy arrays in as few steps as there can be.

Of ten numbers each step takes longer than all the arithmetic in it, and of a tile each is one more
way through the cache. So what only infinite peaks and nan need is left out here, and a sum that has
one is left to the ordinary way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _sums
from .._elementary import exp, log1p
from .._state import State

# So many terms NumPy adds in order wherever it adds in pairs.
_FEW = 16
# What the leading digits of so many terms of float32 leave is 128 * 2**-12 in all, and its rounding
# does not count. Of more, NumPy rounds too often: it adds sixteen in order.
_NEGLIGIBLE = 128
# Adding it, and taking it away, leaves as many digits behind the point as `half_digits` keeps.
_BIG = {np.dtype(np.float32): np.float32(1.5 * 2.0**12), np.dtype(np.float64): 1.5 * 2.0**26}


# A copy takes 0.3 nanoseconds for each entry, and a largest entry or a sum along or across runs of
# so few 0.5; of 10 they take 1 to 4. Fewer entries don't repay the copy.
_NARROW, _MANY = 64, 2**10


def lift(x: Any, axes: tuple[int, ...]) -> State | None:
    """Return the state of sums along axes that are not empty, or None if one has no finite peak."""
    if _is_narrow(x):
        state = lift(*_with_last_first(x, axes))
        return state and State(*(np.moveaxis(part, 0, -1) for part in state[:2]))
    peak = np.maximum.reduce(x, axes, keepdims=True)
    rest = _rest(exp(np, x - peak), axes)
    return None if _is_nan(rest) else State(peak, rest)


def normalised(x: Any, axes: tuple[int, ...], logarithm: bool, state: State | None = None) -> Any:
    """Return softmax along the axes, or its logarithm, or None if a sum has no finite peak.

    `state` is that of sums of which x holds some terms; without one it holds all.
    """
    if x.ndim == 0:  # NumPy makes numbers of it, which cannot be written to
        return None
    if _is_narrow(x):
        copy, axes = _with_last_first(x, axes)
        state = state and State(*(np.moveaxis(part, -1, 0) for part in state[:2]))
        entries = normalised(copy, axes, logarithm, state)
        return None if entries is None else np.ascontiguousarray(np.moveaxis(entries, 0, -1))
    peak = np.maximum.reduce(x, axes, keepdims=True) if state is None else state.peak
    difference = x - peak
    if state is not None and (_is_nan(state.rest) or np.isinf(peak).any()):
        return None
    if logarithm:
        rest = _rest(exp(np, difference), axes) if state is None else state.rest
        return None if _is_nan(rest) else np.subtract(difference, log1p(np, rest), out=difference)
    scaled = exp(np, difference)
    lost = _lost(x, peak, difference)
    lost *= scaled
    scaled += lost
    whole = 1 + (_rest(scaled, axes) if state is None else state.rest)
    return None if _is_nan(whole) else np.divide(scaled, whole, out=scaled)


def _lost(x: Any, y: Any, difference: Any) -> Any:
    """Return what rounding took from x - y, by Knuth's two-sum, or 0 where it is infinite."""
    turned = difference - x
    lost = difference - turned
    np.subtract(x, lost, out=lost)
    turned += y
    lost -= turned
    if (unknown := np.isnan(lost)).any():
        lost[unknown] = 0
    return lost


def _is_narrow(x: Any) -> bool:
    """Tell whether NumPy would spend more on every run of entries than on what is in it."""
    few = x.size >= _MANY and x.ndim > 1 and x.shape[-1] <= _NARROW < x.shape[-2]
    return bool(few and x.flags.c_contiguous)


def _with_last_first(x: Any, axes: tuple[int, ...]) -> tuple[Any, tuple[int, ...]]:
    """Return a copy with the last axis first, and the axes in it."""
    copy = np.ascontiguousarray(np.moveaxis(x, -1, 0))
    return copy, tuple(sorted((axis + 1) % x.ndim for axis in axes))


def _is_nan(x: Any) -> bool:
    """Tell whether there is a nan; of one number Python tells it sooner."""
    return math.isnan(x.item()) if x.size == 1 else bool(np.isnan(x).any())


def _rest(scaled: Any, axes: tuple[int, ...]) -> Any:
    """Return the sum of terms over the largest, without that; nan if there is no finite one."""
    big = _BIG[scaled.dtype]
    leading = scaled + big
    leading -= big
    total: Any = np.add.reduce if _adds_exactly(scaled, axes) else _total
    others = scaled - leading
    if others.dtype == np.float32 and _count(scaled, axes) > _NEGLIGIBLE:
        others = others.astype(np.float64)
    others = total(others, axis=axes, keepdims=True)
    rest = (total(leading, axis=axes, keepdims=True) - 1) + others
    return rest.astype(scaled.dtype, copy=False)


def _adds_exactly(x: Any, axes: tuple[int, ...]) -> bool:
    """Tell whether NumPy adds as exactly as a tree does.

    So it does where it adds in order, but few, and along the axis that is the fastest in memory: in
    pairs of sums of 128, of which each is eight of sixteen.
    """
    if axes == (x.ndim - 1,) and x.flags.c_contiguous:
        return True
    return _count(x, axes) <= _FEW


def _count(x: Any, axes: tuple[int, ...]) -> int:
    """Return how many terms a sum has."""
    return math.prod([x.shape[axis] for axis in axes])


def _total(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:  # noqa: ARG001 (as NumPy's)
    return _sums.total(np, x, axis)
