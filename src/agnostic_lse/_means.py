"""The logarithm of a mean of exponentials, with its digits where it is close to 0."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import array_api_compat as compat

from . import _engines, _logsum, _signed, _sums
from ._elementary import expm1, log1p, power_of_two, turned_expm1
from ._engines import tiles
from ._namespace import Array, DType, Namespace, constant, finished, is_complex, quiet
from ._reductions import Axis, prepared
from ._state import State


@quiet
def logmeanexp(
    a: Any,
    axis: Axis = None,
    b: Any = None,
    keepdims: bool = False,
    *,
    where: Any = None,
    xp: Namespace | None = None,
) -> Any:
    r"""Logarithm of a mean of exponentials, ``log(sum(b * exp(a)) / sum(b))``.

    Parameters
    ----------
    a : array_like
        Exponents, real or complex.
    axis : int, tuple of ints or None, default None
        Axes to average along; None averages over all.
    b : array_like, optional
        Weights, of any sign, broadcast against `a`; only their ratios matter. A term of weight 0
        is not there, whatever its exponent.
    keepdims : bool, default False
        Keep the axes that were averaged along, with length 1.
    where : array_like of bool, optional
        Terms to include, broadcast to the shape of `a` and `b`.
    xp : namespace, optional
        Array namespace of the arguments, where it is known.

    Returns
    -------
    array
        In the namespace, on the device and of the dtype of `a` and `b`; integers and booleans give
        the namespace's default real dtype. -inf where no term is there, and nan where the mean is
        negative or the weights add up to 0.

    Raises
    ------
    TypeError
        If an argument is not numeric, is sparse or masked, or if namespaces are mixed.
    ValueError
        If devices are mixed, shapes do not broadcast, or an axis is out of range or named twice.

    See Also
    --------
    logsumexp : The same for the sum.

    Notes
    -----
    The difference ``logsumexp(a) - log(n)`` cancels where the result is close to 0. There, with c
    close to the result, or 0, it is

    .. math:: c + \log\Bigl(1 + \frac{\sum_i b_i (e^{a_i - c} - 1)}{\sum_i b_i}\Bigr),

    by ``log1p`` and ``expm1``, which keeps the digits of a result close to 0.

    Examples
    --------
    >>> from agnostic_lse import logmeanexp
    >>> print(logmeanexp([1000.0, 1000.0, 1000.0]))
    1000.0
    >>> print(f"{logmeanexp([1e-12, 3e-12]):.6e}")
    2.000000e-12
    >>> print(f"{logmeanexp([0.0, 1.0], b=[3, 1]):.6f}")
    0.357374
    """
    xp, dtype, a, b, where, axes = prepared(xp, axis, a, b, where)
    if compat.is_dask_namespace(xp):
        read = functools.partial(_read_mean, dtype)
        return _engines.dask.reduced(
            _mean_of_block, _mean_of_means, read, (a, b, where), axes, keepdims, dtype
        )
    out = _log_mean(_Mean(xp, (a, b, where), axes))[0]
    return finished(xp, out, dtype, axes, keepdims)


def _log_mean(mean: _Mean) -> tuple[Array, Sums]:
    """Return the logarithms of means, and the sums that they are quotients of."""
    sums = mean.sums()
    first = log_mean_of(mean.xp, *sums)
    return _refined(mean, sums, first), sums


class Sums(NamedTuple):
    """The sum of terms and the sum of weights that a mean is the quotient of."""

    terms: State
    weights: State

    @classmethod
    def of_parts(cls, parts: Sequence[Array | None]) -> Sums:
        """Return the sums from their parts, one state after the other."""
        half = len(State._fields)
        terms: Any = parts[:half]
        weights: Any = parts[half:]
        return cls(State(*terms), State(*weights))

    @property
    def parts(self) -> tiles.Results:
        """The parts of both states."""
        return (*self.terms, *self.weights)


def _merged(xp: Namespace, one: tiles.Results, other: tiles.Results) -> tiles.Results:
    pairs = zip(Sums.of_parts(one), Sums.of_parts(other), strict=True)
    return Sums(*(_logsum.merge(xp, *pair) for pair in pairs)).parts


# A Dask array is read once, so that there is no second round with the mean of all. But a mean is
# that of the means of blocks, each of which has had its own.


def _mean_of_block(
    xp: Namespace, a: Array, b: Array | None, where: Array | None, axes: tuple[int, ...]
) -> tiles.Results:
    """Return the log-mean of a block and the parts of its sums."""
    if where is None and any(a.shape[axis] == 0 for axis in axes):
        where = xp.zeros(a.shape, dtype=xp.bool)  # what stands for no term is not to be counted
    mean, sums = _log_mean(_Mean(xp, _sums.nonempty_terms(xp, a, b, where, axes), axes))
    # Where weights have all but cancelled, the mean is so large that its logarithm rounds too much.
    cancelled = (xp.abs(_whole(sums.weights)) < 0.125) & ~_absent(xp, sums.weights)
    mean = xp.where(cancelled, xp.nan, mean)
    return _engines.widened(xp, (mean, *sums.parts))


def _mean_of_means(xp: Namespace, parts: tiles.Results) -> tiles.Results:
    """Return the same of several blocks from that of each."""
    means: Any = parts[0]
    weights = Sums.of_parts(parts[1:]).weights
    absent = _absent(xp, weights)
    counts = xp.where(absent, 0.0, _whole(weights))
    if weights.scale is not None:
        quotient = weights.scale / _sums.highest(xp, weights.scale, (0,))
        counts = counts * quotient
        # What is no normal number has few digits, and a large mean may make it count.
        limits = xp.finfo(quotient.dtype)
        few = ~absent & (quotient < limits.smallest_normal / limits.eps)
        means = xp.where(few, xp.nan, means)
    sums = tiles.tree(xp, parts[1:], functools.partial(_merged, xp))
    # Where the mean of a block is unknown, so is the mean of all.
    counts = xp.where(xp.isnan(means), xp.ones_like(counts), counts)
    mean = _log_mean(_Mean(xp, (means, counts, None), (0,)))[0]
    return (mean[0, ...], *sums)


def _read_mean(dtype: DType, xp: Namespace, parts: tiles.Results, axes: tuple[int, ...]) -> Array:
    """Return the mean of the means of blocks, unless the difference of two logarithms belies it."""
    mean: Any = parts[0]
    out = log_mean_of(xp, *Sums.of_parts(parts[1:]))
    near = xp.isfinite(out) & (xp.abs(mean - xp.where(xp.isfinite(out), out, 0.0)) < 0.01)
    return finished(xp, xp.where(near, mean, out), dtype, axes, False)


class _Mean:
    """The terms of a mean, and sums over them."""

    def __init__(
        self, xp: Namespace, terms: tuple[Array, Array | None, Array | None], axes: tuple[int, ...]
    ) -> None:
        self.xp, self.terms, self.axes = xp, terms, axes
        self.has_weights = terms[1] is not None

    def _reduced(
        self,
        function: Callable[..., tiles.Results],
        combine: Callable[[tiles.Results, tiles.Results], tiles.Results],
        *slots: Array | None,
    ) -> tiles.Results:
        return _engines.reduced(self.xp, function, self.terms, self.axes, combine, slots)

    def sums(self) -> Sums:
        """Return the sum of terms and the sum of weights."""
        return Sums.of_parts(self._reduced(self._sums_of, functools.partial(_merged, self.xp)))

    def _sums_of(self, a: Array, b: Array | None, where: Array | None) -> tiles.Results:
        xp, axes = self.xp, self.axes
        terms = _engines.state_of(xp, a, b, where, axes)
        if b is not None or where is not None:
            zero = xp.zeros_like(xp.real(a) if is_complex(xp, a.dtype) else a)
            return Sums(terms, _logsum.state_of(xp, zero, b, where, axes)).parts
        zero = xp.zeros_like(terms.rest if terms.lead is None else terms.lead)
        others = math.prod(a.shape[axis] for axis in axes) - 1
        return Sums(terms, State(zero, zero + others)).parts

    def totals(
        self,
        function: Callable[[Array, Array, Array, Array], tiles.Results],
        scale: Array | None,
        slot: Array,
    ) -> Any:
        """Return the sums of what a function makes of exponents, weights and a slot for each sum.

        Weights are those over a scale, or 1 without any, and 0 where masked. The function is told,
        too, which terms are there: a weight over the scale may vanish.
        """
        xp = self.xp

        def totals(
            a: Array, b: Array | None, where: Array | None, scale: Array | None, slot: Array
        ) -> tiles.Results:
            if b is None or scale is None:
                real = xp.real(a) if is_complex(xp, a.dtype) else a
                weight = xp.ones_like(real) if where is None else xp.astype(where, real.dtype)
                there = weight != 0
            else:
                b = b if where is None else xp.where(where, b, xp.zeros_like(b))
                weight, there = b / scale, b != 0
            terms = function(a, weight, there, slot)
            return tuple(_sums.total(xp, term, self.axes) for term in terms)

        return self._reduced(totals, _sum_of, scale, slot)


def _sum_of(one: tiles.Results, other: tiles.Results) -> tiles.Results:
    return tuple(map(operator.add, one, other))


def _absent(xp: Namespace, state: State) -> Array:
    """Tell where nothing was seen."""
    peak = state.peak
    return (xp.real(peak) if is_complex(xp, peak.dtype) else peak) == -xp.inf


def _whole(state: State) -> Array:
    """Return the sum over the exponential of its peak, and over its scale."""
    return state.rest + (1 if state.lead is None else state.lead)


def log_mean_of(xp: Namespace, terms: State, weights: State) -> Array:
    """Return the logarithm of a mean from the sum of terms and the sum of weights.

    Close to 0 it is the difference of numbers that are not.
    """
    terms, weights = _over_one_scale(xp, terms, weights)
    complex_ = is_complex(xp, terms.rest.dtype) or is_complex(xp, weights.rest.dtype)
    out = (_complex_log_quotient if complex_ else _real_log_quotient)(xp, terms, weights)
    massless = (_whole(weights) == 0) & ~_absent(xp, weights)
    return xp.where(massless, xp.nan, xp.where(_absent(xp, terms), -xp.inf, out))


def _over_one_scale(xp: Namespace, terms: State, weights: State) -> tuple[State, State]:
    """Return two sums whose quotient is the same, the second without a scale, if that may be.

    The logarithm of either scale would be rounded, and only their quotient counts.
    """
    if terms.scale is None or weights.scale is None:
        return terms, weights
    quotient = terms.scale / weights.scale
    known = (quotient > 0) & xp.isfinite(quotient)
    one = xp.ones_like(quotient)
    return (
        terms._replace(scale=xp.where(known, quotient, terms.scale)),
        weights._replace(scale=xp.where(known, one, weights.scale)),
    )


def _real_log_quotient(xp: Namespace, terms: State, weights: State) -> Array:
    """Return the logarithm of one sum divided by another, nan where it is negative."""
    dividend, divisor = _whole(terms), _whole(weights)
    apart = _log_abs(xp, dividend) - _log_abs(xp, divisor)
    # The logarithm of the quotient is exact, but the quotient may overflow.
    near = xp.abs(apart) < 40
    quotient = xp.where(near, dividend, 1.0) / xp.where(near & (divisor != 0), divisor, 1.0)
    log = xp.where(near, _log_abs(xp, quotient), apart)
    log = xp.where(dividend == 0, -xp.inf, log)
    peak = xp.where(_absent(xp, weights), 0.0, weights.peak)
    out = terms.peak - peak + (_log_scale(xp, terms) - _log_scale(xp, weights) + log)
    return xp.where(((dividend < 0) == (divisor < 0)) | (dividend == 0), out, xp.nan)


def _log_scale(xp: Namespace, state: State) -> Array | float:
    return 0.0 if state.scale is None else xp.log(state.scale)


def _log_abs(xp: Namespace, x: Array) -> Array:
    """Return log|x|, and 0 of 0."""
    return xp.log(xp.where(x == 0, 1.0, xp.abs(x)))


def _complex_log_quotient(xp: Namespace, terms: State, weights: State) -> Array:
    dividend, of_dividend = _near_1(xp, _whole(terms))
    divisor, of_divisor = _near_1(xp, _whole(weights))
    # Their powers of two join the scale, where they may: the quotient of the sums might overflow.
    scale = terms.scale * (of_dividend / of_divisor)
    known = xp.isfinite(scale) & (scale >= xp.finfo(scale.dtype).smallest_normal)
    apart = xp.log(terms.scale) + (xp.log(of_dividend) - xp.log(of_divisor))
    apart = xp.where(known, 0.0, apart) - _log_scale(xp, weights)
    peak = terms.peak - xp.where(_absent(xp, weights), 0.0, weights.peak)
    scale = xp.where(known, scale, 1.0)
    divisor = xp.where(divisor == 0, xp.ones_like(divisor), divisor)
    state = State(peak, dividend / divisor, xp.zeros_like(terms.lead), scale)
    of = _logsum.value(xp, state)
    return _logsum.logarithm(xp, of._replace(log_abs=of.log_abs + apart))


def _near_1(xp: Namespace, x: Array) -> tuple[Array, Array]:
    """Return numbers over powers of two, so that they are of magnitude 1 or so, and the powers."""
    size = constant(_signed.extent(xp, x))
    power = power_of_two(xp, xp.where(size == 0, 1.0, size))
    return x / power, power


def _refined(mean: _Mean, sums: Sums, first: Array) -> Array:
    """Return the logarithm of the mean, given the difference of two logarithms, which may cancel.

    Whichever constant stands for c, ``c + log1p(mean(expm1(a - c)))`` is the same function. With c
    at the result, what lies above it and what lies below cancel each other, and what lies above is
    less than ``sum(p * (a - c))``, so that roundings count for no more than those of the exponents.
    The difference of logarithms is near enough to the result, unless that is so small that only
    rounding is left of the difference; but then 0 is, and no exponent less 0 is rounded.
    """
    xp = mean.xp
    known = xp.isfinite(first)
    log = xp.where(known, first, 0.0)
    # The difference is exact unless it cancels. Its derivatives do where exponents lie close.
    below = xp.abs(sums.terms.peak - log)
    needed = (xp.abs(log) < 1 + below) | (below < 0.7)
    if compat.is_numpy_namespace(xp) and not (needed & known).any():
        return first  # as of log-likelihoods, which lie far below 0: one round does
    # Complex products and logarithms round more, relative to what lies above the centre.
    far = 1 / 64 if is_complex(xp, first.dtype) else 0.75
    centre = constant(xp.where(known & (xp.abs(first) > far), first, 0.0))
    above = functools.partial(_above_centre, xp, mean.has_weights)
    leading, others, *more = mean.totals(above, sums.weights.scale, centre)
    whole = _whole(sums.weights)
    sound = known & (whole != 0)
    if more:
        size, beyond = more
        # Where signed weights have all but cancelled, -1 of each term far below does not. And terms
        # so far above that their weights vanish are in the difference of logarithms alone.
        sound = sound & (size < 8 * xp.abs(whole)) & (beyond == 0)
    excess = (leading + others) / xp.where(sound, whole, 1.0)
    if is_complex(xp, excess.dtype):
        sound = sound & (xp.abs(excess) < 0.75)
        out = centre + _signed.log1p(xp, xp.where(sound, excess, 0.0))
        sound = sound & (xp.abs(xp.imag(out)) <= xp.pi)
    else:
        sound = sound & (excess > -0.75)
        out = centre + log1p(xp, xp.where(sound, excess, 0.0))
    sound = sound & (xp.abs(out - log) < 0.01)
    return xp.where(sound & needed, out, first)


def _above_centre(
    xp: Namespace, has_weights: bool, a: Array, weight: Array, there: Array, centre: Array
) -> tiles.Results:
    """Return by how much terms exceed the centre's: the leading digits, and what they leave.

    With weights, return also how large the terms are, and which lie beyond all exponentials.
    """
    # What is not there counts for nothing wherever it lies, but for the derivative by its weight.
    if is_complex(xp, a.dtype) or is_complex(xp, centre.dtype):
        x, angle = _signed.real_and_angle(xp, a)
        base, angle_of_centre = _signed.real_and_angle(xp, centre)
        counts = (there | (x < xp.inf)) & (x != -xp.inf)
        turn: Array = xp.where(counts, angle - angle_of_centre, 0.0)
    else:
        x, base, turn = a, centre, None
    known = there | (x < xp.inf)
    difference = xp.where(known, _sums.bounded(xp, x, base), 0.0)
    if not has_weights:
        growth = expm1(xp, difference) if turn is None else turned_expm1(xp, difference, turn)
        return _sums.split_digits(xp, weight * growth)
    near = _signed.is_near(xp, difference, turn)
    terms = weight * _signed.growth(xp, near, difference, difference, turn)
    # What is far from the centre is taken less 1 by its weight, lest it be rounded beside that.
    leading, left = _sums.split_digits(xp, terms)
    less, more = _sums.split_digits(xp, xp.where(near, xp.zeros_like(weight), weight))
    beyond = there & (x - base > _sums.highest_exponent(xp, x.dtype))
    size = xp.abs(constant(terms)) + xp.abs(less)
    return leading - less, left - more, size, xp.astype(beyond, x.dtype)
