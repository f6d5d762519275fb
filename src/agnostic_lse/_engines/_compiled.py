"""What Numba compiles: states of rows and of columns, and their normalised entries.

What a state is, its peak and its rest, stands in `_logsum.py`. Arrays come flat, with places and
strides counted in entries. A reduction runs over entries that lie next to each other (rows), or
over rows of such entries (columns). Everything is for float32 or float64 alike, and for at most
`LONGEST` terms. Rows are numbered along an outer and an inner dimension, and `steps` are the
strides along these two of the argument, then of the state, then of the result.

What all the time goes into is written in vectors, by which LLVM fills the registers that a
processor has. No flag that lets nan or infinity be forgotten, or additions be reordered, is
set anywhere.

All of it stands in one file, long as that is: Numba takes what it has compiled from its cache until
the function's own file changes, and knows of no other. Of vectors in a second file it would go on
to use the old ones, on a user's machine too, where a new version left this file as it was.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
from llvmlite import ir
from llvmlite.binding import get_host_cpu_features
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Leading digits add up exactly: those of float32 are whole numbers of 2**-11, and 2**13 of terms of
# at most 1 are 2**24 units. So do those of what they leave, whole numbers of 2**-23 below 2**-11,
# which leave less than 2**-24. Short rows, and 16 rows of columns, have too few terms for what
# their leading digits leave to count: 128 * 2**-12 in all, or terms so far below the peak that
# exponents round by more. (For float64 these are 2**-26 and 2**-52.)
_BLOCK = 1024
_ROWS_AT_ONCE = 16  # of columns
# Twice through the cache: once for the largest, once for the sum. 2**15 of float64 are 256 KiB.
LONGEST = 2**15
# Bytes of a vector: a register of AVX-512 or of AVX, or two of 16 bytes, of which one works while
# the other waits.
_BYTES = 64 if get_host_cpu_features().get("avx512f") else 32
# Rows of fewer terms are lifted together, `_TIMES` times as many as a vector has numbers: at most
# 64 KiB, 128 rows of float32 or 64 of float64.
_LONG = 128
_TIMES = 8


Function = TypeVar("Function", bound=Callable[..., Any])


def _compiled(function: Function) -> Any:
    """Compile a function: with a cache on disk where a directory for it can be written to."""
    # As NumPy divides by 0: to look for it would keep LLVM from using vectors.
    compile_ = functools.partial(numba.njit, nogil=True, error_model="numpy")
    try:
        return compile_(cache=True)(function)
    except RuntimeError:  # Numba finds no place for its cache
        return compile_()(function)


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
# From where on it is a normal number: -125 log(2) and -1021 log(2), rounded up, since k is at least
# -125 or -1021 there, and 2**k is multiplied by sqrt(1/2) or more.
_NORMAL = {32: -86.0, 64: -707.0}

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
    """What the functions below are made of, for numbers of one width or vectors of them."""

    def __init__(self, builder: Any, width: int, lanes: int = 1) -> None:
        self.builder, self.width, self.lanes = builder, width, lanes
        self.real: Any = ir.FloatType() if width == 32 else ir.DoubleType()
        self.integer: Any = ir.IntType(width)
        if lanes > 1:
            self.real = ir.VectorType(self.real, lanes)
            self.integer = ir.VectorType(self.integer, lanes)
        self.digits, self.bias = _MANTISSA[width]

    def fused(self, x: Any, y: Any, z: Any) -> Any:
        """Return x * y + z, in one instruction where the processor has it."""
        suffix = f"v{self.lanes}f{self.width}" if self.lanes > 1 else f"f{self.width}"
        kind = ir.FunctionType(self.real, [self.real] * 3)
        function = cgutils.get_or_insert_function(
            self.builder.module, kind, f"llvm.fmuladd.{suffix}"
        )
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

    def exp(self, d: Any) -> Any:
        """Return exp(d) for d of 0 and less."""
        b = self.builder
        # Where all are normal numbers, as they mostly are, k is added to the exponent.
        normal = self.all(b.fcmp_ordered(">=", d, self.real(_NORMAL[self.width])))
        out = cgutils.alloca_once(b, self.real)
        with b.if_else(normal, likely=True) as (yes, no):
            with yes:
                shifted, y = self._reduced_exp(d)
                power = b.shl(shifted, self.integer(self.digits))
                b.store(b.bitcast(b.add(b.bitcast(y, self.integer), power), self.real), out)
            with no:
                b.store(self._exp_of_any(d), out)
        return b.load(out)

    def _exp_of_any(self, d: Any) -> Any:
        b, real, integer = self.builder, self.real, self.integer
        # What vanishes, -inf above all, takes another way: a product that underflows is slow.
        vanishes = b.fcmp_ordered("<", d, real(_LOWEST[self.width]))
        shifted, y = self._reduced_exp(b.select(vanishes, real(0.0), d))
        # In two factors, since 2**k may be subnormal
        n = b.sub(shifted, self.bits(1.5 * 2.0**self.digits))
        half = b.ashr(n, integer(1))
        for part in (half, b.sub(n, half)):
            power = b.shl(b.add(part, integer(self.bias)), integer(self.digits))
            y = b.fmul(y, b.bitcast(power, real))
        return b.select(vanishes, real(0.0), y)

    def _reduced_exp(self, d: Any) -> tuple[Any, Any]:
        """Return an integer with k in its last bits, and ``exp(d) / 2**k``."""
        b, real = self.builder, self.real
        # Adding 1.5 * 2**digits rounds to an integer, which then stands in the last bits.
        magic = 1.5 * 2.0**self.digits
        shifted = self.fused(d, real(1 / float(np.log(2.0))), real(magic))
        k = b.fsub(shifted, real(magic))
        leading, rest = _LOG2[self.width]
        # r in two parts: what rounding takes from their sum would count
        large, small = self.fused(k, real(-leading), d), b.fmul(k, real(-rest))
        r = b.fadd(large, small)
        p = self.polynomial(_OF_EXP[self.width], r)
        y = b.fadd(real(1.0), b.fadd(large, self.fused(b.fmul(r, r), p, small)))
        return b.bitcast(shifted, self.integer), y

    def split(self, t: Any, times: int = 1) -> list[Any]:
        """Return the leading half of the digits of a term of at most 1, and what is left.

        Twice, what is left is split so again.
        """
        # Adding it leaves as many digits behind the point as `half_digits` keeps, and then all.
        parts = []
        for big in (1.5 * 2.0 ** (12 if self.width == 32 else 26), 1.5)[:times]:
            shifted = self.builder.fadd(t, self.real(big))
            parts.append(self.builder.fsub(shifted, self.real(big)))
            t = self.builder.fsub(t, parts[-1])
        return [*parts, t]

    def is_small(self, number: Any) -> Any:
        """Tell whether a number lies between -1 and 1."""
        b, one = self.builder, self.real(1.0)
        return b.and_(
            b.fcmp_ordered("<", number, one), b.fcmp_ordered(">", number, self.real(-1.0))
        )

    def all(self, mask: Any) -> Any:
        """Tell whether a mask is set everywhere."""
        kind = ir.IntType(self.lanes)
        return self.builder.icmp_unsigned("==", self.builder.bitcast(mask, kind), kind(-1))

    def larger(self, one: Any, other: Any) -> Any:
        """Return the larger of two numbers, or the other if either is nan.

        So nan never gets into a largest number that was none before: sums tell of it.
        """
        return self.builder.select(self.builder.fcmp_ordered(">", one, other), one, other)

    def together(self, combine: Callable[[Any, Any], Any], vectors: list[Any]) -> Any:
        """Combine the numbers of each of as many vectors, as a tree, to one vector."""
        # In every round what belongs to a vector fills half as many places: those whose number has
        # the bit of the round go to the latter of two vectors.
        lanes, half = self.lanes, self.lanes // 2
        kind = ir.VectorType(ir.IntType(32), lanes)
        while half:
            former = kind([p - half + lanes if p & half else p for p in range(lanes)])
            latter = kind([p + lanes if p & half else p + half for p in range(lanes)])
            vectors = [
                combine(*(self.builder.shuffle_vector(*pair, of) for of in (former, latter)))
                for pair in zip(vectors[:half], vectors[half:], strict=True)
            ]
            half //= 2
        return vectors[0]

    def across(self, combine: Callable[[Any, Any], Any], vector: Any) -> Any:
        """Combine the numbers of a vector, as a tree."""
        together = self.together(combine, [vector] * self.lanes)
        return self.builder.extract_element(together, ir.IntType(32)(0))

    def spread(self, number: Any) -> Any:
        """Return a vector full of a number."""
        b, index = self.builder, ir.IntType(32)
        nothing = ir.VectorType(number.type, self.lanes)(ir.Undefined)
        one = b.insert_element(nothing, number, index(0))
        return b.shuffle_vector(one, one, ir.VectorType(index, self.lanes)(0))


class _Rows:
    """Entries of flat arrays that lie next to each other, so many from a place in each."""

    def __init__(self, context: Any, builder: Any, kind: Any, count: Any) -> None:
        self.context, self.builder, self.count = context, builder, count
        self.bytes = kind.dtype.bitwidth // 8
        self.make = _Maker(builder, kind.dtype.bitwidth, _BYTES // self.bytes)

    def row(self, kind: Any, array: Any, start: Any) -> Any:
        """Return a pointer to the first entry."""
        data = self.context.make_array(kind)(self.context, self.builder, array).data
        return self.builder.gep(data, [start], inbounds=True)

    def each(self, do: Callable[[Any, Any, int], None], turns: int = 1) -> None:
        """Call a function for each vector.

        It is given the number of the first entry, the mask of what is there or None where all is,
        which is in all vectors but the last one, and whose turn it is.
        """
        b, kind, lanes = self.builder, self.count.type, self.make.lanes
        done: Any = kind(0)
        for length in (turns * lanes, lanes)[turns == 1 :]:
            times = b.udiv(b.sub(self.count, done), kind(length))
            with cgutils.for_range(b, times) as loop:
                first = b.add(done, b.mul(loop.index, kind(length)))
                for turn in range(length // lanes):
                    do(b.add(first, kind(turn * lanes)), None, turn)
            done = b.add(done, b.mul(times, kind(length)))
        with b.if_then(b.icmp_unsigned("<", done, self.count)):
            index = ir.VectorType(ir.IntType(32), lanes)
            left = self.make.spread(b.trunc(b.sub(self.count, done), index.element))
            do(done, b.icmp_unsigned("<", index(list(range(lanes))), left), 0)

    def load(self, row: Any, first: Any, mask: Any, missing: float) -> Any:
        b, place = self.builder, self._place(row, first)
        if mask is None:
            return b.load(place, align=self.bytes)
        given = [place, ir.IntType(32)(self.bytes), mask, self.make.real(missing)]
        return self._masked("load", self.make.real, given)

    def store(self, entries: Any, row: Any, first: Any, mask: Any) -> None:
        b, place = self.builder, self._place(row, first)
        if mask is None:
            b.store(entries, place, align=self.bytes)
        else:
            given = [entries, place, ir.IntType(32)(self.bytes), mask]
            self._masked("store", ir.VoidType(), given)

    def _place(self, row: Any, first: Any) -> Any:
        place = self.builder.gep(row, [first], inbounds=True)
        return self.builder.bitcast(place, self.make.real.as_pointer())

    def _masked(self, name: str, result: Any, given: list[Any]) -> Any:
        kind = ir.FunctionType(result, [value.type for value in given])
        name = f"llvm.masked.{name}.v{self.make.lanes}f{8 * self.bytes}.p0"
        function = cgutils.get_or_insert_function(self.builder.module, kind, name)
        return self.builder.call(function, given)

    def _variables(self, values: list[Any]) -> list[Any]:
        places = [cgutils.alloca_once(self.builder, self.make.real) for _ in values]
        for value, place in zip(values, places, strict=True):
            self.builder.store(value, place)
        return places

    def highest(self, row: Any) -> Any:
        """Return the largest entries of a row, place by place, or any if there are nan."""
        b, larger, lowest = self.builder, self.make.larger, float("-inf")
        # Several, since each waits for what it was before
        found = self._variables([self.make.real(lowest)] * 4)

        def take(first: Any, mask: Any, turn: int) -> None:
            entries = self.load(row, first, mask, lowest)
            b.store(larger(entries, b.load(found[turn])), found[turn])

        self.each(take, len(found))
        return functools.reduce(larger, map(b.load, found))

    def sums(self, row: Any, base: Any, times: int = 1) -> Any:
        """Return the sums of the leading digits of ``exp(x - base)`` and of what they leave."""
        b, found = self.builder, self._variables([self.make.real(0.0)] * (times + 1))

        def add(first: Any, mask: Any, _: int) -> None:
            sums = self.added(self.load(row, first, mask, 0.0), base, mask, *map(b.load, found))
            for sum_, to in zip(sums, found, strict=True):
                b.store(sum_, to)

        self.each(add)
        return tuple(map(b.load, found))

    def added(self, entries: Any, base: Any, mask: Any, *sums: Any) -> list[Any]:
        """Return such sums with the terms of entries added."""
        b, zero = self.builder, self.make.real(0.0)
        difference = b.fsub(entries, base)
        if mask is None:
            term = self.make.exp(difference)
        else:
            # What is not there must not be far from the base: exp would take its longer way.
            term = self.make.exp(b.select(mask, difference, zero))
            term = b.select(mask, term, zero)
        parts = self.make.split(term, len(sums) - 1)
        return [b.fadd(*pair) for pair in zip(sums, parts, strict=True)]


@intrinsic
def _highest(_: Any, x: Any, start: Any, n: Any) -> Any:
    """Return the largest entry of a row, or any if there are nan: sums tell of those."""

    def generate(context: Any, b: Any, _: Any, arguments: Any) -> Any:
        x_, start_, n_ = arguments
        rows = _Rows(context, b, x, n_)
        return rows.make.across(rows.make.larger, rows.highest(rows.row(x, x_, start_)))

    return x.dtype(x, types.intp, types.intp), generate


@intrinsic
def _sums(_: Any, x: Any, start: Any, n: Any, base: Any) -> Any:
    """Return the sums of the leading digits of ``exp(x - base)``, of the next, and of the rest."""
    result = types.UniTuple(x.dtype, 3)

    def generate(context: Any, b: Any, _: Any, arguments: Any) -> Any:
        x_, start_, n_, base_ = arguments
        rows = _Rows(context, b, x, n_)
        sums = rows.sums(rows.row(x, x_, start_), rows.make.spread(base_), times=2)
        return context.make_tuple(b, result, [rows.make.across(b.fadd, sum_) for sum_ in sums])

    return result(x, types.intp, types.intp, x.dtype), generate


def _together(
    rows: _Rows, places: Any, function: Callable[[Any, Any], Any], *combine: Any
) -> list[Any]:
    """Return what a function makes of as many rows as a vector has numbers, each combined to one.

    It is given where a row begins and its number, and returns a vector for each way to combine it.
    """
    b, kind, lanes = rows.builder, rows.count.type, rows.make.lanes
    found = [cgutils.alloca_once(b, rows.make.real, size=lanes) for _ in combine]
    with cgutils.for_range(b, kind(lanes)) as loop:
        vectors = function(b.load(b.gep(places, [loop.index])), loop.index)
        for vector, to in zip(vectors, found, strict=True):
            b.store(vector, b.gep(to, [loop.index]))
    return [
        rows.make.together(how, [b.load(b.gep(of, [kind(i)])) for i in range(lanes)])
        for how, of in zip(combine, found, strict=True)
    ]


@intrinsic
def _highest_together(_: Any, x: Any, starts: Any, first: Any, n: Any, peak: Any) -> Any:
    """Write the largest entry of as many rows as a vector has numbers, from a number on."""

    def generate(context: Any, b: Any, _: Any, arguments: Any) -> Any:
        x_, starts_, first_, n_, peak_ = arguments
        rows = _Rows(context, b, x, n_)

        def highest(start: Any, _: Any) -> list[Any]:
            return [rows.highest(rows.row(x, x_, start))]

        places = rows.row(starts, starts_, first_)
        (entries,) = _together(rows, places, highest, rows.make.larger)
        rows.store(entries, rows.row(peak, peak_, first_), n_.type(0), None)
        return context.get_dummy_value()

    return types.void(x, starts, types.intp, types.intp, peak), generate


@intrinsic
def _rests_together(_: Any, x: Any, starts: Any, first: Any, n: Any, peak: Any, rest: Any) -> Any:
    """Write the rests of the rows whose peaks are known, wrong ones where a peak is infinite."""

    def generate(context: Any, b: Any, _: Any, arguments: Any) -> Any:
        x_, starts_, first_, n_, peak_, rest_ = arguments
        rows = _Rows(context, b, x, n_)
        peaks = rows.row(peak, peak_, first_)

        def sums(start: Any, number: Any) -> Any:
            base = rows.make.spread(b.load(b.gep(peaks, [number])))
            return rows.sums(rows.row(x, x_, start), base)

        places = rows.row(starts, starts_, first_)
        leading, others = _together(rows, places, sums, b.fadd, b.fadd)
        entries = b.fadd(b.fsub(leading, rows.make.real(1.0)), others)
        rows.store(entries, rows.row(rest, rest_, first_), n_.type(0), None)
        return context.get_dummy_value()

    return types.void(x, starts, types.intp, types.intp, peak, rest), generate


@intrinsic
def _add_row(_: Any, x: Any, start: Any, n: Any, base: Any, leading: Any, others: Any) -> Any:
    """Add the terms of a row, each to sums of its own."""

    def generate(context: Any, b: Any, _: Any, arguments: Any) -> Any:
        x_, start_, n_, *given = arguments
        rows = _Rows(context, b, x, n_)
        kinds = (base, leading, others)
        own = [rows.row(*each, n_.type(0)) for each in zip(kinds, given, strict=True)]
        read, sums = [rows.row(x, x_, start_), *own], own[1:]

        def add(first: Any, mask: Any, _: int) -> None:
            entries, base_, *found = (rows.load(each, first, mask, 0.0) for each in read)
            for sum_, to in zip(rows.added(entries, base_, mask, *found), sums, strict=True):
                rows.store(sum_, to, first, mask)

        rows.each(add)
        return context.get_dummy_value()

    return types.void(x, types.intp, types.intp, base, leading, others), generate


@intrinsic
def _write(
    _: Any, x: Any, from_: Any, n: Any, peak: Any, size: Any, logarithm: Any, out: Any, to: Any
) -> Any:
    """Write softmax of a row, or its logarithm.

    Peak, which must not be infinite, and size are numbers, or arrays if each entry has its own.
    """

    def generate(context: Any, b: Any, _: Any, arguments: Any) -> Any:
        x_, from__, n_, peak_, size_, logarithm_, out_, to_ = arguments
        rows = _Rows(context, b, x, n_)
        make = rows.make
        row, written = rows.row(x, x_, from__), rows.row(out, out_, to_)

        def of(kind: Any, value: Any) -> Callable[[Any, Any], Any]:
            if not isinstance(kind, types.Array):
                number = make.spread(value)
                return lambda *_: number
            values = rows.row(kind, value, n_.type(0))
            return lambda first, mask: rows.load(values, first, mask, 1.0)

        peak_of, size_of = of(peak, peak_), of(size, size_)

        def write(function: Callable[[Any, Any, Any], Any], first: Any, mask: Any, _: int) -> None:
            entries = rows.load(row, first, mask, 0.0)
            result = function(entries, peak_of(first, mask), size_of(first, mask))
            rows.store(result, written, first, mask)

        def log_probability(entries: Any, base: Any, size: Any) -> Any:
            return b.fsub(b.fsub(entries, base), size)

        def probability(entries: Any, base: Any, size: Any) -> Any:
            difference = b.fsub(entries, base)
            # All that rounding takes from it, to be put back: Knuth's two-sum
            turned = b.fsub(difference, entries)
            lost = b.fsub(b.fsub(entries, b.fsub(difference, turned)), b.fadd(base, turned))
            # Where x is -inf, or the difference overflows, it is nan, of a term of 0.
            lost = b.select(make.is_small(lost), lost, make.real(0.0))
            term = make.exp(difference)
            return b.fdiv(make.fused(lost, term, term), size)

        with b.if_else(logarithm_) as (yes, no):
            with yes:
                rows.each(functools.partial(write, log_probability))
            with no:
                rows.each(functools.partial(write, probability))
        return context.get_dummy_value()

    given = (x, types.intp, types.intp, peak, size, types.boolean, out, types.intp)
    return types.void(*given), generate


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
def _get(_: Any, x: Any, place: Any) -> Any:
    """Return an entry of a flat array.

    Numba's own indexing asks whether a place is negative, and its slices count references, each of
    which costs more than what is done with a register full of numbers.
    """

    def generate(context: Any, b: Any, _: Any, arguments: Any) -> Any:
        data = context.make_array(x)(context, b, arguments[0]).data
        return b.load(b.gep(data, [arguments[1]], inbounds=True))

    return x.dtype(x, types.intp), generate


@intrinsic
def _set(_: Any, x: Any, place: Any, entry: Any) -> Any:
    """Write an entry of a flat array."""

    def generate(context: Any, b: Any, _: Any, arguments: Any) -> Any:
        data = context.make_array(x)(context, b, arguments[0]).data
        b.store(arguments[2], b.gep(data, [arguments[1]], inbounds=True))
        return context.get_dummy_value()

    return types.void(x, types.intp, x.dtype), generate


@_compiled
def _log1p(x: Any) -> Any:
    """Return log(1 + x) for x of 0 and more."""
    return _log1p_of(x)


@_compiled
def _unusual(peak: Any, x: Any, start: int, n: int, step: int) -> Any:
    """Return peak and rest of a sum that has no finite peak, or nan among its terms."""
    infinite = 0
    for j in range(n):
        entry = _get(x, start + j * step)
        if np.isnan(entry):
            return entry, entry
        infinite += entry == np.inf
    return peak, x.dtype.type(infinite - 1 if infinite else 0)


@_compiled
def _lift_row(x: Any, start: int, n: int) -> Any:
    peak = _highest(x, start, n)
    if not np.isinf(peak):
        leading = middle = others = 0.0
        for first in range(0, n, _BLOCK):
            sums = _sums(x, start + first, min(_BLOCK, n - first), peak)
            leading += sums[0]
            middle += sums[1]
            others += sums[2]
        rest = x.dtype.type((leading - 1) + (middle + others))
        if not np.isnan(rest):
            return peak, rest
    return _unusual(peak, x, start, n, 1)


@_compiled
def _workspace(x: Any, lanes: int) -> Any:
    """Return peaks, rests, two arrays for in between, and one of float64."""
    return (
        np.empty(lanes, x.dtype),
        np.empty(lanes, x.dtype),
        np.empty(lanes, x.dtype),
        np.empty(lanes, x.dtype),
        np.empty(lanes, np.float64),
    )


@_compiled
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
            _add_row(x, place + j * stride, lanes, base, rest, others)
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


@_compiled
def _at(row: int, inner: int, steps: Any, k: int) -> int:
    """Return where a row begins in an array whose outer step is the kth, and the inner the next."""
    return row // inner * steps[k] + row % inner * steps[k + 1]


@_compiled
def values(peak: Any, rest: Any, out: Any, start: int, stop: int) -> None:
    """Write ``peak + log1p(rest)``."""
    for i in range(start, stop):
        _set(out, i, _get(peak, i) + _log1p(_get(rest, i)))


@_compiled
def _rows_at_once(x: Any) -> int:
    return _TIMES * _BYTES // x.itemsize


@_compiled
def _group(first: int, stop: int, inner: int, steps: Any, places: Any) -> int:
    """Write the places of rows from the first on, in two arrays or more, and return how many rows.

    Where fewer are left, the last one fills up, and what it gives is thrown away.
    """
    lanes = places.shape[1]
    outer, within = first // inner, first % inner
    if first + lanes <= stop and within + lanes <= inner:
        for k in range(places.shape[0]):
            place = outer * steps[2 * k] + within * steps[2 * k + 1]
            for i in range(lanes):
                places[k, i] = place + i * steps[2 * k + 1]
        return lanes
    for i in range(lanes):
        for k in range(places.shape[0]):
            places[k, i] = outer * steps[2 * k] + within * steps[2 * k + 1]
        if first + i + 1 < stop:
            within += 1
            if within == inner:
                outer, within = outer + 1, 0
    return min(lanes, stop - first)


@_compiled
def _lift_rows(x: Any, starts: Any, count: int, n: int, peaks: Any, rests: Any) -> None:
    """Write peaks and rests of rows that begin at some places, and are followed by spare ones."""
    if n >= _LONG:
        for i in range(count):
            peaks[i], rests[i] = _lift_row(x, starts[i], n)
        return
    # Every step apart: those of one row wait for each other, but not for those of other rows.
    lanes = peaks.shape[0]
    for first in range(0, lanes, _BYTES // x.itemsize):
        _highest_together(x, starts, first, n, peaks)
    for first in range(0, lanes, _BYTES // x.itemsize):
        _rests_together(x, starts, first, n, peaks, rests)
    usual = True
    for i in range(lanes):
        usual &= not (np.isinf(_get(peaks, i)) | np.isnan(_get(rests, i)))
    if not usual:
        for i in range(count):
            if np.isinf(peaks[i]) | np.isnan(rests[i]):
                peaks[i], rests[i] = _unusual(peaks[i], x, starts[i], n, 1)


@_compiled
def lift_rows(
    x: Any, peak: Any, rest: Any, n: int, inner: int, steps: Any, start: int, stop: int
) -> None:
    """Lift the rows from start to stop, numbered along an outer and an inner dimension.

    `steps` are the strides of x and of the state along these two.
    """
    lanes = _rows_at_once(x)
    places = np.empty((2, lanes), np.intp)
    starts, slots = places
    peaks, rests = np.empty((2, lanes), x.dtype)
    for first in range(start, stop, lanes):
        count = _group(first, stop, inner, steps, places)
        _lift_rows(x, starts, count, n, peaks, rests)
        for i in range(count):
            slot = _get(slots, i)
            _set(peak, slot, _get(peaks, i))
            _set(rest, slot, _get(rests, i))


@_compiled
def log_sum_rows(x: Any, out: Any, n: int, inner: int, steps: Any, start: int, stop: int) -> None:
    """Write the logarithms of the sums of rows, numbered as in a lift."""
    lanes = _rows_at_once(x)
    places = np.empty((2, lanes), np.intp)
    starts, slots = places
    peaks, rests, sums = np.empty((3, lanes), x.dtype)
    for first in range(start, stop, lanes):
        count = _group(first, stop, inner, steps, places)
        _lift_rows(x, starts, count, n, peaks, rests)
        values(peaks, rests, sums, 0, lanes)
        for i in range(count):
            _set(out, _get(slots, i), _get(sums, i))


@_compiled
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


@_compiled
def _size(rest: Any, logarithm: bool) -> Any:
    """Return the sum of terms over exp(peak), or its logarithm."""
    return _log1p(rest) if logarithm else 1 + rest


@_compiled
def _beside_infinity(x: Any, size: Any, logarithm: bool) -> Any:
    """Return softmax of an entry, or its logarithm, where the peak is infinite."""
    if logarithm:
        return -size if x == np.inf else size - np.inf
    return 1 / size if x == np.inf else size - size


@_compiled
def _write_row(
    x: Any, from_: int, n: int, peak: Any, size: Any, logarithm: bool, out: Any, to: int
) -> None:
    """Write softmax, or its logarithm, of a row."""
    if np.isinf(peak):
        for j in range(n):
            _set(out, to + j, _beside_infinity(_get(x, from_ + j), size, logarithm))
    else:
        _write(x, from_, n, peak, size, logarithm, out, to)


@_compiled
def _write_lanes(
    x: Any, from_: int, lanes: int, peak: Any, size: Any, logarithm: bool, out: Any, to: int
) -> None:
    """Write a row of entries, each of another sum."""
    _write(x, from_, lanes, peak, size, logarithm, out, to)
    for i in range(lanes):
        if np.isinf(_get(peak, i)):
            _set(out, to + i, _beside_infinity(_get(x, from_ + i), _get(size, i), logarithm))


@_compiled
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
    lanes = _rows_at_once(x)
    places = np.empty((3, lanes), np.intp)
    from_, slots, to = places
    sizes = np.empty(lanes, x.dtype)
    for first in range(start, stop, lanes):
        count = _group(first, stop, inner, steps, places)
        for i in range(lanes):
            sizes[i] = rest[slots[i]]
        for i in range(lanes):  # a loop of its own, so that LLVM makes vectors of it
            _set(sizes, i, _size(_get(sizes, i), logarithm))
        for i in range(count):
            _write_row(x, from_[i], n, peak[slots[i]], sizes[i], logarithm, out, to[i])


@_compiled
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
        from_ = _at(row, inner, steps, 0) + first
        to = _at(row, inner, steps, 4) + first
        for _ in range(n):
            _write_lanes(x, from_, count, peaks, sizes, logarithm, out, to)
            from_ += strides[0]
            to += strides[1]
