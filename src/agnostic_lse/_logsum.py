"""The state of a sum of exponentials: lift an array to it, merge two, read the value.

A sum of terms ``sign * exp(x)`` is kept relative to its largest term::

    peak   the largest x                                  (-inf where nothing was seen)
    rest   the sum of all other terms, over exp(peak)
    sign   the sign or complex phase of the peak term     (None where all terms are positive)

so that the sum is ``exp(peak) * (sign + rest)``, and its logarithm ``peak + log1p(rest)`` where the
sign is 1. The peak term itself, of magnitude 1 on this scale, stays out of ``rest``: were it in, a
sum of small others would be rounded away beside it. Where terms at the peak have cancelled each
other the sign is 0, and ``rest`` is all there is. Where the peak is +inf, ``rest`` counts the other
infinite terms.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import array_api_compat as compat
import numpy as np

from ._elementary import exp, log1p
from ._namespace import (
    Array,
    DType,
    Namespace,
    as_complex,
    constant,
    is_complex,
    largest_number,
)


class State(NamedTuple):
    """A sum of exponentials for each output slot."""

    peak: Array
    rest: Array
    sign: Array | None = None


def state_of(
    xp: Namespace, a: Array, b: Array | None, where: Array | None, axes: tuple[int, ...]
) -> State:
    """Return the state of ``sum(b * exp(a))`` along the axes, over the terms of the mask."""
    x, sign = _terms(xp, a, b, where)
    return lift(xp, x, axes, sign)


def _terms(
    xp: Namespace, a: Array, b: Array | None, where: Array | None
) -> tuple[Array, Array | None]:
    """Return x and sign of the terms ``b * exp(a) = sign * exp(x)``."""
    x, sign = a, None
    if is_complex(xp, a.dtype):
        x = xp.real(a)
        angle = xp.where(x == -xp.inf, 0.0, xp.imag(a))
        sign = as_complex(xp, xp.cos(angle), xp.sin(angle))
    if where is not None:
        x = xp.where(where, x, -xp.inf)
        sign = None if sign is None else xp.where(where, sign, 0.0)
        b = None if b is None else xp.where(where, b, xp.zeros_like(b))
    if b is not None:
        there = b != 0
        log_size, sign_of_b = _log_and_sign(xp, b, there)
        x = xp.where(there | xp.isfinite(x), x + log_size, -xp.inf)
        sign = sign_of_b if sign is None else xp.where(there, sign, 0.0) * sign_of_b
    return x, sign


def _log_and_sign(xp: Namespace, b: Array, there: Array) -> tuple[Array, Array]:
    """Return log|b|, 0 where b is not there, and its sign or phase.

    The former is a constant to differentiation. The sign, of magnitude 1 or 0, carries the
    derivative, which so exists where b is 0.
    """
    if not is_complex(xp, b.dtype):
        size = constant(xp.where(there, xp.abs(b), 1.0))
        infinite = xp.isinf(size)
        return xp.log(size), xp.where(infinite, _sign(xp, b), b / xp.where(infinite, 1.0, size))
    # The larger part goes first, lest the magnitude overflow, or lose digits below the normal.
    part = constant(xp.where(there, extent(xp, b), 1.0))
    sign = as_complex(xp, xp.real(b) / part, xp.imag(b) / part)
    size = constant(xp.where(there, xp.abs(sign), 1.0))
    return xp.log(part) + xp.log(size), sign / size


def extent(xp: Namespace, b: Array) -> Array:
    """Return |b|, of complex numbers that of the larger part, which cannot overflow."""
    if is_complex(xp, b.dtype):
        return xp.maximum(xp.abs(xp.real(b)), xp.abs(xp.imag(b)))
    return xp.abs(b)


def lift(xp: Namespace, x: Array, axes: tuple[int, ...], sign: Array | None = None) -> State:
    """Return the state of ``sum(sign * exp(x))``, the axes kept with length 1.

    x is real; a sign is real or complex, of magnitude 1, or 0 for a term that is not there.

    Derivatives flow through ``rest`` alone: the sum is the same function whichever constant stands
    for the peak, so holding it constant is exact to every order, at ties too.
    """
    x = nonempty(xp, x, axes)
    if sign is not None:
        return _lift_signed(xp, x, axes, nonempty(xp, sign, axes, fill=0.0))
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


def half_digits(xp: Namespace, dtype: DType) -> float:
    """Return the unit of numbers with half of the digits behind the point that a dtype has."""
    return 2.0 ** round(math.log2(xp.finfo(dtype).eps) / 2)


def rest_at(xp: Namespace, peak: Array, leading: Array, others: Array) -> Array:
    """Return the rest of a state from the sums of leading digits and of what they leave."""
    return _rest(xp, peak, leading - 1, others + (leading - 1))


def _rest(xp: Namespace, peak: Array, infinite: Array, rest: Array) -> Array:
    """Return rest where the peak is finite, and the other infinite terms where it is +inf."""
    return xp.where(xp.isinf(peak), xp.where(peak > 0, infinite, 0.0), rest)


def _lift_signed(xp: Namespace, x: Array, axes: tuple[int, ...], sign: Array) -> State:
    present = xp.where(sign != 0, x, -xp.inf)
    peak = highest(xp, present, axes)
    is_peak = xp.astype(present == peak, x.dtype)
    ties = total(xp, is_peak, axes)
    at_peak = constant(sign) * is_peak
    net = total(xp, at_peak, axes)
    others = total(xp, sign * exp(xp, bounded(xp, x, peak)) - at_peak, axes)
    # Infinite terms of several signs or directions have no sum.
    apart = total(xp, xp.abs(at_peak - is_peak * (net / xp.where(ties == 0, 1.0, ties))), axes)
    lost = (peak == xp.inf) & (apart > 8 * xp.finfo(x.dtype).eps * ties)
    sign = xp.where(xp.isinf(peak) & (peak < 0), 0.0, _direction(xp, net, ties))
    rest = _rest(xp, peak, net - sign, others + (net - sign))
    return State(peak, xp.where(lost, xp.nan, rest), sign)


def conjugate(xp: Namespace, x: Array) -> Array:
    return as_complex(xp, xp.real(x), -xp.imag(x))


def _sign(xp: Namespace, x: Array) -> Array:
    return xp.where(x > 0, 1.0, xp.where(x < 0, -1.0, x))


def _direction(xp: Namespace, net: Array, ties: Array) -> Array:
    """Return the sign of a sum of signs, or 0 where they have cancelled each other."""
    if not is_complex(xp, net.dtype):
        return _sign(xp, net)
    size = xp.abs(net)
    cancelled = size < 0.5  # rounding leaves some of phases that cancel
    one = (ties == 1) | cancelled
    # A single one is left as it is: its magnitude is 1, whatever rounding makes of it.
    return xp.where(cancelled, 0.0, net / xp.where(one, 1.0, size))


def merge(xp: Namespace, one: State, other: State) -> State:
    """Return the state of two sums together: associative, commutative, of identity (-inf, 0)."""
    first = one.peak >= other.peak
    top, low, left = largest_of_two(xp, one, other)
    # Nothing below counts beside an infinite peak, nor does the largest number, its stand-in.
    nothing = (low == -xp.inf) | ((top.peak == xp.inf) & (low != top.peak))
    scale = xp.where(low == top.peak, 1.0, exp_relative(xp, low, top.peak))
    scale = xp.where(nothing, 0.0, scale)
    upper = xp.where(first, one.rest, other.rest)
    lower = xp.where(first, other.rest, one.rest)
    return State(top.peak, (upper + scale * lower) + scale * left, top.sign)


def merge_all(xp: Namespace, states: State) -> State:
    """Return the state of sums of positive terms together, which are stacked along a first axis.

    Their peaks are terms of a sum, too: lifted at once, they take fewer steps than pairs do.
    """
    peaks, rests, _ = states
    peak = highest(xp, peaks, (0,))
    scale = exp_relative(xp, peaks, peak)
    rest = rest_of(xp, peak, scale, (0,))
    # Nothing below counts beside an infinite peak, nor does the largest number, its stand-in.
    scale = xp.where(xp.isinf(peak), xp.astype(peaks == peak, rests.dtype), scale)
    rest = rest + total(xp, scale * rests, (0,))
    return State(peak[0, ...], rest[0, ...])


def largest_of_two(xp: Namespace, one: State, other: State) -> tuple[State, Array, Array | float]:
    """Return the largest term of two sums, without a rest, and what it leaves of the other's peak.

    What it leaves is a multiple of the exponential of the lower peak, which comes before it.
    """
    peak = xp.maximum(one.peak, other.peak)  # unlike a where, it lets nan through
    low = xp.minimum(one.peak, other.peak)
    if one.sign is None and other.sign is None:
        return State(peak, xp.zeros_like(peak)), low, 1.0
    one, other = _with_sign(xp, one, other), _with_sign(xp, other, one)
    first, tie = one.peak >= other.peak, low == peak
    high, below = xp.where(first, one.sign, other.sign), xp.where(first, other.sign, one.sign)
    # Two peak terms may cancel each other, and one that has cancelled makes room for another.
    net = xp.where(tie, high + below, high)
    sign = xp.where(xp.abs(net) < 0.5, 0.0, xp.where(high == 0, net, high))
    left = xp.where(tie, net - sign, below)
    # Infinite sums of several signs or directions have no sum, as in a lift.
    lost = (low == xp.inf) & (one.sign != other.sign)
    return State(peak, xp.zeros_like(sign), sign), low, xp.where(lost, xp.nan, left)


def _with_sign(xp: Namespace, state: State, like: State) -> State:
    """Return the state with a sign, of the kind of the other's where it has none."""
    if state.sign is not None or like.sign is None:
        return state
    dtype = like.sign.dtype
    positive = xp.astype(state.peak != -xp.inf, dtype)
    return State(state.peak, xp.astype(state.rest, dtype), positive)


