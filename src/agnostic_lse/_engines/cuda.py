"""A fused lift, softmax and log_softmax for GPU memory, through CuPy.

One pass over memory, by the kernels beside this module, which CuPy compiles when they are first
used. An array is seen as (outer, n, inner), as its memory has it, with sums along n. Where axes to
sum along lie apart in memory, the longest stretch of them is n, and the others are among outer and
inner until their states are merged. An array is copied if it fits no three strides, such as a slice
along several axes, and if it is not dense and its softmax is.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import array_api_compat as compat

from .._namespace import Array, DType, Namespace
from .._state import State

# The names of the dtypes in the kernels, and the sizes of an entry
_TYPES = {
    "float16": ("Half", 2),
    "bfloat16": ("Bfloat", 2),
    "float32": ("float", 4),
    "float64": ("double", 8),
}
_WORKING = {"float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float64"}

# The compiler must not fuse products into sums, which would undo exact sums.
_OPTIONS = ("-std=c++14", "--fmad=false")

# Threads of a block, as in the kernels
_THREADS = 256
# CUDA's own limit along the first dimension of a grid
_MOST_BLOCKS = 2**31 - 1
# Each multiprocessor holds as many threads as 8 blocks have, on most devices.
_BLOCKS_AT_ONCE = 8
# Neighbouring sums that a block takes, where there are so many: whole stretches of memory
_WIDTH = 64
# How many dims `spread` goes along
_MOST_DIMS = 4
# How often the threads of a block go around before another block is worth its merge
_WORTH_A_BLOCK = 4

# Groups of threads and the entries of each in registers, from the shortest rows on; each holds
# twice as many as the one before or little more, lest most of a group idle. 512 threads leave each
# 128 registers, of which 16 entries of float64 take 32.
_GROUPS = (
    *((1, 4), (4, 4), (8, 4), (16, 4), (32, 4), (32, 8), (32, 16)),
    *((256, 4), (256, 8), (256, 16), (512, 16)),
)
# Where neighbours in memory belong to other rows, a thread or two take a row for themselves: the
# 16 rows of a warp are stretches of 32 bytes or more.
_COLUMNS = ((1, 4), (1, 16), (2, 16))
# What a kernel of rows writes: `Mode` in the kernels
_PARTIAL, _LAST, _SOFTMAX, _LOG_SOFTMAX = range(4)


class _Dim(NamedTuple):
    """Neighbouring axes that are one in memory."""

    length: int
    stride: int
    reduced: bool


class _Grid(NamedTuple):
    """How blocks share the work: slots side by side, threads along each, and segments of it."""

    columns: int
    rows: int
    segment: int
    splits: int
    blocks: int


def serves(x: Array) -> bool:
    """Return whether the kernels take an array: real and floating, of CuPy, and not empty."""
    if not compat.is_cupy_array(x) or str(x.dtype.name) not in _TYPES or x.size == 0:
        return False
    aligned = all(stride % x.dtype.itemsize == 0 for stride in (*x.strides, x.data.ptr))
    # On AMD's devices warps have 64 threads.
    return aligned and not _cupy().cuda.runtime.is_hip


def lift(x: Array, axes: tuple[int, ...]) -> State:
    """Return the state of ``sum(exp(x))``, the axes kept with length 1."""
    with x.device:
        order = _memory_order(x)
        states = _lifted(x, axes, exact=False)
        # The slots lie as the axes of x do in memory.
        lengths = [1 if axis in axes else x.shape[axis] for axis in order]
        back = sorted(range(x.ndim), key=order.__getitem__)
        peak, rest = (part.reshape(lengths).transpose(back) for part in states)
        return State(peak, rest)


def normalised(x: Array, axes: tuple[int, ...], log: bool) -> Array:
    """Return softmax, or its logarithm, of the dtype and with the memory layout of x."""
    cupy = _cupy()
    with x.device:
        if not _is_dense(x):
            x = cupy.ascontiguousarray(x)
        out = cupy.empty_like(x)
        dims = _dims(x, axes)
        if len(dims) > _MOST_DIMS:
            kept = tuple(axis for axis in range(x.ndim) if axis not in axes)
            order = (*kept, *axes)
            moved = cupy.ascontiguousarray(x.transpose(order))
            last = tuple(range(len(kept), x.ndim))
            return normalised(moved, last, log).transpose(
                sorted(range(x.ndim), key=order.__getitem__)
            )
        exact = not log and x.dtype.itemsize > 2
        seen = _as_three(dims)
        group = None if seen is None or _reduced(dims) > 1 else _group(seen)
        if seen is not None and group is not None:
            mode = _LOG_SOFTMAX if log else _SOFTMAX
            _launch_rows(x, out, seen, group, mode, exact)
        else:
            _launch_spread(x, out, _lifted(x, axes, exact), dims, log)
        return out


def variants() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Give the source, the name expression and the options of all that may be compiled."""
    for dtype, (name, size) in _TYPES.items():
        names = {_kernel_of_rows(dtype, *group, vector=1) for group in (*_GROUPS, *_COLUMNS)}
        names |= {
            _kernel_of_rows(dtype, *group, vector=16 // size)
            for group in _GROUPS
            if math.prod(group) * size >= 16
        }
        for vector in (1, 16 // size):
            names |= {f"lift_long<{name}, {vector}>", f"spread<{name}, {vector}>"}
        for each in sorted(names):
            yield _source(), each, _OPTIONS
    for name in ("float", "double"):
        yield _source(), f"merge<{name}>", _OPTIONS


def _cupy() -> Namespace:
    import cupy  # loaded already, since the array is its own

    return cupy


@functools.cache
def _source() -> str:
    import importlib.resources  # which loads much, and few need it

    return (importlib.resources.files(__package__) / "kernels.cu").read_text(encoding="utf-8")


@functools.cache
def _kernel(name: str) -> Any:
    module = _cupy().RawModule(code=_source(), options=_OPTIONS, name_expressions=(name,))
    return module.get_function(name)  # which compiles once for each device


def _kernel_of_rows(dtype: str, group: int, items: int, vector: int) -> str:
    return f"rows<{_TYPES[dtype][0]}, {group}, {items}, {min(items, vector)}>"


@functools.cache
def _processors(device: int) -> int:
    runtime = _cupy().cuda.runtime
    return int(runtime.deviceGetAttribute(runtime.cudaDevAttrMultiProcessorCount, device))


def _memory_order(x: Array) -> list[int]:
    """Return the axes from the slowest in memory to the fastest."""
    return sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))


