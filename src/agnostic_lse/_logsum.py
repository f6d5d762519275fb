"""The state of a sum of exponentials: lift an array to it, merge two, read the value.

A sum of terms ``sign * exp(x)`` is kept relative to its largest term::

    peak   the largest x                                  (-inf where nothing was seen)
    rest   the sum of all other terms, over the peak term
    sign   the sign or complex phase of the peak term     (None where all terms are positive)

so that the logarithm of the sum is ``peak + log1p(rest)``. The peak term itself, exactly 1 on this
scale, stays out of ``rest``: were it in, a sum of small others would be rounded away beside it.
Where the peak is +inf, ``rest`` counts the other infinite terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import array_api_compat as compat

from ._elementary import log1p
from ._namespace import Array, Namespace, as_complex, constant, is_complex


class State(NamedTuple):
    """A sum of exponentials for each output slot."""

    peak: Array
    rest: Array
    sign: Array | None = None


def state_of(
    xp: Namespace, a: Array, b: Array | None, where: Array | None, axes: tuple[int, ...]
) -> State:
    """Return the state of ``sum(b * exp(a))`` along the axes, over the terms of the mask."""
    x, sign, angle = _terms(xp, a, b, where)
    return lift(xp, x, axes, sign, angle)


def _terms(
    xp: Namespace, a: Array, b: Array | None, where: Array | None
) -> tuple[Array, Array | None, Array | None]:
    """Return x, sign and angle of the terms ``b * exp(a) = sign * exp(x + 1j * angle)``."""
    x, sign, angle = a, None, None
    if is_complex(xp, a.dtype):
        x, angle = xp.real(a), xp.imag(a)
    if b is not None:
        there = b != 0
        # Constants to differentiation: the sign, exactly 1 or -1 or 0, carries the derivative by
        # the weight, which so exists where the weight is 0.
        size = constant(xp.where(there, xp.abs(b), 1.0))
        if is_complex(xp, b.dtype):
            sign = xp.astype(there, x.dtype)
            turn = xp.atan2(xp.imag(b), xp.real(b))
            angle = turn if angle is None else angle + turn
        else:
            infinite = xp.isinf(size)
            sign = xp.where(infinite, xp.sign(b), b / xp.where(infinite, 1.0, size))
        x = xp.where(there | xp.isfinite(x), x + xp.log(size), -xp.inf)
    if where is not None:
        x = xp.where(where, x, -xp.inf)
        sign = None if sign is None else xp.where(where, sign, 0.0)
    if angle is not None:
        there = x != -xp.inf if sign is None else (x != -xp.inf) & (sign != 0)
        angle = xp.where(there, angle, 0.0)
    return x, sign, angle


def lift(
    xp: Namespace,
    x: Array,
    axes: tuple[int, ...],
    sign: Array | None = None,
    angle: Array | None = None,
) -> State:
    """Return the state of ``sum(sign * exp(x + 1j * angle))``, the axes kept with length 1.

    All arrays are real. A sign is +1 or -1, or 0 for a term that is not there; angles are finite.

    Derivatives flow through ``rest`` alone: ``peak + log1p(rest)`` is the same function whichever
    constant stands for the peak, so holding it constant is exact to every order, at ties too.
    """
    x = nonempty(xp, x, axes)
    if angle is not None:
        angle = nonempty(xp, angle, axes, fill=0.0)
        sign = xp.ones_like(x) if sign is None else sign
    if sign is not None:
        return _lift_signed(xp, x, axes, nonempty(xp, sign, axes, fill=0.0), angle)
    peak = highest(xp, x, axes)
    return State(peak, rest_of(xp, x, peak, exp_relative(xp, x, peak), axes))


def rest_of(xp: Namespace, x: Array, peak: Array, scaled: Array, axes: tuple[int, ...]) -> Array:
    """Return the rest of a state from ``scaled = exp(x - peak)``."""
    at_peak = xp.astype(x == peak, x.dtype)
    ties = total(xp, at_peak, axes)
    # exp(0) is exactly 1: a term at the peak contributes exactly 0 here, its derivatives aside.
    others = total(xp, scaled - at_peak, axes)
    return _rest(xp, peak, ties, others + (ties - 1))


def _rest(xp: Namespace, peak: Array, ties: Array, rest: Array) -> Array:
    """Return rest where the peak is finite, and the number of other terms where it is +inf."""
    return xp.where(xp.isinf(peak), xp.where(peak > 0, ties - 1, 0.0), rest)


def _lift_signed(
    xp: Namespace, x: Array, axes: tuple[int, ...], sign: Array, angle: Array | None
) -> State:
    present = xp.where(sign != 0, x, -xp.inf)
    peak = highest(xp, present, axes)
    is_peak = present == peak
    ties = total(xp, xp.astype(is_peak, x.dtype), axes)
    scaled = sign * xp.exp(bounded(xp, x, peak))
    if angle is None:
        real, imag = scaled, None
    else:
        # Of several terms at the peak, the one with the largest angle is the peak term.
        direction = highest(xp, xp.where(is_peak, angle, -xp.inf), axes)
        direction = xp.where(xp.isfinite(direction), direction, 0.0)  # no peak where it is nan
        turned = angle - direction
        is_peak = is_peak & (turned == 0)
        real, imag = scaled * xp.cos(turned), scaled * xp.sin(turned)
    at_peak = constant(sign) * xp.astype(is_peak, x.dtype)
    # What the terms at the peak amount to once opposite signs have cancelled, a whole number.
    net = total(xp, at_peak, axes)
    majority = xp.where(net < 0, -xp.ones_like(net), xp.ones_like(net))
    rest = majority * total(xp, real - at_peak, axes) + (xp.abs(net) - 1)
    rest = _rest(xp, peak, ties, rest)
    # Infinite terms of several signs or directions have no sum.
    rest = xp.where((peak == xp.inf) & (xp.abs(net) != ties), xp.nan, rest)
    sign = xp.where(peak == -xp.inf, 0.0, majority)
    if imag is None:
        return State(peak, rest, sign)
    across = xp.where(xp.isinf(peak), 0.0, majority * total(xp, imag, axes))
    return State(
        peak,
        as_complex(xp, rest, across),
        as_complex(xp, sign * xp.cos(direction), sign * xp.sin(direction)),
    )


def merge(xp: Namespace, one: State, other: State) -> State:
    """Return the state of two sums together: associative, commutative, of identity (-inf, 0)."""
    if (one.sign is None) != (other.sign is None):
        one, other = (_with_sign(xp, state, one.sign, other.sign) for state in (one, other))
    first = one.peak >= other.peak
    peak = xp.maximum(one.peak, other.peak)  # unlike a where, it lets nan through
    low = xp.minimum(one.peak, other.peak)
    scale = xp.where(low == peak, 1.0, exp_relative(xp, low, peak))
    scale = xp.where(low == -xp.inf, 0.0, scale)
    upper = xp.where(first, one.rest, other.rest)
    lower = xp.where(first, other.rest, one.rest)
    if one.sign is None or other.sign is None:
        return State(peak, (upper + scale * lower) + scale)
    sign = xp.where(first, one.sign, other.sign)
    turn = xp.where(first, other.sign, one.sign)
    if is_complex(xp, sign.dtype):
        turn = turn * xp.conj(sign)
        scale = as_complex(xp, scale, xp.zeros_like(scale))
    else:
        turn = turn * sign
    scale = scale * turn
    rest = (upper + scale * lower) + scale
    # Infinite sums of several signs or directions have no sum, as in a lift.
    rest = xp.where((low == xp.inf) & (one.sign != other.sign), xp.nan, rest)
    return State(peak, rest, sign)


def _with_sign(xp: Namespace, state: State, *signs: Array | None) -> State:
    """Return the state with a sign of the kind of those signs that are there."""
    if state.sign is not None:
        return state
    dtype = next(sign.dtype for sign in signs if sign is not None)
    positive = xp.astype(state.peak != -xp.inf, dtype)
    return State(state.peak, xp.astype(state.rest, dtype), positive)


def value(xp: Namespace, state: State) -> tuple[Array, Array | None]:
    """Return the logarithm of the sum's magnitude, and its sign or phase (None: all positive)."""
    peak, rest, sign = state
    if sign is None:
        return peak + log1p(xp, rest), None
    if is_complex(xp, sign.dtype):
        size, phase = _log1p_complex(xp, xp.real(rest), xp.imag(rest))
    else:
        size, phase = _log1p_signed(xp, rest)
    return peak + size, sign * phase


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