def value(xp: Namespace, state: State) -> tuple[Array, Array | None]:
    """Return the logarithm of the sum's magnitude, and its sign or phase (None: all positive)."""
    peak, rest, sign = state
    if sign is None:
        return peak + log1p(xp, rest), None
    there = sign != 0
    turn = xp.where(there, sign, 1.0)
    if is_complex(xp, sign.dtype):
        size, direction = _log_complex(xp, there, rest * conjugate(xp, turn))
    else:
        size, direction = _log_signed(xp, there, rest * turn)
    return peak + size, turn * direction


def logarithm(xp: Namespace, size: Array, sign: Array | None) -> Array:
    """Return the logarithm of a sum from the logarithm of its magnitude and its sign."""
    if sign is None:
        return size
    if is_complex(xp, sign.dtype):
        return as_complex(xp, size, angle(xp, sign))
    return xp.where(sign < 0, xp.nan, size)


def angle(xp: Namespace, phase: Array) -> Array:
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
        log1p(xp, xp.where(small, rest, 0.0)),
        xp.log(xp.where(small | (whole == 0), 1.0, xp.abs(whole))),
    )
    return xp.where(whole == 0, -xp.inf, size), _sign(xp, whole)


def _log_complex(xp: Namespace, there: Array, rest: Array) -> tuple[Array, Array]:
    """Return log|1 + rest| and the direction of 1 + rest, without the 1 where it is not there."""
    real, imag = xp.real(rest), xp.imag(rest)
    whole = xp.where(there, 1 + real, real)
    zero = (whole == 0) & (imag == 0)
    # Double wheres: the branch not taken must stay finite, or its derivative turns into nan.
    size = xp.hypot(xp.where(zero, 1.0, whole), imag)
    # |1 + rest|^2 - 1, without cancellation where |1 + rest| is near 1
    near = there & (size > 0.5) & (size < 2)
    excess = real * (2 + real) + imag * imag
    log = xp.where(
        near,
        0.5 * log1p(xp, xp.where(near, excess, 0.0)),
        xp.log(xp.where(near, 1.0, size)),
    )
    direction = as_complex(xp, xp.where(zero, 0.0, whole / size), imag / size)
    return xp.where(zero, -xp.inf, log), direction