def _dims(x: Array, axes: tuple[int, ...]) -> list[_Dim]:
    """Return the axes from the slowest in memory to the fastest, joined where they are one."""
    dims: list[_Dim] = []
    for axis in _memory_order(x):
        length, stride = x.shape[axis], x.strides[axis] // x.dtype.itemsize
        if length > 1:
            dims = _joined([*dims, _Dim(length, stride, axis in axes)])
    if not any(dim.reduced for dim in dims):
        dims.append(_Dim(1, 0, True))
    return dims


def _joined(dims: list[_Dim]) -> list[_Dim]:
    """Return the dims with the last two as one, if they are one in memory."""
    if len(dims) < 2:
        return dims
    (length, stride, reduced), last = dims[-2:]
    if reduced != last.reduced or stride != last.stride * last.length:
        return dims
    return [*dims[:-2], _Dim(length * last.length, last.stride, reduced)]


def _is_dense(x: Array) -> bool:
    """Return whether the entries fill a stretch of memory, from the first one on."""
    dims = [_Dim(d.length, d.stride, False) for d in _dims(x, ()) if d.length > 1]
    return len(dims) == 0 or (len(dims) == 1 and dims[0].stride == 1)


def _along(dims: list[_Dim]) -> int:
    """Return the longest of the reduced dims: the states along it are the fewest."""
    return max((i for i, dim in enumerate(dims) if dim.reduced), key=lambda i: dims[i].length)


def _as_three(dims: list[_Dim]) -> tuple[_Dim, _Dim, _Dim] | None:
    """Return what lies before, along and behind the longest reduced dim, if each is one."""
    along = _along(dims)
    around = []
    for part in (dims[:along], dims[along + 1 :]):
        joined: list[_Dim] = []
        for dim in part:
            joined = _joined([*joined, dim._replace(reduced=False)])
        if len(joined) > 1:
            return None
        around.append(joined[0] if joined else _Dim(1, 0, False))
    return around[0], dims[along], around[1]


def _lifted(x: Array, axes: tuple[int, ...], exact: bool) -> Array:
    """Return peak and rest as rows of one array, the slots as they lie in memory."""
    dims = _dims(x, axes)
    seen = _as_three(dims)
    if seen is None:
        order = _memory_order(x)
        copy = _cupy().ascontiguousarray(x.transpose(order))
        moved = tuple(place for place, axis in enumerate(order) if axis in axes)
        return _lifted(copy, moved, exact)
    states = _first_lift(x, seen, _reduced(dims) == 1, exact)
    dims[_along(dims)] = _Dim(1, 0, False)
    # What remains of the axes is reduced among the states.
    while _reduced(dims):
        along = _along(dims)
        outer = math.prod(dim.length for dim in dims[:along])
        inner = math.prod(dim.length for dim in dims[along + 1 :])
        states = _merged(states, outer, dims[along].length, inner, _reduced(dims) == 1)
        dims[along] = _Dim(1, 0, False)
    return states


def _reduced(dims: list[_Dim]) -> int:
    return sum(dim.reduced for dim in dims)


