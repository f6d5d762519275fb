"""Fixtures that run one test on every array library."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

# SciPy reads it once, on import, and scikit-learn's array API checks ask for it.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

from array_api_extra.testing import patch_lazy_xp_functions

from tests.backends import Backend, available, make_array


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Note on each test which backend it runs on, for the summary."""
    for item in items:
        parameters = item.callspec.params if hasattr(item, "callspec") else {}
        item.user_properties.append(("library", str(parameters.get("library", "no backend"))))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests ran on each backend, and for each reason how many did not."""
    counts: dict[str, Counter[str]] = {}
    reasons: Counter[str] = Counter()
    for outcome in ("passed", "failed", "error", "xfailed", "skipped"):
        for report in terminalreporter.stats.get(outcome, []):
            library = dict(getattr(report, "user_properties", ())).get("library")
            if library is not None:
                counts.setdefault(str(library), Counter())[outcome] += 1
            if outcome == "skipped":
                reasons[report.longrepr[2].removeprefix("Skipped: ")] += 1
    terminalreporter.section("tests on each backend")
    for library in ("no backend", *map(str, Backend)):
        outcomes = ", ".join(f"{n} {outcome}" for outcome, n in counts.get(library, {}).items())
        terminalreporter.line(f"{library:<26}{outcomes or 'none'}")
    for reason, times in reasons.most_common():
        terminalreporter.line(f"{times} skipped: {reason}")


@pytest.fixture(params=list(Backend), ids=str)
def library(request: pytest.FixtureRequest) -> Iterator[Backend]:
    """Give each backend in turn."""
    backend = available(request.param)
    with backend.at_work():
        yield backend


@pytest.fixture
def xp(request: pytest.FixtureRequest, library: Backend) -> Iterator[Any]:
    """Give the backend's namespace; the functions under test run jitted on JAX, lazily on Dask.

    A test module names these functions to `array_api_extra.testing.lazy_xp_function`.
    """
    namespace = library.namespace()
    with patch_lazy_xp_functions(request, xp=namespace):
        yield namespace


@pytest.fixture
def device(library: Backend, xp: Any) -> Any:
    """Give the device that the backend's arrays lie on; None is the library's default."""
    return library.device(xp)


@pytest.fixture
def array(library: Backend, xp: Any) -> Callable[..., Any]:
    """Give a function that makes an array of the backend, on its device, from nested lists."""

    def make(values: Any, dtype: str | None = None) -> Any:
        return make_array(library, xp, values, dtype)

    return make


@pytest.fixture
def function(request: pytest.FixtureRequest, xp: Any) -> Any:  # noqa: ARG001 (it patches the module)
    """Give the function of an indirect parameter as the test's module has it: jitted, or lazy."""
    return getattr(request.module, request.param.__name__)
