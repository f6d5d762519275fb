"""What Numba compiles: states of rows and of columns, and their normalised entries.

Arrays come flat, with places and strides counted in entries. A reduction runs over entries that lie
next to each other (rows), or over rows of such entries (columns). Everything is for float32 or
float64 alike, and for at most `LONGEST` terms.

Only sums may be reordered: a function whose additions LLVM may regroup to fill vector registers
carries ``fastmath={"reassoc"}``, and what must round as written stands in another one, since the
flag holds for a whole function. No flag that lets nan or infinity be forgotten is set anywhere.

All of it stands in one file, since Numba's cache knows of changes in a function's own file alone.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# Leading digits add up exactly: those of float32 are whole numbers of 2**-11, and 2**13 of terms of
# at most 1 are 2**24 units. What they leave is rounded, and is added as a tree: of so many terms of
# a row each of 32 or more places in registers adds some in order, and float64 what these make.
_BLOCK = 1024
_ROWS_AT_ONCE = 16  # of columns
# Twice through the cache: once for the largest, once for the sum. 2**15 of float64 are 256 KiB.
LONGEST = 2**15
# Rows shorter than the registers are summed side by side, so many at once.
_LANES = 64


Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(**options: Any) -> Callable[[Function], Function]:
    """Return the decorator: with a cache on disk where a directory for it can be written to."""

    def decorate(function: Function) -> Any:
        # Not Python's errors: no vector register raises ZeroDivisionError.
        compile_ = functools.partial(numba.njit, nogil=True, error_model="numpy", **options)
        try:
            return compile_(cache=True)(function)
        except RuntimeError:  # Numba finds no place for its cache
            return compile_()(function)

    return decorate


_MANTISSA = {32: (23, 127), 64: (52, 1023)}
_NUMBERS = {32: (np.float32, np.int32), 64: (np.float64, np.int64)}
# log(2) in two parts, the former short enough for its product with an exponent to be exact
_LOG2 = {32: (0.693359375, -2.12194440e-4), 64: (6.93147180369123816e-1, 1.90821492927058770e-10)}

# exp(d) = 2**k * exp(r) with r = d - k log(2), |r| <= log(2) / 2, as Cody and Waite reduce it. What
# exp(r) has beyond 1 + r, over r**2, is a polynomial through Chebyshev's points, off by less than
# 0.1 roundoffs. All in all it errs by 1.3.
_OF_EXP = {
    32: (
        *(0.5, 0.16666576989698775, 0.041666554617204574, 0.008363179052722578),
        0.0013926183587713494,
    ),
    64: (
        *(0.5000000000000001, 0.16666666666666669, 0.04166666666662413, 0.008333333333330062),
        *(0.0013888888917213717, 0.00019841269863053618, 2.4801521295954376e-05),
        *(2.7557268459997064e-06, 2.7620088445409746e-07, 2.510038549551032e-08),
    ),
}
# Where exp is below half of the smallest subnormal number
_LOWEST = {32: -104.0, 64: -746.0}

# log(y) = k log(2) + log1p(f), and with s = f / (2 + f) that is 2 s + s**3 R(s**2), R a polynomial
# through Chebyshev's points, off by less than 0.01 roundoffs. All in all log1p errs by 1.4.
_OF_LOG = {
    32: (0.6666666655404201, 0.4000012221181065, 0.28550778633191964, 0.23331614471843498),
    64: (
        *(0.666666666666667, 0.3999999999989889, 0.28571428626253836, 0.22222211089379496),
        *(0.1818289243253687, 0.15331611722055008, 0.14617807153417325),
    ),
}


class _Maker:
    """What the functions below are made of, for numbers of one width."""

    def __init__(self, builder: Any, width: int) -> None:
        self.builder, self.width = builder, width
        self.real = ir.FloatType() if width == 32 else ir.DoubleType()
        self.integer = ir.IntType(width)
        self.digits, self.bias = _MANTISSA[width]

    def fused(self, x: Any, y: Any, z: Any) -> Any:
        """Return x * y + z, in one instruction where the processor has it."""
        kind = ir.FunctionType(self.real, [self.real] * 3)
        function = self.builder.module.declare_intrinsic("llvm.fmuladd", [self.real], kind)
        return self.builder.call(function, [x, y, z])

    def polynomial(self, coefficients: tuple[float, ...], x: Any) -> Any:
        *lower, out = map(self.real, coefficients)
        for coefficient in reversed(lower):
            out = self.fused(out, x, coefficient)
        return out

    def bits(self, number: float) -> Any:
        """Return the bits of a number as an integer."""
        real, integer = _NUMBERS[self.width]
        return self.integer(int(np.asarray(number, real).view(integer)))


@intrinsic
def _exp_of(_: Any, d: Any) -> Any:
    def generate(_: Any, b: Any, __: Any, arguments: Any) -> Any:
        make = _Maker(b, d.bitwidth)
        real, integer, (d_,) = make.real, make.integer, arguments
        # What vanishes, -inf above all, takes another way: a product that underflows is slow.
        vanishes = b.fcmp_ordered("<", d_, real(_LOWEST[make.width]))
        d_ = b.select(vanishes, real(0.0), d_)
        # Adding 1.5 * 2**digits rounds to an integer, which then stands in the last bits.
        magic = 1.5 * 2.0**make.digits
        shifted = make.fused(d_, real(1 / float(np.log(2.0))), real(magic))
        k = b.fsub(shifted, real(magic))
        leading, rest = _LOG2[make.width]
        # r in two parts: what rounding takes from their sum would count
        large, small = make.fused(k, real(-leading), d_), b.fmul(k, real(-rest))
        r = b.fadd(large, small)
        p = make.polynomial(_OF_EXP[make.width], r)
        y = b.fadd(real(1.0), b.fadd(large, make.fused(b.fmul(r, r), p, small)))
        # In two factors, since 2**k may be subnormal
        n = b.sub(b.bitcast(shifted, integer), make.bits(magic))
        half = b.ashr(n, integer(1))
        for part in (half, b.sub(n, half)):
            power = b.shl(b.add(part, integer(make.bias)), integer(make.digits))
            y = b.fmul(y, b.bitcast(power, real))
        return b.select(vanishes, real(0.0), y)

    return d(d), generate


@intrinsic
def _log1p_of(_: Any, x: Any) -> Any:
    def generate(_: Any, b: Any, __: Any, arguments: Any) -> Any:
        make = _Maker(b, x.bitwidth)
        real, integer, (x_,) = make.real, make.integer, arguments
        one = real(1.0)
        y = b.fadd(one, x_)
        # What rounding took from 1 + x, by the larger of the two
        of_small, of_large = b.fsub(x_, b.fsub(y, one)), b.fsub(one, b.fsub(y, x_))
        lost = b.fdiv(b.select(b.fcmp_ordered("<", x_, one), of_small, of_large), y)
        # y = 2**k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2)
        bits = b.bitcast(y, integer)
        exponent = b.ashr(b.sub(bits, make.bits(float(np.sqrt(0.5)))), integer(make.digits))
        power = b.shl(exponent, integer(make.digits))
        f = b.fsub(b.bitcast(b.sub(bits, power), real), one)
        k = b.sitofp(exponent, real)
        s = b.fdiv(f, b.fadd(real(2.0), f))
        z = b.fmul(s, s)
        p = make.polynomial(_OF_LOG[make.width], z)
        leading, rest = map(real, _LOG2[make.width])
        # 2 s = f - s f, and so log1p(f) = f - s (f - s**2 R)
        small = b.fsub(make.fused(k, rest, lost), b.fmul(s, b.fsub(f, b.fmul(z, p))))
        # k log(2) + f, and what rounding takes from that
        large = b.fmul(k, leading)
        whole = b.fadd(large, f)
        log = b.fadd(whole, b.fadd(small, b.fsub(f, b.fsub(whole, large))))
        return b.select(b.fcmp_ordered("==", x_, real(float("inf"))), x_, log)

    return x(x), generate


@intrinsic
def _leading_of(_: Any, t: Any) -> Any:
    def generate(_: Any, b: Any, __: Any, arguments: Any) -> Any:
        # Adding it leaves as many digits behind the point as `half_digits` keeps.
        big = arguments[0].type(1.5 * 2.0 ** (12 if t.bitwidth == 32 else 26))
        return b.fsub(b.fadd(arguments[0], big), big)

    return t(t), generate


def _in_order(b: Any, bits: Any) -> Any:
    """Turn a number's bits into an integer that is ordered as the number is, and back again."""
    integer = bits.type
    negative = b.ashr(bits, integer(integer.width - 1))
    return b.xor(bits, b.and_(negative, integer(2 ** (integer.width - 1) - 1)))


