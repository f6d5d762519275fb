"""States of NumPy arrays by kernels that Numba compiles: optional, and never needed.

By its strides an array of any shape is seen as sums with their terms along a last axis: rows, whose
terms lie next to each other in memory, or columns, which lie side by side themselves. They are cut
into parts for the threads, always the same, whatever the number of these.
"""

from __future__ import annotations

import functools
import importlib
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .. import _logsum
from .._state import State
from . import threads

# How many entries a thread takes at once: 2**17 take 50 microseconds, handing them over 5.
_PART = 2**17
# How many columns are taken at once: as many as stay in cache with all their terms, but no fewer
# than fill some lines of it.
_MOST_LANES, _LEAST_LANES = 512, 64
# Fewer columns than these are slower than their transposed copy, which is one of rows.
_LEAST_COLUMNS = 16
# Where fewer columns lie side by side, so many entries are made columns of their own, and merged.
_FOLDED = 256


# Bytes of address space that Numba needs to load, to compile and to run, where LLVM would end the
# process if there were fewer: 295 MB failed and 300 did, with nothing compiled before.
_FOR_NUMBA = 305_000_000
# Numba loads SciPy's OpenBLAS, of whose threads each wants so many, and a stack beside; and where
# there are not enough OpenBLAS tries again for ever.
_FOR_A_THREAD = 40 * 2**20


@functools.cache
def kernels() -> Any:
    """Return the module of compiled functions, or None where Numba cannot be imported."""
    if not _has_room():
        return None
    try:
        return importlib.import_module("._compiled", __package__)
    except ImportError:
        return None


def _has_room() -> bool:
    """Tell whether there is address space for Numba, where that is limited."""
    limit = address_space_limit()
    if limit is None or "numba" in sys.modules:
        return True
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return False  # what is taken already is not known
    taken = int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    number = os.environ.get("OPENBLAS_NUM_THREADS", "")
    others = (int(number) if number.isdecimal() else os.cpu_count() or 1) - 1
    return limit - taken >= _FOR_NUMBA + others * _FOR_A_THREAD


def address_space_limit() -> int | None:
    """Return how many bytes of address space the process may have, or None if all it wants."""
    try:
        import resource  # only Unix has it
    except ImportError:
        return None
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if soft == resource.RLIM_INFINITY else soft


def lift(x: Any, axes: tuple[int, ...]) -> State | None:
    """Return the state of sums along the axes, kept with length 1, or None for other strides."""
    view = _View.of(x, axes)
    if view is None or not _suits(sums := view(x)):
        return None
    return State(*map(view.slots, _lift(sums)[:2]))


def normalised(x: Any, axes: tuple[int, ...], logarithm: bool) -> Any:
    """Return softmax along the axes, or its logarithm, or None for unsuitable strides."""
    view = _View.of(x, axes)
    # What is backwards in x would have to be so in the result.
    if view is None or view.backwards or not _suits(sums := view(x)):
        return None
    out = np.empty_like(x)
    written = view(out)
    along = -1 if _is_row(sums) else -2
    # Where x repeats itself in memory, the result may lie in it in another order.
    seen_alike = written.shape[along] == 1 or written.strides[along] == out.itemsize
    if not (np.may_share_memory(written, out) and seen_alike):
        return None
    if _is_direct(sums):
        state = _empty(sums.shape[:-1], x.dtype)
        lift_part, write_part = _lifting(sums, state), _writing(sums, state, logarithm, written)

        def part(start: int, stop: int) -> None:
            lift_part(start, stop)
            write_part(start, stop)

        _run(sums, part)
    else:
        _write(sums, _lift(sums), logarithm, written)
    return out


def log_sum(x: Any, axes: tuple[int, ...]) -> Any:
    """Return the logarithms of sums along the axes, or None for unsuitable strides."""
    view = _View.of(x, axes)
    if view is None or not _suits(sums := view(x)):
        return None
    if _is_direct(sums) and _is_row(sums):
        out = np.empty(sums.shape[:-1], x.dtype)
        inner, steps = _grid(sums.ndim - 1, sums, out)
        flat = _flat(sums), _flat(out)
        _run(sums, functools.partial(kernels().log_sum_rows, *flat, sums.shape[-1], inner, steps))
    else:
        out = values(*_lift(sums)[:2])
    return view.slots(out)


