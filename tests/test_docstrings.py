"""Public docstrings are what numpydoc takes them for: sections, parameters and types."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator

import pytest

from tests.backends import available_package

MODULES = ("agnostic_lse", "agnostic_lse.sklearn")
# Checks that are not made, each for a reason
LEFT_OUT = {
    "ES01": "a summary may say all",
    "SS05": "it takes a plural, such as Exponentials, for a verb",
}
OF_ONE = {
    "agnostic_lse.kernels": {"YD01"},  # what the context manager yields is nothing
    "agnostic_lse.sklearn.register_log_proba": {"PR02"},  # its cls is no class method's
}
# What is asked of functions and of classes, and not of each method as well
OF_THE_WHOLE = ("SA01", "EX01")
# Arrays of any library are called so. NumPy's alone are what cannot be any other's: names.
NAMES = re.compile(
    r" *(feature_names_in_ : ndarray of shape \(`?n_features_in_`?,\)|ndarray of str)"
)


def public() -> Iterator[str]:
    """Give the paths of public functions and classes, and of the methods defined here."""
    for module in MODULES:
        loaded = importlib.import_module(module)
        for name in loaded.__all__:
            value = getattr(loaded, name)
            if isinstance(value, type) or inspect.isfunction(value):
                yield f"{module}.{name}"  # the scorer is neither, and documents how it is called
            if isinstance(value, type):
                for method, function in inspect.getmembers(value, callable):
                    ours = str(getattr(function, "__module__", "")).startswith("agnostic_lse")
                    if ours and not method.startswith("_"):
                        yield f"{module}.{name}.{method}"


@pytest.mark.parametrize("path", list(public()))
def test_docstring(path: str) -> None:
    report = available_package("numpydoc.validate").validate(path)
    is_method = path.rpartition(".")[0] not in MODULES
    left_out = {*LEFT_OUT, *OF_ONE.get(path, ()), *(OF_THE_WHOLE if is_method else ())}
    assert [error for error in report["errors"] if error[0] not in left_out] == []
    lines = report["docstring"].splitlines()
    assert [line for line in lines if "ndarray" in line and not NAMES.fullmatch(line)] == []


# These choose, tell or note something, and calculate nothing.
WITHOUT_FORMULA = {"kernels", "show_config", "log_proba_source", "register_log_proba"}


@pytest.mark.parametrize("module", MODULES)
def test_every_public_name_has_its_formula(module: str) -> None:
    loaded = importlib.import_module(module)
    lacking = {
        name for name in loaded.__all__ if "math::" not in str(getattr(loaded, name).__doc__)
    }
    assert lacking == WITHOUT_FORMULA & set(loaded.__all__)