@intrinsic
def _order_of(_: Any, x: Any) -> Any:
    def generate(_: Any, b: Any, __: Any, arguments: Any) -> Any:
        return _in_order(b, b.bitcast(arguments[0], ir.IntType(x.bitwidth)))

    return (types.int32 if x.bitwidth == 32 else types.int64)(x), generate


@intrinsic
def _number_of(_: Any, order: Any) -> Any:
    def generate(_: Any, b: Any, __: Any, arguments: Any) -> Any:
        real = ir.FloatType() if order.bitwidth == 32 else ir.DoubleType()
        return b.bitcast(_in_order(b, arguments[0]), real)

    return (types.float32 if order.bitwidth == 32 else types.float64)(order), generate


@intrinsic
def _get(_: Any, x: Any, place: Any) -> Any:  # noqa: ARG001 (Numba's)
    """Return an entry of a flat array.

    Numba's own indexing asks whether a place is negative, and its slices count references, each of
    which costs more than what is done with a register full of numbers.
    """

    def generate(context: Any, b: Any, _: Any, arguments: Any) -> Any:
        data = context.make_array(x)(context, b, arguments[0]).data
        return b.load(b.gep(data, [arguments[1]], inbounds=True))

    return x.dtype(x, types.intp), generate


@intrinsic
def _set(_: Any, x: Any, place: Any, entry: Any) -> Any:  # noqa: ARG001 (Numba's)
    """Write an entry of a flat array."""

    def generate(context: Any, b: Any, _: Any, arguments: Any) -> Any:
        data = context.make_array(x)(context, b, arguments[0]).data
        b.store(arguments[2], b.gep(data, [arguments[1]], inbounds=True))
        return context.get_dummy_value()

    return types.void(x, types.intp, x.dtype), generate


