"""Dask's arrays: one tree reduction of the states of blocks.

Nothing is computed before the user asks, and a reduction reads its input once: each block, in one
task, becomes its state, and states are merged as Dask merges sums, `split_every` at a time. What
travels between tasks is a tuple of arrays: no user ever holds a block of it. Tasks are quiet, use
the kernels that were chosen where the graph was made, and no thread but their own: Dask has as many
as there are processors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import array_api_compat as compat

from .. import _logsum
from .._namespace import Array, DType, Namespace, quiet
from .._state import State
from . import choice, threads, tiles

# An array as large has kernels for host memory serve its small blocks, too: it repays the loading
# of them, by 0.4 seconds in each process that has a part of it.
_LARGE = 2**24

Parts = tuple[Array | None, ...]
Lift = Callable[..., Parts]
Merge = Callable[[Namespace, Parts], Parts]
Read = Callable[..., Array]


def reduced(
    lift: Lift,
    merge: Merge,
    read: Read | None,
    arrays: tiles.Arrays,
    axes: tuple[int, ...],
    keepdims: bool = True,
    dtype: DType = None,
) -> Array:
    """Return what a function reads from the parts that arrays have along the axes.

    Parameters
    ----------
    lift : callable
        ``lift(xp, *blocks, axes)`` returns the parts of a block, the axes kept with length 1.
    merge : callable
        ``merge(xp, parts)`` merges parts stacked along a first axis.
    read : callable or None
        ``read(xp, parts, axes)`` returns the result, without the axes unless `keepdims`; of None,
        each block of the result is a tuple of parts, for `read_from` and `mapped_with`.
    arrays : sequence
        The array, and others of its shape or None.
    """
    import dask.array as da  # loaded already, since the arrays are its own

    first: Any = arrays[0]
    dtype = first.dtype if dtype is None else dtype
    one = all(array is None for array in arrays[1:])
    lift = functools.partial(_lifted, _kernels(first), lift, len(arrays))
    return da.reduction(
        first if one else _together(arrays),
        chunk=lift,
        combine=functools.partial(_merged, merge, None),
        aggregate=functools.partial(_merged, merge, read),
        axis=axes,
        keepdims=keepdims,
        concatenate=False,
        dtype=dtype,
        meta=_meta(first, dtype, first.ndim if keepdims else first.ndim - len(axes)),
    )


def read_from(read: Read, parts: Array, axes: tuple[int, ...], dtype: DType) -> Array:
    """Return what a function reads from parts, without the axes."""
    import dask.array as da  # loaded already, since the arrays are its own

    places = tuple(range(parts.ndim))
    return da.blockwise(
        functools.partial(_read, read, axes),
        tuple(place for place in places if place not in axes),
        parts,
        places,
        concatenate=False,
        dtype=dtype,
        meta=_meta(parts, dtype, parts.ndim - len(axes)),
    )


def mapped_with(function: Callable[..., Array], x: Array, parts: Array, dtype: DType) -> Array:
    """Return ``function(xp, block, parts)`` of the blocks of an array."""
    import dask.array as da  # loaded already, since the arrays are its own

    places = tuple(range(x.ndim))
    return da.blockwise(
        functools.partial(_mapped, _kernels(x), function),
        places,
        x,
        places,
        parts,
        places,
        align_arrays=False,
        dtype=dtype,
        meta=_meta(x, dtype, x.ndim),
    )


def entrywise(function: Callable[..., Any], arrays: tiles.Arrays, dtype: DType) -> Array:
    """Return ``function(xp, *blocks)`` of the blocks of arrays of one shape, some of them None."""
    read = functools.partial(_unpacked, function)
    return read_from(read, _together(arrays), (), dtype)


def _unpacked(function: Callable[..., Any], xp: Namespace, parts: Parts, _: tuple[int, ...]) -> Any:
    return function(xp, *parts)


def mapped(function: Callable[..., Array], x: Array, dtype: DType) -> Array:
    """Return ``function(xp, block)`` of the blocks of an array."""
    import dask.array as da  # loaded already, since the array is its own

    function = functools.partial(_mapped, _kernels(x), function)
    return da.map_blocks(function, x, dtype=dtype, meta=_meta(x, dtype, x.ndim))


def is_whole(x: Array, axes: tuple[int, ...]) -> bool:
    """Tell whether no block ends within the axes."""
    return all(x.numblocks[axis] == 1 for axis in axes)


def _kernels(x: Array) -> tuple[choice.Kind | None, bool]:
    """Return what tasks need to choose their kernels by.

    That is what was chosen where the graph was made, and whether the array is a large one.
    """
    return choice.of_context(), bool(x.size >= _LARGE)  # which nan is not


def _within(
    kernels: tuple[choice.Kind | None, bool], xp: Namespace
) -> AbstractContextManager[None]:
    """Choose the kernels for a block of a namespace."""
    kind, large = kernels
    if kind is None and large and compat.is_numpy_namespace(xp) and choice.chosen() == "auto":
        kind = "host"
    return choice.within(kind)


def _meta(like: Array, dtype: DType, ndim: int) -> Array:
    import dask.array as da  # loaded already, since the array is its own

    # The real part, lest NumPy warn of complex numbers made real ones
    return da.utils.meta_from_array(like._meta.real, ndim=ndim, dtype=dtype)


def _together(arrays: tiles.Arrays) -> Array:
    """Return arrays of one shape as one array, whose blocks are tuples of theirs."""
    import dask.array as da  # loaded already, since the arrays are its own

    first: Any = arrays[0]
    places = tuple(range(first.ndim))
    there = tuple(array is not None for array in arrays)
    pairs = [(array, places) for array in arrays if array is not None]
    return da.blockwise(
        functools.partial(_tuple, there),
        places,
        *(part for pair in pairs for part in pair),
        dtype=first.dtype,
        meta=first._meta,
    )


def _tuple(there: tuple[bool, ...], *blocks: Array) -> Parts:
    """Return blocks, and None in the place of arrays that are not there."""
    left = iter(blocks)
    return tuple(next(left) if is_there else None for is_there in there)


@quiet
def _lifted(
    kernels: tuple[choice.Kind | None, bool],
    lift: Lift,
    count: int,
    block: Any,
    axis: tuple[int, ...],
    keepdims: bool,  # noqa: ARG001 (Dask's, and true)
    computing_meta: bool = False,
) -> Any:
    if computing_meta:  # Dask asks what kind of array the blocks will be, and gives empty ones
        return block
    blocks = block if isinstance(block, tuple) else (block,) + (None,) * (count - 1)
    xp = compat.array_namespace(blocks[0])
    # A block without axes may be a number of NumPy's.
    blocks = tuple(None if block is None else xp.asarray(block) for block in blocks)
    with _within(kernels, xp), threads.alone():
        return lift(xp, *blocks, axis)


@quiet
def _merged(
    merge: Merge,
    read: Read | None,
    parts: Any,
    axis: tuple[int, ...],
    keepdims: bool,
    computing_meta: bool = False,
) -> Any:
    """Merge the parts in nested lists, as Dask gives them, and read the result."""
    if computing_meta:
        return parts
    listed = list(_flat(parts))
    xp = _namespace_of(listed[0])
    merged: Parts = listed[0]
    if len(listed) > 1:
        stacked = tuple(None if of[0] is None else xp.stack(of) for of in zip(*listed, strict=True))
        merged = merge(xp, stacked)
    return merged if read is None else read(xp, merged, () if keepdims else axis)


def _flat(parts: Any) -> Any:
    if isinstance(parts, list):
        for part in parts:
            yield from _flat(part)
    else:
        yield parts


@quiet
def _read(read: Read, axes: tuple[int, ...], parts: Any) -> Array:
    (of_all,) = _flat(parts)  # in a list for each axis that goes
    return read(_namespace_of(of_all), of_all, axes)


def _namespace_of(parts: Parts) -> Namespace:
    return compat.array_namespace(next(part for part in parts if part is not None))


@quiet
def _mapped(
    kernels: tuple[choice.Kind | None, bool],
    function: Callable[..., Array],
    block: Array,
    *parts: Parts,
) -> Array:
    xp = compat.array_namespace(block)
    with _within(kernels, xp), threads.alone():
        return function(xp, block, *parts)


# Where Dask itself cuts blocks and joins them, as in its scan, a state must travel as one array:
# its parts along a last axis. The terms have no weights, so that there is no scale among them.


def packed(state: State) -> Array:
    """Return a state as one array."""
    xp = compat.array_namespace(state.peak)
    return xp.stack([part for part in state[:3] if part is not None], axis=-1)


def unpacked(block: Array) -> tuple[Namespace, State]:
    """Return the namespace and the state of what `packed` returned."""
    xp = compat.array_namespace(block)
    peak, rest, *lead = (block[..., place] for place in range(block.shape[-1]))
    return xp, State(peak, rest, *lead, *map(xp.ones_like, map(xp.real, lead)))


@quiet
def merged_blocks(one: Array, other: Array) -> Array:
    """Merge two states that travel as arrays."""
    xp, state = unpacked(one)
    return packed(_logsum.merge(xp, state, unpacked(other)[1]))


@quiet
def block_of_values(block: Array) -> Array:
    """Return the logarithms of the sums of a state that travels as an array."""
    xp, state = unpacked(block)
    return _logsum.logarithm(xp, _logsum.value(xp, state))