def highest(xp: Namespace, x: Array, axes: tuple[int, ...]) -> Array:
    """Return the largest entry along axes that are not empty, a constant to differentiation."""
    if not axes:
        return constant(xp.asarray(x, copy=True))  # since states outlive what they are of
    peak = constant(xp.max(x, axis=axes, keepdims=True))
    if compat.is_jax_namespace(xp):
        # Of large arrays JAX's maximum loses nan on a CPU, against the standard.
        peak = xp.where(xp.any(xp.isnan(x), axis=axes, keepdims=True), xp.nan, peak)
    return peak


def relative(xp: Namespace, x: Array, peak: Array) -> Array:
    """Return x - peak, at most 0 where the peak is finite, and -inf where the peak is -inf."""
    return x - finite_base(xp, peak)


def finite_base(xp: Namespace, peak: Array) -> Array:
    """Return a finite number in the place of each peak, to take exponents relative to.

    For +inf, the largest finite number stands, since inf - inf has no value: terms at +inf stay
    there. For -inf it is 0.
    """
    return xp.where(peak == -xp.inf, 0.0, xp.minimum(peak, largest_number(xp, peak.dtype)))


def exp_relative(xp: Namespace, x: Array, peak: Array) -> Array:
    """Return exp(x - peak)."""
    return exp(xp, relative(xp, x, peak))