@_compiled()
def _exp(d: Any) -> Any:
    """Return exp(d) for d of 0 and less."""
    return _exp_of(d)


@_compiled()
def _log1p(x: Any) -> Any:
    """Return log(1 + x) for x of 0 and more."""
    return _log1p_of(x)


@_compiled()
def _split(t: Any) -> Any:
    """Return the leading half of the digits of a term of at most 1, and what is left."""
    leading = _leading_of(t)
    return leading, t - leading


@_compiled(fastmath={"reassoc"})
def _sums(x: Any, start: int, stop: int, base: Any) -> Any:
    """Return the sums of the leading digits of ``exp(x - base)`` and of what they leave."""
    leading = others = x.dtype.type(0)
    for j in range(start, stop):
        one, other = _split(_exp(_get(x, j) - base))
        leading += one
        others += other
    return leading, others


@_compiled(fastmath={"reassoc"})
def _masked_sums(x: Any, start: int, base: Any, mask: Any) -> Any:
    """Return the same sums over the entries whose mask is 1, and not 0."""
    leading = others = x.dtype.type(0)
    for j in range(mask.shape[0]):
        one, other = _split(_exp(_get(x, start + j) - base) * _get(mask, j))
        leading += one
        others += other
    return leading, others


@_compiled()
def _highest(x: Any, start: int, stop: int) -> Any:
    """Return the largest entry, or any if there are nan: sums tell of those."""
    # As integers, since the order of floating-point numbers, with nan and two zeros among them,
    # keeps LLVM from filling its registers.
    highest = _order_of(_get(x, start))
    for j in range(start, stop):
        order = _order_of(_get(x, j))
        highest = order if order > highest else highest
    return _number_of(highest)


