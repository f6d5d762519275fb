"""Sums of exponentials with weights or complex exponents: lift, merge and value of their state.

The peak is the term of the largest ``x + log|b|``. What is exponentiated is the difference of x
from the peak's x, and the quotient of weights stays a coefficient unless it is extreme. So no
weight is rounded away beside a large exponent, and no digits of its logarithm are lost.

Terms of several signs may cancel. So those close to the peak, with x - peak = d, enter as their
coefficients and as what ``expm1(d)`` makes of them, and both are summed apart: of ``[0, -1e-17]``
with weights 1 and -1 the coefficients leave 0, and the changes 1e-17.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import array_api_compat as compat

from . import _elementary
from ._elementary import exp, expm1_near_0, power_of_two, turned_expm1, two_sum
from ._namespace import Array, Namespace, as_complex, constant, is_complex, smallest_normal
from ._state import Logarithm, State
from ._sums import (
    highest,
    highest_exponent,
    nonempty,
    relative,
    split_digits,
    total,
)

# A sum as its parts: a state, or what an accumulator keeps
_Parts = TypeVar("_Parts", bound=tuple[Array, ...])


class Terms(NamedTuple):
    """Terms ``coefficient * scale * exp(exponent + 1j * angle)``.

    A scale is a power of two, and a coefficient a number of about 1, or 0 for a term that is not
    there. Of an infinite exponent only the coefficient's direction counts.
    """

    exponent: Array
    angle: Array
    coefficient: Array
    scale: Array


def terms_of(xp: Namespace, a: Array, b: Array | None, where: Array | None) -> Terms:
    """Return the terms ``b * exp(a)`` of the mask."""
    exponent: Array = a
    angle: Array = None
    scale: Array = None
    if is_complex(xp, a.dtype):
        exponent, angle = xp.real(a), xp.imag(a)
    coefficient = xp.ones_like(exponent)
    if where is not None:
        exponent = xp.where(where, exponent, -xp.inf)
        coefficient = xp.where(where, coefficient, 0.0)
        b = None if b is None else xp.where(where, b, xp.zeros_like(b))
    if b is not None:
        size = constant(extent(xp, b))
        infinite = xp.isinf(size)
        scale = power_of_two(xp, xp.where((size == 0) | infinite, 1.0, size))
        coefficient = _coefficient(xp, b, scale, infinite)
        if not _none(xp, infinite):
            exponent = xp.where(infinite, exponent + xp.inf, exponent)
    there = coefficient != 0
    if not _none(xp, ~there):
        # The exponential is the derivative by a weight of 0, and must be finite.
        exponent = xp.where(there | xp.isfinite(exponent), exponent, -xp.inf)
    if angle is not None:
        counts, known = there & (exponent != -xp.inf), xp.isfinite(angle)
        # Without a direction a term is no number, beside an infinite one too.
        exponent = xp.where(counts & ~known, xp.nan, exponent)
        angle = xp.where(known, angle, 0.0)
    return Terms(exponent, angle, coefficient, scale)


def extent(xp: Namespace, b: Array) -> Array:
    """Return |b|, or the larger part of complex numbers, since their magnitude may overflow."""
    if is_complex(xp, b.dtype):
        return xp.maximum(xp.abs(xp.real(b)), xp.abs(xp.imag(b)))
    return xp.abs(b)


def _coefficient(xp: Namespace, b: Array, scale: Array, infinite: Array) -> Array:
    """Return weights over their scales, and of infinite ones the direction."""

    def part(b: Array) -> Array:
        finite = b / scale
        if _none(xp, infinite):
            return finite
        return xp.where(infinite, xp.where(xp.isinf(b), _sign(xp, b), 0.0), finite)

    if not is_complex(xp, b.dtype):
        return part(b)
    return as_complex(xp, part(xp.real(b)), part(xp.imag(b)))


def _sign(xp: Namespace, x: Array) -> Array:
    """Return 1, 0 or -1, or nan of nan: PyTorch's vmap does not know how compat finds it."""
    x = constant(x)
    return xp.where(x > 0, 1.0, xp.where(x < 0, -1.0, x))


