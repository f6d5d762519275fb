"""The backends themselves: a missing one is skipped, unless it is required."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function

from agnostic_lse import logsumexp
from tests.backends import REQUIRED, Backend, available, make_array, required, to_numpy


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> Backend:
    """Make CuPy impossible to import."""
    real = importlib.import_module

    def import_module(name: str, package: str | None = None) -> Any:
        if name == "cupy":
            raise ImportError("No module named 'cupy'")
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", import_module)
    return Backend.CUPY


def test_missing_is_skipped(absent: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "numpy")
    with pytest.raises(pytest.skip.Exception, match="cupy is not installed"):
        available(absent)


def test_missing_but_required_fails(absent: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "numpy, cupy")
    with pytest.raises(pytest.fail.Exception, match="a required backend is missing: cupy is not"):
        available(absent)


def test_unknown_names_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "numpyy")
    with pytest.raises(ValueError, match=r"names .'numpyy'., which are no backends"):
        required()


def test_arrays_are_what_they_say(library: Backend, xp: Any, array: Any, device: Any) -> None:
    x = array([1.0, 2.0])
    np.testing.assert_array_equal(to_numpy(x), [1.0, 2.0])
    assert x.dtype == xp.float64
    if library is Backend.NUMPY_READONLY:
        assert not x.flags.writeable
    if library is Backend.STRICT_DEVICE1:
        assert x.device == device
    if library is Backend.DASK:
        assert x.npartitions == 1
        assert array([1.0, 2.0, 3.0]).npartitions == 2
    if library is Backend.STRICTEST:
        with pytest.raises(RuntimeError, match="boolean_indexing flag has been disabled"):
            x[x > 1.0]


def early(x: Any) -> Any:
    return logsumexp(x) if float(x[0]) > 0 else x


lazy_xp_function(early)


def test_computing_early_fails(library: Backend, array: Any) -> None:
    x = array([1.0, 2.0])
    if library is Backend.DASK:
        with pytest.raises(AssertionError, match=r"Called .dask\.compute"):
            early(x)
    elif library is Backend.JAX:
        import jax

        with pytest.raises(jax.errors.ConcretizationTypeError):
            early(x)
    else:
        early(x)


def test_make_array_keeps_dtypes(library: Backend) -> None:
    if available(library):
        xp = library.namespace()
        assert make_array(library, xp, [1], "int32").dtype == xp.int32
