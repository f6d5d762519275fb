"""exp, log1p and expm1 to the last digits, on libraries too whose own lose some.

Units of roundoff that the libraries' own err by, each measured against ``mpmath`` on a million
random arguments::

                     exp   log   log1p  expm1
    NumPy, float32   3.5   4.5     3.4    3.3    where the processor has AVX-512
    JAX,   float32   1.4   2.1     3.5    6.5
    JAX,   float64   1.9   1.0   238      4.9    log1p from -0.5 to -0.41
    all others       2     2       2      2
"""

from __future__ import annotations

import math
from collections.abc import Callable

import array_api_compat as compat
import numpy as np

from ._namespace import (
    WIDE,
    Array,
    Namespace,
    as_complex,
    constant,
    dtype_name,
    exact_dtype,
    settled,
    smallest_normal,
)


def exp(xp: Namespace, x: Array) -> Array:
    """Return exp(x).

    JAX's stays as it is: a polynomial of our own errs by 1.3, in float32 too, and takes twice as
    long in float64.
    """
    return _in_exact_dtype(xp, xp.exp, x)


def two_sum(x: Array, y: Array) -> tuple[Array, Array]:
    """Return a sum and what rounding took from it, by Knuth's two-sum."""
    rounded = settled(x + y)
    turned = settled(rounded - x)
    return rounded, (x - settled(rounded - turned)) + (y - turned)


# From where on, the centre c, log(1 + c) in float64, and what that lacks of it
_CENTRES = (
    (-0.5, -0.4375, -0.5753641449035618, -5.214321232885128e-17),
    (-0.375, -0.3125, -0.3746934494414107, 3.9243112288632396e-18),
    (-0.25, 0.0, 0.0, 0.0),
    (0.25, 0.3125, 0.27193371548364176, 7.83319637697442e-19),
    (0.45, 0.625, 0.4855078157817008, -1.6618350693852048e-17),
    (0.8, 1.0, 0.6931471805599453, 2.3190468138462996e-17),
    (1.5, 2.0, 1.0986122886681098, -9.07129723500153e-17),
    (3.0, 0.0, 0.0, 0.0),
)


def log1p(xp: Namespace, x: Array, plus: Array | None = None) -> Array:
    """Return log(1 + x), and numbers added to it."""
    if dtype_name(x.dtype) in WIDE:
        return _wide_log1p(xp, x, plus)
    out = _jax_log1p(xp, x) if compat.is_jax_namespace(xp) else _in_exact_dtype(xp, xp.log1p, x)
    return out if plus is None else plus + out


def _jax_log1p(xp: Namespace, x: Array) -> Array:
    # JAX's own is exact near 0 alone, and log1p(x) = log(1 + c) + log1p((x - c) / (1 + c)). Within
    # a factor of 2 of c the difference is exact (Sterbenz), and the logarithm of it is small.
    centre = log = more = xp.zeros_like(x)
    for start, c, log_c, lacking in _CENTRES:
        kept = float(x.dtype.type(log_c))
        beyond = x >= start
        centre = xp.where(beyond, c, centre)
        log = xp.where(beyond, kept, log)
        more = xp.where(beyond, (log_c - kept) + lacking, more)
    return log + (xp.log1p((x - centre) / (1 + centre)) + more)


def _wide_log1p(xp: Namespace, x: Array, plus: Array | None) -> Array:
    """Return log(1 + x) of long doubles, and numbers added to it.

    On x86, glibc's log1pl rounds 1 + x where x is above 0.29 or below -0.29, and takes the
    processor's logarithm. It errs by up to 4.4 units of roundoff there, and by 1.4 elsewhere. The
    logarithm of the rounded sum is taken here too, but what rounding took from the sum is added.
    """
    whole, lost = two_sum(xp.ones_like(x), x)
    far = (xp.abs(x) > 0.25) & xp.isfinite(x) & (whole > 0)
    whole = xp.where(far, whole, 1.0)
    out = xp.where(far, lost / whole, xp.log1p(xp.where(far, 0.0, x)))
    # The small part first, so that one rounding less is as large as the logarithm.
    out = out if plus is None else plus + out
    return xp.where(far, out + xp.log(whole), out)