def lift(xp: Namespace, terms: Terms, axes: tuple[int, ...]) -> State:
    """Return the state of the sum of terms along the axes, which are kept with length 1.

    Derivatives flow through ``rest`` alone: the sum is the same function whichever constants stand
    for all other parts.
    """
    x = nonempty(xp, terms.exponent, axes)
    coefficient = nonempty(xp, terms.coefficient, axes, fill=0.0)
    angle = None if terms.angle is None else nonempty(xp, terms.angle, axes, fill=0.0)
    scale = None if terms.scale is None else nonempty(xp, terms.scale, axes, fill=1.0)
    there = coefficient != 0
    log_scale = None if scale is None else xp.log(scale)
    z = x if log_scale is None else x + log_scale
    z = z if _none(xp, ~there) else xp.where(there, z, -xp.inf)
    top = highest(xp, z, axes)
    at_peak = there & (z == top)
    peak, scale_of_peak = top, xp.ones_like(top)
    if scale is not None:
        # Where rounding makes several terms the largest, any will do, if peak and scale are of one.
        peak = highest(xp, xp.where(at_peak, x, -xp.inf), axes)
        peak = xp.where(xp.isnan(top), top, peak)
        at_peak = at_peak & (x == peak)
        scale_of_peak = highest(xp, xp.where(at_peak, scale, 0.0), axes)
        scale_of_peak = xp.where(scale_of_peak == 0, 1.0, scale_of_peak)
    turn: Array = None
    angle_of_peak: Array = None
    if angle is not None:
        angle_of_peak = highest(xp, xp.where(at_peak, angle, -xp.inf), axes)
        angle_of_peak = xp.where(xp.isfinite(angle_of_peak), angle_of_peak, 0.0)
        at_peak = at_peak & (angle == angle_of_peak)
        turn = angle - angle_of_peak
    difference = relative(xp, x, peak)
    quotient, exponent = _relative_scale(xp, difference, scale, scale_of_peak)
    near = is_near(xp, difference, turn) & (exponent == difference)
    factor = coefficient * quotient
    whole = xp.where(near, factor, 0.0)
    change = factor * growth(xp, near, difference, exponent, turn)
    lead, others = split_digits(xp, whole)
    changes, more = split_digits(xp, change)
    lead = total(xp, lead, axes)
    # What is left of coefficients may cancel, too, and must not round what is left of changes.
    rest = total(xp, changes, axes) + (total(xp, others, axes) + total(xp, more, axes))
    if not _none(xp, infinite := peak == xp.inf):
        lead_there, lost = _at_infinity(xp, x, coefficient, turn, at_peak, axes)
        lead = xp.where(infinite, lead_there, lead)
        rest = xp.where(infinite, xp.where(lost, xp.nan, xp.zeros_like(rest)), rest)
    if angle_of_peak is not None:
        peak = as_complex(xp, peak, angle_of_peak)
    return State(peak, rest, lead, scale_of_peak)


def _none(xp: Namespace, flags: Array) -> bool:
    """Tell whether no flag is set, where that can be seen at once; False says nothing."""
    return compat.is_numpy_namespace(xp) and not flags.any()


def _relative_scale(
    xp: Namespace, difference: Array, scale: Array | None, of_peak: Array
) -> tuple[Array | float, Array]:
    """Return q and x with ``scale / of_peak * exp(difference) = q * exp(x)``.

    The quotient of scales stays a coefficient wherever both factors are normal numbers. Elsewhere
    its logarithm D joins the exponent, and adds |D| to what the rounding of exponents counts for.
    There both are large, or one of them is and the term vanishes; and where the term does not, the
    difference is about -D, so that one of the two exponents is at least |D| / 2 and the condition
    number allows for it.
    """
    most = highest_exponent(xp, difference.dtype)
    if scale is None:
        return 1.0, xp.minimum(difference, most)
    quotient, least = scale / of_peak, smallest_normal(xp, difference.dtype)
    usual = (quotient >= least) & (quotient <= 1 / least) & (xp.abs(difference) < most)
    exponent = difference
    if not _none(xp, ~usual):
        known = (quotient > 0) & (quotient < xp.inf)
        log = xp.where(
            known, xp.log(xp.where(known, quotient, 1.0)), xp.log(scale) - xp.log(of_peak)
        )
        exponent = xp.where(usual, difference, difference + log)
        quotient = xp.where(usual, quotient, 1.0)
    return quotient, xp.minimum(exponent, most)


