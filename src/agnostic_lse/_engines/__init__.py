"""The seam: an array in, its state or its entries out, by the engine that fits."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import array_api_compat as compat
import numpy as np

from .. import _logsum, _sums
from .._namespace import (
    PLAIN,
    Array,
    DType,
    Namespace,
    as_complex,
    is_complex,
    numpy_namespace,
    wide_dtype,
)
from .._state import Logarithm, State
from . import cuda, dask, host, plain, tiles, views
from .choice import chosen

# To import Numba and to load what it has compiled takes half a second, and to compile it three, on
# a machine's first call. This many entries take 3 milliseconds without, so that it is repaid by
# some hundred such arrays or by one of them as long. That kernels had been loaded for another array
# must not matter, since results would depend on what a program did before.
_LEAST_FOR_HOST = 2**19
# Sums of more terms than this are cut, and the terms read twice.
_WHOLE = 2**18


def state_of(
    xp: Namespace, a: Array, b: Array | None, where: Array | None, axes: tuple[int, ...]
) -> State:
    """Return the state of ``sum(b * exp(a))`` along the axes, over the terms of the mask."""
    plain_sum = b is None and where is None
    if plain_sum and (view := _as_numpys(xp, a)) is not None:
        state = state_of(numpy_namespace(), view, None, None, axes)
        return State(*(views.back(a, part) for part in state[:2]))
    if plain_sum and _has_kernels(xp, a):
        return _lifted(a, axes)
    return _state_without_host(xp, a, b, where, axes)


def _state_without_host(
    xp: Namespace, a: Array, b: Array | None, where: Array | None, axes: tuple[int, ...]
) -> State:
    plain_sum = b is None and where is None
    if plain_sum and _on_gpu(xp, a):
        return cuda.lift(a, axes)

    def of_tile(a: Array, b: Array | None, where: Array | None) -> State:
        if plain_sum and _is_plain(xp, a) and (state := plain.lift(a, axes)) is not None:
            return state
        return _logsum.state_of(xp, a, b, where, axes)

    if tiles.serves(xp, a):
        return _by_tiles(of_tile, (a, b, where), axes)
    return of_tile(a, b, where)


def _by_tiles(function: Callable[..., State], arrays: tiles.Arrays, axes: tuple[int, ...]) -> State:
    return State(*tiles.reduced(function, arrays, axes, functools.partial(_merged_pair, np)))


def sum_of_blocks(
    arrays: tiles.Arrays,
    axes: tuple[int, ...],
    read: Callable[..., Array] | None,
    keepdims: bool = True,
    dtype: DType = None,
) -> Array:
    """Return what a function reads from the state of a, b and where, arrays of Dask.

    Of none, return the array whose blocks are the parts of the state, as `dask.reduced` does.
    """
    return dask.reduced(_lifted_block, _merged_blocks, read, arrays, axes, keepdims, dtype)


def _lifted_block(
    xp: Namespace, a: Array, b: Array | None, where: Array | None, axes: tuple[int, ...]
) -> tiles.Results:
    """Return the state of a block, in a dtype in which merging many of them rounds nothing away."""
    a, b, where = _sums.nonempty_terms(xp, a, b, where, axes)
    return widened(xp, state_of(xp, a, b, where, axes))


def widened(xp: Namespace, parts: tiles.Results) -> tiles.Results:
    """Return parts of a state in wider dtypes, where there are any."""

    def wide(part: Array | None) -> Array | None:
        if part is None:
            return None
        if is_complex(xp, part.dtype):
            return as_complex(xp, wide(xp.real(part)), wide(xp.imag(part)))
        return xp.astype(part, wide_dtype(xp, part), copy=False)

    return tuple(map(wide, parts))


def _merged_blocks(xp: Namespace, parts: tiles.Results) -> tiles.Results:
    if parts[2] is None:
        return _logsum.merge_all(xp, State(*parts))
    return tiles.tree(xp, parts, functools.partial(_merged_pair, xp))


def _merged_pair(xp: Namespace, one: tiles.Results, other: tiles.Results) -> tiles.Results:
    return _logsum.merge(xp, State(*one), State(*other))


def log_sum(
    xp: Namespace, a: Array, b: Array | None, where: Array | None, axes: tuple[int, ...]
) -> Logarithm:
    """Return the logarithm of ``sum(b * exp(a))``, or of its magnitude beside its sign."""
    plain_sum = b is None and where is None
    if plain_sum and (view := _as_numpys(xp, a)) is not None:
        out = log_sum(numpy_namespace(), view, None, None, axes).log_abs
        # PyTorch's own sums lie in C order, so that a program may count on it.
        return Logarithm(views.back(a, np.asarray(out, order="C")))
    if plain_sum and _has_kernels(xp, a):
        out = host.log_sum(a, axes)
        return _logsum.value(np, _lifted(a, axes)) if out is None else Logarithm(out)
    return _logsum.value(xp, _state_without_host(xp, a, b, where, axes))


def _lifted(x: Any, axes: tuple[int, ...]) -> State:
    """Return the state of sums by the kernels for host memory."""
    state = host.lift(x, axes)
    return state or _by_tiles(lambda x: host.lift_copy(x, axes), (x,), axes)


Entries = Callable[[Namespace, Array, State | None, tuple[int, ...]], Array]


def normalised(
    xp: Namespace, x: Array, axes: tuple[int, ...], logarithm: bool, entries: Entries
) -> Array:
    """Return softmax along the axes, or its logarithm.

    ``entries(xp, x, state, axes)`` makes it of an array, and of the state, which it finds itself
    where there is none.
    """
    if compat.is_dask_namespace(xp):
        return _normalised_blocks(x, axes, logarithm, entries)
    if _on_gpu(xp, x):
        return cuda.normalised(x, axes, logarithm)
    if (view := _as_numpys(xp, x)) is not None:
        return views.back(x, normalised(numpy_namespace(), view, axes, logarithm, entries))
    if _has_kernels(xp, x):
        out = host.normalised(x, axes, logarithm)
        if out is None and (_are_few(x, axes) or not tiles.serves(xp, x)):
            copied = functools.partial(host.normalised_copy, axes=axes, logarithm=logarithm)
            out = tiles.mapped(copied, (x,), whole=axes)
        if out is not None:
            return out
    if tiles.serves(xp, x) and not _are_few(x, axes):
        return _entries_of(xp, x, axes, logarithm, entries, state_of(xp, x, None, None, axes))
    return _entries_of(xp, x, axes, logarithm, entries)


def _entries_of(
    xp: Namespace,
    x: Array,
    axes: tuple[int, ...],
    logarithm: bool,
    entries: Entries,
    state: State | None = None,
) -> Array:
    """Return softmax or its logarithm from a state, if there is one."""

    def of_tile(x: Array, *state: Array) -> Array:
        of_all = State(*state) if state else None
        out = plain.normalised(x, axes, logarithm, of_all) if _is_plain(xp, x) else None
        return entries(xp, x, of_all, axes) if out is None else out

    slots = state[:2] if state else ()
    if not tiles.serves(xp, x):
        return of_tile(x, *slots)
    return tiles.mapped(of_tile, (x,), slots, () if state else axes)


def _normalised_blocks(x: Array, axes: tuple[int, ...], logarithm: bool, entries: Entries) -> Array:
    """Return softmax, or its logarithm, of a Dask array: of each block alone where it is whole."""
    write = functools.partial(_normalised_block, axes, logarithm, entries)
    if dask.is_whole(x, axes):
        return dask.mapped(write, x, x.dtype)
    return dask.mapped_with(write, x, sum_of_blocks((x, None, None), axes, None), x.dtype)


def _normalised_block(
    axes: tuple[int, ...],
    logarithm: bool,
    entries: Entries,
    xp: Namespace,
    x: Array,
    parts: tiles.Results | None = None,
) -> Array:
    if 0 in x.shape:
        return x
    if parts is None:
        return normalised(xp, x, axes, logarithm, entries)
    state = State(*(xp.astype(part, x.dtype, copy=False) for part in parts[:2]))
    return _entries_of(xp, x, axes, logarithm, entries, state)


def _are_few(x: Array, axes: tuple[int, ...]) -> bool:
    return math.prod(int(x.shape[axis]) for axis in axes) <= _WHOLE


def reduced(
    xp: Namespace,
    function: Callable[..., tiles.Results],
    arrays: tiles.Arrays,
    axes: tuple[int, ...],
    combine: Callable[[tiles.Results, tiles.Results], tiles.Results],
    slots: tiles.Arrays = (),
) -> tiles.Results:
    """Return what a function makes of arrays along the axes, kept with length 1.

    `combine` combines what it makes of parts of them, entry by entry, and `slots` are arguments of
    one number for each sum.
    """
    if tiles.serves(xp, next(array for array in arrays if array is not None)):
        return tiles.reduced(function, arrays, axes, combine, slots)
    return function(*arrays, *slots)


def scanned(
    xp: Namespace,
    total: Callable[[Array], tiles.Results],
    before: Callable[[tiles.Results, int], tiles.Results],
    write: Callable[..., Array],
    x: Array,
    axis: int,
) -> Array:
    """Return what `write` makes of an array along an axis, from the first entry to the last.

    Of a part it makes it from what `before` makes of the totals of all parts before.
    """
    return tiles.scanned(total, before, write, x, axis) if tiles.serves(xp, x) else write(x)


def mapped(xp: Namespace, function: Callable[..., Array], *arrays: Array) -> Array:
    """Return a function of the entries of arrays of one shape."""
    if tiles.serves(xp, arrays[0]):
        return tiles.mapped(function, arrays)
    return function(*arrays)


def _is_plain(xp: Namespace, x: Array) -> bool:
    return compat.is_numpy_namespace(xp) and x.dtype in PLAIN


def _on_gpu(xp: Namespace, x: Array) -> bool:
    """Tell whether the kernels for GPU memory serve an array."""
    return compat.is_cupy_namespace(xp) and chosen() in ("auto", "cuda") and cuda.serves(x)


def _has_kernels(xp: Namespace, x: Array) -> bool:
    """Tell whether the kernels for host memory serve an array."""
    if not _is_plain(xp, x) or chosen() not in ("auto", "host"):
        return False
    return x.size >= _least_for_host() and host.kernels() is not None


def _least_for_host() -> int:
    return 1 if chosen() == "host" else _LEAST_FOR_HOST


def _as_numpys(xp: Namespace, x: Array) -> Any:
    """Return an array of PyTorch or JAX in host memory as NumPy sees it, or None of any other.

    Of ten numbers each step takes PyTorch several microseconds and NumPy less than one, and there
    are thirty of them: 160 microseconds against 12. From 100,000 on tiles and threads count. Of
    JAX's only those are taken that kernels serve, since NumPy waits for them.
    """
    if compat.is_numpy_namespace(xp) or chosen() not in ("auto", "host"):
        return None
    if compat.is_torch_namespace(xp):
        return views.of_torch(x)
    if compat.is_jax_namespace(xp) and x.size >= _least_for_host():
        view = views.of_jax(x)  # none while it traces, for which Numba need not be loaded
        return None if view is None or host.kernels() is None else view
    return None
