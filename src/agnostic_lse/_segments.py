"""Sums of exponentials over segments: entries that share a number."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import array_api_compat as compat
import numpy as np

from . import _engines, _logsum, _reductions, _sums
from ._namespace import (
    Array,
    DType,
    Namespace,
    arguments,
    constant,
    finished,
    how_to_trace,
    is_at_hand,
    one_axis,
    quiet,
    real_working,
    whole_numbers,
)
from ._state import State
from ._wording import counted


@quiet
def segment_logsumexp(
    x: Any,
    segment_ids: Any,
    num_segments: int,
    *,
    axis: int = 0,
    xp: Namespace | None = None,
) -> Any:
    r"""Logarithm of a sum of exponentials over each segment.

    Parameters
    ----------
    x : array_like
        Real exponents.
    segment_ids : array_like of int, of shape (n,)
        For each of the n places along the axis the number of its segment, in any order.
    num_segments : int
        Number of segments.
    axis : int, default 0
        Axis to sum along.
    xp : namespace, optional
        Array namespace of the arguments, where it is known.

    Returns
    -------
    array
        Of the shape of `x`, but `num_segments` along the axis, in its namespace, on its device and
        of its dtype; integers and booleans give the namespace's default real dtype. -inf for a
        segment without entries.

    Raises
    ------
    TypeError
        If `x` is not real, if `segment_ids` or `num_segments` are no integers, if an argument is
        sparse or masked, or if namespaces are mixed.
    ValueError
        If devices are mixed, `x` has no axis or `axis` is out of range, `segment_ids` is not as
        long as the axis, `num_segments` is negative, or a number is not from 0 to
        ``num_segments - 1``. Numbers that cannot be looked at without waiting, on a GPU, in a Dask
        array or under ``jax.jit``, are not refused: what they number is left out.

    See Also
    --------
    logsumexp : The same over a whole axis.
    segment_softmax : Each entry's share of its segment.
    segment_log_softmax : The logarithm of that share.

    Notes
    -----
    .. math:: y_s = \log \sum_{i : g_i = s} e^{x_i}

    Each segment is summed relative to its own largest term, as a tree, so that neither its length
    nor the other segments take digits from it.

    Examples
    --------
    >>> from agnostic_lse import segment_logsumexp
    >>> x = [0.0, 1000.0, -40.0, 1000.0]
    >>> print(segment_logsumexp(x, [0, 2, 0, 2], num_segments=3).tolist())
    [4.248354255291589e-18, -inf, 1000.6931471805599]
    """
    xp, dtype, x, ids, count, axis, _ = _prepared(xp, x, segment_ids, num_segments, axis)
    if compat.is_dask_namespace(xp):
        out = _over_blocks(xp, x, ids, count)
    else:
        out = _logsum.value(xp, _segments(xp, x, ids, count)).log_abs
    return finished(xp, _with_axis_at(xp, out, 0, axis), dtype)


@quiet
def segment_softmax(
    x: Any,
    segment_ids: Any,
    num_segments: int,
    *,
    axis: int = 0,
    xp: Namespace | None = None,
) -> Any:
    r"""Exponentials divided by their sum over each segment.

    Parameters
    ----------
    x : array_like
        Real exponents.
    segment_ids : array_like of int, of shape (n,)
        For each of the n places along the axis the number of its segment, in any order.
    num_segments : int
        Number of segments.
    axis : int, default 0
        Axis to sum along.
    xp : namespace, optional
        Array namespace of the arguments, where it is known.

    Returns
    -------
    array
        Of the shape of `x`, in its namespace, on its device and of its dtype; integers and
        booleans give the namespace's default real dtype. The entries of a segment add up to 1, or
        to 0 where all are -inf. Entries at +inf share the mass of their segment equally.

    Raises
    ------
    TypeError
        If `x` is not real, if `segment_ids` or `num_segments` are no integers, if an argument is
        sparse or masked, or if namespaces are mixed.
    ValueError
        If devices are mixed, `x` has no axis or `axis` is out of range, `segment_ids` is not as
        long as the axis, `num_segments` is negative, or a number is not from 0 to
        ``num_segments - 1``. Numbers that cannot be looked at without waiting, on a GPU, in a Dask
        array or under ``jax.jit``, are not refused: what they number belongs to no segment, and
        gives 0.

    See Also
    --------
    segment_log_softmax : Its logarithm, without underflow.
    segment_logsumexp : The logarithm of the sum over each segment.
    softmax : The same over whole axes.

    Notes
    -----
    .. math:: \frac{e^{x_i - x_k}}{1 + \sum_{j \ne k, g_j = g_i} e^{x_j - x_k}}
       \quad\text{with}\quad x_k = \max_{j : g_j = g_i} x_j

    where :math:`g_i` is the segment of entry i. On the edges of a graph, numbered by the nodes at
    which they end, it is the attention of each node.

    Examples
    --------
    >>> from agnostic_lse import segment_softmax
    >>> x = [0.0, 1000.0, -1000.0, 1000.0]
    >>> print(segment_softmax(x, [0, 2, 0, 2], num_segments=3).tolist())
    [1.0, 0.5, 0.0, 0.5]
    """
    return _normalised(xp, x, segment_ids, num_segments, axis, _reductions.probabilities, 0.0)


@quiet
def segment_log_softmax(
    x: Any,
    segment_ids: Any,
    num_segments: int,
    *,
    axis: int = 0,
    xp: Namespace | None = None,
) -> Any:
    r"""Exponents minus the logsumexp of their segment.

    Parameters
    ----------
    x : array_like
        Real exponents.
    segment_ids : array_like of int, of shape (n,)
        For each of the n places along the axis the number of its segment, in any order.
    num_segments : int
        Number of segments.
    axis : int, default 0
        Axis to sum along.
    xp : namespace, optional
        Array namespace of the arguments, where it is known.

    Returns
    -------
    array
        Of the shape of `x`, in its namespace, on its device and of its dtype; integers and
        booleans give the namespace's default real dtype. All -inf in a segment whose entries all
        are -inf. Entries at +inf share the mass of their segment equally.

    Raises
    ------
    TypeError
        If `x` is not real, if `segment_ids` or `num_segments` are no integers, if an argument is
        sparse or masked, or if namespaces are mixed.
    ValueError
        If devices are mixed, `x` has no axis or `axis` is out of range, `segment_ids` is not as
        long as the axis, `num_segments` is negative, or a number is not from 0 to
        ``num_segments - 1``. Numbers that cannot be looked at without waiting, on a GPU, in a Dask
        array or under ``jax.jit``, are not refused: what they number belongs to no segment, and
        gives -inf.

    See Also
    --------
    segment_softmax : Its exponential.
    segment_logsumexp : The logarithm of the sum over each segment.
    log_softmax : The same over whole axes.

    Notes
    -----
    .. math:: (x_i - x_k) - \log\Bigl(1 + \sum_{j \ne k, g_j = g_i} e^{x_j - x_k}\Bigr)
       \quad\text{with}\quad x_k = \max_{j : g_j = g_i} x_j

    by ``log1p``, where :math:`g_i` is the segment of entry i, so that the logarithm of a
    probability close to 1 keeps its digits.

    Examples
    --------
    >>> from agnostic_lse import segment_log_softmax
    >>> x = [40.0, 1000.0, 0.0, 1000.0]
    >>> print(segment_log_softmax(x, [0, 2, 0, 2], num_segments=3).tolist())
    [-4.248354255291589e-18, -0.6931471805599453, -40.0, -0.6931471805599453]
    """
    return _normalised(xp, x, segment_ids, num_segments, axis, _reductions.logarithms, -math.inf)


def _prepared(
    xp: Namespace | None, x: Any, segment_ids: Any, num_segments: Any, axis: int
) -> tuple[Namespace, DType, Array, Array, int, int, bool]:
    """Return the checked arguments, the axis of x first, and whether ids are known to be in range.

    Where they are not known, entries of no segment become -inf, lest infinities and nan among them
    reach derivatives. Dask has none.
    """
    xp, dtype, (x,), _ = arguments(xp, indices={"segment_ids": segment_ids}, x=x)
    x = real_working(xp, "x", x, dtype)
    if x.ndim == 0:
        raise ValueError(
            "x is a single number, but an array of at least one axis was expected: "
            "put it into a list."
        )
    axis = one_axis(axis, x.ndim)
    count = _checked_count(num_segments)
    ids = whole_numbers(xp, "segment_ids", segment_ids, beside=("x", x))
    if tuple(ids.shape) != (x.shape[axis],):
        raise ValueError(
            f"segment_ids has shape {tuple(ids.shape)}, but x has "
            f"{counted(x.shape[axis], 'entry', 'entries')} along axis {axis}: give one number for "
            "each."
        )
    within = ids.shape[0] == 0 or is_at_hand(ids)
    if within:
        _refuse_out_of_range(xp, ids, count)
    x = _with_axis_at(xp, x, axis, 0)
    if not within and not compat.is_dask_namespace(xp):
        x = xp.where(_in_range(xp, ids, count, x.ndim), x, -xp.inf)
    return xp, dtype, x, ids, count, axis, within


def _in_range(xp: Namespace, ids: Array, count: int, ndim: int) -> Array:
    """Return whether each number names a segment, to broadcast along the first axis."""
    return xp.reshape((ids >= 0) & (ids < count), (-1,) + (1,) * (ndim - 1))


def _normalised(
    xp: Namespace | None,
    x: Any,
    segment_ids: Any,
    num_segments: Any,
    axis: int,
    entries: _engines.Entries,
    absent: float,
) -> Any:
    """Return what is made of entries and the states of their segments, `absent` without one."""
    xp, dtype, x, ids, count, axis, within = _prepared(xp, x, segment_ids, num_segments, axis)
    if 0 in x.shape:
        out = x
    elif count == 0:
        out = xp.zeros_like(x) + absent
    elif compat.is_dask_namespace(xp):
        out = _normalised_blocks(x, ids, count, absent, entries)
    else:
        state = _segments(xp, x, ids, count)
        out = _entries(xp, x, ids, state, entries, None if within else absent)
    return finished(xp, _with_axis_at(xp, out, 0, axis), dtype)


def _entries(
    xp: Namespace,
    x: Array,
    ids: Array,
    state: State,
    entries: _engines.Entries,
    absent: float | None,
) -> Array:
    """Return what is made of each entry and the state of its segment.

    An entry of no segment becomes `absent`, which is None where there is none.
    """
    count = state.peak.shape[0]
    place = ids if absent is None else xp.clip(ids, 0, count - 1)

    def of_tile(x: Array, peak: Array, rest: Array) -> Array:
        return entries(xp, x, State(peak, rest), ())

    slots = (xp.take(_written(part), place, axis=0) for part in state[:2])
    out = _engines.mapped(xp, of_tile, x, *slots)
    return out if absent is None else xp.where(_in_range(xp, ids, count, x.ndim), out, absent)


def _written(part: Array) -> Array:
    """Return an array with one entry for each segment, and let JAX's compiler write it to memory.

    Otherwise it fuses the array with what is taken from it, and works the state of a segment out
    again for each of its entries: a softmax of a million took 0.57 seconds of a processor instead
    of 0.32. It drops `jax.lax.optimization_barrier` before it fuses, but no scatter.
    """
    if not compat.is_jax_array(part):
        return part
    xp = compat.array_namespace(part)
    return xp.zeros_like(part).at[xp.arange(part.shape[0])].set(part, unique_indices=True)


def _with_axis_at(xp: Namespace, x: Array, source: int, place: int) -> Array:
    """Return the array with an axis moved to a place, in a way that PyTorch's vmap knows."""
    order = [axis for axis in range(x.ndim) if axis != source]
    order.insert(place, source)
    return xp.permute_dims(x, tuple(order))