def bounded(xp: Namespace, x: Array, peak: Array) -> Array:
    """Return x - peak, no larger than what has a finite exponential, nor have their sums.

    A term that is not there counts for nothing wherever it lies, but its exponential is the
    derivative by its weight. It must be finite, since 0 times infinity is nan.
    """
    ceiling = float(np.log(largest_number(xp, x.dtype))) / 2
    return xp.minimum(relative(xp, x, peak), ceiling)


# How many terms are added in order before their sums are. Adding 8 equal terms in order rounds
# each of them 35/8 = 4.4 times on average, and pairwise 3 times; in return the array is passed
# over log8(n) times instead of log2(n). Relative to the sum the error is then below 4.4 u log8(n)
# = 2.1 u log(n), and the logarithm of n equal terms, or the terms themselves, are of size log(n).
_FAN_IN = 8


def total(xp: Namespace, x: Array, axes: tuple[int, ...]) -> Array:
    """Return the sum along the axes, kept with length 1, added as a tree.

    Adding in order, as NumPy does along all axes but the fastest, loses digits in proportion to
    the length. JAX adds as a tree by itself, and its compiler makes the most of a plain sum.
    """
    if compat.is_jax_namespace(xp):
        return xp.sum(x, axis=axes, keepdims=True) if axes else x
    for axis in axes:
        x = _total_along(xp, x, axis)
    return x


def _total_along(xp: Namespace, x: Array, axis: int) -> Array:
    before, after = (slice(None),) * axis, (slice(None),) * (x.ndim - axis - 1)
    left_over = []
    while (length := x.shape[axis]) > 2 * _FAN_IN:
        strip = length // _FAN_IN
        if length % _FAN_IN:
            tail = x[(*before, slice(strip * _FAN_IN, None), *after)]
            left_over.append(xp.sum(tail, axis=axis, keepdims=True))
            x = x[(*before, slice(0, strip * _FAN_IN), *after)]
        # Strips, not neighbours, so that whole strips are added to each other at full speed
        shape = tuple(x.shape)
        x = xp.reshape(x, (*shape[:axis], _FAN_IN, strip, *shape[axis + 1 :]))
        x = xp.sum(x, axis=axis)
    x = xp.sum(x, axis=axis, keepdims=True)
    for tail in reversed(left_over):
        x = x + tail
    return x


def nonempty_terms(
    xp: Namespace, a: Array, b: Array | None, where: Array | None, axes: tuple[int, ...]
) -> tuple[Array, Array | None, Array | None]:
    """Return terms with one absent among them, along axes that are empty."""
    return (
        nonempty(xp, a, axes),
        None if b is None else nonempty(xp, b, axes, fill=0),
        None if where is None else nonempty(xp, where, axes, fill=False),
    )


def nonempty(xp: Namespace, x: Array, axes: tuple[int, ...], fill: float | None = None) -> Array:
    """Return the array with one absent term along each of the axes that is empty."""
    for axis in axes:
        if x.shape[axis] == 0:
            shape = tuple(1 if a == axis else length for a, length in enumerate(x.shape))
            absent = -xp.inf if fill is None else fill
            one = xp.full(shape, absent, dtype=x.dtype, device=compat.device(x))
            x = xp.concat([x, one], axis=axis)  # derivatives go through x, so it stays
    return x