def _log1p_signed(xp: Namespace, rest: Array) -> tuple[Array, Array]:
    """Return log|1 + rest| and the sign of 1 + rest."""
    whole = 1 + rest
    # Below -1/2 the sum 1 + rest is exact, by Sterbenz' lemma, down to -2; beyond, it loses
    # nothing that rest had not lost before.
    small = rest > -0.5
    size = xp.where(
        small,
        log1p(xp, xp.where(small, rest, 0.0)),
        xp.log(xp.where(small | (whole == 0), 1.0, xp.abs(whole))),
    )
    return xp.where(whole == 0, -xp.inf, size), xp.sign(whole)


def _log1p_complex(xp: Namespace, real: Array, imag: Array) -> tuple[Array, Array]:
    """Return log|1 + rest| and the direction of 1 + rest as a number of magnitude 1."""
    zero = (real == -1) & (imag == 0)
    # Double wheres: the branch not taken must stay finite, or its derivative turns into nan.
    safe = xp.where(zero, 0.0, real)
    size = xp.hypot(1 + safe, imag)
    # |1 + rest|^2 - 1, without cancellation where |1 + rest| is near 1
    excess = safe * (2 + safe) + imag * imag
    near = (size > 0.5) & (size < 2)
    log = xp.where(
        near,
        0.5 * log1p(xp, xp.where(near, excess, 0.0)),
        xp.log(xp.where(near, 1.0, size)),
    )
    direction = as_complex(
        xp, xp.where(zero, 0.0, (1 + safe) / size), xp.where(zero, 0.0, imag / size)
    )
    return xp.where(zero, -xp.inf, log), direction