def expm1(xp: Namespace, x: Array) -> Array:
    """Return exp(x) - 1, with derivatives that are exact too."""
    # JAX and PyTorch take expm1(x) + 1 for the derivative, which cancels where x is far below 0.
    close = x > -1
    near = xp.where(close, x, 0.0)
    return xp.where(close, expm1_near_0(xp, near), xp.exp(xp.where(close, 0.0, x)) - 1)


def expm1_near_0(xp: Namespace, x: Array) -> Array:
    """Return exp(x) - 1, with derivatives that are exact above -1."""
    if not compat.is_jax_namespace(xp):
        return _in_exact_dtype(xp, xp.expm1, x)
    # JAX's own errs by up to 5 units near 0, and Taylor's series by 1.4. What 16 terms leave out is
    # below 0.5**16 / 17!, or 5e-20 of x.
    rough = xp.expm1(x)
    near = xp.abs(x) < 0.5
    small = constant(xp.where(near, x, 0.0))
    series = xp.full_like(small, 1 / math.factorial(_TERMS))
    for n in range(_TERMS - 1, 1, -1):
        series = series * small + 1 / math.factorial(n)
    return _corrected(xp, rough, xp.where(near, small + small * small * series, rough))


_TERMS = 16


def turned_expm1(xp: Namespace, x: Array, angle: Array) -> Array:
    """Return exp(x + i angle) - 1, exact near 0 too, where the cosine of the angle is nearly 1."""
    growth, half = expm1(xp, x), xp.sin(angle / 2)
    real = growth * xp.cos(angle) - 2 * half * half
    return as_complex(xp, real, (1 + growth) * xp.sin(angle))


def power_of_two(xp: Namespace, x: Array) -> Array:
    """Return the largest power of two that is at most x, of positive numbers.

    It lies between 4 times the smallest normal number and the inverse of that, so that it and its
    inverse are normal numbers, since JAX takes others for 0. Rump's method [1]_: with eps the
    distance from 1 to the next number, ``x / eps + x`` rounds to a number q whose last digit lies
    where the leading digit of x does, and subtracting ``q * eps / 2`` from it makes it round there.

    .. [1] S. M. Rump, T. Ogita, S. Oishi, "Accurate floating-point summation, part I", SIAM J. Sci.
       Comput. 31 (2008), section 3, and S. M. Rump, "Error estimation of floating-point summation
       and dot product", BIT 52 (2012), algorithm 3.5.
    """
    eps, least = xp.finfo(x.dtype).eps, xp.full_like(x, 4 * smallest_normal(xp, x.dtype))
    if compat.is_numpy_namespace(xp):  # which has it, as x = m * 2**e with m from 1/2 to 1
        return np.clip(x / (2 * np.frexp(x)[0]), least, 1 / least)
    down = xp.where(x > 1, xp.full_like(x, eps / 8), xp.ones_like(x))  # lest q overflow
    small = x * down
    q = settled(small / eps + small)
    power = xp.abs(q - settled(q - q * (eps / 2))) / down
    return xp.minimum(xp.maximum(power, least), 1 / least)


def _corrected(xp: Namespace, rough: Array, exact: Array) -> Array:
    """Return the exact number with the derivatives of the rough one, which is close to it."""
    off = xp.where(exact == rough, 0.0, exact - rough)  # infinities, too
    return rough + constant(off)


def _in_exact_dtype(xp: Namespace, function: Callable[..., Array], x: Array) -> Array:
    dtype = exact_dtype(xp, x)
    if dtype == x.dtype:
        return function(x)
    if compat.is_numpy_namespace(xp):
        # NumPy converts a few thousand entries at a time: no array of the wider dtype is made.
        return function(x, out=np.empty_like(x), dtype=dtype, casting="same_kind")
    return xp.astype(function(xp.astype(x, dtype)), x.dtype)
