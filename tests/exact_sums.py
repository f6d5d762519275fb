"""Exact sums and means of weighted exponentials, and how far an answer is off.

Nothing here comes from the library: floats are taken for the numbers that they are, and mpmath
calculates with as many digits as the terms cancel.

**Condition numbers.** With the terms ``t_i = b_i exp(a_i)`` of a sum S, and their shares
``p_i = t_i / S``, small relative changes d_i of the exponents and e_i of the weights change the
logarithm by::

    sum p_i (a_i d_i + e_i)

A weight of exactly 1 or -1, or none, is not rounded by anything. So, with ``w_i = 0`` for such a
weight and 1 for any other, the logarithm errs by at most one roundoff for each unit of::

    max(|log S|, sum |p_i| (|a_i| + w_i))

which is the condition number ``max(1, sum |p_i| (|a_i| + w_i) / |log S|)`` times the result.

A mean is ``M = S / W`` with ``W = sum b_i``. With the shares ``q_i = b_i / W`` of the weights::

    d log M = sum p_i (a_i d_i + e_i) - sum q_i e_i = sum p_i a_i d_i + (p_i - q_i) e_i

so that its size is ``max(|log M|, sum |p_i| |a_i| + |p_i - q_i| w_i)``. A weight counts for less
the closer its exponent lies to the result, since ``p_i - q_i = q_i (exp(a_i - log M) - 1)``. So
much does a term contribute to ``(S - M W) / (M W)``, where its exponential is rounded whatever its
weight is. Among weights of one sign and size, what lies below the result balances what lies above,
which is less than ``sum p_i |a_i - log M|``, and the rounding of exponents covers both. So ``w_i``
is 0 there for weights that are all 1 or all -1, and 1 for all weights otherwise.

**Shifted exponents.** These numbers grow with the exponents themselves. But a sum that subtracts
its peak from the exponents first errs by less: differences of close numbers are exact. With A the
exponent of the largest term, its logarithm errs by one roundoff for each unit of::

    max(|log S|, |A|)    and, relative to the sum,    sum |p_i| (|a_i - A| + w_i)

so that weights which nearly cancel at a large exponent keep their sum and its sign. A mean close to
0 has its exponents relative to 0, and both numbers are alike there.

**Beyond small errors.** Where terms cancel, the sum's own error may be as large as the sum, and its
logarithm's is then of no use: 0 and a sum of the wrong sign are infinitely far off. So an error is
split into two parts, of which one must explain it all: the logarithm's, in units of the logarithm,
and the sum's relative error, in units of the sum over the terms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np

FEWEST_DIGITS, MOST_DIGITS = 50, 12_800
FARTHEST = 20_000  # exponents, where floats of weights and sums reach over 3000
ZERO = Fraction(0), Fraction(0)
Number = complex | float


class Size(NamedTuple):
    """What a roundoff is multiplied by."""

    log: Any  # for the rounding of the logarithm
    spread: Any  # for that of the terms: a relative error of the sum


class Exact(NamedTuple):
    """A sum or mean of weighted exponentials.

    `log` is -inf for 0, and nan or +inf where terms are. `sign` is the angle where `is_complex`.
    Sizes of a sum that is 0 are relative to the exponential of `peak`.
    """

    log: Any
    sign: Any
    is_complex: bool = False
    terms: int = 0
    peak: Any = mp.mpf(0)
    share: Any = mp.mpf(1)  # of the sum in its largest term, or of a mean likewise
    promised: Size = Size(mp.mpf(0), mp.mpf(0))
    shifted: Size = Size(mp.mpf(0), mp.mpf(0))
    loose: Size = Size(mp.mpf(0), mp.mpf(0))  # of a mean as the difference of two logarithms
    is_mean: bool = False
    must_vanish: bool = False  # 0, however it is added up
    is_unknown: bool = False  # no answer is wrong


NAN = Exact(mp.nan, mp.nan)
NOTHING = Exact(-mp.inf, 0, must_vanish=True)
UNKNOWN = Exact(mp.nan, mp.nan, is_unknown=True)


def exact_sum(exponents: Sequence[Number], weights: Sequence[Number] | None = None) -> Exact:
    """Return ``log(sum(weights * exp(exponents)))`` and its sizes."""
    return _exact(exponents, weights, mean=False)


def exact_mean(exponents: Sequence[Number], weights: Sequence[Number] | None = None) -> Exact:
    """Return ``log(sum(weights * exp(exponents)) / sum(weights))`` and its sizes."""
    return _exact(exponents, weights, mean=True)


def _exact(exponents: Sequence[Number], weights: Sequence[Number] | None, mean: bool) -> Exact:
    given = [1.0] * len(exponents) if weights is None else weights
    is_complex = any(isinstance(x, complex) for x in (*exponents, *given))
    terms = [(complex(a), complex(b)) for a, b in zip(exponents, given, strict=True) if b != 0]
    if any(map(_is_nan, terms)):
        return NAN._replace(is_complex=is_complex)
    infinite = [(a, b) for a, b in terms if a.real == math.inf or _is_infinite(b)]
    whole = _total(b for _, b in terms) if not any(_is_infinite(b) for _, b in terms) else None
    if mean and terms and (whole is None or whole == ZERO):
        sound = whole is None or _adds_up([b for _, b in terms])
        return (NAN if sound else UNKNOWN)._replace(is_complex=is_complex)
    finite = [(a, b) for a, b in terms if a.real != -math.inf]
    if infinite:
        out = _of_infinite(infinite, whole if mean else None, is_complex)
    elif finite:
        out = _of_finite(finite, terms, whole if mean else None, is_complex)
    else:
        out = NOTHING._replace(is_complex=is_complex)
    if mean and terms and whole is not None:
        with mp.workdps(FEWEST_DIGITS):
            # What is lost of the divisor, besides: a mean is nan where that has the wrong sign.
            unsure = mp.fsum(abs(mp.mpc(b)) for _, b in terms) / abs(_mpc(whole))
            if infinite and unsure > 2**20:  # of unknown direction in single precision
                return UNKNOWN
            out = out._replace(loose=Size(out.loose.log, max(unsure, out.loose.spread)))
    return out._replace(is_mean=mean)


def _is_nan(term: tuple[complex, complex]) -> bool:
    a, b = term
    if math.isnan(a.real) or math.isnan(b.real) or math.isnan(b.imag):
        return True
    if a.real == -math.inf:
        return _is_infinite(b)  # 0 times infinity
    return not math.isfinite(a.imag)


def _is_infinite(x: complex) -> bool:
    return math.isinf(x.real) or math.isinf(x.imag)


def _total(numbers: Any) -> tuple[Fraction, Fraction]:
    real = imag = Fraction(0)
    for x in numbers:
        real, imag = real + Fraction(x.real), imag + Fraction(x.imag)
    return real, imag


def _adds_up(weights: Sequence[complex]) -> bool:
    """Tell whether weights add up without rounding in single precision, in any order."""
    for parts in ([b.real for b in weights], [b.imag for b in weights]):
        exact = [Fraction(x) for x in parts if x != 0]
        if exact:
            # A float is odd * 2**k. Sums of floats are multiples of the least of these powers.
            unit = min(Fraction(x.numerator & -x.numerator, x.denominator) for x in exact)
            if sum(map(abs, exact)) / unit >= 2**24:
                return False
    return True


def _of_infinite(infinite: list[tuple[complex, complex]], whole: Any, is_complex: bool) -> Exact:
    if not is_complex:
        signs = {math.copysign(1.0, b.real) for _, b in infinite}
        if len(signs) > 1:
            return NAN
        sign = int(signs.pop())
        return Exact(mp.inf, sign if whole is None or whole[0] > 0 else -sign)
    if any(_is_infinite(b) and b.imag != 0 for _, b in infinite):
        return UNKNOWN._replace(is_complex=True)
    with mp.workdps(FEWEST_DIGITS):
        angles = [
            mp.mpf(a.imag) + (mp.arg(mp.mpc(b)) if math.isfinite(b.real) else _angle(b.real))
            for a, b in infinite
        ]
        apart = max(abs(mp.expj(angle) - mp.expj(angles[0])) for angle in angles)
        if apart > 0:
            return (NAN if apart > 0.01 else UNKNOWN)._replace(is_complex=True)
        turned = angles[0] - (mp.arg(_mpc(whole)) if whole is not None else 0)
        return Exact(mp.inf, _wrapped(turned), is_complex=True)


def _angle(infinite: float) -> Any:
    return mp.mpf(0) if infinite > 0 else mp.pi


def _wrapped(angle: Any) -> Any:
    """Return the angle in [-pi, pi)."""
    return angle - 2 * mp.pi * mp.floor((angle + mp.pi) / (2 * mp.pi))


def _mpf(x: Fraction) -> Any:
    return mp.mpf(x.numerator) / x.denominator


def _mpc(x: tuple[Fraction, Fraction]) -> Any:
    return mp.mpc(_mpf(x[0]), _mpf(x[1]))


def _of_finite(
    finite: list[tuple[complex, complex]],
    terms: list[tuple[complex, complex]],
    whole: tuple[Fraction, Fraction] | None,
    is_complex: bool,
) -> Exact:
    """Return the exact logarithm of finite terms, with more digits until enough are right.

    Exponentials of different algebraic numbers are linearly independent over the algebraic numbers,
    says the theorem of Lindemann and Weierstrass. So a sum is 0 only where the weights of each
    exponent add up to 0, and its logarithm is 0 only where 1 less is. All else has digits to find.
    """
    grouped: dict[complex, tuple[Fraction, Fraction]] = {}
    for a, b in finite:
        real, imag = grouped.get(a, (Fraction(0), Fraction(0)))
        grouped[a] = real + Fraction(b.real), imag + Fraction(b.imag)
    grouped = {a: b for a, b in grouped.items() if b != ZERO}
    # What lies so far below the largest is no part of any float, and would need too many digits.
    top = max((a.real for a in grouped), default=0.0)
    grouped = {a: b for a, b in grouped.items() if a.real > top - FARTHEST}
    one = whole or (Fraction(1), Fraction(0))
    is_one = grouped == {0j: one} or (not is_complex and grouped == {0j: (-one[0], Fraction(0))})
    digits = FEWEST_DIGITS
    while digits <= MOST_DIGITS:
        with mp.workdps(digits):
            found = _with_digits(finite, terms, grouped, whole, is_complex, is_one)
        if found is not None:
            return found
        digits *= 2
    raise AssertionError(f"{MOST_DIGITS} digits do not do for {terms}")


def _with_digits(
    finite: list[tuple[complex, complex]],
    terms: list[tuple[complex, complex]],
    grouped: dict[complex, tuple[Fraction, Fraction]],
    whole: tuple[Fraction, Fraction] | None,
    is_complex: bool,
    is_one: bool,
) -> Exact | None:
    """Return the answer, or None where this number of digits is too small."""
    weights = [mp.mpc(b) for _, b in finite]
    log_sizes = [mp.log(abs(b)) for b in weights]
    heights = [mp.mpf(a.real) + log for (a, _), log in zip(finite, log_sizes, strict=True)]
    top = max(heights)
    base = mp.mpf(finite[heights.index(top)][0].real)
    shifts = [mp.mpc(a) - base for a, _ in finite]
    scaled = [b * mp.exp(x) for x, b in zip(shifts, weights, strict=True)]
    by_size = [abs(t) for t in scaled]
    # Weights of 1 and -1 are not rounded; of a mean's, only where all are alike.
    rounded = [int(b not in (1, -1)) for _, b in finite]
    mean = whole is not None
    if mean:
        rounded = [0 if {b for _, b in terms} in ({1}, {-1}) else 1] * len(finite)
    by_exponent = [abs(mp.mpc(a)) for a, _ in finite]
    by_terms = mp.fsum(t * (x + w) for t, x, w in zip(by_size, by_exponent, rounded, strict=True))
    by_shifts = mp.fsum(t * (abs(x) + w) for t, x, w in zip(by_size, shifts, rounded, strict=True))
    adds_up = len({a for a, _ in finite}) == 1 and _adds_up([b for _, b in finite])
    if not grouped:
        size = abs(base)
        return Exact(
            *(-mp.inf, 0, is_complex, len(finite), base, mp.mpf(1)),
            promised=Size(size, by_terms),
            shifted=Size(size, by_shifts),
            loose=Size(size, by_terms + by_shifts),
            must_vanish=adds_up,
        )
    # What cancels exactly needs no digits, so that the sum is taken relative to the largest left.
    left = {a: _mpc(b) for a, b in grouped.items()}
    of_largest = max(left, key=lambda a: a.real + mp.log(abs(left[a])))
    low = mp.mpf(of_largest.real)
    parts = [(b * mp.exp(mp.mpc(a) - low), abs(mp.mpc(a) - low)) for a, b in left.items()]
    total = mp.fsum(t for t, _ in parts)
    sizes = mp.fsum(abs(t) * (1 + x) for t, x in parts)
    rounding = mp.mpf(10) ** (4 - mp.mp.dps)
    if rounding * sizes > abs(total) * mp.mpf(10) ** -20:
        return None
    divisor = mp.mpc(1) if whole is None else _mpc(whole)
    quotient = total / divisor
    log = mp.log(abs(quotient))
    angle = mp.arg(quotient)
    out = low + log
    size = abs(mp.mpc(out, angle)) if is_complex else abs(out)
    if is_one:
        out = angle = size = mp.mpf(0)
    elif rounding * (sizes / abs(total) + abs(low) + abs(log)) > size * mp.mpf(10) ** -20:
        return None
    total *= mp.exp(low - base)  # as the terms are
    shares = [t / abs(total) for t in by_size]
    promised = shifted = loose = mp.mpf(0)
    if mean:
        of_weights = [b / divisor for b in weights]
        turned = [t / total for t in scaled]
        absent = mp.fsum(abs(mp.mpc(b) / divisor) for a, b in terms if a.real == -math.inf)
        apart = absent + mp.fsum(abs(p - q) for p, q in zip(turned, of_weights, strict=True))
        apart *= rounded[0]
        promised = mp.fsum(p * x for p, x in zip(shares, by_exponent, strict=True)) + apart
        shifted = mp.fsum(p * abs(x) for p, x in zip(shares, shifts, strict=True)) + apart
        if abs(out) < 1:  # where exponents are best taken relative to 0
            shifted = max(shifted, promised)
        loose = promised + mp.fsum(shares) + absent + mp.fsum(map(abs, of_weights))
    else:
        promised, shifted = by_terms / abs(total), by_shifts / abs(total)
        loose = promised
    # A mean that is the difference of two logarithms has the rounding of both.
    both = max(size, abs(base), abs(top), *map(abs, log_sizes), abs(mp.log(abs(divisor))))
    return Exact(
        out,
        angle if is_complex else int(mp.sign(mp.re(quotient))),
        is_complex,
        len(finite),
        base,
        abs(total) / max(by_size),
        Size(size, promised),
        Size(max(size, abs(base)), shifted),
        Size(both, loose),
    )


# How far off


def taken_apart(value: Any, sign: Any, is_complex: bool, dtype: str) -> tuple[float, Any, bool]:
    """Return the size and the sign, or the angle, of an answer, and whether it has their form.

    A sign of None was not asked for.
    """
    if not is_complex:
        return value, sign, sign is None or math.isnan(sign) or sign in (-1, 0, 1)
    value = complex(value)
    if sign is None:
        if math.isnan(value.real) or math.isnan(value.imag):
            return math.nan, math.nan, True
        return value.real, value.imag, abs(value.imag) <= float(np.finfo(dtype).dtype.type(math.pi))
    sign = complex(sign)
    if math.isnan(value.real) or math.isnan(sign.real) or math.isnan(sign.imag):
        return math.nan, math.nan, True
    there = 0.0 if value.real == -math.inf else 1.0
    off = abs(abs(sign) - there)
    return value.real, math.atan2(sign.imag, sign.real), off <= 4 * float(np.finfo(dtype).eps)


def units(exact: Exact, size: float, sign: Any, dtype: str, which: str = "promised") -> float:
    """Return the error in units of roundoff, infinite for what is wrong by rule.

    `size` is the logarithm of the magnitude that was found, and `sign` its sign, or its angle where
    the sum is complex. A sign of None, where only the logarithm was asked for, is that of a number
    where there is one, and negative where there is nan.
    """
    if exact.is_unknown:
        return 0.0
    info = np.finfo(dtype)
    roundoff, tiny = float(info.eps) / 2, float(info.tiny)
    if math.isnan(size):
        # Of a number that is not there, no part is.
        if mp.isnan(exact.log):
            return 0.0 if sign is None or mp.isnan(sign) else math.inf
        if sign is None and not exact.is_complex:
            sign = -1
            if exact.sign == -1:
                return 0.0
        elif not exact.is_mean:
            return math.inf
        # The sum, or the divisor of a mean, was found to be 0 or of the wrong sign.
        wrong = exact.loose.spread if exact.is_mean else exact.promised.spread
        if exact.log == -mp.inf and not exact.is_mean:
            return math.inf if exact.must_vanish else 0.0
        return _over(mp.mpf(1), roundoff * wrong)
    if mp.isnan(exact.log):
        return math.inf
    if sign is None:
        sign = 1 if size > -math.inf else 0
        if exact.sign == -1 and mp.isinf(exact.log):
            return math.inf
    if exact.log == mp.inf:
        if exact.is_complex:
            off = abs(_wrapped(mp.mpf(float(sign)) - exact.sign))
            wide = max(1, abs(exact.sign), exact.loose.spread)
            return _over(off, roundoff * wide) if size == math.inf else math.inf
        return 0.0 if size == math.inf and sign == exact.sign else math.inf
    if size == math.inf or (not exact.is_complex and (sign == 0) != (size == -math.inf)):
        return math.inf
    if exact.is_mean and roundoff * exact.loose.spread > 0.1:
        # The rounding of terms or weights may leave nothing of a sum that the mean is made of.
        return 0.0
    with mp.workdps(FEWEST_DIGITS):
        chosen: Size = getattr(exact, which)
        if exact.log == -mp.inf:
            return _units_of_nothing(exact, chosen, size, roundoff, tiny)
        off, relative = _errors(exact, size, sign)
        off = max(off - tiny, mp.mpf(0))
        # Each term may be flushed to 0 where it lies below the smallest normal number.
        relative = max(relative - exact.terms * tiny / exact.share, mp.mpf(0))
        return min(_over(off, roundoff * chosen.log), _over(relative, roundoff * chosen.spread))


def _over(error: Any, size: Any) -> float:
    return 0.0 if error == 0 else math.inf if size == 0 else float(error / size)


def _errors(exact: Exact, size: float, sign: Any) -> tuple[Any, Any]:
    """Return the errors of the logarithm, and of the sum relative to it."""
    if exact.is_complex:
        if size == -math.inf:
            return mp.inf, mp.mpf(1)
        apart = mp.mpc(mp.mpf(float(size)) - exact.log, _wrapped(mp.mpf(float(sign)) - exact.sign))
        return abs(apart), abs(mp.expm1(apart))
    found = mp.mpf(float(size)) - exact.log if size > -math.inf else -mp.inf
    if sign == exact.sign:
        return abs(found), abs(mp.expm1(found))
    return mp.inf, 1 + mp.exp(found)


def _units_of_nothing(
    exact: Exact, chosen: Size, size: float, roundoff: float, tiny: float
) -> float:
    """Return the error where the sum is exactly 0, over the terms."""
    if size == -math.inf:
        return 0.0
    if exact.must_vanish:
        return math.inf
    left = mp.exp(mp.mpf(float(size)) - exact.peak - 4 * roundoff * abs(exact.peak))
    return _over(max(left - exact.terms * tiny, mp.mpf(0)), roundoff * chosen.spread)
