"""Cumulative sums on every backend."""

from __future__ import annotations

import math
from typing import Any

import array_api_compat as compat
import mpmath as mp
import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st

from agnostic_lse import logcumsumexp, logsumexp
from tests.backends import Backend, available, make_array, to_numpy
from tests.reference import conditioned_size, roundoffs

lazy_xp_function(logcumsumexp)

INF, NAN = math.inf, math.nan
TINY = 4.248354255291589e-18


def close(actual: Any, expected: Any, rtol: float = 1e-15) -> None:
    np.testing.assert_allclose(to_numpy(actual), expected, rtol=rtol, atol=0)


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([], []),
        ([7.0], [7.0]),
        ([0.0, -40.0], [0.0, TINY]),
        ([-40.0, 0.0, 1000.0], [-40.0, TINY, 1000.0]),
        ([-INF, -INF, 1.0, -INF], [-INF, -INF, 1.0, 1.0]),
        ([1.0, NAN, 2.0], [1.0, NAN, NAN]),
        ([1.0, INF, 2.0, INF], [1.0, INF, INF, INF]),
        ([INF, NAN], [INF, NAN]),
        ([1e308, -1e308], [1e308, 1e308]),
        ([-1e308, 1e308], [-1e308, 1e308]),
        ([-0.5, -0.5], [-0.5, math.log(2) - 0.5]),
    ],
    ids=str,
)
def test_values(array: Any, x: list[float], expected: list[float]) -> None:
    given = array(np.asarray(x, dtype=float))
    close(logcumsumexp(given), expected)
    close(logcumsumexp(given, include_initial=True), [-INF, *expected])
    backwards = array(np.asarray(x[::-1], dtype=float))
    close(logcumsumexp(backwards, reverse=True), expected[::-1])
    close(logcumsumexp(backwards, reverse=True, include_initial=True), [*expected[::-1], -INF])


@pytest.mark.parametrize("axis", [0, 1, -1, 2])
def test_axes(array: Any, axis: int) -> None:
    x = np.random.default_rng(0).normal(size=(5, 6, 7)) * 20
    close(logcumsumexp(array(x), axis=axis), np.logaddexp.accumulate(x, axis=axis), rtol=1e-13)


def test_all_entries(array: Any) -> None:
    x = np.random.default_rng(0).normal(size=(3, 5))
    close(logcumsumexp(array(x)), np.logaddexp.accumulate(x.ravel()), rtol=1e-13)
    close(logcumsumexp(array(2.0)), [2.0])


class TestComplex:
    def test_accuracy(self, array: Any) -> None:
        rng = np.random.default_rng(0)
        for scale in (1e-3, 0.1, 1.0, 30.0):
            x = scale * (rng.normal(size=20) + 1j * rng.normal(size=20))
            out = to_numpy(logcumsumexp(array(x, "complex128")))
            with mp.workdps(50):
                terms = [mp.exp(mp.mpc(z)) for z in x.tolist()]
                for k, z in enumerate(out.tolist()):
                    whole = mp.fsum(terms[: k + 1])
                    exact = mp.log(whole)
                    by_terms = mp.fsum(abs(t * mp.log(t)) for t in terms[: k + 1]) / abs(whole)
                    off = abs(mp.mpc(z) - exact)
                    assert off <= 4 * 2.0**-53 * max(1, abs(exact), by_terms), (scale, k)

    def test_as_of_real_numbers(self, array: Any) -> None:
        x = np.asarray([[1.0, -INF, 3.0, -40.0], [0.0, INF, 2.0, 1.0]])
        for options in ({}, {"reverse": True}, {"include_initial": True}):
            close(
                to_numpy(logcumsumexp(array(x + 0j, "complex128"), axis=1, **options)).real,
                to_numpy(logcumsumexp(array(x), axis=1, **options)),
                rtol=1e-15,
            )

    def test_directions(self, array: Any) -> None:
        # Infinite terms of two directions have no sum.
        x = np.asarray([complex(INF, 1), 2.0, complex(INF, 1), complex(INF, 2)])
        out = to_numpy(logcumsumexp(array(x, "complex128")))
        np.testing.assert_array_equal(out[:3], [complex(INF, 1)] * 3)
        assert np.isnan(out[3])

    @pytest.mark.parametrize("unknown", [complex(0, NAN), complex(NAN, 0), complex(0, INF)])
    def test_unknown(self, array: Any, unknown: complex) -> None:
        out = to_numpy(logcumsumexp(array([0j, unknown, 0j], "complex128")))
        assert out[0] == 0
        assert np.isnan(out[1:]).all()

    def test_long(self, array: Any, library: Backend) -> None:
        n = 10_000 if library is not Backend.DASK else 500
        real, imag = np.random.default_rng(0).normal(size=(2, n))
        x = real + 1j * imag
        out = to_numpy(logcumsumexp(array(x, "complex128")))
        close(np.exp(out), np.cumsum(np.exp(x)), rtol=1e-12)


