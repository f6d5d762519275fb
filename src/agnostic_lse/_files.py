"""Sums over a .npy file of any size in constant memory: what the command ``reduce`` does.

The file is read and not mapped, since what is mapped counts where the address space is limited.
While a block is summed, a thread reads the next one: on a busy machine of two processors that took
1.1 seconds for 2.7 GB from a disk, as did reading alone, and 2.3 without the thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import itertools
import math
import operator
import os
import secrets
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from ._accumulator import LogSumExpAccumulator
from ._engines import host
from ._namespace import reduced_axes
from ._reductions import logsumexp

# Bytes of a block, of which there are two, in the dtype that it is summed in. Kernels are worth
# their while from 4 MiB of float64 on; from 4 to 16 MiB, all took as long.
BLOCK = 2**23
# Of the terms of each sum, at least so many are in a block, if there are. To join a block's sums
# with those before takes 12 to 15 nanoseconds each, as long as to sum some 40 terms of float32 (0.3
# each). And it says how short a run of bytes can be in the file: 8 MiB / 32 = 256 KiB. One disk of
# 1.4 to 2.1 GB/s gave 0.6 GB/s in such runs, which is ten times what joining takes, and 0.3 GB/s in
# runs of 64 KiB.
LEAST_TERMS = 32
# More numbers than these are for a file, not for a terminal.
MOST_PRINTED = 4096
# From <malloc.h>
_M_ARENA_MAX = -8

_MAGIC = b"\x93NUMPY"
_ZIP = b"PK"


class Problem(Exception):  # noqa: N818 (no mistake of the program: a sentence for its user)
    """What has gone wrong, in one sentence, and the exit status that says so."""

    def __init__(self, sentence: str, status: int = 2) -> None:
        super().__init__(sentence)
        self.status = status


class Reduced(NamedTuple):
    """What was summed along, and the results, unless they were written to a file."""

    axes: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    values: np.ndarray[Any, Any] | None


def reduce(path: Path, axis: str | None, keepdims: bool, out: Path | None, quiet: bool) -> Reduced:
    """Write the log-sum-exp of a file along axes to another, or return it."""
    with _opened(path) as stream, _noted_signals() as end_if_asked:
        source = _Source.of(stream, path)
        axes = _axes(axis, source)
        shape = _shape_without(source.shape, axes, keepdims)
        if out is None and math.prod(shape) > MOST_PRINTED:
            raise Problem(
                f"The result has {math.prod(shape)} numbers, but at most {MOST_PRINTED} are "
                "printed: name a file for them by --out."
            )
        target = None if out is None else _target(out, stream)
        _save_address_space()
        # The thread must have ended before the file is closed.
        with _progress(source.bytes, quiet) as show, ThreadPoolExecutor(1) as reader:

            def advance(done: int) -> None:
                show(done)
                end_if_asked()

            sums = _sums(stream, source, axes, reader, advance)
            values = None
            if target is None:
                values = _joined(sums, shape, source)
            else:
                with _replaced(target) as file:
                    _write(file, sums, shape, source)
        return Reduced(axes, shape, source.result_dtype, values)


class _Source(NamedTuple):
    """What the header of a file says, and the file's own size."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    order: Any  # "C" or "F"
    start: int  # of the data, in bytes

    @classmethod
    def of(cls, stream: BinaryIO, path: Path) -> _Source:
        """Return what a header says, and refuse what is not numbers, or not all there."""
        magic = stream.read(len(_MAGIC))
        if magic != _MAGIC:
            came = "a .npz archive" if magic.startswith(_ZIP) else "no .npy file"
            came = came if magic else "empty"
            raise Problem(
                f"{path} is {came}, but a .npy file was expected: save one array by numpy.save."
            )
        stream.seek(0)
        try:
            version = npy.read_magic(stream)
            if version not in ((1, 0), (2, 0), (3, 0)):
                raise ValueError(f"its format is version {version[0]}.{version[1]}, not 1, 2 or 3")
            # Version 3 is version 2 whose text is UTF-8, which only names of fields need.
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, fortran, dtype = read(stream)
            if min(shape, default=0) < 0:
                raise ValueError(f"its shape is {shape}")
        except (ValueError, EOFError) as error:
            reason = str(error).partition("\n")[0].rstrip(".")
            raise Problem(
                f"{path} has a header that cannot be read ({reason}): save the array anew by "
                "numpy.save."
            ) from error
        if dtype.kind not in "biufc":
            raise Problem(
                f"{path} holds entries of dtype {dtype}, but numbers were expected: save them in "
                "a numeric dtype."
            )
        source = cls(path, shape, dtype, "F" if fortran else "C", stream.tell())
        source._refuse_other_size(os.fstat(stream.fileno()).st_size)
        return source

    def _refuse_other_size(self, size: int) -> None:
        expected = self.start + self.bytes
        if size != expected:
            what = "was cut short" if size < expected else "is longer than it should be"
            raise Problem(
                f"{self.path} {what}, with {size} bytes where its header says {expected}: copy or "
                "save it anew."
            )

    @property
    def bytes(self) -> int:
        """How many bytes the entries take."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def result_dtype(self) -> np.dtype[Any]:
        """The dtype of results."""
        none = np.empty(0, self.dtype.newbyteorder("="))
        return np.asarray(logsumexp(none)).dtype


def _opened(path: Path) -> BinaryIO:
    """Return a file to read without a buffer of Python's own."""
    reason = ""
    try:
        # Asked first: to open a pipe may wait for ever.
        mode = path.stat().st_mode
        if stat.S_ISREG(mode):
            return path.open("rb", buffering=0)
    except OSError as error:
        reason = error.strerror or str(error)
    except ValueError as error:  # such as a null character
        reason = str(error)
    else:
        is_directory = stat.S_ISDIR(mode)
        reason = (
            "Is a directory" if is_directory else "Is a pipe or a device, which cannot be sought"
        )
    raise Problem(
        f"{path} cannot be read ({reason}), but a .npy file on a disk was expected: name another."
    )