def is_near(xp: Namespace, difference: Array, turn: Array | None) -> Array:
    """Tell which exponents are close to the peak's."""
    near = xp.abs(difference) < 1
    return near if turn is None else near & (xp.abs(turn) < 1)


def growth(
    xp: Namespace, near: Array, difference: Array, exponent: Array, turn: Array | None
) -> Array:
    """Return exponentials, less 1 where they are close to it, turned by an angle."""
    difference = _used(xp, near, difference)
    far = exp(xp, _used(xp, ~near, exponent))
    if turn is None:
        return xp.where(near, expm1_near_0(xp, difference), far)
    close = turned_expm1(xp, difference, _used(xp, near, turn))
    return xp.where(near, close, as_complex(xp, far * xp.cos(turn), far * xp.sin(turn)))


def _used(xp: Namespace, where: Array, x: Array) -> Array:
    """Return numbers, and 0 for those not used, of which no derivative must be infinite."""
    return x if compat.is_numpy_namespace(xp) else xp.where(where, x, 0.0)


def _at_infinity(
    xp: Namespace,
    x: Array,
    coefficient: Array,
    turn: Array | None,
    at_peak: Array,
    axes: tuple[int, ...],
) -> tuple[Array, Array]:
    """Return the direction of the infinite term at the peak, and whether others have another.

    Infinite terms of several directions have no sum. Rounding may turn one by a few units.
    """
    direction = constant(coefficient)
    if is_complex(xp, direction.dtype):
        size = xp.abs(direction)
        direction = direction / xp.where(size == 0, 1.0, size)
    else:
        direction = _sign(xp, direction)
    infinite = (x == xp.inf) & (coefficient != 0)
    turned = direction
    if turn is not None:
        turn = constant(xp.where(infinite, turn, 0.0))
        turned = direction * as_complex(xp, xp.cos(turn), xp.sin(turn))
    lost = xp.asarray(False, device=compat.device(x))
    for part in _parts(xp, turned):
        high = highest(xp, xp.where(infinite, part, -xp.inf), axes)
        low = highest(xp, xp.where(infinite, -part, -xp.inf), axes)
        lost = lost | (high + low > 8 * xp.finfo(x.dtype).eps)
    lead = [highest(xp, xp.where(at_peak, part, -xp.inf), axes) for part in _parts(xp, direction)]
    lead = [xp.where(xp.isfinite(part), part, 0.0) for part in lead]
    return lead[0] if len(lead) == 1 else as_complex(xp, *lead), lost


def _parts(xp: Namespace, x: Array) -> tuple[Array, ...]:
    return (xp.real(x), xp.imag(x)) if is_complex(xp, x.dtype) else (x,)


def signed(xp: Namespace, state: State) -> State:
    """Return the state with a lead and a scale."""
    if state.lead is not None:
        return state
    lead = xp.where(state.peak == -xp.inf, xp.zeros_like(state.peak), 1.0)
    return State(state.peak, state.rest, lead, xp.ones_like(state.peak))


def above(xp: Namespace, other: State, one: State) -> Array:
    """Return how far the peak of one sum lies above the peak of another, scales included.

    The logarithm of neither scale is added to an exponent. Of two infinities it is nan.
    """
    return (_real(xp, other.peak) - _real(xp, one.peak)) + (xp.log(other.scale) - xp.log(one.scale))


def _real(xp: Namespace, x: Array) -> Array:
    return xp.real(x) if is_complex(xp, x.dtype) else x