def test_empty(array: Any) -> None:
    assert logcumsumexp(array(np.zeros((0, 3))), axis=0).shape == (0, 3)
    assert logcumsumexp(array(np.zeros((3, 0))), axis=0).shape == (3, 0)
    close(logcumsumexp(array(np.zeros((0, 3))), axis=0, include_initial=True), [[-INF] * 3])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", ["noise", "rising", "falling", "near 0", "late peak"])
def test_accuracy(array: Any, kind: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    n = 600
    x = {
        "noise": rng.normal(size=n) * 10,
        "rising": np.linspace(-3, 3, n),  # the peak moves at each step
        "falling": np.linspace(3, -300, n),
        "near 0": np.concatenate([[-1e-3], rng.normal(size=n - 1) - 20]),
        "late peak": np.concatenate([rng.normal(size=n - 1) * 1e-3 - math.log(n), [90.0]]),
    }[kind].astype(dtype)
    out = to_numpy(logcumsumexp(array(x)))
    assert out.dtype == dtype
    terms = x.tolist()
    with mp.workdps(50):
        for k in range(0, n, 7):
            peak = max(terms[: k + 1])
            rest = mp.fsum(mp.exp(mp.mpf(t) - peak) for t in terms[: k + 1]) - 1
            expected = peak + mp.log1p(rest)
            size = conditioned_size(terms[: k + 1])
            assert roundoffs(float(out[k]), expected, size, dtype) <= 4, k


def test_long_and_slowly_rising(array: Any, library: Backend) -> None:
    """Where the sum would be rescaled at each step, were it kept relative to the peak."""
    n = 2**17 if library is not Backend.DASK else 2**11
    x = np.linspace(0, 1, n, dtype=np.float32)
    out = to_numpy(logcumsumexp(array(x)))
    with np.errstate(all="ignore"):
        exact = np.log(np.cumsum(np.exp(x.astype(np.float64)).astype(np.longdouble)))
    assert np.max(np.abs(out - exact) / np.maximum(exact, 1)) <= 4 * 2.0**-24


@given(st.lists(st.one_of(st.floats(-800, 800), st.floats(-2, 2), st.just(-INF)), min_size=1))
def test_each_is_a_sum(x: list[float]) -> None:
    out = logcumsumexp(x)
    for k in range(len(x)):
        np.testing.assert_allclose(out[k], logsumexp(x[: k + 1]), rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "bool"])
def test_dtypes(xp: Any, library: Backend, array: Any, dtype: str) -> None:
    if dtype in ("float16", "bfloat16") and not library.knows(dtype):
        return
    out = logcumsumexp(array(np.zeros(3), dtype))
    if dtype in ("float16", "bfloat16"):
        assert str(out.dtype).endswith(dtype)
    else:
        assert out.dtype == xp.__array_namespace_info__().default_dtypes()["real floating"]
    close(out, np.log([1, 2, 3]), rtol=2**-8)


def test_place(array: Any) -> None:
    x = array([1.0, 2.0, 3.0])
    out = logcumsumexp(x, include_initial=True, reverse=True)
    assert type(out) is type(x)
    assert compat.device(out) == compat.device(x)
    close(x, [1.0, 2.0, 3.0])


def test_refusals(array: Any) -> None:
    with pytest.raises(ValueError, match=r"^axis 1 is out of range for an array of 1 dimension"):
        logcumsumexp(array([1.0]), axis=1)
    with pytest.raises(TypeError, match=r"^axis must be an integer, but \(0,\) was given\."):
        logcumsumexp(array([1.0]), axis=(0,))  # type: ignore[call-overload]  # to be refused


@pytest.mark.parametrize("library", [Backend.TORCH, Backend.TORCH_CUDA, Backend.JAX], ids=str)
@pytest.mark.parametrize(
    "point", [[0.3, -1.2, 2.0, 0.5], [1.0, 1.0, 1.0], [-INF, 0.5, 0.5, -2.0], [-INF, -INF]], ids=str
)
def test_derivatives(library: Backend, point: list[float]) -> None:
    xp = available(library).namespace()
    x = make_array(library, xp, point)
    weights = make_array(library, xp, np.arange(1.0, len(point) + 1))

    def weighted(x: Any) -> Any:
        out = logcumsumexp(x)
        return xp.sum(xp.where(xp.isfinite(out), weights * out, 0.0))

    n = len(point)
    first, second = np.zeros(n), np.zeros((n, n))
    for k in range(n):
        p = np.zeros(n)
        if np.isfinite(logsumexp(point[: k + 1])):
            p[: k + 1] = np.exp(np.asarray(point[: k + 1]) - logsumexp(point[: k + 1]))
        first += (k + 1) * p
        second += (k + 1) * (np.diag(p) - np.outer(p, p))
    if library is Backend.JAX:
        import jax

        gradient, hessian = jax.grad(weighted)(x), jax.hessian(weighted)(x)
    else:
        import torch

        gradient = torch.func.grad(weighted)(x)
        hessian = torch.func.hessian(weighted)(x)
    np.testing.assert_allclose(to_numpy(gradient), first, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(to_numpy(hessian), second, rtol=1e-13, atol=1e-14)
