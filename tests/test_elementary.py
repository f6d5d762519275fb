"""log1p and expm1: exact where the libraries' own are not."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import array_api_compat as compat
import mpmath as mp
import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function

from agnostic_lse import _elementary, logsumexp
from tests.backends import Backend, available, make_array, to_numpy
from tests.reference import roundoffs

INF, NAN = math.inf, math.nan


def log1p(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return _elementary.log1p(compat.array_namespace(x), x)


def expm1(x: Any) -> Any:
    with np.errstate(all="ignore"):
        return _elementary.expm1(compat.array_namespace(x), x)


lazy_xp_function(log1p)
lazy_xp_function(expm1)
lazy_xp_function(logsumexp)
FUNCTIONS = pytest.mark.parametrize(
    ("function", "true", "bound"),
    [(log1p, mp.log1p, 2), (expm1, mp.expm1, 3.5)],
    ids=["log1p", "expm1"],
)


@FUNCTIONS
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exact(array: Any, function: Any, true: Any, bound: float, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [
            rng.uniform(-0.999, 2, 1000),
            rng.uniform(-0.52, -0.4, 300),  # where JAX's log1p is off by 240
            10 ** rng.uniform(-12, 0, 300) * rng.choice([-0.99, 0.99], 300),
            10 ** rng.uniform(0, 1.9, 300),
        ]
    ).astype(dtype)
    out = to_numpy(function(array(x)))
    assert out.dtype == dtype
    with mp.workdps(40):
        for value, argument in zip(out.tolist(), x.tolist(), strict=True):
            expected = true(mp.mpf(argument))
            assert roundoffs(value, expected, abs(expected), dtype) <= bound, argument


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # in Dask's workers, of log1p(-1)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special(array: Any, dtype: str) -> None:
    x = array([-2.0, -1.0, 0.0, INF, NAN], dtype)
    np.testing.assert_array_equal(to_numpy(log1p(x)), [NAN, -INF, 0.0, INF, NAN])
    x = array([-INF, -1000.0, 0.0, 1000.0, INF, NAN], dtype)
    np.testing.assert_array_equal(to_numpy(expm1(x)), [-1.0, -1.0, 0.0, INF, INF, NAN])


def test_difference(array: Any) -> None:
    """A sum that is log1p of a negative number, where JAX's own log1p is off by 240 roundoffs."""
    for part in np.linspace(0.41, 0.5, 50).tolist():
        out = logsumexp(array([0.0, math.log(part)]), b=array([1.0, -1.0]))
        with mp.workdps(40):
            term = mp.exp(mp.mpf(math.log(part)))
            expected = mp.log1p(-term)
            size = max(-expected, term / (1 - term) * abs(mp.log(term)))
        assert roundoffs(float(to_numpy(out)), expected, size, "float64") <= 4


def transforms(library: Backend) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the library's grad and vmap."""
    if library is Backend.JAX:
        import jax

        return jax.grad, jax.vmap
    import torch

    return torch.func.grad, torch.func.vmap


@pytest.mark.parametrize("library", [Backend.TORCH, Backend.JAX], ids=str)
@pytest.mark.parametrize("x", [-30.0, -0.45, -1e-20, 0.0, 1e-20, 0.4, 3.0])
def test_derivatives(library: Backend, x: float) -> None:
    """Of the first and second order, batched."""
    xp = available(library).namespace()
    points = make_array(library, xp, [x, x])
    shifted = make_array(library, xp, [x + 31.0, x + 31.0])
    grad, vmap = transforms(library)
    first = grad(lambda x: _elementary.expm1(xp, x))
    for derivative in (first, grad(first)):
        np.testing.assert_allclose(to_numpy(vmap(derivative)(points)), np.exp(x), rtol=1e-15)
    derivative = grad(lambda x: _elementary.log1p(xp, x))
    np.testing.assert_allclose(to_numpy(vmap(derivative)(shifted)), 1 / (x + 32), rtol=1e-15)
