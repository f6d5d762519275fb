"""Sums over segments on every backend."""

from __future__ import annotations

import math
from typing import Any

import array_api_compat as compat
import array_api_strict
import mpmath as mp
import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st

from agnostic_lse import logsumexp, segment_logsumexp
from tests.backends import Backend, available, make_array, to_numpy
from tests.reference import conditioned_size, log_sum, roundoffs

lazy_xp_function(segment_logsumexp)

INF, NAN = math.inf, math.nan


def close(actual: Any, expected: Any, rtol: float = 1e-15) -> None:
    np.testing.assert_allclose(to_numpy(actual), expected, rtol=rtol, atol=0)


@pytest.mark.parametrize(
    ("x", "ids", "expected"),
    [
        (
            [0.0, 1000.0, -40.0, 1000.0],
            [0, 2, 0, 2],
            [4.248354255291589e-18, -INF, 1000 + math.log(2)],
        ),
        ([1.0, NAN, 2.0], [2, 1, 0], [2.0, NAN, 1.0]),
        ([INF, NAN, -INF, 5.0], [0, 0, 1, 2], [NAN, -INF, 5.0]),
        ([INF, 3.0, INF, -INF], [0, 0, 1, 1], [INF, INF, -INF]),
        ([1e308, -1e308, 2.0], [1, 1, 0], [2.0, 1e308, -INF]),
        ([7.0], [1], [-INF, 7.0, -INF]),
        ([], [], [-INF, -INF, -INF]),
    ],
    ids=str,
)
def test_values(array: Any, x: list[float], ids: list[int], expected: list[float]) -> None:
    given = array(np.asarray(x, dtype=float))
    close(segment_logsumexp(given, array(np.asarray(ids, dtype=np.int64)), 3), expected)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_axes(array: Any, axis: int, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 6, 7)) * 20
    ids = rng.integers(0, 4, size=x.shape[axis])
    out = segment_logsumexp(array(x), array(ids, dtype), num_segments=5, axis=axis)
    expected = [
        logsumexp(np.compress(ids == segment, x, axis=axis), axis=axis) for segment in range(5)
    ]
    close(out, np.stack(expected, axis=axis), rtol=1e-14)


def test_no_segments(array: Any) -> None:
    out = segment_logsumexp(array(np.zeros((0, 3))), array(np.zeros(0, dtype=np.int64)), 0)
    assert out.shape == (0, 3)
    out = segment_logsumexp(array(np.zeros((2, 0))), array([0, 1]), 3)
    assert out.shape == (3, 0)


