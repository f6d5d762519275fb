"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

# Of a classifier and samples, and by name what it takes at prediction
Function = Callable[..., Any]


class Rule(NamedTuple):
    """How the log-probabilities of a classifier, its first argument, are found for samples."""

    function: Function
    what: str
    # What is called or read beside predict_proba: a subclass that overrides it has no rule.
    reads: tuple[str, ...] = ()
    # Whether the rule knows how it was configured, and the classifiers whose own rules it asks
    serves: Callable[[Any], bool] = lambda _: True
    inner: Callable[[Any], Iterable[Any]] = lambda _: ()
    # Whether columns are labels, each with a probability of its own, and not classes
    labels: Callable[[Any], bool] = lambda _: False
    # Whether columns are those of the classifiers in it
    delegates: bool = False
    # Whether what it starts from has been rounded, so that 0 may stand for a probability that is
    # only small, and the probability, if any, at which it was clipped
    rounded: bool = False
    bound: float = 0.0
