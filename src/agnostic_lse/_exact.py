"""Exact answers, by Python's decimal numbers, and how far others are off."""

from __future__ import annotations

import decimal
import math
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# More than twice those of float64, so that an error in the last of its digits has some itself
_DIGITS = decimal.Context(prec=40)
# So many sums of an array are looked at, and so many entries of each.
_SUMS, _ENTRIES = 10, 50
# An exponential in decimal takes 11 microseconds. Of longer sums the exponentials are float64's,
# added exactly: their errors, at most 1 unit of roundoff each, are of both signs and average out.
_LONG = 10_000


class Sum(NamedTuple):
    """A sum of exponentials: its terms, its logarithm, and what its condition is made of."""

    row: int
    entries: list[int]
    terms: list[Decimal]  # at these entries
    log: Decimal
    by_terms: Decimal  # the sum of p |x|, p being the softmax


def sums(rows: NDArray[Any]) -> list[Sum]:
    """Return the exact sums of some of the rows."""
    step = max(1, len(rows) // _SUMS)
    with decimal.localcontext(_DIGITS):
        return [_sum(row, rows[row]) for row in range(0, len(rows), step)][:_SUMS]


def _sum(number: int, row: NDArray[Any]) -> Sum:
    first = int(np.argmax(row))
    peak, others = Decimal(float(row[first])), np.delete(row, first).astype(np.float64)
    if row.size > _LONG:
        exponentials = np.exp(others - float(peak))
        rest = Decimal(math.fsum(exponentials))
        by_terms = Decimal(math.fsum(exponentials * np.abs(others)))
    else:
        exact = [Decimal(x) for x in others.tolist()]
        powers = [(x - peak).exp() for x in exact]
        rest = sum(powers, Decimal(0))
        by_terms = sum((p * abs(x) for p, x in zip(powers, exact, strict=True)), Decimal(0))
    entries = sorted({first, *range(0, row.size, max(1, row.size // _ENTRIES))})
    return Sum(
        number,
        entries,
        [Decimal(float(row[entry])) for entry in entries],
        peak + (1 + rest).ln(),
        (by_terms + abs(peak)) / (1 + rest),
    )


def error(function: str, out: NDArray[Any], answers: list[Sum]) -> float:
    """Return the largest error of results, one row of them for each of the rows.

    In units of roundoff times the condition number of the logarithm, which is at least 1.
    """
    unit = Decimal(float(np.finfo(out.dtype).eps) / 2)
    largest = 0.0
    with decimal.localcontext(_DIGITS):
        for answer in answers:
            if function == "logsumexp":
                got = [float(out[answer.row])]
                true = [(answer.log, max(abs(answer.log), answer.by_terms))]
            else:
                got = out[answer.row, answer.entries].tolist()
                true = [_entry(function, term, answer) for term in answer.terms]
            for value, (expected, size) in zip(got, true, strict=True):
                if not math.isfinite(value):
                    return math.inf
                largest = max(largest, float(abs(Decimal(value) - expected) / (unit * size)))
    return largest


def _entry(function: str, term: Decimal, answer: Sum) -> tuple[Decimal, Decimal]:
    """Return what is true of an entry, and its condition number times that."""
    log, by_terms = term - answer.log, abs(term) + answer.by_terms
    if function == "log_softmax":
        return log, max(abs(log), by_terms)
    return log.exp(), log.exp() * max(Decimal(1), by_terms)
