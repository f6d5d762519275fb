"""Arithmetic on logarithms, entry by entry.

Each public function names a kernel, which follows its formula on real arrays of one shape, and
`_entrywise` runs it: in the dtype that keeps the digits, and on Dask block by block.

Where a kernel takes one of two formulas, the arguments of the other are replaced by harmless ones
first: the branch that is not taken must have finite derivatives, since 0 times infinity is nan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import array_api_compat as compat
import numpy as np

from . import _engines, _logsum
from ._elementary import expm1, log1p
from ._namespace import (
    Array,
    DType,
    Namespace,
    arguments,
    broadcast,
    constant,
    exact_dtype,
    finished,
    is_complex,
    quiet,
    real_working,
    settled,
    working,
)

_LOG_2 = math.log(2)
_LOG_2_LACKS = 2.3190468138462996e-17  # what that float64 lacks of log 2
_LOG_2_LACKS_STILL = 5.707708438416212e-34  # and both together, beside 64 bits of a difference


@quiet
def logaddexp(x1: Any, x2: Any, *, xp: Namespace | None = None) -> Any:
    r"""Logarithm of a sum of two exponentials, ``log(exp(x1) + exp(x2))``.

    Parameters
    ----------
    x1, x2 : array_like
        Exponents, real or complex, broadcast against each other.
    xp : namespace, optional
        Array namespace of the arguments, where it is known.

    Returns
    -------
    array
        In the namespace, on the device and of the dtype of `x1` and `x2`; integers and booleans
        give the namespace's default real dtype.

    Raises
    ------
    TypeError
        If an argument is not numeric, is sparse or masked, or if namespaces are mixed.
    ValueError
        If devices are mixed or shapes do not broadcast.

    See Also
    --------
    logsumexp : The same along an axis.
    logsubexp : The same for a difference.

    Notes
    -----
    .. math:: \max(x_1, x_2) + \log\bigl(1 + e^{-|x_1 - x_2|}\bigr)

    Its derivatives are exact to every order, where ``x1 == x2`` too.

    Examples
    --------
    >>> from agnostic_lse import logaddexp
    >>> print(logaddexp(-1000.0, -1000.0))
    -999.3068528194401
    >>> print(logaddexp(0.0, -40.0))
    4.248354255291589e-18
    """
    xp, dtype, (x1, x2), _ = arguments(xp, x1=x1, x2=x2)
    if is_complex(xp, dtype):
        arrays = broadcast(xp, x1=working(xp, x1, dtype), x2=working(xp, x2, dtype))
        if compat.is_dask_namespace(xp):
            return _by_blocks(_complex_logaddexp, dtype, arrays)
        return finished(xp, _complex_logaddexp(xp, *arrays), dtype)
    return _entrywise(xp, dtype, _logaddexp, x1=x1, x2=x2)


def _logaddexp(xp: Namespace, x1: Array, x2: Array) -> Array:
    # Which of the two is called the larger makes no difference to derivatives at ties, since the
    # formula below is symmetric there. Those of max(x1, x2) and |x1 - x2| do not exist.
    swap = x2 > x1
    high, low = xp.where(swap, x2, x1), xp.where(swap, x1, x2)
    gap = low - xp.where(xp.isinf(high), 0.0, high)
    # Beside +inf nothing counts but nan.
    gap = xp.where((high == xp.inf) & ~xp.isnan(low), -xp.inf, gap)
    return log1p(xp, xp.exp(gap), plus=_unless_absent(xp, high))


def _complex_logaddexp(xp: Namespace, x1: Array, x2: Array) -> Array:
    state = _logsum.state_of(xp, xp.stack((x1, x2)), None, None, (0,))
    return _logsum.logarithm(xp, _logsum.value(xp, state))[0, ...]


def _unless_absent(xp: Namespace, x: Array) -> Array:
    """Return x, and -inf as a constant: nothing changes what is not there."""
    return xp.where(x == -xp.inf, constant(x), x)


@quiet
def logsubexp(x1: Any, x2: Any, *, return_sign: bool = False, xp: Namespace | None = None) -> Any:
    r"""Logarithm of a difference of two exponentials, ``log(exp(x1) - exp(x2))``.

    Parameters
    ----------
    x1, x2 : array_like
        Real exponents, broadcast against each other.
    return_sign : bool, default False
        Return the logarithm of the difference's magnitude and its sign as a pair.
    xp : namespace, optional
        Array namespace of the arguments, where it is known.

    Returns
    -------
    result : array
        In the namespace, on the device and of the dtype of `x1` and `x2`; integers and booleans
        give the namespace's default real dtype. -inf where ``x1 == x2``, nan where both are +inf
        and, unless `return_sign` is true, where ``x1 < x2``.
    sign : array
        Only with `return_sign`: +1 where ``x1 > x2``, -1 where ``x1 < x2``, 0 where they are equal
        and nan where the difference has no value.

    Raises
    ------
    TypeError
        If an argument is not real, is sparse or masked, or if namespaces are mixed.
    ValueError
        If devices are mixed or shapes do not broadcast.

    See Also
    --------
    logaddexp : The same for a sum.
    log1mexp : The same for ``x1 = 0``.
    logsumexp : Sums of any signs, through its weights `b`.

    Notes
    -----
    .. math:: x_1 + \log\bigl(1 - e^{x_2 - x_1}\bigr)

    With `return_sign`, the larger of both exponents takes the place of :math:`x_1`.

    Examples
    --------
    >>> from agnostic_lse import logsubexp
    >>> print(logsubexp(-1000.0, -1001.0))
    -1000.4586751453871
    >>> print(logsubexp(0.0, -40.0))
    -4.248354255291589e-18

    The difference may be negative:

    >>> size, sign = logsubexp([3.0, 1.0, 2.0], [1.0, 3.0, 2.0], return_sign=True)
    >>> print(size.round(6), sign)
    [2.854587 2.854587     -inf] [ 1. -1.  0.]
    """
    xp, dtype, (x1, x2), _ = arguments(xp, x1=x1, x2=x2)
    if not return_sign:
        return _entrywise(xp, dtype, _logsubexp, x1=x1, x2=x2)
    return (
        _entrywise(xp, dtype, _log_of_distance, x1=x1, x2=x2),
        _entrywise(xp, dtype, _sign_of_difference, x1=x1, x2=x2),
    )


def _logsubexp(xp: Namespace, x1: Array, x2: Array) -> Array:
    absent = x2 == -xp.inf
    gap = xp.where(absent, -xp.inf, x2 - xp.where(absent, 0.0, x1))
    return _unless_absent(xp, x1) + _log1mexp(xp, gap)


def _log_of_distance(xp: Namespace, x1: Array, x2: Array) -> Array:
    swap = x2 > x1
    return _logsubexp(xp, xp.where(swap, x2, x1), xp.where(swap, x1, x2))


def _sign_of_difference(xp: Namespace, x1: Array, x2: Array) -> Array:
    sign = xp.astype(x1 > x2, x1.dtype) - xp.astype(x1 < x2, x1.dtype)
    unknown = xp.isnan(x1) | xp.isnan(x2) | ((x1 == xp.inf) & (x2 == xp.inf))
    return xp.where(unknown, xp.nan, sign)


@quiet
def log1mexp(x: Any, *, xp: Namespace | None = None) -> Any:
    r"""Logarithm of the complement of a probability kept as a logarithm, ``log(1 - exp(x))``.

    Parameters
    ----------
    x : array_like
        Real exponents, at most 0.
    xp : namespace, optional
        Array namespace of the argument, where it is known.

    Returns
    -------
    array
        Of the shape of `x`, in its namespace, on its device and of its dtype; integers and
        booleans give the namespace's default real dtype. -inf where `x` is 0, nan above.

    Raises
    ------
    TypeError
        If `x` is not real, is sparse or masked.

    See Also
    --------
    log1pexp : The logarithm of ``1 + exp(x)``.
    logexpm1 : The logarithm of ``exp(x) - 1``.

    Notes
    -----
    With -log 2 between them, where both probabilities are 1/2 [1]_,

    .. math::
       \log(-\operatorname{expm1}(x)) \quad\text{above and}\quad
       \operatorname{log1p}(-e^x) \quad\text{below.}

    References
    ----------
    .. [1] M. Mächler, "Accurately computing log(1 - exp(-abs(a)))", vignette of the R package
       Rmpfr (2012).

    Examples
    --------
    >>> from agnostic_lse import log1mexp
    >>> print(log1mexp([-1e-20, -40.0]).tolist())
    [-46.051701859880914, -4.248354255291589e-18]
    """
    xp, dtype, (x,), _ = arguments(xp, x=x)
    return _entrywise(xp, dtype, _log1mexp, x=x)


def _log1mexp(xp: Namespace, x: Array) -> Array:
    # The errors of expm1 and of exp reach the result multiplied by (1 - p) / (p |log p|), with p
    # the result's exponential, and by p / ((1 - p) |log(1 - p)|): each at most 1.44 on its side of
    # p = 1/2, and without bound on the other.
    near = x > -_LOG_2
    return xp.where(
        near,
        xp.log(-expm1(xp, xp.where(near, x, -1.0))),
        log1p(xp, -xp.exp(xp.where(near, -1.0, x))),
    )


@quiet
def log1pexp(x: Any, *, xp: Namespace | None = None) -> Any:
    r"""Logarithm of one plus an exponential, ``log(1 + exp(x))``, also called softplus.

    Parameters
    ----------
    x : array_like
        Real exponents.
    xp : namespace, optional
        Array namespace of the argument, where it is known.

    Returns
    -------
    array
        Of the shape of `x`, in its namespace, on its device and of its dtype; integers and
        booleans give the namespace's default real dtype.

    Raises
    ------
    TypeError
        If `x` is not real, is sparse or masked.

    See Also
    --------
    logexpm1 : Its inverse.
    logaddexp : The same for two exponents.
    log_expit : The same with both signs turned.

    Notes
    -----
    .. math:: \max(x, 0) + \log\bigl(1 + e^{-|x|}\bigr)

    Examples
    --------
    >>> from agnostic_lse import log1pexp
    >>> print(log1pexp([-40.0, 0.0, 1000.0]).tolist())
    [4.248354255291589e-18, 0.6931471805599453, 1000.0]
    """
    xp, dtype, (x,), _ = arguments(xp, x=x)
    return _entrywise(xp, dtype, _log1pexp, x=x)


def _log1pexp(xp: Namespace, x: Array) -> Array:
    return _logaddexp(xp, x, xp.zeros_like(x))


@quiet
def logexpm1(x: Any, *, xp: Namespace | None = None) -> Any:
    r"""Logarithm of an exponential minus one, ``log(exp(x) - 1)``, the inverse of `log1pexp`.

    Parameters
    ----------
    x : array_like
        Real exponents, at least 0.
    xp : namespace, optional
        Array namespace of the argument, where it is known.

    Returns
    -------
    array
        Of the shape of `x`, in its namespace, on its device and of its dtype; integers and
        booleans give the namespace's default real dtype. -inf where `x` is 0, nan below.

    Raises
    ------
    TypeError
        If `x` is not real, is sparse or masked.

    See Also
    --------
    log1pexp : Its inverse.
    logsubexp : The same for two exponents.

    Notes
    -----
    .. math::
       \log(\operatorname{expm1}(x)) \quad\text{below 1 and}\quad
       x + \operatorname{log1p}(-e^{-x}) \quad\text{above.}

    Examples
    --------
    >>> from agnostic_lse import log1pexp, logexpm1
    >>> print(logexpm1([1e-20, 1000.0]).tolist())
    [-46.051701859880914, 1000.0]
    >>> print(logexpm1(log1pexp(-40.0)))
    -40.0
    """
    xp, dtype, (x,), _ = arguments(xp, x=x)
    return _entrywise(xp, dtype, _logexpm1, x=x)


def _logexpm1(xp: Namespace, x: Array) -> Array:
    # Either formula would do between 1/2 and where exp overflows. Beside the zero at log 2 the
    # first is the better one: there the second takes the difference of two numbers near 0.7.
    near = x < 1
    far = xp.where(near, 1.0, x)
    return xp.where(
        near,
        xp.log(expm1(xp, xp.where(near, x, 1.0))),
        log1p(xp, -xp.exp(-far), plus=far),
    )


@quiet
def log_expit(x: Any, *, xp: Namespace | None = None) -> Any:
    r"""Logarithm of the logistic function, ``log(1 / (1 + exp(-x)))``.

    Parameters
    ----------
    x : array_like
        Real numbers, the logarithms of odds.
    xp : namespace, optional
        Array namespace of the argument, where it is known.

    Returns
    -------
    array
        Of the shape of `x`, in its namespace, on its device and of its dtype; integers and
        booleans give the namespace's default real dtype.

    Raises
    ------
    TypeError
        If `x` is not real, is sparse or masked.

    See Also
    --------
    logitexp : Its inverse.
    logit : The inverse of the logistic function.
    log1pexp : The same with both signs turned.

    Notes
    -----
    .. math:: \min(x, 0) - \log\bigl(1 + e^{-|x|}\bigr)

    The logarithm of the complementary probability is ``log_expit(-x)``.

    Examples
    --------
    >>> from agnostic_lse import log_expit
    >>> print(log_expit([-1000.0, 0.0, 40.0]).tolist())
    [-1000.0, -0.6931471805599453, -4.248354255291589e-18]
    """
    xp, dtype, (x,), _ = arguments(xp, x=x)
    return _entrywise(xp, dtype, _log_expit, x=x)


def _log_expit(xp: Namespace, x: Array) -> Array:
    return -_log1pexp(xp, -x)


@quiet
def logit(p: Any, *, xp: Namespace | None = None) -> Any:
    r"""Logarithm of the odds of a probability, ``log(p / (1 - p))``.

    Parameters
    ----------
    p : array_like
        Probabilities, from 0 to 1.
    xp : namespace, optional
        Array namespace of the argument, where it is known.

    Returns
    -------
    array
        Of the shape of `p`, in its namespace, on its device and of its dtype; integers and
        booleans give the namespace's default real dtype. -inf where `p` is 0, +inf where it is 1,
        and nan outside.

    Raises
    ------
    TypeError
        If `p` is not real, is sparse or masked.

    See Also
    --------
    logitexp : The same from the logarithm of a probability.
    log_expit : The logarithm of the inverse.

    Notes
    -----
    .. math::
       \operatorname{log1p}\Bigl(\frac{2 p - 1}{1 - p}\Bigr)
       \quad\text{from 1/4 to 3/4 and}\quad
       \log\Bigl(\frac{p}{1 - p}\Bigr) \quad\text{outside.}

    A probability close to 1 has few digits left. Where its logarithm is at hand, take `logitexp`
    instead.

    Examples
    --------
    >>> from agnostic_lse import logit
    >>> print(logit([0.0, 1e-300, 0.5, 0.5 + 2**-50]).tolist())
    [-inf, -690.7755278982137, 0.0, 3.552713678800501e-15]
    """
    xp, dtype, (p,), _ = arguments(xp, p=p)
    return _entrywise(xp, dtype, _logit, p=p)


def _logit(xp: Namespace, p: Array) -> Array:
    # 2p - 1 is exact from 1/4 on and 1 - p from 1/2 on, by Sterbenz' lemma, so that nothing is lost
    # beside the zero at 1/2. Outside, the logarithm is larger than 1 and divides the error.
    near = (p > 0.25) & (p < 0.75)
    inner, outer = xp.where(near, p, 0.5), xp.where(near, 0.5, p)
    return xp.where(near, log1p(xp, (2 * inner - 1) / (1 - inner)), xp.log(outer / (1 - outer)))


@quiet
def logitexp(x: Any, *, xp: Namespace | None = None) -> Any:
    r"""Logarithm of the odds of a probability kept as a logarithm, ``x - log(1 - exp(x))``.

    Parameters
    ----------
    x : array_like
        Logarithms of probabilities, at most 0.
    xp : namespace, optional
        Array namespace of the argument, where it is known.

    Returns
    -------
    array
        Of the shape of `x`, in its namespace, on its device and of its dtype; integers and
        booleans give the namespace's default real dtype. -inf where `x` is -inf, +inf where it is
        0, and nan above.

    Raises
    ------
    TypeError
        If `x` is not real, is sparse or masked.

    See Also
    --------
    log_expit : Its inverse.
    logit : The same from the probability itself.
    log1mexp : The logarithm of the complement.

    Notes
    -----
    With :math:`d = x + \log 2`,

    .. math::
       d - \operatorname{log1p}(-\operatorname{expm1}(d)) \quad\text{for}\quad |d| < \tfrac12 \log 2
       \quad\text{and}\quad x - \log(1 - e^x) \quad\text{elsewhere.}

    The first form keeps all digits beside the zero at :math:`-\log 2`, where the odds are even.

    Examples
    --------
    >>> from agnostic_lse import logitexp
    >>> print(logitexp([-1000.0, -1e-20, 0.0]).tolist())
    [-1000.0, 46.051701859880914, inf]
    """
    xp, dtype, (x,), _ = arguments(xp, x=x)
    return _entrywise(xp, dtype, _logitexp, x=x)


def _logitexp(xp: Namespace, x: Array) -> Array:
    # Beside the zero at -log 2, x and log(1 - exp(x)) are rounded at 0.7 and cancel. With log 2
    # added to both, x becomes d = x + log 2 and 1 - exp(x) becomes 2 - exp(d) = 1 - expm1(d). Both
    # parts of d - log1p(-expm1(d)) have the sign of d, so that they lose nothing. x and the nearest
    # number to log 2 add without rounding within a factor of 2, by Sterbenz' lemma, and what the
    # latter lacks of log 2 follows. Outside of half of log 2 from the zero, the result is larger
    # than 0.88, or x is, so that its parts may be rounded.
    nearest = float(np.float32(_LOG_2)) if x.dtype == xp.float32 else _LOG_2
    lacking = (_LOG_2 - nearest) + _LOG_2_LACKS
    near, above = xp.abs(x + _LOG_2) < _LOG_2 / 2, x >= -_LOG_2 / 2
    below = ~(near | above)  # nan, too
    shifted = settled(xp.where(near, x, -nearest) + nearest) + lacking + _LOG_2_LACKS_STILL
    minus = -expm1(xp, xp.where(near, shifted, xp.where(above, x, -1.0)))
    of_complement = xp.where(
        above,
        xp.log(xp.where(above, minus, 1.0)),
        log1p(xp, xp.where(near, minus, -xp.exp(xp.where(below, x, -1.0)))),
    )
    return xp.where(near, shifted, x) - of_complement


def _entrywise(
    xp: Namespace, dtype: DType, kernel: Callable[..., Array], **numbers: Array
) -> Array:
    """Return what a kernel makes of real arrays, in the dtype asked for."""
    real = {name: real_working(xp, name, array, dtype) for name, array in numbers.items()}
    arrays = broadcast(xp, **real)
    if compat.is_dask_namespace(xp):
        return _by_blocks(partial(_exactly, kernel=kernel), dtype, arrays)
    return finished(xp, _engines.mapped(xp, partial(_exactly, xp, kernel=kernel), *arrays), dtype)


def _by_blocks(kernel: Callable[..., Array], dtype: DType, arrays: list[Array]) -> Array:
    """Return what a kernel makes of the blocks of Dask arrays of one shape."""
    import dask.array as da  # loaded already, since the arrays are its own

    # map_blocks alone takes blocks of several arrays by number, not by what they cover.
    places = tuple(range(arrays[0].ndim))
    pairs = [part for array in arrays for part in (array, places)]
    arrays = da.core.unify_chunks(*pairs)[1]
    return da.map_blocks(partial(_of_block, kernel, dtype), *arrays, dtype=dtype)


@quiet
def _of_block(kernel: Callable[..., Array], dtype: DType, *blocks: Array) -> Array:
    xp = compat.array_namespace(*blocks)
    return xp.astype(kernel(xp, *blocks), dtype, copy=False)


def _exactly(xp: Namespace, *arrays: Array, kernel: Callable[..., Array]) -> Array:
    exact = exact_dtype(xp, arrays[0])
    return kernel(xp, *(xp.astype(array, exact, copy=False) for array in arrays))