@given(st.lists(st.tuples(st.floats(-800, 800), st.integers(0, 4)), max_size=40), st.integers(5, 7))
def test_each_is_a_sum(entries: list[tuple[float, int]], num_segments: int) -> None:
    x = np.asarray([value for value, _ in entries])
    ids = np.asarray([segment for _, segment in entries], dtype=int)
    out = segment_logsumexp(x, ids, num_segments)
    for segment in range(num_segments):
        expected = logsumexp(x[ids == segment])
        np.testing.assert_allclose(out[segment], expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_accuracy(array: Any, dtype: str) -> None:
    rng = np.random.default_rng(0)
    x = (rng.normal(size=500) * 10 ** rng.uniform(-3, 1.5, size=500)).astype(dtype)
    ids = rng.integers(0, 20, size=500)
    x[ids == 3] -= np.asarray(float(log_sum(x[ids == 3].tolist())), dtype)
    out = to_numpy(segment_logsumexp(array(x), array(ids), 20))
    assert out.dtype == dtype
    with mp.workdps(50):
        for segment in range(20):
            terms = x[ids == segment].tolist()
            size = conditioned_size(terms)
            assert roundoffs(float(out[segment]), log_sum(terms), size, dtype) <= 4


def test_long_segment(array: Any, library: Backend) -> None:
    """Adding 20 million numbers in order would stop at 2**24; so would a scatter."""
    n = 2_000_000 if library is not Backend.DASK else 2000
    ids = np.ones(n, dtype=np.int32)
    out = segment_logsumexp(array(np.full(n, 0.1, np.float32)), array(ids), 2)
    close(out, [-INF, math.log(n) + 0.1], rtol=2e-7)


def test_place_and_dtype(xp: Any, array: Any) -> None:
    x = array([1.0, 2.0, 3.0], "float32")
    ids = array([1, 0, 1])
    out = segment_logsumexp(x, ids, 2)
    assert type(out) is type(x)
    assert compat.device(out) == compat.device(x)
    assert out.dtype == xp.float32
    close(ids, [1, 0, 1])
    out = segment_logsumexp(array([1, 2, 3]), ids, 2)
    assert out.dtype == xp.__array_namespace_info__().default_dtypes()["real floating"]


class TestRefused:
    def test_ids(self) -> None:
        match = r"^segment_ids has numbers from 0 to 3, but num_segments is 3: give numbers below "
        with pytest.raises(ValueError, match=match):
            segment_logsumexp([1.0, 2.0], [0, 3], 3)
        with pytest.raises(
            ValueError, match=r"^segment_ids has numbers from -1 to 0, but num_segm"
        ):
            segment_logsumexp([1.0, 2.0], [0, -1], 3)
        match = (
            r"^segment_ids has dtype float64, but integers were expected: convert it to an integ"
        )
        with pytest.raises(TypeError, match=match):
            segment_logsumexp([1.0, 2.0], [0.0, 1.0], 3)
        match = (
            r"^segment_ids has shape \(3,\), but x has 2 entries along axis 0: give one number f"
        )
        with pytest.raises(ValueError, match=match):
            segment_logsumexp([1.0, 2.0], [0, 1, 2], 3)

    @pytest.mark.parametrize("count", [2.0, None, "2", True + 0.5], ids=str)
    def test_count_of_another_type(self, count: Any) -> None:
        match = r"^num_segments is .*, but an integer was expected: pass the number of segments\.$"
        with pytest.raises(TypeError, match=match):
            segment_logsumexp([1.0, 2.0], [0, 1], count)

    def test_single_number(self) -> None:
        match = r"^x is a single number, but an array of at least one axis was expected: put it in"
        with pytest.raises(ValueError, match=match):
            segment_logsumexp(1.0, [0], 1)  # type: ignore[call-overload]  # to be refused

    def test_negative_count(self) -> None:
        match = r"^num_segments is -1, but a number of at least 0 was expected: pass the number of"
        with pytest.raises(ValueError, match=match):
            segment_logsumexp([1.0, 2.0], [0, 1], -1)

    def test_namespaces(self) -> None:
        with pytest.raises(
            TypeError, match=r"^All arrays must come from one namespace, but segment"
        ):
            segment_logsumexp(np.zeros(2), array_api_strict.asarray([0, 1]), 2)

    @pytest.mark.parametrize("library", [Backend.JAX, Backend.DASK], indirect=True, ids=str)
    def test_unseen_ids_are_left_out(self, array: Any) -> None:
        out = segment_logsumexp(array([1.0, 2.0, 3.0]), array([0, 7, -1]), 2)
        close(out, [1.0, -INF])


@pytest.mark.parametrize("library", [Backend.TORCH, Backend.TORCH_CUDA, Backend.JAX], ids=str)
def test_derivatives(library: Backend) -> None:
    xp = available(library).namespace()
    point, segments = [0.5, 0.5, -INF, 2.0, -1.0], [0, 0, 0, 2, 2]
    x, ids = make_array(library, xp, point), make_array(library, xp, segments)
    weights = make_array(library, xp, [1.0, 0.0, 3.0])

    def weighted(x: Any) -> Any:
        out = segment_logsumexp(x, ids, 3)
        return xp.sum(xp.where(xp.isfinite(out), weights * out, 0.0))

    first, second = np.zeros(5), np.zeros((5, 5))
    for segment, weight in ((0, 1.0), (2, 3.0)):
        inside = np.asarray(segments) == segment
        p = np.where(inside, np.exp(np.asarray(point) - logsumexp(np.asarray(point)[inside])), 0)
        first += weight * p
        second += weight * (np.diag(p) - np.outer(p, p))
    if library is Backend.JAX:
        import jax

        gradient, hessian = jax.grad(weighted)(x), jax.hessian(weighted)(x)
    else:
        import torch

        gradient, hessian = torch.func.grad(weighted)(x), torch.func.hessian(weighted)(x)
    np.testing.assert_allclose(to_numpy(gradient), first, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(to_numpy(hessian), second, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("odd", [2.0, 5000.0, INF, -INF, NAN])
def test_derivatives_beside_entries_of_no_segment(odd: float) -> None:
    xp = available(Backend.JAX).namespace()
    import jax

    ids, x = xp.asarray([0, 5, 0, -1]), xp.asarray([0.0, odd, 0.0, odd])
    gradient = jax.jit(jax.grad(lambda x, ids: segment_logsumexp(x, ids, 1)[0]))(x, ids)
    np.testing.assert_allclose(gradient, [0.5, 0.0, 0.5, 0.0], rtol=1e-15)


def test_known_ids_in_a_traced_program() -> None:
    """They are looked at where the program is traced."""
    xp = available(Backend.JAX).namespace()
    import jax

    x, ids = xp.asarray([1.0, 2.0, 3.0]), xp.asarray([0, 2, 0])
    close(jax.jit(lambda x: segment_logsumexp(x, ids, 3))(x), segment_logsumexp(x, ids, 3))
    with pytest.raises(ValueError, match=r"^segment_ids has numbers from 0 to 2, but num_segments"):
        jax.jit(lambda x: segment_logsumexp(x, ids, 2))(x)