def _checked_count(num_segments: int) -> int:
    try:
        count = operator.index(num_segments)
    except TypeError:
        how = how_to_trace(num_segments) or "pass the number of segments"
        raise TypeError(
            f"num_segments is {num_segments!r}, but an integer was expected: {how}."
        ) from None
    if count < 0:
        raise ValueError(
            f"num_segments is {count}, but a number of at least 0 was expected: pass the number of "
            "segments."
        )
    return count


def _refuse_out_of_range(xp: Namespace, ids: Array, num_segments: int) -> None:
    if ids.shape[0] == 0:
        return
    if compat.is_jax_array(ids):  # whose minimum is traced where a program around it is
        xp, ids = np, np.asarray(ids)
    lowest, highest = int(xp.min(ids)), int(xp.max(ids))
    if lowest < 0 or highest >= num_segments:
        raise ValueError(
            f"segment_ids has numbers from {lowest} to {highest}, but num_segments is "
            f"{num_segments}: give numbers below it, from 0."
        )


def _segments(xp: Namespace, x: Array, ids: Array, num_segments: int) -> State:
    """Return the state of each segment of the first axis."""
    order = xp.argsort(ids, stable=True)
    ids, x = xp.take(ids, order), xp.take(x, order, axis=0)
    every = xp.arange(num_segments, dtype=ids.dtype, device=compat.device(ids))
    # Under PyTorch's vmap over the ids, an array for each: one that is expanded it warns of.
    every = every + 0 * xp.sum(ids[: min(1, ids.shape[0])], dtype=ids.dtype)
    sum_of = functools.partial(
        _over_ranges,
        xp,
        xp.searchsorted(ids, every, side="left"),
        xp.searchsorted(ids, every, side="right"),
    )
    peak = sum_of(constant(x), xp.maximum, -xp.inf)
    place = xp.clip(ids, 0, max(num_segments - 1, 0))
    peak_of_each = xp.take(peak, place, axis=0) if num_segments else xp.zeros_like(x)
    scaled = _sums.exp_relative(xp, x, peak_of_each)
    leading = _logsum.leading_digits(xp, scaled, peak_of_each)
    others = sum_of(scaled - leading, operator.add, 0.0)
    leading = sum_of(leading, operator.add, 0.0)
    return State(peak, _logsum.rest_at(xp, peak, leading, others))