def _axes(text: str | None, source: _Source) -> tuple[int, ...]:
    """Return the axes that the command line names, all of them by default."""
    ndim = len(source.shape)
    if text is None:
        return reduced_axes(None, ndim)
    try:
        given = tuple(int(number) for number in text.split(","))
    except ValueError:
        raise Problem(
            f"--axis is {text!r}, but integers were expected: separate several by commas, or leave "
            "it out for all axes."
        ) from None
    if ndim == 0:
        raise Problem(f"{source.path} holds one number, which has no axes: leave --axis out.")
    try:
        return reduced_axes(given, ndim)
    except ValueError as error:
        raise Problem(f"--axis is {text}, but {error}") from error


def _shape_without(
    shape: tuple[int, ...], axes: tuple[int, ...], keepdims: bool
) -> tuple[int, ...]:
    if keepdims:
        return tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    return tuple(n for axis, n in enumerate(shape) if axis not in axes)


class _Blocks(NamedTuple):
    """How a file is cut: its axes, in the order of the file, those alike beside each other as one.

    Blocks hold ranges of each axis. Of the kept axes one is cut at most, and all before it to
    single indices, so that finished sums follow each other as in the result.
    """

    lengths: tuple[int, ...]
    summed: tuple[bool, ...]
    steps: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], axes: tuple[int, ...], entries: int) -> _Blocks:
        """Cut an array in C order to blocks of so many entries, the last axes last."""
        merged: list[tuple[int, bool]] = []
        for axis, length in enumerate(shape):
            summed = axis in axes
            if length != 1:
                before = merged.pop()[0] if merged and merged[-1][1] == summed else 1
                merged.append((before * length, summed))
        merged = merged or [(1, False)]
        lengths, flags = zip(*merged, strict=True)
        terms = math.prod(length for length, summed in merged if summed)
        most_sums = max(1, entries // max(1, min(terms, LEAST_TERMS)))
        steps = []
        for length, summed in reversed(merged):
            step = max(1, min(length, entries if summed else min(entries, most_sums)))
            if summed:
                step = max(1, -(-length // -(-max(1, length) // step)))  # no small rest
            else:
                most_sums //= step
            entries //= step
            # What is left over after a cut is no whole one, but 1 at least.
            entries, most_sums = max(1, entries), max(1, most_sums)
            steps.append(step)
        return cls(lengths, flags, tuple(reversed(steps)))

    @property
    def most(self) -> int:
        """How many entries a block has at most."""
        return math.prod(self.steps)

    @property
    def pieces(self) -> int:
        """Of how many blocks each sum has a part."""
        cut = zip(self.lengths, self.steps, self.summed, strict=True)
        return math.prod(-(-length // step) for length, step, summed in cut if summed)

    @property
    def along(self) -> tuple[int, ...]:
        """The axes of a block that are summed."""
        return tuple(axis for axis, summed in enumerate(self.summed) if summed)

    def in_turn(self) -> Iterator[tuple[range, ...]]:
        """Return the blocks, those that make the same sums after each other."""
        nothing = (range(1),) * len(self.lengths)
        for kept in self._places(nothing, summed=False):
            yield from self._places(kept, summed=True)

    def _places(self, others: Sequence[range], summed: bool) -> Iterator[tuple[range, ...]]:
        """Cut the summed or the kept axes, the others being given."""
        axes = [axis for axis, flag in enumerate(self.summed) if flag == summed]
        starts = (range(0, self.lengths[axis], self.steps[axis]) for axis in axes)
        for place in itertools.product(*starts):
            block = list(others)
            for axis, i in zip(axes, place, strict=True):
                block[axis] = range(i, min(i + self.steps[axis], self.lengths[axis]))
            yield tuple(block)

    def runs(self, block: Sequence[range]) -> Iterator[tuple[int, int]]:
        """Return the first entry, and how many follow each other, of each run in the file."""
        pairs = enumerate(zip(block, self.lengths, strict=True))
        cut = max((axis for axis, (part, length) in pairs if len(part) < length), default=0)
        strides = [math.prod(self.lengths[axis + 1 :]) for axis in range(cut + 1)]
        count = math.prod(map(len, block[cut:]))
        for place in itertools.product(*block[:cut]):
            yield sum(map(operator.mul, (*place, block[cut].start), strides)), count


def _sums(
    stream: BinaryIO,
    source: _Source,
    axes: tuple[int, ...],
    reader: ThreadPoolExecutor,
    advance: Callable[[int], object],
) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the finished sums, in the order of the file, of which each is good until the next."""
    shape, dtype = source.shape, source.result_dtype
    if source.order == "F":  # which is the transposed array in C order
        shape, axes = shape[::-1], tuple(len(shape) - 1 - axis for axis in axes)
    # float16 is summed in float32, and integers in the dtype of the result.
    widest = max(source.dtype.itemsize, dtype.itemsize, np.dtype(np.float32).itemsize)
    blocks = _Blocks.of(shape, axes, max(1, BLOCK // widest))
    if blocks.pieces == 0:
        yield from _of_nothing(shape, axes, dtype)
        return
    entries = _entries(stream, source, blocks, reader, advance)
    for first in entries:
        if blocks.pieces == 1:
            yield np.ravel(logsumexp(first, axis=blocks.along))
            continue
        seen = LogSumExpAccumulator().update(first, axis=blocks.along)
        for block in itertools.islice(entries, blocks.pieces - 1):
            seen.update(block, axis=blocks.along)
        yield np.ravel(seen.value())


def _entries(
    stream: BinaryIO,
    source: _Source,
    blocks: _Blocks,
    reader: ThreadPoolExecutor,
    advance: Callable[[int], object],
) -> Iterator[np.ndarray[Any, Any]]:
    """Yield the blocks, of which each is good until the next."""
    size = source.dtype.itemsize
    buffers = itertools.cycle([np.empty(blocks.most * size, np.uint8) for _ in range(2)])

    def read(block: Sequence[range]) -> np.ndarray[Any, Any]:
        lengths = tuple(map(len, block))
        used = next(buffers)[: math.prod(lengths) * size]
        _read(stream, source, blocks.runs(block), used.data)
        return _native(used.view(source.dtype)).reshape(lengths)

    coming: Future[np.ndarray[Any, Any]] | None = None
    for block in blocks.in_turn():
        ready = None if coming is None else coming.result()
        # It takes the buffer of the block before that, which is done with.
        coming = reader.submit(read, block)
        if ready is not None:
            advance(ready.nbytes)
            yield ready
    if coming is not None:
        advance(coming.result().nbytes)
        yield coming.result()


def _of_nothing(
    shape: tuple[int, ...], axes: tuple[int, ...], dtype: np.dtype[Any]
) -> Iterator[np.ndarray[Any, Any]]:
    """Yield sums without terms, a block at a time, since even of these there may be many."""
    left, most = math.prod(_shape_without(shape, axes, keepdims=False)), BLOCK // dtype.itemsize
    while left > 0:
        yield np.full(min(left, max(1, most)), -np.inf, dtype)
        left -= max(1, most)


def _read(
    stream: BinaryIO, source: _Source, runs: Iterator[tuple[int, int]], into: memoryview
) -> None:
    """Fill memory with runs of entries."""
    size = source.dtype.itemsize
    try:
        for first, count in runs:
            run, into = into[: count * size], into[count * size :]
            stream.seek(source.start + first * size)
            while run:
                got = stream.readinto(run)  # type: ignore[attr-defined]  # as raw streams have
                if not got:
                    raise Problem(f"{source.path} has become shorter: run again.", 1)
                run = run[got:]
    except OSError as error:
        raise Problem(f"{source.path} cannot be read any further ({error.strerror}).", 1) from error


def _native(entries: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return entries in the byte order of the machine, in the same memory."""
    if entries.dtype.isnative:
        return entries
    return entries.byteswap(inplace=True).view(entries.dtype.newbyteorder("="))


def _joined(
    sums: Iterator[np.ndarray[Any, Any]], shape: tuple[int, ...], source: _Source
) -> np.ndarray[Any, Any]:
    """Return sums as one array."""
    # As lists at once, since a part is good only until the next.
    numbers = [number for part in sums for number in part]
    return np.asarray(numbers, source.result_dtype).reshape(shape, order=source.order)


def _write(
    file: BinaryIO,
    sums: Iterator[np.ndarray[Any, Any]],
    shape: tuple[int, ...],
    source: _Source,
) -> None:
    """Write a .npy file of sums as they come."""
    header = {
        "descr": npy.dtype_to_descr(source.result_dtype),
        "fortran_order": source.order == "F" and len(shape) > 1,
        "shape": shape,
    }
    npy.write_array_header_1_0(file, header)
    for part in sums:
        file.write(np.ascontiguousarray(part).view(np.uint8).data)
    file.flush()


def _target(out: Path, stream: BinaryIO) -> Path:
    """Return the file to write, behind all links, and refuse one that must not be replaced."""
    if str(out.absolute()).startswith(("/dev/std", "/dev/fd/", "/proc/")):
        raise Problem(f"--out is {out}, which is no name of a file: name one, or leave --out out.")
    target = Path(os.path.realpath(out))
    if not target.parent.is_dir():
        raise Problem(
            f"--out is {out}, but {target.parent} is no directory: make it, or name another."
        )
    if not target.exists():
        return target
    found = target.stat()
    if os.path.samestat(found, os.fstat(stream.fileno())):
        raise Problem(f"--out is {out}, which is the file to read: name another.")
    if not stat.S_ISREG(found.st_mode) or not os.access(target, os.W_OK):
        raise Problem(f"--out is {out}, but a file that can be written was expected: name another.")
    return target


@contextlib.contextmanager
def _replaced(target: Path) -> Iterator[BinaryIO]:
    """Give a file to write that takes another's place when all is well, and else is gone."""
    # Named before it is made, lest a signal come between.
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp")
    try:
        try:
            file = temporary.open("xb")
        except OSError as error:
            raise Problem(
                f"--out is {target}, but a file that can be written was expected "
                f"({error.strerror}): name another."
            ) from error
        try:
            with file:
                yield file
            if target.exists():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            temporary.replace(target)
        except OSError as error:
            raise Problem(
                f"{target} cannot be written ({error.strerror}), and is as it was before: make "
                "room, or name another.",
                1,
            ) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _noted_signals() -> Iterator[Callable[[], None]]:
    """Give what to call between blocks, which leaves if a signal has asked to since.

    An exception out of the signal itself could come anywhere: in a call back from compiled code,
    which swallows it, or in the midst of a lock. A second signal does what it does by default.
    """
    came: list[int] = []

    def end_if_asked() -> None:
        if came and came[0] == signal.SIGINT:
            raise KeyboardInterrupt
        if came:
            raise SystemExit(128 + came[0])  # as shells count it

    if threading.current_thread() is not threading.main_thread():
        yield end_if_asked  # elsewhere no signals come, and none can be awaited
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # Whoever started the process may want it to go on, as nohup does.
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) in defaults}

    def note(number: int, _: object) -> None:
        came.append(number)
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, note)
    try:
        yield end_if_asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _progress(total: int, quiet: bool) -> Iterator[Callable[[int], object]]:
    """Give what to tell how many bytes are done: a bar, if someone is there to see it."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        bars = importlib.import_module("tqdm").tqdm
    except ImportError:
        sys.stderr.write(
            "There is no progress bar, since tqdm is not installed: pip install tqdm, or give "
            "--quiet.\n"
        )
        yield lambda _: None
        return
    # tqdm has a thread that watches bars which expect too much between two calls: not this one.
    without_thread: Any = type("Bar", (bars,), {"monitor_interval": 0})
    with without_thread(total=total, unit="B", unit_scale=True, miniters=1, file=sys.stderr) as bar:
        yield bar.update


def _save_address_space() -> None:
    """Take less address space where it is limited, so that more often there is enough for Numba.

    Numba loads SciPy's OpenBLAS, which nothing here calls: of its own threads, each wants 32 MiB.
    An arena of glibc's takes 64 MiB for each thread, and its stack another 8.
    """
    if host.address_space_limit() is None:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    threading.stack_size(2**19)
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