def values(peak: Any, rest: Any) -> Any:
    """Return the logarithms of the sums of positive terms."""
    out = np.empty_like(peak)
    write = functools.partial(kernels().values, *map(_flat, (peak, rest, out)))
    threads.run(lambda i: write(i * _PART, min((i + 1) * _PART, out.size)), -(-out.size // _PART))
    return out


def _transposed(x: Any, axes: tuple[int, ...]) -> tuple[Any, tuple[int, ...], Any]:
    """Return a copy with the axes last, these, and the order that takes it back."""
    order = sorted(range(x.ndim), key=lambda axis: axis in axes)
    last = tuple(range(x.ndim - len(axes), x.ndim))
    return np.array(x.transpose(order), order="C"), last, np.argsort(order)


def lift_copy(x: Any, axes: tuple[int, ...]) -> State:
    """Return the state of sums along the axes by way of a copy, whatever the strides."""
    copy, last, back = _transposed(x, axes)
    state = lift(copy, last)
    assert state is not None  # noqa: S101 (rows in one piece always suit)
    return State(*(part.transpose(back) for part in state[:2]))


def normalised_copy(x: Any, axes: tuple[int, ...], logarithm: bool) -> Any:
    """Return softmax along the axes, or its logarithm, by way of a copy, whatever the strides."""
    copy, last, back = _transposed(x, axes)
    return normalised(copy, last, logarithm).transpose(back)


class _View(NamedTuple):
    """How to see an array as sums with their terms along the last axis."""

    lengths: tuple[int, ...]  # the shape of the array
    summed: tuple[int, ...]
    backwards: tuple[int, ...]  # axes to flip
    order: tuple[int, ...]  # of axes: those of the sums, by falling strides, and then the terms'
    shape: tuple[int, ...]  # with axes made one that follow each other seamlessly in memory

    @classmethod
    def of(cls, x: Any, axes: tuple[int, ...]) -> _View | None:
        """Return the view, or None if the terms are on several axes that cannot be made one."""
        if not x.flags.aligned or any(stride % x.itemsize for stride in x.strides):
            return None
        order = sorted(range(x.ndim), key=lambda axis: (axis in axes, -abs(x.strides[axis])))
        dimensions: list[tuple[bool, int, int]] = []  # whether summed, the length, the stride
        for axis in order:
            length, stride, summed = x.shape[axis], abs(x.strides[axis]), axis in axes
            if length == 1:
                continue
            if dimensions and dimensions[-1][::2] == (summed, length * stride):
                length *= dimensions.pop()[1]
            dimensions.append((summed, length, stride))
        terms = [length for summed, length, _ in dimensions if summed]
        kept = [length for summed, length, _ in dimensions if not summed]
        if len(terms) > 1:
            return None
        backwards = tuple(a for a in range(x.ndim) if x.strides[a] < 0 and x.shape[a] > 1)
        return cls(x.shape, axes, backwards, tuple(order), (*kept, *(terms or [1])))

    def __call__(self, array: Any) -> Any:
        if self.backwards:
            array = np.flip(array, self.backwards)
        return array.transpose(self.order).reshape(self.shape)

    def slots(self, part: Any) -> Any:
        """Return what there is one of for each sum on the axes of the array."""
        shape = [1 if axis in self.summed else self.lengths[axis] for axis in self.order]
        part = part.reshape(shape).transpose(np.argsort(self.order))
        return np.flip(part, self.backwards) if self.backwards else part


def _empty(shape: tuple[int, ...], dtype: Any) -> State:
    return State(np.empty(shape, dtype), np.empty(shape, dtype))


def _is_row(x: Any) -> bool:
    return bool(x.shape[-1] == 1 or x.strides[-1] == x.itemsize)


def _suits(x: Any) -> bool:
    """Tell whether the kernels can count along the sums, of which pieces are one more dimension."""
    if _is_row(x):
        return bool(x.ndim - 1 + (x.shape[-1] > _longest(x)) <= 2)
    if x.ndim < 2 or x.strides[-2] != x.itemsize or x.strides[-1] == 0:
        return False
    if x.shape[-2] < _LEAST_COLUMNS:
        return _folded(x) is not None
    return bool(x.ndim - 2 + (x.shape[-1] > _longest(x)) <= 2)


def _folded(x: Any) -> tuple[Any, int] | None:
    """Return few columns as more, of fewer terms each, and how many of them belong to each."""
    width, times = x.shape[0], _FOLDED // x.shape[0]
    seamless = x.ndim == 2 and x.strides == (x.itemsize, width * x.itemsize)
    if _is_row(x) or not seamless or times < 2 or x.shape[-1] < 2 * times:
        return None
    step = times * width
    return as_strided(x, (step, x.shape[-1] // times), (x.itemsize, step * x.itemsize)), times


def _longest(x: Any) -> int:
    """Return how many terms the kernels take at once."""
    longest: int = kernels().LONGEST
    together: int = 1 if _is_row(x) else min(_lanes(x), x.shape[-2])
    return int(longest // together)


def _lanes(x: Any) -> int:
    together = int(kernels().LONGEST) // int(x.shape[-1])
    return max(_LEAST_LANES, min(_MOST_LANES, together // 16 * 16))


def _is_direct(x: Any) -> bool:
    """Tell whether the kernels take the sums as they are."""
    return x.shape[-1] <= _longest(x) and not _folded(x)


def _pieces(x: Any, full: int, piece: int) -> Any:
    """Return sums over so many pieces of the last axis, numbered along the first."""
    return np.moveaxis(x[..., : full * piece].reshape(*x.shape[:-1], full, piece), -2, 0)


def _cut(x: Any) -> tuple[int, int]:
    """Return how many pieces of which length the last axis is cut into, of which some is left."""
    n = x.shape[-1]
    piece = -(-n // -(-n // _longest(x)))
    return n // piece, piece


def _lift(x: Any) -> State:
    """Return the state of sums over the last axis, without it."""
    n = x.shape[-1]
    if _is_direct(x):
        state = _empty(x.shape[:-1], x.dtype)
        _run(x, _lifting(x, state))
        return state
    if folded := _folded(x):
        columns, times = folded
        done = columns.shape[-1] * times
        states = State(*(part.reshape(times, -1) for part in _lift(columns)[:2]))
    else:
        full, piece = _cut(x)
        done = full * piece
        states = _lift(_pieces(x, full, piece))
    state = _logsum.merge_all(np, states)
    return _logsum.merge(np, state, _lift(x[..., done:])) if done < n else state


def _write(x: Any, state: State, logarithm: bool, out: Any) -> None:
    """Write the normalised terms of sums over the last axis from their states."""
    if _is_direct(x):
        _run(x, _writing(x, state, logarithm, out))
        return
    if folded := _folded(x):
        columns, times = folded
        done = columns.shape[-1] * times
        states = State(*(np.tile(part, times) for part in state[:2]))
        _write(columns, states, logarithm, as_strided(out, columns.shape, columns.strides))
    else:
        full, piece = _cut(x)
        done = full * piece
        states = State(*(np.broadcast_to(part, (full, *part.shape)) for part in state[:2]))
        _write(_pieces(x, full, piece), states, logarithm, _pieces(out, full, piece))
    if done < x.shape[-1]:
        _write(x[..., done:], state, logarithm, out[..., done:])


def _run(x: Any, part: Callable[[int, int], None]) -> None:
    """Call a function with the first and the last number of rows, or pieces of columns, in turn."""
    if _is_row(x):
        count, size = math.prod(x.shape[:-1]), x.shape[-1]
    else:
        count, size = (
            math.prod(x.shape[:-2]) * -(-x.shape[-2] // _lanes(x)),
            x.shape[-1] * _lanes(x),
        )
    step = max(1, _PART // size)
    threads.run(lambda i: part(i * step, min((i + 1) * step, count)), -(-count // step))


def _lifting(x: Any, state: State) -> Callable[[int, int], None]:
    """Return the function that lifts some of the sums."""
    n, flat = x.shape[-1], [_flat(array) for array in (x, state.peak, state.rest)]
    if _is_row(x):
        inner, steps = _grid(x.ndim - 1, x, state.peak)
        return functools.partial(kernels().lift_rows, *flat, n, inner, steps)
    inner, steps = _grid(x.ndim - 2, x, state.peak)
    shape = (inner, x.shape[-2], _lanes(x))
    return functools.partial(
        kernels().lift_columns, *flat, n, x.strides[-1] // x.itemsize, shape, steps
    )


def _writing(x: Any, state: State, logarithm: bool, out: Any) -> Callable[[int, int], None]:
    """Return the function that writes the terms of some of the sums."""
    n, flat = x.shape[-1], [_flat(array) for array in (x, state.peak, state.rest)]
    given = (*flat, logarithm, _flat(out), n)
    if _is_row(x):
        inner, steps = _grid(x.ndim - 1, x, state.peak, out)
        return functools.partial(kernels().write_rows, *given, inner, steps)
    inner, steps = _grid(x.ndim - 2, x, state.peak, out)
    strides = (x.strides[-1] // x.itemsize, out.strides[-1] // x.itemsize)
    shape = (inner, x.shape[-2], _lanes(x))
    return functools.partial(kernels().write_columns, *given, strides, shape, steps)


def _grid(count: int, *arrays: Any) -> tuple[int, tuple[int, ...]]:
    """Return the length of the inner of so many first dimensions, and each array's two strides."""
    missing = [0] * (2 - count)
    strides = [
        step
        for array in arrays
        for step in (*missing, *(stride // array.itemsize for stride in array.strides[:count]))
    ]
    return (arrays[0].shape[count - 1] if count else 1), tuple(strides)


def _flat(array: Any) -> Any:
    """Return the memory of an array, from its first entry to its last, as one dimension."""
    span = 1 + sum(
        (length - 1) * stride // array.itemsize
        for length, stride in zip(array.shape, array.strides, strict=True)
    )
    return as_strided(array, (span,), (array.itemsize,))
