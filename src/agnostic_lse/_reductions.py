"""Sums and normalisations of exponentials along axes: the readers of the state."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import array_api_compat as compat
import numpy as np

from . import _engines, _logsum, _sums
from ._elementary import exp, log1p, two_sum
from ._engines import tiles
from ._namespace import (
    Array,
    DType,
    Namespace,
    arguments,
    broadcast,
    broadcast_mask,
    constant,
    finished,
    flag,
    quiet,
    real_dtype,
    real_working,
    reduced_axes,
    working,
)
from ._state import Logarithm, State

Axis = int | Sequence[int] | None


@quiet
def logsumexp(
    a: Any,
    axis: Axis = None,
    b: Any = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    where: Any = None,
    xp: Namespace | None = None,
) -> Any:
    r"""Logarithm of a sum of exponentials, ``log(sum(b * exp(a)))``.

    Parameters
    ----------
    a : array_like
        Exponents, real or complex.
    axis : int, tuple of ints or None, default None
        Axes to sum along; None sums over all.
    b : array_like, optional
        Weights, of any sign, broadcast against `a`. A term of weight 0 is not there, whatever its
        exponent.
    keepdims : bool, default False
        Keep the axes that were summed along, with length 1.
    return_sign : bool, default False
        Return the logarithm of the sum's magnitude and its sign as a pair.
    where : array_like of bool, optional
        Terms to include, broadcast to the shape of `a` and `b`.
    xp : namespace, optional
        Array namespace of the arguments, where it is known.

    Returns
    -------
    result : array
        In the namespace, on the device and of the dtype of `a` and `b`, as the namespace promotes
        both; integers and booleans alone give its default real dtype. -inf where no term is there,
        and nan where the sum is negative and `return_sign` is false.
    sign : array
        Only with `return_sign`: +1, 0 or -1, for complex arguments a number of magnitude 1 or 0.

    Raises
    ------
    TypeError
        If an argument is not numeric, is sparse or masked, or if namespaces are mixed.
    ValueError
        If devices are mixed, shapes do not broadcast, or an axis is out of range or named twice.

    See Also
    --------
    logmeanexp : The same for the mean.
    log_softmax : Exponents minus their logsumexp.

    Notes
    -----
    With :math:`z_i = a_i + \log|b_i|` and its largest entry :math:`z_k`, the result is

    .. math:: z_k + \log\Bigl(1 + \sum_{i \ne k} \pm e^{z_i - z_k}\Bigr),

    evaluated by ``log1p``, so that a sum close to 1 keeps its digits [1]_. Neither are
    :math:`a_k` and the logarithm of its weight added before the end, nor do terms close to each
    other lose digits where they cancel. float16 and bfloat16 are summed in float32. float32 with
    integers is promoted to float64 by NumPy and Dask, and stays float32 on PyTorch and JAX; where
    the namespace promotes no mixed kinds, as array-api-strict, integers and booleans count as its
    default real dtype. NumPy's arrays beside JAX's become JAX's. The derivative by `a` is its
    softmax, to every order, under JAX and
    PyTorch.

    References
    ----------
    .. [1] P. Blanchard, D. J. Higham, N. J. Higham, "Accurately computing the log-sum-exp and
       softmax functions", IMA J. Numer. Anal. 41 (2021), 2311-2330,
       :doi:`10.1093/imanum/draa038`.

    Examples
    --------
    >>> import numpy as np
    >>> from agnostic_lse import logsumexp
    >>> print(logsumexp([1000.0, 1001.0, 1002.0]))
    1002.4076059644444

    The sum of 1 and a number far below it keeps that number:

    >>> print(logsumexp([0.0, -40.0]))
    4.248354255291589e-18

    Weights may be negative:

    >>> size, sign = logsumexp([1.0, 2.0], b=[1.0, -1.0], return_sign=True)
    >>> print(size.round(6), sign)
    1.541325 -1.0
    """
    keepdims, return_sign = flag("keepdims", keepdims), flag("return_sign", return_sign)
    xp, dtype, a, b, where, axes = prepared(xp, axis, a, b, where)
    if compat.is_dask_namespace(xp):
        return _log_sum_of_blocks((a, b, where), axes, keepdims, return_sign, dtype)
    of = _engines.log_sum(xp, a, b, where, axes)
    return signed_result(xp, of, dtype, return_sign, axes, keepdims)


def signed_result(
    xp: Namespace,
    of: Logarithm,
    dtype: DType,
    return_sign: bool,
    axes: tuple[int, ...] = (),
    keepdims: bool = True,
) -> Any:
    """Return a sum's logarithm, or that of its magnitude and its sign, in their dtype and shape."""
    if not return_sign:
        return finished(xp, _logsum.logarithm(xp, of), dtype, axes, keepdims)
    log_abs, sign, _ = of
    if sign is None:
        sign = xp.where(xp.isnan(log_abs), log_abs, xp.astype(log_abs != -xp.inf, log_abs.dtype))
    return (
        finished(xp, log_abs, real_dtype(xp, dtype), axes, keepdims),
        finished(xp, sign, dtype, axes, keepdims),
    )