@_compiled()
def _unusual(peak: Any, x: Any, start: int, n: int, step: int) -> Any:
    """Return peak and rest of a sum that has no finite peak, or nan among its terms."""
    infinite = 0
    for j in range(n):
        entry = _get(x, start + j * step)
        if np.isnan(entry):
            return entry, entry
        infinite += entry == np.inf
    return peak, x.dtype.type(infinite - 1 if infinite else 0)


@_compiled()
def _registers(x: Any) -> int:
    """Return how many numbers four vector registers of 64 bytes hold.

    A loop that fills them does the rest one by one. It is faster to take so many from the end once
    more, and to mask what was there before.
    """
    return 256 // x.itemsize


@_compiled()
def _lift_row(x: Any, start: int, n: int, mask: Any) -> Any:
    stop = start + n
    peak = _highest(x, start, stop)
    if not np.isinf(peak):
        leading = others = 0.0
        whole = stop - n % mask.shape[0]
        for first in range(start, whole, _BLOCK):
            sums = _sums(x, first, min(first + _BLOCK, whole), peak)
            leading += sums[0]
            others += sums[1]
        if whole < stop:
            sums = _masked_sums(x, stop - mask.shape[0], peak, mask)
            leading += sums[0]
            others += sums[1]
        rest = x.dtype.type((leading - 1) + others)
        if not np.isnan(rest):
            return peak, rest
    return _unusual(peak, x, start, n, 1)


@_compiled()
def _workspace(x: Any, lanes: int) -> Any:
    """Return peaks, rests, two arrays for in between, and one of float64."""
    return (
        np.empty(lanes, x.dtype),
        np.empty(lanes, x.dtype),
        np.empty(lanes, x.dtype),
        np.empty(lanes, x.dtype),
        np.empty(lanes, np.float64),
    )


@_compiled()
def _lift_lanes(x: Any, place: int, stride: int, n: int, lanes: int, work: Any) -> None:
    """Write peaks and rests of sums side by side into the first two arrays of the workspace."""
    peak, rest, base, others, whole = work
    for i in range(lanes):
        _set(peak, i, _get(x, place + i))
    for j in range(1, n):
        row = place + j * stride
        for i in range(lanes):
            entry, highest = _get(x, row + i), _get(peak, i)
            _set(peak, i, entry if entry > highest else highest)
    zero = x.dtype.type(0)
    for i in range(lanes):
        base[i] = zero if np.isinf(peak[i]) else peak[i]
        rest[i] = others[i] = whole[i] = zero
    for start in range(0, n, _ROWS_AT_ONCE):
        for j in range(start, min(start + _ROWS_AT_ONCE, n)):
            row = place + j * stride
            for i in range(lanes):
                one, other = _split(_exp(_get(x, row + i) - _get(base, i)))
                _set(rest, i, _get(rest, i) + one)
                _set(others, i, _get(others, i) + other)
        for i in range(lanes):
            whole[i] += others[i]
            others[i] = zero
    plain = True
    for i in range(lanes):
        rest[i] = (rest[i] - 1) + whole[i]
        plain &= not (np.isinf(peak[i]) | np.isnan(rest[i]))
    if not plain:
        for i in range(lanes):
            if np.isinf(peak[i]) | np.isnan(rest[i]):
                peak[i], rest[i] = _unusual(peak[i], x, place + i, n, stride)


@_compiled()
def _at(row: int, inner: int, steps: Any, k: int) -> int:
    """Return where a row begins in an array whose outer step is the kth, and the inner the next."""
    return row // inner * steps[k] + row % inner * steps[k + 1]


@_compiled()
def _side_by_side(x: Any, n: int, inner: int, steps: Any, first: int, lanes: int, out: Any) -> None:
    """Write rows, from the first on, as columns."""
    if inner == 1:
        step = steps[0]
        for j in range(n):
            place = first * step + j
            for i in range(lanes):
                _set(out, j * _LANES + i, _get(x, place + i * step))
        return
    for i in range(lanes):
        place = _at(first + i, inner, steps, 0)
        for j in range(n):
            _set(out, j * _LANES + i, _get(x, place + j))