def _over_ranges(
    xp: Namespace,
    start: Array,
    stop: Array,
    x: Array,
    combine: Callable[[Array, Array], Array],
    identity: float,
) -> Array:
    """Return x combined from start to stop along its first axis, for each pair of these.

    A range is the union of at most two nodes of each level of a binary tree over x. From the leaves
    up, a range that begins with a right child takes it, one that ends with a left child takes that,
    and the rest of it are whole nodes of the next level.
    """
    shape = (start.shape[0], *x.shape[1:])
    out = xp.full(shape, identity, dtype=x.dtype, device=compat.device(x))

    def taking(out: Array, level: Array, chosen: Array, place: Array) -> Array:
        entries = xp.take(level, xp.where(chosen, place, xp.zeros_like(place)), axis=0)
        chosen = xp.reshape(chosen, (-1,) + (1,) * (x.ndim - 1))
        return xp.where(chosen, combine(out, entries), out)

    while x.shape[0] > 0:
        out = taking(out, x, (start < stop) & (start % 2 == 1), start)
        start = start + start % 2
        out = taking(out, x, (start < stop) & (stop % 2 == 1), stop - 1)
        start, stop = start // 2, stop // 2
        if x.shape[0] == 1:
            break
        if x.shape[0] % 2:
            x = xp.concat([x, xp.full_like(x[:1, ...], identity)], axis=0)
        x = combine(x[0::2, ...], x[1::2, ...])
    return out