def _log_sum_of_blocks(
    arrays: tiles.Arrays, axes: tuple[int, ...], keepdims: bool, return_sign: bool, dtype: DType
) -> Any:
    if not return_sign:
        read = functools.partial(_read_sum, dtype, None)
        return _engines.sum_of_blocks(arrays, axes, read, keepdims, dtype)
    parts = _engines.sum_of_blocks(arrays, axes, None)
    axes = () if keepdims else axes
    return tuple(
        _engines.dask.read_from(functools.partial(_read_sum, dtype, place), parts, axes, of)
        for place, of in enumerate((np.empty(0, dtype).real.dtype, dtype))
    )


def _read_sum(
    dtype: DType, place: int | None, xp: Namespace, parts: tiles.Results, axes: tuple[int, ...]
) -> Any:
    """Return what `logsumexp` returns, or one of a pair, from the parts of a state."""
    of = _logsum.value(xp, State(*parts))
    out = signed_result(xp, of, dtype, place is not None, axes, False)
    return out if place is None else out[place]


@quiet
def softmax(x: Any, axis: Axis = None, *, where: Any = None, xp: Namespace | None = None) -> Any:
    r"""Exponentials divided by their sum, ``exp(x) / sum(exp(x))``.

    Parameters
    ----------
    x : array_like
        Real exponents.
    axis : int, tuple of ints or None, default None
        Axes to sum along; None sums over all.
    where : array_like of bool, optional
        Terms to include, broadcast to the shape of `x`. The others give 0.
    xp : namespace, optional
        Array namespace of the arguments, where it is known.

    Returns
    -------
    array
        Of the shape of `x`, in its namespace, on its device and of its dtype; integers and
        booleans give the namespace's default real dtype. It adds up to 1 along the axes, or to 0
        where no term is there or all are -inf. Terms at +inf share the mass equally.

    Raises
    ------
    TypeError
        If an argument is not real, is sparse or masked, or if namespaces are mixed.
    ValueError
        If devices are mixed, shapes do not broadcast, or an axis is out of range or named twice.

    See Also
    --------
    log_softmax : Its logarithm, without underflow.

    Notes
    -----
    .. math:: \frac{e^{x_i - x_k}}{1 + \sum_{j \ne k} e^{x_j - x_k}}
       \quad\text{with}\quad x_k = \max_j x_j

    Examples
    --------
    >>> from agnostic_lse import softmax
    >>> print(softmax([-1000.0, -1000.0, 1000.0]))
    [0. 0. 1.]
    """
    xp, dtype, x, axes = _scores(xp, axis, x, where)
    if 0 in x.shape:
        return finished(xp, x, dtype)

    return finished(xp, _engines.normalised(xp, x, axes, False, probabilities), dtype)


def probabilities(xp: Namespace, x: Array, state: State | None, axes: tuple[int, ...]) -> Array:
    """Return exponentials divided by the sum of a state, which broadcasts against them."""
    peak = _sums.highest(xp, x, axes) if state is None else state.peak
    scaled = _scaled(xp, x, peak)
    whole = 1 + (_logsum.rest_of(xp, peak, scaled, axes) if state is None else state.rest)
    infinite = xp.where(x == xp.inf, 1 / whole, 0.0)
    return xp.where(xp.isinf(peak), infinite, scaled / whole)


