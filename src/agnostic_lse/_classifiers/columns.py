"""Columns of log-probabilities: in their places, averaged, and smoothed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import array_api_compat as compat
import numpy as np

from .._elementwise import logaddexp
from .._means import logmeanexp
from .._namespace import Array, to_host
from .links import stacked


def places_of(classes: Any, among: Any) -> Any:
    """Return where classes stand among others, which may be in any order."""
    classes, among = to_host(classes), to_host(among)
    order = np.argsort(among)
    return order[np.searchsorted(among, classes, sorter=order)]


def spread(log_p: Array, places: Any, count: int) -> Array:
    """Return columns at their places among so many, of which the others have probability 0."""
    xp = compat.array_namespace(log_p)
    at = {int(place): column for column, place in enumerate(places)}
    if list(at) == list(range(count)):
        return log_p[:, :count]  # one more has a network that has seen one class alone
    nothing = xp.full_like(log_p[:, 0], -xp.inf)
    return stacked(*(log_p[:, at[i]] if i in at else nothing for i in range(count)))


def mean(members: Sequence[Array], weights: Any = None) -> Array:
    """Return the logarithm of the mean of probabilities."""
    xp = compat.array_namespace(*members)
    together = xp.stack(members)
    if weights is not None:
        weights = xp.asarray(weights, dtype=together.dtype, device=compat.device(together))
        weights = xp.reshape(weights, (-1, 1, 1))
    return logmeanexp(together, axis=0, b=weights)


def refuse_other_smoothing(smoothing: Any) -> None:
    """Refuse what is no probability to spread."""
    is_number = isinstance(smoothing, Real) and not isinstance(smoothing, bool)
    if not is_number or not 0 <= smoothing < 1:
        raise ValueError(
            f"smoothing is {smoothing!r}, but a number from 0 to less than 1 was expected: pass "
            "the probability to spread over the classes, such as 1e-6."
        )


def smoothed(log_p: Array, share: float, of_labels: bool = False) -> Array:
    """Return log-probabilities after spreading a share over all columns, or there and not there."""
    if not share:
        return log_p
    even = math.log(share) - math.log(2 if of_labels else log_p.shape[1])
    spread_out = compat.array_namespace(log_p).full_like(log_p, even)
    return logaddexp(log_p + math.log1p(-share), spread_out)
