"""What a sum of exponentials is kept as, and what is read from it."""

from __future__ import annotations

from typing import NamedTuple

from ._namespace import Array


class State(NamedTuple):
    """A sum of exponentials for each output slot: ``scale * exp(peak) * (lead + rest)``.

    The largest term has the exponent `peak` and a weight whose size is `scale`, to a power of two.
    Neither is ever added to the other before the value is read: beside an exponent of 1e17 the
    logarithm of a weight would be rounded away.

    Attributes
    ----------
    peak : array
        The exponent of the largest term, complex where exponents are; -inf where nothing was seen.
    rest : array
        The sum of all other terms, and of what the terms close to the peak differ from `lead` by,
        relative to ``scale * exp(peak)``.
    lead : array, optional
        The sum of the coefficients of the terms close to the peak, complex where weights are. None
        stands for 1: all terms are positive, and the largest alone is left out of `rest`.
    scale : array, optional
        A power of two; None, together with `lead`, stands for 1.
    """

    peak: Array
    rest: Array
    lead: Array = None
    scale: Array = None


class Logarithm(NamedTuple):
    """The logarithm of a sum that may be negative or complex.

    Attributes
    ----------
    log_abs : array
        The logarithm of the sum's magnitude.
    sign : array, optional
        +1, 0 or -1; of a complex sum a number of magnitude 1, or 0. None: all terms are positive.
    angle : array, optional
        The angle of a complex sum, in (-pi, pi].
    """

    log_abs: Array
    sign: Array = None
    angle: Array = None
