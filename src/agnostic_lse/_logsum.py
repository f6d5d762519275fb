"""The state of a sum of exponentials: lift an array to it, merge two, read the value.

A sum of positive terms ``exp(x)`` is kept relative to its largest term::

    peak   the largest x                                  (-inf where nothing was seen)
    rest   the sum of all other terms, over exp(peak)

so that its logarithm is ``peak + log1p(rest)``. The peak term itself, 1 on this scale, stays out of
``rest``: were it in, a sum of small others would be rounded away beside it. Where the peak is +inf,
``rest`` counts the other infinite terms.

Weights, and complex exponents, give the state two more parts; `_signed` says how.
"""

from __future__ import annotations

from . import _signed
from ._elementary import log1p
from ._namespace import Array, Namespace, as_complex, constant, is_complex
from ._state import Logarithm, State
from ._sums import exp_relative, half_digits, highest, nonempty, total


def state_of(
    xp: Namespace, a: Array, b: Array | None, where: Array | None, axes: tuple[int, ...]
) -> State:
    """Return the state of ``sum(b * exp(a))`` along the axes, over the terms of the mask."""
    if b is None and not is_complex(xp, a.dtype):
        return lift(xp, a if where is None else xp.where(where, a, -xp.inf), axes)
    return _signed.lift(xp, _signed.terms_of(xp, a, b, where), axes)


def lift(xp: Namespace, x: Array, axes: tuple[int, ...]) -> State:
    """Return the state of ``sum(exp(x))``, of real x, the axes kept with length 1.

    Derivatives flow through ``rest`` alone: the sum is the same function whichever constant stands
    for the peak, so holding it constant is exact to every order, at ties too.
    """
    x = nonempty(xp, x, axes)
    peak = highest(xp, x, axes)
    return State(peak, rest_of(xp, peak, exp_relative(xp, x, peak), axes))


def rest_of(xp: Namespace, peak: Array, scaled: Array, axes: tuple[int, ...]) -> Array:
    """Return the rest of a state from ``scaled = exp(x - peak)``."""
    leading = leading_digits(xp, scaled, peak)
    return rest_at(xp, peak, total(xp, leading, axes), total(xp, scaled - leading, axes))


def leading_digits(xp: Namespace, scaled: Array, peak: Array) -> Array:
    """Return the leading half of the digits of terms ``exp(x - peak)``, as constants.

    They are whole numbers of a unit, so that thousands of them add up without rounding, and what
    they leave is too small for its rounding to count. The peak's 1 leaves nothing, its derivatives
    aside. Beside an infinite peak only infinite terms count, each for 1, and not the largest
    number, which stands for it.
    """
    unit = half_digits(xp, scaled.dtype)
    unit = xp.where(peak == xp.inf, 4.0, xp.full_like(peak, unit))
    return xp.minimum(xp.round(constant(scaled) / unit) * unit, xp.ones_like(peak))


def rest_at(xp: Namespace, peak: Array, leading: Array, others: Array) -> Array:
    """Return the rest of a state from the sums of leading digits and of what they leave."""
    return _rest(xp, peak, leading - 1, others + (leading - 1))


def _rest(xp: Namespace, peak: Array, infinite: Array, rest: Array) -> Array:
    """Return rest where the peak is finite, and the other infinite terms where it is +inf."""
    return xp.where(xp.isinf(peak), xp.where(peak > 0, infinite, 0.0), rest)


def merge(xp: Namespace, one: State, other: State) -> State:
    """Return the state of two sums together: associative, commutative, of identity (-inf, 0)."""
    if one.lead is not None or other.lead is not None:
        return _signed.merge(xp, one, other)
    peak = xp.maximum(one.peak, other.peak)  # unlike a where, it lets nan through
    low = xp.minimum(one.peak, other.peak)
    first = one.peak >= other.peak
    # Nothing below counts beside an infinite peak, nor does the largest number, its stand-in.
    nothing = (low == -xp.inf) | ((peak == xp.inf) & (low != peak))
    scale = xp.where(low == peak, 1.0, exp_relative(xp, low, peak))
    scale = xp.where(nothing, 0.0, scale)
    upper = xp.where(first, one.rest, other.rest)
    lower = xp.where(first, other.rest, one.rest)
    return State(peak, (upper + scale * lower) + scale)


def merge_all(xp: Namespace, states: State) -> State:
    """Return the state of sums of positive terms together, which are stacked along a first axis.

    Their peaks are terms of a sum, too: lifted at once, they take fewer steps than pairs do.
    """
    peaks, rests = states.peak, states.rest
    peak = highest(xp, peaks, (0,))
    scale = exp_relative(xp, peaks, peak)
    rest = rest_of(xp, peak, scale, (0,))
    # Nothing below counts beside an infinite peak, nor does the largest number, its stand-in.
    scale = xp.where(xp.isinf(peak), xp.astype(peaks == peak, rests.dtype), scale)
    rest = rest + total(xp, scale * rests, (0,))
    return State(peak[0, ...], rest[0, ...])


def value(xp: Namespace, state: State) -> Logarithm:
    """Return the logarithm of the sum, or of its magnitude beside its sign or phase."""
    if state.lead is not None:
        return _signed.value(xp, state)
    return Logarithm(state.peak + log1p(xp, state.rest))


def logarithm(xp: Namespace, of: Logarithm) -> Array:
    """Return the logarithm of a sum: nan of a negative one, and complex of a complex one."""
    if of.sign is None:
        return of.log_abs
    if of.angle is not None:
        return as_complex(xp, of.log_abs, of.angle)
    return xp.where(of.sign < 0, xp.nan, of.log_abs)