def highest(xp: Namespace, x: Array, axes: tuple[int, ...]) -> Array:
    """Return the largest entry along axes that are not empty, a constant to differentiation."""
    if compat.is_dask_namespace(xp):
        return _reduce_blocks(x, axes, highest, fill=None)
    return constant(xp.max(x, axis=axes, keepdims=True) if axes else x)


def relative(xp: Namespace, x: Array, peak: Array) -> Array:
    """Return x - peak, at most 0 where the peak is finite, and -inf where the peak is -inf.

    Where the peak is +inf the largest finite number stands for it, since inf - inf has no value:
    terms at +inf stay there.
    """
    largest = float(xp.finfo(x.dtype).max)
    base = xp.where(peak == -xp.inf, 0.0, xp.minimum(peak, largest))
    if not compat.is_dask_namespace(xp):
        return x - base
    # The difference of two numbers of opposite sign may overflow. To -inf, as it should; but NumPy
    # warns, and a Dask worker does so out of reach of the caller's errstate.
    floor = xp.where(base > 0, xp.maximum(base, 0.0) - largest, -xp.inf)
    return xp.where(x < floor, -xp.inf, xp.maximum(x, floor) - base)


def exp_relative(xp: Namespace, x: Array, peak: Array) -> Array:
    """Return exp(x - peak)."""
    return xp.exp(relative(xp, x, peak))


def bounded(xp: Namespace, x: Array, peak: Array) -> Array:
    """Return x - peak, no larger than what has a finite exponential, nor have their sums.

    A term that is not there counts for nothing wherever it lies, but its exponential is the
    derivative by its weight. It must be finite, since 0 times infinity is nan.
    """
    ceiling = math.log(xp.finfo(x.dtype).max) / 2
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
    if compat.is_dask_namespace(xp):
        return _reduce_blocks(x, axes, total, fill=0.0)
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


def _reduce_blocks(
    x: Array,
    axes: tuple[int, ...],
    reduce: Callable[[Namespace, Array, tuple[int, ...]], Array],
    fill: float | None,
) -> Array:
    """Return a Dask array reduced by a function that reduces its blocks, and blocks of those."""
    if not axes:
        return x
    if 0 in x.shape:  # along an axis that is kept: there is nothing to reduce
        return x[tuple(slice(1) if axis in axes else slice(None) for axis in range(x.ndim))]
    import dask.array as da  # loaded already, since the array is its own

    def of_block(block: Array, axis: tuple[int, ...], keepdims: bool) -> Array:  # noqa: ARG001
        xp = compat.array_namespace(block)
        return reduce(xp, nonempty(xp, block, axis, fill), axis)

    return da.reduction(  # which passes keepdims on, true as it is
        x, chunk=of_block, aggregate=of_block, axis=axes, keepdims=True, dtype=x.dtype
    )


def nonempty(xp: Namespace, x: Array, axes: tuple[int, ...], fill: float | None = None) -> Array:
    """Return the array with one absent term along each of the axes that is empty."""
    for axis in axes:
        if x.shape[axis] == 0:
            shape = tuple(1 if a == axis else length for a, length in enumerate(x.shape))
            absent = -xp.inf if fill is None else fill
            one = xp.full(shape, absent, dtype=x.dtype, device=compat.device(x))
            # Derivatives go through x, so it stays; but Dask stumbles over the block it would be.
            x = one if compat.is_dask_namespace(xp) else xp.concat([x, one], axis=axis)
    return x
