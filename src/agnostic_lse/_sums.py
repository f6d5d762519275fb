"""Sums and maxima along axes, as exact and as quiet as the state needs them."""

from __future__ import annotations

import math

import array_api_compat as compat
import numpy as np

from ._elementary import exp
from ._namespace import (
    Array,
    DType,
    Namespace,
    as_complex,
    constant,
    is_complex,
    largest_number,
    settled,
)


def split_digits(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """Return the leading half of the digits of terms, as constants, and what they leave.

    The former are whole numbers of a unit, so that thousands of them add up without rounding.
    """
    if is_complex(xp, x.dtype):
        real, imag = split_digits(xp, xp.real(x)), split_digits(xp, xp.imag(x))
        leading, left = (as_complex(xp, *parts) for parts in zip(real, imag, strict=True))
        return leading, left
    # Added to a number whose last digit is the unit, and that taken away again, x is rounded to it.
    large = 1.5 * half_digits(xp, x.dtype) / xp.finfo(x.dtype).eps
    leading = constant(settled(x + large) - large)
    return leading, x - leading


def half_digits(xp: Namespace, dtype: DType) -> float:
    """Return the unit of numbers with half of the digits behind the point that a dtype has."""
    return 2.0 ** round(math.log2(xp.finfo(dtype).eps) / 2)


def highest(xp: Namespace, x: Array, axes: tuple[int, ...]) -> Array:
    """Return the largest entry along axes that are not empty, a constant to differentiation."""
    if not axes:
        return xp.asarray(constant(x), copy=True)  # since states outlive what they are of
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
    return xp.minimum(relative(xp, x, peak), highest_exponent(xp, x.dtype))


def highest_exponent(xp: Namespace, dtype: DType) -> float:
    """Return the exponent of a number of which billions add up to a finite one: of max**(3/4)."""
    return 0.75 * float(np.log(largest_number(xp, dtype)))


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
