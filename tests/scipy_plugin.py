"""A plugin of pytest: SciPy's own tests, with this library's functions in place of SciPy's.

Where both part on purpose, a case must fail as SciPy has it, and give what this library documents.
"""

from __future__ import annotations

import cmath
import functools
import inspect
import json
import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agnostic_lse

REPORT = "AGNOSTIC_LSE_SCIPY_REPORT"
FUNCTIONS = ("logsumexp", "softmax", "log_softmax")
# Why a case may part from SciPy's own expectation
DIRECTION = "an infinite sum keeps its direction, and infinite terms of several have no sum"
OWN_EXP = "exp(-inf + inf j) is 0, and nan in the library itself"

_hidden: set[str] = set()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Hide libraries not asked for: SciPy's conftest imports each, for longer than tests take."""
    wanted = {name.partition(".")[0] for name in json.loads(os.environ["SCIPY_ARRAY_API"])}
    _hidden.update({"torch", "jax", "dask", "cupy", "array_api_strict"} - wanted)
    hidden: dict[str, Any] = dict.fromkeys(_hidden)  # None is not to be imported
    sys.modules.update(hidden)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Put this library's functions in the place of SciPy's."""
    from scipy._lib.array_api_extra.testing import lazy_xp_function

    for name in _hidden:
        del sys.modules[name]
    for module in {item.module for item in items}:
        for name in FUNCTIONS:
            ours = _once_jitted(getattr(agnostic_lse, name))
            lazy_xp_function(ours, jax_jit=False)  # which computes nothing of Dask's
            setattr(module, name, ours)


def _once_jitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function, jitted for JAX, and once for all tests: each would compile it anew."""

    @functools.cache
    def jitted() -> Callable[..., Any]:
        import jax

        static = {"axis", "keepdims", "return_sign"} & set(inspect.signature(function).parameters)
        return jax.jit(function, static_argnames=static)

    @functools.wraps(function)
    def called(x: Any, **options: Any) -> Any:
        from_jax = type(x).__module__.partition(".")[0] in ("jax", "jaxlib")
        return (jitted() if from_jax else function)(x, **options)

    return called


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> Generator[None, Any, Any]:
    """Hold cases in which both part to what this library documents."""
    parted = None
    if pyfuncitem.originalname == "test_gh22601_infinite_elements":
        xp, terms = pyfuncitem.funcargs["xp"], [pyfuncitem.funcargs[name] for name in "xy"]
        parted = _parted(xp, *terms)
    if parted is None:
        return (yield)
    reason, documented = parted
    try:
        yield
    except AssertionError:
        pass
    else:
        pytest.fail(f"SciPy's own value came, but not this was expected: {reason}")
    out = complex(pyfuncitem.module.logsumexp(xp.asarray(terms)))
    assert _are_equal(out, documented), f"{out} came, but {documented} is documented: {reason}"
    pyfuncitem.user_properties.append(("parted", reason))
    return True


def _parted(xp: Any, x: complex, y: complex) -> tuple[str, complex] | None:
    """Return why a sum of two terms parts from SciPy's expectation, and what it is here."""
    theirs = complex(xp.log(xp.sum(xp.exp(xp.asarray([x, y])))))
    terms = [complex(x), complex(y)]
    angles = [term.imag for term in terms if term.real == math.inf]
    if not all(map(math.isfinite, angles)):  # no direction is known
        return None
    ours = complex(-math.inf, 0.0)
    if angles:
        directions = {cmath.phase(cmath.rect(1, angle)) for angle in angles}
        nan = complex(math.nan, math.nan)
        ours = complex(math.inf, directions.pop()) if len(directions) == 1 else nan
    if _are_equal(ours, theirs):
        return None
    with np.errstate(all="ignore"):
        by_c = complex(np.log(np.sum(np.exp(terms))))
    return (OWN_EXP if _are_equal(ours, by_c) else DIRECTION), ours


def _are_equal(one: complex, other: complex) -> bool:
    if cmath.isnan(one) or cmath.isnan(other):
        return cmath.isnan(one) and cmath.isnan(other)
    parts = [(one.real, other.real), (one.imag, other.imag)]
    return all(a == b or math.isclose(a, b, rel_tol=4 * np.finfo(float).eps) for a, b in parts)


_outcomes: Counter[str] = Counter()
_parted_by: Counter[str] = Counter()
_failed: list[str] = []


def pytest_runtest_logreport(report: Any) -> None:
    """Count outcomes."""
    if report.failed:
        _failed.append(f"{report.nodeid}: {report.longreprtext[-300:]}")
    if report.when == "call" or report.skipped:
        _outcomes[report.outcome] += 1
        _parted_by.update(why for name, why in report.user_properties if name == "parted")


def pytest_sessionfinish() -> None:
    """Write down what came of all tests."""
    result = {"outcomes": _outcomes, "parted": _parted_by, "failed": _failed}
    Path(os.environ[REPORT]).write_text(json.dumps(result), encoding="utf-8")