def _over_blocks(xp: Namespace, x: Array, ids: Array, num_segments: int) -> Array:
    """Return the logarithms of the sums of a Dask array over each segment."""
    import dask.array as da  # loaded already, since the array is its own

    if 0 in x.shape or num_segments == 0:
        return xp.full((num_segments, *x.shape[1:]), -xp.inf, dtype=x.dtype)
    state = _state_of_blocks(x, ids, num_segments)
    return da.map_blocks(_engines.dask.block_of_values, state, drop_axis=x.ndim, dtype=x.dtype)


def _state_of_blocks(x: Array, ids: Array, num_segments: int) -> Array:
    """Sum the blocks of a Dask array, and merge the states of blocks as a tree."""
    import dask.array as da  # loaded already, since the array is its own

    ids = da.reshape(ids, (-1,) + (1,) * (x.ndim - 1))
    ids = da.rechunk(ids, {0: x.chunks[0]})
    count = len(x.chunks[0])
    blocks = da.map_blocks(
        functools.partial(_block_of_segments, num_segments=num_segments),
        x,
        ids,
        new_axis=x.ndim,
        chunks=((num_segments,) * count, *x.chunks[1:], (2,)),
        dtype=x.dtype,
    )
    states = [blocks[k * num_segments : (k + 1) * num_segments] for k in range(count)]
    while len(states) > 1:
        merged = [
            da.map_blocks(_engines.dask.merged_blocks, *pair, dtype=x.dtype)
            for pair in zip(states[0::2], states[1::2], strict=False)
        ]
        states = merged + states[2 * len(merged) :]
    return states[0]


@quiet
def _block_of_segments(x: Array, ids: Array, num_segments: int) -> Array:
    xp = compat.array_namespace(x)
    return _engines.dask.packed(_segments(xp, x, xp.reshape(ids, (-1,)), num_segments))


def _normalised_blocks(
    x: Array, ids: Array, num_segments: int, absent: float, entries: _engines.Entries
) -> Array:
    """Return what is made of the blocks of a Dask array and the state of all segments."""
    import dask.array as da  # loaded already, since the array is its own

    places = tuple(range(x.ndim))
    segment, part = x.ndim, x.ndim + 1  # each in one block, and gone from the result
    return da.blockwise(
        functools.partial(_normalised_block, entries=entries, absent=absent),
        places,
        x,
        places,
        da.rechunk(ids, {0: x.chunks[0]}),
        places[:1],
        _state_of_blocks(x, ids, num_segments),
        (segment, *places[1:], part),
        concatenate=True,
        align_arrays=False,
        dtype=x.dtype,
        meta=x._meta,
    )


@quiet
def _normalised_block(
    x: Array, ids: Array, state: Array, entries: _engines.Entries, absent: float
) -> Array:
    xp, of_segments = _engines.dask.unpacked(state)
    return x if 0 in x.shape else _entries(xp, x, ids, of_segments, entries, absent)