def merge(xp: Namespace, one: State, other: State) -> State:
    """Return the state of two sums together: associative, commutative, of identity (-inf, 0)."""
    one, other = signed(xp, one), signed(xp, other)
    first = ~(above(xp, other, one) > 0)
    top, low = chosen(xp, first, one, other), chosen(xp, first, other, one)
    whole, change, factor = joining(xp, low, top)
    lead, lost = two_sum(top.lead, whole)
    rest = top.rest + ((change + lost) + factor * low.rest)
    return State(top.peak, rest, lead, top.scale)


def chosen(xp: Namespace, first: Array, one: _Parts, other: _Parts) -> _Parts:
    """Return the first sum where told, and the other elsewhere."""
    pairs = zip(one, other, strict=True)
    return type(one)(*(xp.where(first, ours, theirs) for ours, theirs in pairs))


class Joining(NamedTuple):
    """What a sum adds to another: to its lead, to its rest, and there the own rest by a factor."""

    lead: Array
    change: Array
    factor: Array


def joining(xp: Namespace, state: State, top: State) -> Joining:
    """Return what a sum adds to one with another peak, less than e times below its own."""
    peak, peak_of_top = _real(xp, state.peak), _real(xp, top.peak)
    difference = relative(xp, peak, peak_of_top)
    turn = None
    if is_complex(xp, state.peak.dtype) or is_complex(xp, top.peak.dtype):
        turn = real_and_angle(xp, state.peak)[1] - real_and_angle(xp, top.peak)[1]
    quotient, exponent = _relative_scale(xp, difference, state.scale, top.scale)
    near = is_near(xp, difference, turn) & (exponent == difference)
    change = quotient * growth(xp, near, difference, exponent, turn)
    # Nothing below counts beside an infinite peak.
    counts = (peak != -xp.inf) & (peak_of_top != xp.inf)
    change = xp.where(counts, change, xp.zeros_like(change))
    whole = xp.where(counts & near, quotient * state.lead, xp.zeros_like(state.lead))
    factor = xp.where(counts & near, quotient + change, change)
    # Infinite sums of several directions have no sum, as in a lift.
    both = (peak == xp.inf) & (peak_of_top == xp.inf)
    turned = state.lead if turn is None else state.lead * as_complex(xp, xp.cos(turn), xp.sin(turn))
    apart = xp.abs(turned - top.lead) > 8 * xp.finfo(peak.dtype).eps
    lost = (both & apart) | xp.isnan(peak)
    return Joining(whole, xp.where(lost, xp.nan, state.lead * change), factor)