@_compiled()
def lift_rows(
    x: Any, peak: Any, rest: Any, n: int, inner: int, steps: Any, start: int, stop: int
) -> None:
    """Lift the rows from start to stop, numbered along an outer and an inner dimension.

    `steps` are the strides of x and of the state along these two.
    """
    registers = _registers(x)
    if n >= registers:
        mask = np.zeros(registers, x.dtype)
        mask[registers - n % registers :] = 1
        for row in range(start, stop):
            state = _at(row, inner, steps, 2)
            peak[state], rest[state] = _lift_row(x, _at(row, inner, steps, 0), n, mask)
        return
    work, columns = _workspace(x, _LANES), np.empty(n * _LANES, x.dtype)
    for first in range(start, stop, _LANES):
        lanes = min(_LANES, stop - first)
        _side_by_side(x, n, inner, steps, first, lanes, columns)
        _lift_lanes(columns, 0, _LANES, n, lanes, work)
        for i in range(lanes):
            state = _at(first + i, inner, steps, 2)
            peak[state], rest[state] = work[0][i], work[1][i]


@_compiled()
def lift_columns(
    x: Any, peak: Any, rest: Any, n: int, stride: int, shape: Any, steps: Any, start: int, stop: int
) -> None:
    """Lift pieces of columns, numbered along an outer and an inner dimension and across a row.

    `shape` holds the length of the inner dimension, that of a row, and how many lanes a piece has.
    """
    inner, width, lanes = shape
    work = _workspace(x, lanes)
    pieces = (width + lanes - 1) // lanes
    for piece in range(start, stop):
        row, first = piece // pieces, piece % pieces * lanes
        count = min(lanes, width - first)
        place = _at(row, inner, steps, 0) + first
        _lift_lanes(x, place, stride, n, count, work)
        place = _at(row, inner, steps, 2) + first
        for i in range(count):
            peak[place + i], rest[place + i] = work[0][i], work[1][i]


@_compiled()
def values(peak: Any, rest: Any, out: Any, start: int, stop: int) -> None:
    """Write ``peak + log1p(rest)``."""
    for i in range(start, stop):
        _set(out, i, _get(peak, i) + _log1p(_get(rest, i)))


@_compiled()
def _probability(x: Any, base: Any, whole: Any) -> Any:
    """Return ``exp(x - base) / whole``, with what rounding takes from the difference put back."""
    difference = x - base
    turned = difference - x
    lost = (x - (difference - turned)) - (base + turned)  # all of it: Knuth's two-sum
    term = _exp(difference)
    # Where x is -inf, or the difference overflows, nan would be lost, of a term of 0.
    return (term + (lost * term if abs(lost) < 1 else term - term)) / whole


@_compiled()
def _size(rest: Any, logarithm: bool) -> Any:
    """Return the sum of terms over exp(peak), or its logarithm."""
    return _log1p(rest) if logarithm else 1 + rest


@_compiled()
def _beside_infinity(x: Any, size: Any, logarithm: bool) -> Any:
    """Return softmax of an entry, or its logarithm, where the peak is infinite."""
    if logarithm:
        return -size if x == np.inf else size - np.inf
    return 1 / size if x == np.inf else size - size


@_compiled()
def _write_row(
    x: Any, from_: int, n: int, peak: Any, rest: Any, logarithm: bool, out: Any, to: int
) -> None:
    """Write softmax, or its logarithm, of a row from its state."""
    size = _size(rest, logarithm)
    if np.isinf(peak):
        for j in range(n):
            _set(out, to + j, _beside_infinity(_get(x, from_ + j), size, logarithm))
    elif logarithm:
        for j in range(n):
            _set(out, to + j, (_get(x, from_ + j) - peak) - size)
    else:
        for j in range(n):
            _set(out, to + j, _probability(_get(x, from_ + j), peak, size))


