"""Sums of exponentials over segments: entries that share a number."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import Any

import array_api_compat as compat

from . import _engines, _logsum
from ._logsum import State
from ._namespace import (
    Array,
    Namespace,
    arguments,
    constant,
    finished,
    one_axis,
    quiet,
    real_working,
    whole_numbers,
)


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
    xp, dtype, (x,), _ = arguments(xp, x=x)
    x = real_working(xp, "x", x, dtype)
    if x.ndim == 0:
        raise ValueError(
            "x is a single number, but an array of at least one axis was expected: "
            "put it into a list."
        )
    axis = one_axis(axis, x.ndim)
    num_segments = _checked_count(num_segments)
    ids = whole_numbers(xp, "segment_ids", segment_ids, beside=("x", x))
    if tuple(ids.shape) != (x.shape[axis],):
        raise ValueError(
            f"segment_ids has shape {tuple(ids.shape)}, but x has {x.shape[axis]} entries along "
            f"axis {axis}: give one number for each."
        )
    _refuse_out_of_range(xp, ids, num_segments)
    x = _with_axis_at(xp, x, axis, 0)
    if compat.is_dask_namespace(xp):
        out = _over_blocks(xp, x, ids, num_segments)
    else:
        out = _logsum.value(xp, _segments(xp, x, ids, num_segments))[0]
    return finished(xp, _with_axis_at(xp, out, 0, axis), dtype)


def _with_axis_at(xp: Namespace, x: Array, source: int, place: int) -> Array:
    """Return the array with an axis moved to a place, in a way that PyTorch's vmap knows."""
    order = [axis for axis in range(x.ndim) if axis != source]
    order.insert(place, source)
    return xp.permute_dims(x, tuple(order))


def _checked_count(num_segments: int) -> int:
    try:
        count = operator.index(num_segments)
    except TypeError:
        raise TypeError(
            f"num_segments is {num_segments!r}, but an integer was expected: pass the number of "
            "segments."
        ) from None
    if count < 0:
        raise ValueError(
            f"num_segments is {count}, but a number of at least 0 was expected: pass the number of "
            "segments."
        )
    return count


def _refuse_out_of_range(xp: Namespace, ids: Array, num_segments: int) -> None:
    if ids.shape[0] == 0 or not _is_at_hand(ids):
        return
    lowest, highest = int(xp.min(ids)), int(xp.max(ids))
    if lowest < 0 or highest >= num_segments:
        raise ValueError(
            f"segment_ids has numbers from {lowest} to {highest}, but num_segments is "
            f"{num_segments}: give numbers below it, from 0."
        )


def _is_at_hand(array: Array) -> bool:
    """Return whether entries can be looked at without computing or waiting for them."""
    if compat.is_cupy_array(array) or compat.is_dask_array(array):
        return False
    if compat.is_torch_array(array):
        import torch  # loaded already, since the array is its own

        transformed = torch._C._functorch.is_functorch_wrapped_tensor(array)
        return str(array.device) == "cpu" and not transformed
    if compat.is_jax_array(array):
        import jax  # loaded already, since the array is its own

        traced = isinstance(array, jax.core.Tracer)
        return not traced and all(device.platform == "cpu" for device in array.devices())
    return True


def _segments(xp: Namespace, x: Array, ids: Array, num_segments: int) -> State:
    """Return the state of each segment of the first axis."""
    order = xp.argsort(ids, stable=True)
    ids, x = xp.take(ids, order), xp.take(x, order, axis=0)
    every = xp.arange(num_segments, dtype=ids.dtype, device=compat.device(ids))
    # Under PyTorch's vmap over the ids, an array for each: one that is expanded it warns of.
    every = every + 0 * xp.sum(ids[:1], dtype=ids.dtype)
    sum_of = functools.partial(
        _over_ranges,
        xp,
        xp.searchsorted(ids, every, side="left"),
        xp.searchsorted(ids, every, side="right"),
    )
    peak = sum_of(constant(x), xp.maximum, -xp.inf)
    place = xp.clip(ids, 0, max(num_segments - 1, 0))
    peak_of_each = xp.take(peak, place, axis=0) if num_segments else xp.zeros_like(x)
    scaled = _logsum.exp_relative(xp, x, peak_of_each)
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
    """Sum the blocks of a Dask array, and merge the states of blocks as a tree."""
    import dask.array as da  # loaded already, since the array is its own

    if 0 in x.shape or num_segments == 0:
        return xp.full((num_segments, *x.shape[1:]), -xp.inf, dtype=x.dtype)
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
    return da.map_blocks(_engines.dask.block_of_values, states[0], drop_axis=x.ndim, dtype=x.dtype)


@quiet
def _block_of_segments(x: Array, ids: Array, num_segments: int) -> Array:
    xp = compat.array_namespace(x)
    return _engines.dask.packed(_segments(xp, x, xp.reshape(ids, (-1,)), num_segments))