def _first_lift(x: Array, seen: tuple[_Dim, _Dim, _Dim], last: bool, exact: bool) -> Array:
    outer, along, inner = seen
    slots = outer.length * inner.length
    group = _group(seen)
    if group is not None:
        states = _empty_states(_WORKING[x.dtype.name], slots, last)
        _launch_rows(x, states, seen, group, _LAST if last else _PARTIAL, exact)
        return states
    name, size = _TYPES[x.dtype.name]
    grid = _grid(slots, inner.length, along.length, 2 * 16 // size, x.device.id)
    last_of_all = last and grid.splits == 1
    states = _empty_states(_WORKING[x.dtype.name], slots * grid.splits, last_of_all)
    vector = 16 // size if _is_aligned(seen, x) else 1
    _launch(
        f"lift_long<{name}, {vector}>",
        grid.blocks,
        _THREADS,
        *(x, states, slots, inner.length, outer.stride, inner.stride, along.length, along.stride),
        *(grid.segment, grid.splits, grid.columns, grid.rows, last_of_all, exact),
    )
    if grid.splits == 1:
        return states
    return _merged(states, outer.length, grid.splits, inner.length, last)


def _merged(states: Array, outer: int, n: int, inner: int, last: bool) -> Array:
    """Return the states of (outer, inner) from those of (outer, n, inner)."""
    name = {4: "float", 8: "double"}[states.dtype.itemsize]
    grid = _grid(outer * inner, inner, n, 1, states.device.id)
    last_of_all = last and grid.splits == 1
    out = _empty_states(states.dtype, outer * inner * grid.splits, last_of_all)
    _launch(
        f"merge<{name}>",
        grid.blocks,
        _THREADS,
        *(states, out, outer * inner, inner, n),
        *(grid.segment, grid.splits, grid.columns, grid.rows, last_of_all),
    )
    return out if grid.splits == 1 else _merged(out, outer, grid.splits, inner, last)


def _empty_states(dtype: DType, slots: int, last: bool) -> Array:
    """Return room for peaks and rests, the latter in two parts where more are to be merged."""
    return _cupy().empty((2 if last else 3, slots), dtype=dtype)


def _grid(slots: int, inner: int, n: int, items: int, device: int) -> _Grid:
    rows = min(_THREADS // min(inner, _WIDTH), -(-n // items))
    columns = min(_THREADS // rows, slots)
    turns = -(-n // (rows * items))
    blocks = -(-slots // columns)
    wanted = -(-_BLOCKS_AT_ONCE * _processors(device) // blocks)
    splits = max(1, min(wanted, turns // _WORTH_A_BLOCK))
    segment = -(-turns // splits) * rows * items
    splits = -(-n // segment)
    return _Grid(columns, rows, segment, splits, blocks * splits)


def _group(seen: tuple[_Dim, _Dim, _Dim]) -> tuple[int, int] | None:
    """Return the smallest group of threads whose registers hold a row, and the entries of each."""
    _, along, inner = seen
    groups = _GROUPS if inner.length == 1 else _COLUMNS
    return next((group for group in groups if math.prod(group) >= along.length), None)


def _is_aligned(seen: tuple[_Dim, _Dim, _Dim], *arrays: Array) -> bool:
    """Return whether each row can be loaded, and stored, 16 bytes at a time from its start."""
    outer, along, inner = seen
    size = arrays[0].dtype.itemsize
    return (
        inner.length == 1
        and along.stride == 1
        and (outer.length == 1 or outer.stride * size % 16 == 0)
        and all(array.data.ptr % 16 == 0 for array in arrays)
    )


def _launch_rows(
    x: Array,
    out: Array,
    seen: tuple[_Dim, _Dim, _Dim],
    group: tuple[int, int],
    mode: int,
    exact: bool,
) -> None:
    outer, along, inner = seen
    size = _TYPES[x.dtype.name][1]
    aligned = _is_aligned(seen, x, out) and along.length * size % 16 == 0
    slots = outer.length * inner.length
    threads = max(_THREADS, group[0])
    _launch(
        _kernel_of_rows(x.dtype.name, *group, 16 // size if aligned else 1),
        -(-slots // (threads // group[0])),
        threads,
        *(x, out, slots, inner.length, outer.stride, inner.stride, along.length, along.stride),
        *(mode, exact),
    )


def _launch_spread(x: Array, out: Array, states: Array, dims: list[_Dim], log: bool) -> None:
    name, size = _TYPES[x.dtype.name]
    vector = 16 // size if x.data.ptr % 16 == out.data.ptr % 16 == 0 else 1
    padded = [_Dim(1, 0, False)] * (_MOST_DIMS - len(dims)) + dims
    steps: list[int] = []
    slots = 1
    for dim in reversed(padded):
        steps.insert(0, 0 if dim.reduced else slots)
        slots *= 1 if dim.reduced else dim.length
    _launch(
        f"spread<{name}, {vector}>",
        -(-x.size // (_THREADS * vector)),
        _THREADS,
        *(x, out, states, slots, x.size),
        *(*(dim.length for dim in padded[1:]), *steps, log),
    )


def _launch(name: str, blocks: int, threads: int, *arguments: Array | int) -> None:
    """Run a kernel on the current stream; its numbers are integers of 64 bits."""
    arguments = tuple(int(each) if isinstance(each, int) else each for each in arguments)
    _kernel(name)((min(blocks, _MOST_BLOCKS),), (threads,), arguments)
