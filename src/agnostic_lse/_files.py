"""Sums over a .npy file of any size in constant memory: what the command ``reduce`` does.

The file is read and not mapped, since what is mapped counts where the address space is limited.
While a block is summed, a thread reads the next one: on a busy machine of two processors that took
1.1 seconds for 2.7 GB from a disk, as did reading alone, and 2.3 without the thread.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.lib import format as npy

from . import _process
from ._accumulator import LogSumExpAccumulator
from ._blocks import Blocks
from ._namespace import reduced_axes
from ._reductions import logsumexp
from ._wording import counted

# Bytes of a block, of which there are two, in the dtype that it is summed in. Kernels are worth
# their while from 4 MiB of float64 on; from 4 to 16 MiB, all took as long.
BLOCK = 2**23
# More numbers than these are for a file, not for a terminal.
MOST_PRINTED = 4096

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
    with _opened(path) as stream, _process.noted_signals() as end_if_asked:
        source = _Source.of(stream, path)
        axes = _axes(axis, source)
        shape = _shape_without(source.shape, axes, keepdims)
        if out is None and math.prod(shape) > MOST_PRINTED:
            raise Problem(
                f"The result has {math.prod(shape)} numbers, but at most {MOST_PRINTED} are "
                "printed: name a file for them by --out."
            )
        target = None if out is None else _target(out, stream)
        _process.save_address_space()
        # The thread must have ended before the file is closed.
        with _process.progress_bar(source.bytes, quiet) as show, ThreadPoolExecutor(1) as reader:

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
                f"{self.path} {what}, with {counted(size, 'byte')} where its header says "
                f"{expected}: copy or save it anew."
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
    blocks = Blocks.of(shape, axes, max(1, BLOCK // widest))
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
    blocks: Blocks,
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