@_compiled()
def _write_lanes(
    x: Any, from_: int, lanes: int, peak: Any, size: Any, logarithm: bool, out: Any, to: int
) -> None:
    """Write a row of entries, each of another sum, of which none has an infinite peak."""
    if logarithm:
        for i in range(lanes):
            _set(out, to + i, (_get(x, from_ + i) - _get(peak, i)) - _get(size, i))
    else:
        for i in range(lanes):
            entry = _probability(_get(x, from_ + i), _get(peak, i), _get(size, i))
            _set(out, to + i, entry)


@_compiled()
def _write_odd_lanes(
    x: Any, from_: int, lanes: int, peak: Any, size: Any, logarithm: bool, out: Any, to: int
) -> None:
    """Write a row of entries, each of another sum, of which some have an infinite peak."""
    for i in range(lanes):
        _write_lanes(x, from_ + i, 1, peak[i:], size[i:], logarithm, out, to + i)
        if np.isinf(peak[i]):
            _set(out, to + i, _beside_infinity(_get(x, from_ + i), size[i], logarithm))


@_compiled()
def _any_infinite(x: Any, lanes: int) -> bool:
    found = False
    for i in range(lanes):
        found |= np.isinf(_get(x, i))
    return found


@_compiled()
def write_rows(
    x: Any,
    peak: Any,
    rest: Any,
    logarithm: bool,
    out: Any,
    n: int,
    inner: int,
    steps: Any,
    start: int,
    stop: int,
) -> None:
    """Write rows, numbered as in a lift; the last two steps are those of the result."""
    if n >= _registers(x):
        for row in range(start, stop):
            from_, to = _at(row, inner, steps, 0), _at(row, inner, steps, 4)
            state = _at(row, inner, steps, 2)
            _write_row(x, from_, n, peak[state], rest[state], logarithm, out, to)
        return
    columns, written = np.empty(n * _LANES, x.dtype), np.empty(n * _LANES, x.dtype)
    peaks, sizes = np.empty(_LANES, x.dtype), np.empty(_LANES, x.dtype)
    for first in range(start, stop, _LANES):
        lanes = min(_LANES, stop - first)
        _side_by_side(x, n, inner, steps, first, lanes, columns)
        for i in range(lanes):
            state = _at(first + i, inner, steps, 2)
            peaks[i], sizes[i] = peak[state], rest[state]
        for i in range(lanes):  # apart, so that it fills registers
            _set(sizes, i, _size(_get(sizes, i), logarithm))
        infinite = _any_infinite(peaks, lanes)
        for j in range(n):
            row = j * _LANES
            if infinite:
                _write_odd_lanes(columns, row, lanes, peaks, sizes, logarithm, written, row)
            else:
                _write_lanes(columns, row, lanes, peaks, sizes, logarithm, written, row)
        for i in range(lanes):
            to = _at(first + i, inner, steps, 4)
            for j in range(n):
                _set(out, to + j, _get(written, j * _LANES + i))


@_compiled()
def write_columns(
    x: Any,
    peak: Any,
    rest: Any,
    logarithm: bool,
    out: Any,
    n: int,
    strides: Any,
    shape: Any,
    steps: Any,
    start: int,
    stop: int,
) -> None:
    """Write pieces of columns, numbered as in a lift; `strides` are those of x and the result."""
    inner, width, lanes = shape
    peaks, sizes = np.empty(lanes, x.dtype), np.empty(lanes, x.dtype)
    pieces = (width + lanes - 1) // lanes
    for piece in range(start, stop):
        row, first = piece // pieces, piece % pieces * lanes
        count = min(lanes, width - first)
        state = _at(row, inner, steps, 2) + first
        for i in range(count):
            _set(peaks, i, _get(peak, state + i))
            _set(sizes, i, _size(_get(rest, state + i), logarithm))
        infinite = _any_infinite(peaks, count)
        from_ = _at(row, inner, steps, 0) + first
        to = _at(row, inner, steps, 4) + first
        for _ in range(n):
            if infinite:
                _write_odd_lanes(x, from_, count, peaks, sizes, logarithm, out, to)
            else:
                _write_lanes(x, from_, count, peaks, sizes, logarithm, out, to)
            from_ += strides[0]
            to += strides[1]
