"""Tiles of large arrays in host memory, so that the work on each stays in cache.

Without them each step of a calculation writes an array as large as its input to memory, and the
next one reads it back.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat as compat
import numpy as np

from .._namespace import Array, Namespace
from . import threads

# Entries of a tile. A step on 2**16 of float64 takes some 50 microseconds, against 1 for the call;
# the few arrays that a step has are 2 MiB, which the cache of a processor's core holds.
SIZE = 2**16
# Along the axis that is the fastest in memory, fewer entries would not fill a page.
_LEAST_RUN = 512
# Of the terms of a sum, fewer would leave nearly as many states.
_LEAST_TERMS = 64

Arrays = Sequence[Array | None]
Results = tuple[Array | None, ...]
Place = tuple[slice, ...]


def serves(xp: Namespace, array: Array) -> bool:
    """Tell whether an array is large and lies in host memory that can be written to at once."""
    return compat.is_numpy_namespace(xp) and array.size > SIZE


@functools.cache
def _keep_memory() -> None:
    """Let the C library keep what a step on a tile frees for the steps that follow.

    glibc begins by giving all free memory at the end of its heap back, from 128 KiB on, and pages
    that are mapped and cleared anew for each step take three times as long as the step. What raises
    that to twice as many bytes is to free an array of more (mallopt(3), M_MMAP_THRESHOLD): here of
    8 tiles of float64, for the 5 or so that a tile has at once. None of it is ever touched. It
    holds for the whole process, as it does once any program has freed such an array.
    """
    np.empty(8 * SIZE)


def mapped(
    function: Callable[..., Array],
    arrays: Arrays,
    slots: Arrays = (),
    whole: tuple[int, ...] = (),
) -> Array:
    """Return an array of entries, tile by tile, none of which cuts the axes named whole.

    The function is given a tile of each array, and of each of the slots what belongs to it.
    """
    _keep_memory()
    first = _first(arrays)
    places = [place for (place,) in cut(first, (), whole)]
    out = np.empty_like(first)

    def write(number: int) -> None:
        place = places[number]
        out[place] = function(*_at(place, arrays), *_at(place, slots))

    threads.run(write, len(places))
    return out


def reduced(
    function: Callable[..., Results],
    arrays: Arrays,
    axes: tuple[int, ...],
    combine: Callable[[Results, Results], Results],
    slots: Arrays = (),
) -> Results:
    """Return what a function makes of tiles along the axes, kept with length 1, combined as a tree.

    Its results are arrays; what combines them must go entry by entry.
    """
    _keep_memory()
    first = _first(arrays)
    parts = cut(first, axes)
    places = list(itertools.chain(*parts))
    found: list[Results] = [()] * len(places)

    def reduce(number: int) -> None:
        place = places[number]
        found[number] = function(*_at(place, arrays), *_at(place, slots))

    threads.run(reduce, len(places))
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(first.shape))
    out = tuple(None if part is None else np.empty(shape, part.dtype) for part in found[0])
    start = 0
    for part in parts:
        results = found[start : start + len(part)]
        start += len(part)
        stacked = tuple(
            None if of[0] is None else np.stack(of) for of in zip(*results, strict=True)
        )
        for to, from_ in zip(out, tree(np, stacked, combine), strict=True):
            if to is not None:
                to[_slot(part[0], to)] = from_
    return out


def scanned(
    total: Callable[[Array], Results],
    before: Callable[[Results, int], Results],
    write: Callable[..., Array],
    x: Array,
    axis: int,
) -> Array:
    """Return an array of the shape of another, made along an axis from the first entry to the last.

    `total` reduces a tile along the axis, `before` turns what tiles gave, along the axis, into what
    all tiles before each one give together, and `write` makes the entries of a tile from that.
    """
    _keep_memory()
    parts = cut(x, (axis,))
    places = list(itertools.chain(*parts))
    found: list[Results] = [()] * len(places)
    out = np.empty_like(x)

    def reduce(number: int) -> None:
        found[number] = total(x[places[number]])

    def scan(number: int) -> None:
        out[places[number]] = write(x[places[number]], *found[number])

    threads.run(reduce, len(places))
    start = 0
    for part in parts:
        stop = start + len(part)
        together = zip(*found[start:stop], strict=True)
        carried = before(tuple(np.concatenate(each, axis=axis) for each in together), axis)
        for number in range(start, stop):
            place = (slice(None),) * axis + (slice(number - start, number - start + 1),)
            found[number] = _each(carried, place)
        start = stop
    threads.run(scan, len(places))
    return out


def tree(
    xp: Namespace, results: Results, combine: Callable[[Results, Results], Results]
) -> Results:
    """Return results along their first axis combined as a tree, without the axis."""
    while (count := len(_first(results))) > 1:
        half = count // 2
        both = combine(*(_each(results, part) for part in (slice(half), slice(half, 2 * half))))
        if count % 2:
            pairs: Any = zip(both, _each(results, slice(2 * half, None)), strict=True)
            both = tuple(None if pair[0] is None else xp.concat(pair) for pair in pairs)
        results = both
    return _each(results, 0)


def cut(array: Array, axes: tuple[int, ...], whole: tuple[int, ...] = ()) -> list[list[Place]]:
    """Return the places of tiles: for each that is one along the axes, its parts along them."""
    step = list(array.shape)
    kept = sorted(set(range(array.ndim)) - {*axes, *whole}, key=lambda a: -abs(array.strides[a]))
    summed = sorted(axes, key=lambda axis: -abs(array.strides[axis]))
    fastest = min(range(array.ndim), key=lambda axis: abs(array.strides[axis]), default=0)
    # What need not be cut stays whole: first the runs in memory and the sums, then the runs.
    for least_run, least_terms in ((_LEAST_RUN, _LEAST_TERMS), (_LEAST_RUN, 1), (1, 1)):
        for axis in (*kept, *summed):
            least = least_terms if axis in axes else 1
            least = min(array.shape[axis], max(least, least_run if axis == fastest else 1))
            too_large = -(-math.prod(step) // SIZE)
            if too_large > 1:
                step[axis] = min(step[axis], max(least, step[axis] // too_large))

    def ranges(axis: int) -> list[slice]:
        length = array.shape[axis]
        return [slice(i, min(i + step[axis], length)) for i in range(0, length, step[axis])]

    def places(of: Callable[[int], list[slice]]) -> list[Place]:
        return list(itertools.product(*map(of, range(array.ndim))))

    def merged(one: Place, other: Place) -> Place:
        return tuple(one[axis] if axis in axes else other[axis] for axis in range(array.ndim))

    along = places(lambda axis: ranges(axis) if axis in axes else [slice(None)])
    across = places(lambda axis: [slice(None)] if axis in axes else ranges(axis))
    return [[merged(part, tile) for part in along] for tile in across]


def _first(arrays: Arrays) -> Array:
    return next(array for array in arrays if array is not None)


def _each(results: Results, place: slice | int | Place) -> Results:
    return tuple(None if array is None else array[place] for array in results)


def _at(place: Place, arrays: Arrays) -> list[Array | None]:
    """Return the part of each array at a place, all of an axis of length 1."""
    return [None if array is None else array[_slot(place, array)] for array in arrays]


def _slot(place: Place, array: Array) -> Place:
    return tuple(
        slice(None) if n == 1 else part for part, n in zip(place, array.shape, strict=True)
    )
