"""What a rule is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Function = Callable[[Any, Any], Any]


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