def real_and_angle(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """Return the real and the imaginary part of an exponent."""
    return (xp.real(x), xp.imag(x)) if is_complex(xp, x.dtype) else (x, xp.zeros_like(x))


def value(xp: Namespace, state: State) -> Logarithm:
    """Return the logarithm of the sum's magnitude, and its sign or phase."""
    peak, rest, lead, scale = state
    unit, whole = _nearest_unit(xp, lead), lead + rest
    rest = (lead - unit) + rest
    there = unit != 0
    turn = xp.where(there, unit, 1.0)
    if not is_complex(xp, rest.dtype):
        size, sign = _log_signed(xp, there, rest * turn)
        return Logarithm(peak + _with_scale(xp, scale, whole, size), turn * sign)
    back = turn
    if is_complex(xp, turn.dtype):
        back = as_complex(xp, xp.real(turn), -xp.imag(turn))
    size, phase = _log_complex(xp, there, rest * back)
    phase, (peak, angle) = phase * turn, real_and_angle(xp, peak)
    whole_angle = xp.where(phase == 0, 0.0, angle + angle_of(xp, phase))
    phase = phase * as_complex(xp, xp.cos(angle), xp.sin(angle))
    # What is in range already is not rounded once more.
    in_range = xp.abs(whole_angle) <= xp.pi
    whole_angle = xp.where(in_range, whole_angle, angle_of(xp, phase))
    return Logarithm(peak + _with_scale(xp, scale, whole, size), phase, whole_angle)


def _with_scale(xp: Namespace, scale: Array, whole: Array, size: Array) -> Array:
    """Return ``log(scale * abs(whole))`` from ``size = log(abs(whole))``, rounded only once.

    Where the scale is 1 that is the size, which has digits that the whole has not.
    """
    there = whole != 0
    product = scale * xp.abs(xp.where(there, whole, 1.0))
    known = (
        there
        & (scale != 1)
        & xp.isfinite(product)
        & (product >= smallest_normal(xp, product.dtype))
    )
    return xp.where(known, xp.log(xp.where(known, product, 1.0)), xp.log(scale) + size)


def _nearest_unit(xp: Namespace, lead: Array) -> Array:
    """Return 1 or -1, of complex numbers maybe 1j or -1j, close to a lead, or 0 if it is small."""
    if not is_complex(xp, lead.dtype):
        return xp.where(xp.abs(lead) < 0.5, 0.0, _sign(xp, lead))
    real, imag = constant(xp.real(lead)), constant(xp.imag(lead))
    across = xp.abs(imag) > xp.abs(real)
    zero = xp.zeros_like(real)
    return as_complex(
        xp,
        xp.where(across, zero, _nearest_unit(xp, real)),
        xp.where(across, _nearest_unit(xp, imag), zero),
    )


def angle_of(xp: Namespace, phase: Array) -> Array:
    """Return the angle of a number of magnitude 1, in (-pi, pi]."""
    return xp.atan2(xp.imag(phase) + 0.0, xp.real(phase))  # -0.0 + 0.0 is 0.0


def _log_signed(xp: Namespace, there: Array, rest: Array) -> tuple[Array, Array]:
    """Return log|1 + rest| and the sign of 1 + rest, without the 1 where it is not there."""
    whole = xp.where(there, 1 + rest, rest)
    # Below -1/2 the sum 1 + rest is exact, by Sterbenz' lemma, down to -2; beyond, it loses
    # nothing that rest had not lost before.
    small = there & (rest > -0.5)
    size = xp.where(
        small,
        _elementary.log1p(xp, xp.where(small, rest, 0.0)),
        xp.log(xp.where(small | (whole == 0), 1.0, xp.abs(whole))),
    )
    return xp.where(whole == 0, -xp.inf, size), _sign(xp, whole)


def log1p(xp: Namespace, x: Array) -> Array:
    """Return log(1 + x) of complex numbers of magnitude below 1."""
    size, direction = _log_complex(xp, xp.ones_like(xp.real(x), dtype=xp.bool), x)
    return as_complex(xp, size, angle_of(xp, direction))


def _log_complex(xp: Namespace, there: Array, rest: Array) -> tuple[Array, Array]:
    """Return log|1 + rest| and the direction of 1 + rest, without the 1 where it is not there."""
    real, imag = xp.real(rest), xp.imag(rest)
    whole = xp.where(there, 1 + real, real)
    zero = (whole == 0) & (imag == 0)
    # What is left of a cancelled sum may have few digits below the normal numbers.
    eps = xp.finfo(real.dtype).eps
    few = xp.maximum(xp.abs(whole), xp.abs(imag)) < smallest_normal(xp, real.dtype) / eps
    up = xp.where(few, xp.full_like(real, 1 / eps), 1.0)
    whole, imag = whole * up, imag * up
    # Double wheres: the branch not taken must stay finite, or its derivative turns into nan.
    size = xp.hypot(xp.where(zero, 1.0, whole), imag)
    # |1 + rest|^2 - 1, without cancellation where |1 + rest| is near 1
    near = there & (size > 0.5) & (size < 2)
    excess = real * (2 + real) + imag * imag
    log = xp.where(
        near,
        0.5 * _elementary.log1p(xp, xp.where(near, excess, 0.0)),
        xp.log(xp.where(near, 1.0, size)) - xp.log(up),
    )
    direction = as_complex(xp, xp.where(zero, 0.0, whole / size), imag / size)
    return xp.where(zero, -xp.inf, log), direction
