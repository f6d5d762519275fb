"""The logarithm of a mean of exponentials, with its digits where it is close to 0."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable
from typing import Any

import array_api_compat as compat
import numpy as np

from . import _engines, _logsum
from ._elementary import expm1, log1p
from ._engines import tiles
from ._logsum import State
from ._namespace import Array, DType, Namespace, constant, finished, is_complex, quiet
from ._reductions import Axis, prepared


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
    out = _log_mean(_Weights(xp, (a, b, where), axes))[0]
    return finished(xp, out, dtype, axes, keepdims)


def _log_mean(weights: _Weights) -> tuple[Array, State, State]:
    """Return the logarithms of means, and the states of sums of terms and of weights."""
    xp = weights.xp
    state, mass = weights.states()
    out = log_mean_of(xp, state, mass)
    if not is_complex(xp, state.rest.dtype):
        out = _real_log_mean(xp, weights, state.peak, out)
    return out, state, mass


# A Dask array is read once, so that there is no second round with the mean of all. But a mean is
# that of the means of blocks, each of which has had its own.


def _mean_of_block(
    xp: Namespace, a: Array, b: Array | None, where: Array | None, axes: tuple[int, ...]
) -> tiles.Results:
    """Return the largest weight of a block, its log-mean, and both states."""
    if where is None and any(a.shape[axis] == 0 for axis in axes):
        where = xp.zeros(a.shape, dtype=xp.bool)  # what stands for no term is not to be counted
    weights = _Weights(xp, _logsum.nonempty_terms(xp, a, b, where, axes), axes)
    mean, state, mass = _log_mean(weights)
    return _engines.widened(xp, (weights.largest, mean, *state, *mass))


def _mean_of_means(xp: Namespace, parts: tiles.Results) -> tiles.Results:
    """Return the same of several blocks from that of each."""
    largest, state, mass = parts[0], State(*parts[2:5]), State(*parts[5:])
    means: Array = parts[1]
    counts = xp.where(mass.peak == -xp.inf, 0.0, _whole(mass))
    if largest is not None:
        top = _logsum.highest(xp, largest, (0,))
        # Blocks of one largest weight, as most are, are not shifted, and so not rounded.
        size, of_all = _log_size(xp, largest), _log_size(xp, top)
        shift = xp.where(largest == 0, 0.0, size - of_all)
        state, mass = (each._replace(peak=each.peak + shift) for each in (state, mass))
        counts = counts * _quotient(xp, largest, top)
        largest = top[0, ...]
    states = tiles.tree(xp, (*state, *mass), functools.partial(_merged_states, xp))
    if is_complex(xp, means.dtype):
        return (largest, means[0, ...], *states)
    # The mean of a block whose weights add up to 0 is unknown, and so is that of all.
    counts = xp.where(xp.isnan(means), 1.0, counts)
    mean = _log_mean(_Weights(xp, (means, counts, None), (0,)))[0]
    return (largest, mean[0, ...], *states)


def _merged_states(xp: Namespace, one: tiles.Results, other: tiles.Results) -> tiles.Results:
    return (
        *_logsum.merge(xp, State(*one[:3]), State(*other[:3])),
        *_logsum.merge(xp, State(*one[3:]), State(*other[3:])),
    )


def _read_mean(dtype: DType, xp: Namespace, parts: tiles.Results, axes: tuple[int, ...]) -> Array:
    """Return the mean of the means of blocks, unless the difference of two logarithms belies it."""
    _, mean, *states = parts
    out = log_mean_of(xp, State(*states[:3]), State(*states[3:]))
    if not is_complex(xp, dtype):
        near = xp.isfinite(out) & (xp.abs(mean - xp.where(xp.isfinite(out), out, 0.0)) < 0.01)
        out = xp.where(near, mean, out)
    return finished(xp, out, dtype, axes, False)


class _Weights:
    """Weights of a mean, over the largest of each, and sums of terms that have them.

    Only ratios of weights matter, so that the sums are free of the weights' scale.
    """

    def __init__(
        self, xp: Namespace, terms: tuple[Array, Array | None, Array | None], axes: tuple[int, ...]
    ) -> None:
        self.xp, self.terms, self.axes = xp, terms, axes
        self.largest: Array | None = None
        self.are_given = terms[1] is not None
        if self.are_given:
            (self.largest,) = self._reduced(self._largest, _largest_of)

    def _reduced(
        self,
        function: Callable[..., tiles.Results],
        combine: Callable[[tiles.Results, tiles.Results], tiles.Results],
        *slots: Array | None,
    ) -> tiles.Results:
        return _engines.reduced(self.xp, function, self.terms, self.axes, combine, slots)

    def _largest(self, _: Array, b: Array, where: Array | None) -> tiles.Results:
        size = constant(_logsum.extent(self.xp, _masked(self.xp, b, where)))
        return (_logsum.highest(self.xp, size, self.axes),)

    def _weight(
        self, a: Array, b: Array | None, where: Array | None, largest: Array | None
    ) -> Array:
        """Return the weights over the largest; without any, 1, or 0 where masked."""
        xp = self.xp
        if b is None or largest is None:
            real = xp.real(a) if is_complex(xp, a.dtype) else a
            return xp.ones_like(real) if where is None else xp.astype(where, real.dtype)
        # JAX multiplies by the reciprocal, which a quarter of the largest number still has.
        scale = xp.where(largest > 1, 0.25, xp.ones_like(largest))
        return _quotient(xp, _masked(xp, b, where) * scale, largest * scale)

    def states(self) -> tuple[State, State]:
        """Return the states of the sum of terms and of that of weights."""
        merged = functools.partial(_merged_states, self.xp)
        found = self._reduced(self._states, merged, self.largest)
        return State(*found[:3]), State(*found[3:])

    def _states(
        self, a: Array, b: Array | None, where: Array | None, largest: Array | None
    ) -> tiles.Results:
        """Return both states.

        A ratio of weights that underflows goes into the exponent, and a sign of magnitude 1 takes
        its place.
        """
        xp, axes = self.xp, self.axes
        if b is None or largest is None:
            state = _engines.state_of(xp, a, None, where, axes)
            zero = xp.zeros_like(state.peak)
            if where is None:
                return (*state, zero, zero + (math.prod(a.shape[axis] for axis in axes) - 1), None)
            count = _logsum.total(xp, self._weight(a, b, where, largest), axes)
            peak = xp.where(count > 0, zero, -xp.inf)
            return (*state, peak, xp.maximum(count - 1, 0.0), None)
        weight = self._weight(a, b, where, largest)
        b = _masked(xp, b, where)
        size = constant(_logsum.extent(xp, b))
        ratio = constant(_logsum.extent(xp, weight))
        vanishing = (size != 0) & (ratio < xp.finfo(size.dtype).smallest_normal)
        log_size = xp.log(xp.where(vanishing, size, 1.0))
        shift = xp.where(vanishing, log_size - xp.log(xp.where(largest == 0, 1.0, largest)), 0.0)
        kept = xp.where(vanishing, b / xp.where(vanishing, size, 1.0), weight)
        return (
            *_logsum.state_of(xp, a + shift, kept, where, axes),
            *_logsum.state_of(xp, shift, kept, where, axes),
        )

    def totals(self, function: Callable[[Array, Array, Array], tiles.Results], slot: Array) -> Any:
        """Return the sums of what a function makes of exponents, of weights and of a slot each."""

        def totals(
            a: Array, b: Array | None, where: Array | None, largest: Array | None, slot: Array
        ) -> tiles.Results:
            terms = function(a, self._weight(a, b, where, largest), slot)
            return tuple(_logsum.total(self.xp, term, self.axes) for term in terms)

        return self._reduced(totals, _sum_of, self.largest, slot)


def _masked(xp: Namespace, b: Array, where: Array | None) -> Array:
    return b if where is None else xp.where(where, b, xp.zeros_like(b))


def _largest_of(one: tiles.Results, other: tiles.Results) -> tiles.Results:
    larger: Any = np.maximum
    return tuple(map(larger, one, other))


def _sum_of(one: tiles.Results, other: tiles.Results) -> tiles.Results:
    return tuple(map(operator.add, one, other))


def _whole(state: State) -> Array:
    """Return the sum over the exponential of its peak."""
    return state.rest + (1 if state.sign is None else state.sign)


def log_mean_of(xp: Namespace, state: State, mass: State) -> Array:
    """Return the logarithm of a mean from the states of the sum of terms and of that of weights.

    Close to 0 it is the difference of numbers that are not.
    """
    complex_ = is_complex(xp, state.rest.dtype)
    out = (_complex_log_quotient if complex_ else _real_log_quotient)(xp, state, mass)
    massless = (_whole(mass) == 0) & (mass.peak != -xp.inf)
    return xp.where(massless, xp.nan, xp.where(state.peak == -xp.inf, -xp.inf, out))


def _real_log_quotient(xp: Namespace, state: State, mass: State) -> Array:
    """Return the logarithm of one sum divided by another, nan where it is negative."""
    dividend, divisor = _whole(state), _whole(mass)
    apart = _log_size(xp, dividend) - _log_size(xp, divisor)
    # The logarithm of the quotient is exact, but the quotient may overflow.
    near = xp.abs(apart) < 40
    quotient = xp.where(near, dividend, 1.0) / xp.where(near & (divisor != 0), divisor, 1.0)
    log = xp.where(near, _log_size(xp, quotient), apart)
    log = xp.where(dividend == 0, -xp.inf, log)
    out = state.peak - xp.where(mass.peak == -xp.inf, 0.0, mass.peak) + log
    return xp.where(((dividend < 0) == (divisor < 0)) | (dividend == 0), out, xp.nan)


def _log_size(xp: Namespace, x: Array) -> Array:
    """Return log|x|, and 0 of 0."""
    return xp.log(xp.where(x == 0, 1.0, xp.abs(x)))


def _complex_log_quotient(xp: Namespace, state: State, mass: State) -> Array:
    size, phase = _logsum.value(xp, state)
    mass_size, turn = _logsum.value(xp, mass)
    size = size - xp.where(mass_size == -xp.inf, 0.0, mass_size)
    if turn is not None:
        phase = phase * (_logsum.conjugate(xp, turn) if is_complex(xp, turn.dtype) else turn)
    return _logsum.logarithm(xp, size, phase)


def _real_log_mean(xp: Namespace, weights: _Weights, peak: Array, log_quotient: Array) -> Array:
    """Return the logarithm of the mean, given the difference of two logarithms, which may cancel.

    Whichever constant stands for c, ``c + log1p(mean(expm1(a - c)))`` is the same function. With c
    at the result, what lies above it and what lies below cancel each other, and what lies above is
    less than ``sum(p * (a - c))``, so that roundings count for no more than those of the exponents.
    The difference of logarithms is near enough to the result, unless that is so small that only
    rounding is left of the difference; but then 0 is, and no exponent less 0 is rounded.
    """

    def above_centre(a: Array, weight: Array, centre: Array) -> tiles.Results:
        # What is not there counts for nothing wherever it lies, but for the derivative by its
        # weight.
        there = (weight != 0) | (a < xp.inf)
        terms = weight * expm1(xp, xp.where(there, _logsum.bounded(xp, a, centre), 0.0))
        # Terms far below c leave -1, beside which those near it would be rounded. So the leading
        # digits of all are added apart: as whole numbers of a unit, they add up without rounding.
        unit = _logsum.half_digits(xp, a.dtype)
        leading = constant(xp.round(terms / unit) * unit)
        if not weights.are_given:
            return leading, terms - leading, weight
        return leading, terms - leading, weight, xp.abs(constant(terms))

    known = xp.isfinite(log_quotient)
    log = xp.where(known, log_quotient, 0.0)
    # The difference is exact unless it cancels. Its derivatives do where exponents lie close.
    below = xp.abs(peak - log)
    needed = (xp.abs(log) < 1 + below) | (below < 0.7)
    if compat.is_numpy_namespace(xp) and not (needed & known).any():
        return log_quotient  # as of log-likelihoods, which lie far below 0: one round does
    centre = constant(xp.where(known & (xp.abs(log_quotient) > 0.75), log_quotient, 0.0))
    leading, others, whole, *size = weights.totals(above_centre, centre)
    sound = known & (whole != 0)
    for each in size:
        # Where signed weights have all but cancelled, -1 of each term far below does not.
        sound = sound & (each < 8 * xp.abs(whole))
    excess = (leading + others) / xp.where(sound, whole, 1.0)
    sound = sound & (excess > -0.75)
    out = centre + log1p(xp, xp.where(sound, excess, 0.0))
    # Weights that vanish beside the largest are in the difference of logarithms alone.
    sound = sound & (xp.abs(out - log) < 0.01)
    return xp.where(sound & needed, out, log_quotient)


def _quotient(xp: Namespace, dividend: Array, divisor: Array) -> Array:
    """Return the quotient, with 1 for a divisor of 0."""
    return dividend / xp.where(divisor == 0, xp.ones_like(divisor), divisor)