def _scaled(xp: Namespace, x: Array, peak: Array) -> Array:
    """Return exp(x - peak), in which the difference leaves no rounding behind.

    Beside a peak of 10, the difference of a score of 0.1 errs by 8 roundoffs, and so would its
    probability; in a logarithm that is small beside the result, which is as large as it.
    """
    difference, base = _sums.relative(xp, x, peak), _sums.finite_base(xp, peak)
    # Far below there is nothing to round, and infinities, which differ by nan, may not enter.
    entry = xp.where(xp.abs(difference) < 1000, constant(x), base)
    _, lost = two_sum(entry, -base)
    scaled = exp(xp, difference)
    return scaled + xp.where(lost == 0, 0.0, scaled) * lost


@quiet
def log_softmax(
    x: Any, axis: Axis = None, *, where: Any = None, xp: Namespace | None = None
) -> Any:
    r"""Exponents minus their logsumexp, ``x - log(sum(exp(x)))``.

    Parameters
    ----------
    x : array_like
        Real exponents.
    axis : int, tuple of ints or None, default None
        Axes to sum along; None sums over all.
    where : array_like of bool, optional
        Terms to include, broadcast to the shape of `x`. The others give -inf.
    xp : namespace, optional
        Array namespace of the arguments, where it is known.

    Returns
    -------
    array
        Of the shape of `x`, in its namespace, on its device and of its dtype; integers and
        booleans give the namespace's default real dtype. All -inf along the axes where no term is
        there or all are -inf. Terms at +inf share the mass equally.

    Raises
    ------
    TypeError
        If an argument is not real, is sparse or masked, or if namespaces are mixed.
    ValueError
        If devices are mixed, shapes do not broadcast, or an axis is out of range or named twice.

    See Also
    --------
    softmax : Its exponential.

    Notes
    -----
    .. math:: (x_i - x_k) - \log\Bigl(1 + \sum_{j \ne k} e^{x_j - x_k}\Bigr)
       \quad\text{with}\quad x_k = \max_j x_j

    by ``log1p``, so that the logarithm of a probability close to 1 keeps its digits.

    Examples
    --------
    >>> from agnostic_lse import log_softmax
    >>> print(log_softmax([40.0, 0.0]))
    [-4.24835426e-18 -4.00000000e+01]
    """
    xp, dtype, x, axes = _scores(xp, axis, x, where)
    if 0 in x.shape:
        return finished(xp, x, dtype)

    return finished(xp, _engines.normalised(xp, x, axes, True, logarithms), dtype)


def logarithms(xp: Namespace, x: Array, state: State | None, axes: tuple[int, ...]) -> Array:
    """Return exponents minus the logarithm of the sum of a state, which broadcasts against them."""
    state = _logsum.lift(xp, x, axes) if state is None else state
    peak, log_whole = state.peak, log1p(xp, state.rest)
    infinite = xp.where(x == xp.inf, -log_whole, -xp.inf)
    finite = _sums.relative(xp, x, peak) - log_whole
    return xp.where(xp.isinf(peak), infinite, finite)


def prepared(
    xp: Namespace | None, axis: Axis, a: Any, b: Any, where: Any
) -> tuple[Namespace, DType, Array, Array | None, Array | None, tuple[int, ...]]:
    """Return the arguments as arrays of one shape, nowhere empty along the axes."""
    xp, dtype, (a, b), where = arguments(xp, where=where, optional=("b",), a=a, b=b)
    a = working(xp, a, dtype)
    if b is not None:
        a, b = broadcast(xp, a=a, b=working(xp, b, dtype))
    if where is not None:
        where = broadcast_mask(xp, where, "a", a)
    axes = reduced_axes(axis, a.ndim)
    if not compat.is_dask_namespace(xp):  # whose blocks may be empty where it is not
        a, b, where = _sums.nonempty_terms(xp, a, b, where, axes)
    return xp, dtype, a, b, where, axes


def _scores(
    xp: Namespace | None, axis: Axis, x: Any, where: Any
) -> tuple[Namespace, DType, Array, tuple[int, ...]]:
    """Return the argument of a softmax as a real array, -inf where a term is not there."""
    xp, dtype, (x,), where = arguments(xp, where=where, x=x)
    x = real_working(xp, "x", x, dtype)
    if where is not None:
        x = xp.where(broadcast_mask(xp, where, "x", x), x, -xp.inf)
    return xp, dtype, x, reduced_axes(axis, x.ndim)
