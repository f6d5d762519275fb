"""States of NumPy arrays in as few steps as there can be.

Of ten numbers each step takes longer than all the arithmetic in it, and of a tile each is one more
way through the cache. So what only infinite peaks and nan need is left out here, and a sum that has
one is left to the ordinary way.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _logsum
from .._elementary import exp, log1p
from .._logsum import State

_FEW = 16
# Adding it, and taking it away, leaves as many digits behind the point as `half_digits` keeps.
_BIG = {np.dtype(np.float32): np.float32(1.5 * 2.0**12), np.dtype(np.float64): 1.5 * 2.0**26}


def lift(x: Any, axes: tuple[int, ...]) -> State | None:
    """Return the state of sums along axes that are not empty, or None if one has no finite peak."""
    peak = np.maximum.reduce(x, axes, keepdims=True)
    rest = _rest(exp(np, x - peak), axes)
    return None if _is_nan(rest) else State(peak, rest)


def normalised(x: Any, axes: tuple[int, ...], logarithm: bool) -> Any:
    """Return softmax along the axes, or its logarithm, or None if a sum has no finite peak."""
    peak = np.maximum.reduce(x, axes, keepdims=True)
    difference = x - peak
    scaled = exp(np, difference)
    if logarithm:
        rest = _rest(scaled, axes)
        return None if _is_nan(rest) else difference - log1p(np, rest)
    # What rounding took from the difference, by Knuth's two-sum; nothing is known where it is
    # infinite, nor does it matter.
    turned = difference - x
    lost = (x - (difference - turned)) - (peak + turned)
    scaled += np.where(np.isnan(lost), 0, lost) * scaled
    whole = 1 + _rest(scaled, axes)
    return None if _is_nan(whole) else scaled / whole


def _is_nan(x: Any) -> bool:
    """Tell whether there is a nan; of one number Python tells it sooner."""
    return math.isnan(x.item()) if x.size == 1 else bool(np.isnan(x).any())


def _rest(scaled: Any, axes: tuple[int, ...]) -> Any:
    """Return the sum of terms over the largest, without that; nan if there is no finite one."""
    big = _BIG[scaled.dtype]
    leading = (scaled + big) - big
    total: Any = np.add.reduce if _adds_exactly(scaled, axes) else _total
    others = total(scaled - leading, axis=axes, keepdims=True)
    return (total(leading, axis=axes, keepdims=True) - 1) + others


def _adds_exactly(x: Any, axes: tuple[int, ...]) -> bool:
    """Tell whether NumPy adds as exactly as a tree does.

    So it does where it adds in order, but few, and along the axis that is the fastest in memory: in
    pairs of sums of 128, of which each is eight of sixteen.
    """
    if axes == (x.ndim - 1,) and x.flags.c_contiguous:
        return True
    return bool(math.prod([x.shape[axis] for axis in axes]) <= _FEW)


def _total(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:  # noqa: ARG001 (as NumPy's)
    return _logsum.total(np, x, axis)
