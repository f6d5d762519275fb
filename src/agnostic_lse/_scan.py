"""Cumulative sums of exponentials: a scan of the state."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import array_api_compat as compat
import numpy as np

from . import _engines, _logsum
from ._elementary import exp
from ._namespace import (
    Array,
    Namespace,
    arguments,
    constant,
    finished,
    flag,
    is_complex,
    numpy_namespace,
    one_axis,
    quiet,
    wide_dtype,
    working,
)
from ._state import State


@quiet
def logcumsumexp(
    x: Any,
    axis: int | None = None,
    *,
    reverse: bool = False,
    include_initial: bool = False,
    xp: Namespace | None = None,
) -> Any:
    r"""Logarithms of the cumulative sums of exponentials, ``log(cumsum(exp(x)))``.

    Parameters
    ----------
    x : array_like
        Exponents, real or complex.
    axis : int or None, default None
        Axis to sum along; None sums over all entries, in the order of ``reshape(x, -1)``.
    reverse : bool, default False
        Sum from the end.
    include_initial : bool, default False
        Begin with the empty sum, -inf, so that the axis is longer by one; with `reverse` it stands
        at the end.
    xp : namespace, optional
        Array namespace of the argument, where it is known.

    Returns
    -------
    array
        Of the shape of `x`, but for `include_initial` and ``axis=None``, in its namespace, on its
        device and of its dtype; integers and booleans give the namespace's default real dtype. nan
        from a nan on.

    Raises
    ------
    TypeError
        If `x` is not numeric, is sparse or masked, or if `axis` is not an integer.
    ValueError
        If `axis` is out of range.

    See Also
    --------
    logsumexp : The last of these.

    Notes
    -----
    .. math:: y_k = \log \sum_{i \le k} e^{x_i}

    Each sum is kept relative to the largest term so far, so that nothing that comes later takes
    digits from it. The work is proportional to the length, and no sum goes through more than
    ``2 log2(n)`` additions.

    Examples
    --------
    >>> from agnostic_lse import logcumsumexp
    >>> print(logcumsumexp([0.0, -40.0, 1000.0]).tolist())
    [0.0, 4.248354255291589e-18, 1000.0]
    >>> print(logcumsumexp([0.0, 0.0, 0.0], reverse=True, include_initial=True).round(3).tolist())
    [1.099, 0.693, 0.0, -inf]
    """
    reverse, include_initial = flag("reverse", reverse), flag("include_initial", include_initial)
    xp, dtype, (x,), _ = arguments(xp, x=x)
    x = working(xp, x, dtype)
    if axis is None:
        x, axis = _flat(xp, x), 0
    axis = one_axis(axis, x.ndim)
    if reverse:
        x = _flipped(xp, x, axis)
    out = x if 0 in x.shape else _logcumsumexp(xp, x, axis)
    if include_initial:
        out = _with_nothing_before(xp, out, axis)
    return finished(xp, _flipped(xp, out, axis) if reverse else out, dtype)


def _flat(xp: Namespace, x: Array) -> Array:
    """Return the entries along one axis."""
    if x.ndim == 1:  # of a length that Dask need not know
        return x
    if any(map(math.isnan, x.shape)):
        raise ValueError(
            f"x has shape {tuple(x.shape)}, but known lengths were expected: call its "
            "compute_chunk_sizes() first, or give an axis."
        )
    if 0 in x.shape:  # which Dask's reshape does not take
        return xp.empty(0, dtype=x.dtype, device=compat.device(x))
    return xp.reshape(x, (-1,))


def _flipped(xp: Namespace, x: Array, axis: int) -> Array:
    """Return the array from its end to its beginning along an axis."""
    if not compat.is_dask_namespace(xp):
        return xp.flip(x, axis=axis)
    # Dask's own flip needs the lengths of blocks.
    x = x.blocks[(*(slice(None),) * axis, slice(None, None, -1))]
    return x.map_blocks(np.flip, axis=axis, dtype=x.dtype, meta=x._meta)


def _with_nothing_before(xp: Namespace, x: Array, axis: int) -> Array:
    """Return the array with one entry of -inf before all others along an axis."""
    if not compat.is_dask_namespace(xp):
        return xp.concat([_nothing(x, axis), x], axis=axis)
    import dask.array as da  # loaded already, since the array is its own

    first = x.blocks[(*(slice(None),) * axis, slice(0, 1))]
    chunks = tuple((1,) if place == axis else of for place, of in enumerate(x.chunks))
    nothing = first.map_blocks(_nothing, axis, chunks=chunks, dtype=x.dtype, meta=x._meta)
    return da.concatenate([nothing, x], axis=axis, allow_unknown_chunksizes=True)


def _nothing(x: Array, axis: int) -> Array:
    """Return one entry of -inf along an axis."""
    xp = compat.array_namespace(x)
    shape = tuple(1 if place == axis else length for place, length in enumerate(x.shape))
    return xp.full(shape, -xp.inf, dtype=x.dtype, device=compat.device(x))


def _logcumsumexp(xp: Namespace, x: Array, axis: int) -> Array:
    # A sum of three terms goes through seven roundings here, which together may err by 5 units
    # where the result is near 0.5.
    def logarithms(x: Array, *before: Array) -> Array:
        state = prefixes(xp, _widened(xp, x), axis)
        state = _logsum.merge(xp, State(*before), state) if before else state
        return _logsum.logarithm(xp, _logsum.value(xp, state))

    def total(x: Array) -> Arrays:
        return _parts(_logsum.state_of(xp, _widened(xp, x), None, None, (axis,)))

    if compat.is_dask_namespace(xp):
        return _over_blocks(_widened(xp, x), axis)
    return _engines.scanned(xp, total, _before, logarithms, x, axis)


def _widened(xp: Namespace, x: Array) -> Array:
    if is_complex(xp, x.dtype):
        wide = xp.result_type(wide_dtype(xp, xp.real(x)), x.dtype)
        return xp.astype(x, wide, copy=False)
    return xp.astype(x, wide_dtype(xp, x), copy=False)


Arrays = tuple[Array, ...]


def _parts(state: State) -> Arrays:
    """Return the parts that the state has."""
    return tuple(part for part in state if part is not None)


def _merged(xp: Namespace, one: Arrays, other: Arrays) -> Arrays:
    return _parts(_logsum.merge(xp, State(*one), State(*other)))


# The parts of the state of no terms
_NOTHING = State(-np.inf, 0.0, 0.0, 1.0)


def _before(states: Arrays, axis: int) -> Arrays:
    """Return the state of all sums before each along an axis."""
    up_to_each = _accumulated(numpy_namespace(), _merged, states, axis)
    pairs = zip(up_to_each, _NOTHING, strict=False)  # of real terms there are fewer parts
    return tuple(_shifted(np, part, axis, first) for part, first in pairs)


def prefixes(xp: Namespace, x: Array, axis: int) -> State:
    """Return for each place along the axis the state of the sum up to it."""
    if not is_complex(xp, x.dtype):
        return _real_prefixes(xp, x, axis)
    terms = _parts(_logsum.state_of(xp, x, None, None, ()))
    return State(*_accumulated(xp, _merged, terms, axis))


def _real_prefixes(xp: Namespace, x: Array, axis: int) -> State:
    """Return for each place along the axis the state of the sum of real terms up to it.

    Let s be the sum of all terms so far but the largest, relative to exp(B). With each term s grows
    by it, or by the one that was the largest before: a linear recurrence,
    ``s[k] = d[k] * s[k - 1] + c[k]`` where d takes s from one base B to the next. Were B the
    largest exponent so far, a slowly rising sequence would rescale s at each step, and round it as
    often. Instead B is the largest exponent as it was when its integer part last changed. Two
    changes raise it by 1 at least, so that what was rounded often counts for nothing any more; and
    until the largest exponent rises again, it is B, and needs no exponential of its own.
    """
    value = constant(x)
    peak = _highest_so_far(xp, value, axis)
    before = _shifted(xp, peak, axis, -xp.inf)
    whole, infinite = xp.trunc(peak), xp.isinf(peak)
    base = _highest_so_far(xp, xp.where(whole > xp.trunc(before), peak, -xp.inf), axis)
    base = xp.where(infinite | xp.isnan(peak), peak, base)
    base_before = _shifted(xp, base, axis, -xp.inf)
    decay = xp.where(base_before == base, 1.0, exp(xp, base_before - base))
    base = xp.where(infinite, 0.0, base)
    rises = value > before
    terms = exp(xp, xp.where(rises, before, x) - base)
    to_peak = xp.where(infinite, 0.0, exp(xp, base - peak))
    if value is not x:
        # The new largest term counts for 0 here, and for its derivatives.
        own = exp(xp, x - xp.where(xp.isfinite(value), value, 0.0)) - 1
        terms = terms + xp.where(rises & xp.isfinite(value), own * exp(xp, peak - base), 0.0)
    _, rest = _accumulated(xp, _linear, (decay, terms), axis)
    return State(peak, xp.where(infinite, 0.0, rest * to_peak))


def _linear(_: Namespace, one: Arrays, other: Arrays) -> Arrays:
    """Return one linear map after another."""
    return one[0] * other[0], other[0] * one[1] + other[1]


def _highest_so_far(xp: Namespace, x: Array, axis: int) -> Array:
    if compat.is_numpy_namespace(xp):
        return np.maximum.accumulate(x, axis=axis)
    (peak,) = _accumulated(xp, lambda xp, one, other: (xp.maximum(*one, *other),), (x,), axis)
    return peak


def _accumulated(
    xp: Namespace,
    combine: Callable[[Namespace, Arrays, Arrays], Arrays],
    arrays: Arrays,
    axis: int,
) -> Arrays:
    """Return for each place along the axis what an associative operation makes of all up to it.

    Neighbours are combined, the results for these pairs found, and each of them combined with the
    one entry that follows: 2n operations in 2 log2(n) steps.
    """
    length = arrays[0].shape[axis]
    if length < 2:
        return arrays

    def cut(arrays: Arrays, start: int, stop: int | None, step: int = 1) -> Arrays:
        places = ((slice(None),) * axis) + (slice(start, stop, step), ...)
        return tuple(array[places] for array in arrays)

    even, odd = cut(arrays, 0, None, 2), cut(arrays, 1, None, 2)
    up_to_odd = _accumulated(xp, combine, combine(xp, cut(even, 0, length // 2), odd), axis)
    later = (length - 1) // 2
    up_to_even = combine(xp, cut(up_to_odd, 0, later), cut(even, 1, None))

    def interleaved(first: Array, at_odd: Array, last_odd: Array, at_even: Array) -> Array:
        shape = tuple(2 * n if place == axis else n for place, n in enumerate(at_even.shape))
        in_turn = xp.reshape(xp.stack((at_odd, at_even), axis=axis + 1), shape)
        return xp.concat((first, in_turn, last_odd), axis=axis)

    parts = (cut(even, 0, 1), cut(up_to_odd, 0, later), cut(up_to_odd, later, None), up_to_even)
    return tuple(map(interleaved, *parts))


def _shifted(xp: Namespace, x: Array, axis: int, first: float) -> Array:
    """Return the array moved one place along the axis, with a number in the first place."""
    places = (slice(None),) * axis
    start = xp.full_like(x[(*places, slice(0, 1), ...)], first)
    return xp.concat([start, x[(*places, slice(0, -1), ...)]], axis=axis)


def _over_blocks(x: Array, axis: int) -> Array:
    """Scan a Dask array: each block, and then the states of blocks as a tree."""
    import dask.array as da  # loaded already, since the array is its own
    from dask.array.reductions import cumreduction

    parts = 3 if is_complex(compat.array_namespace(x), x.dtype) else 2
    chunks = (*x.chunks, (parts,))
    terms = da.map_blocks(_block_of_terms, x, new_axis=x.ndim, chunks=chunks, dtype=x.dtype)
    states = cumreduction(
        _block_of_prefixes,
        _engines.dask.merged_blocks,
        -np.inf,
        terms,
        axis=axis,
        dtype=x.dtype,
        method="blelloch",
        preop=_block_of_totals,
    )
    return da.map_blocks(_engines.dask.block_of_values, states, drop_axis=x.ndim, dtype=x.dtype)


@quiet
def _block_of_terms(block: Array) -> Array:
    xp = compat.array_namespace(block)
    zero = xp.zeros_like(block)  # and a lead, to be found, where the terms are complex
    return _engines.dask.packed(State(block, zero, zero if is_complex(xp, block.dtype) else None))


@quiet
def _block_of_prefixes(block: Array, axis: int, dtype: Any) -> Array:  # noqa: ARG001 (Dask's)
    xp, terms = _engines.dask.unpacked(block)
    return _engines.dask.packed(prefixes(xp, terms.peak, axis))


@quiet
def _block_of_totals(block: Array, axis: int, keepdims: bool) -> Array:  # noqa: ARG001 (Dask's)
    xp, terms = _engines.dask.unpacked(block)
    return _engines.dask.packed(_logsum.state_of(xp, terms.peak, None, None, (axis,)))
