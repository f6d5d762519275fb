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

from agnostic_lse import (
    log_softmax,
    logsumexp,
    segment_log_softmax,
    segment_logsumexp,
    segment_softmax,
    softmax,
)
from tests.backends import Backend, available, make_array, to_numpy
from tests.reference import conditioned_size, log_sum, roundoffs

FUNCTIONS = (segment_logsumexp, segment_softmax, segment_log_softmax)
for function in FUNCTIONS:
    lazy_xp_function(function)
each_function = pytest.mark.parametrize(
    "function", FUNCTIONS, indirect=True, ids=lambda f: f.__name__
)
# Each with the same over whole axes
NORMALISED = [(segment_softmax, softmax), (segment_log_softmax, log_softmax)]
each_normalised = pytest.mark.parametrize(
    ("function", "whole"), NORMALISED, indirect=["function"], ids=lambda f: f.__name__
)

INF, NAN = math.inf, math.nan
LOG_2, TINY = math.log(2), 4.248354255291589e-18  # the latter is log(1 + exp(-40))


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


@pytest.mark.parametrize(
    ("x", "ids", "expected"),
    [
        ([40.0, 1000.0, 0.0, 1000.0], [0, 2, 0, 2], [-TINY, -LOG_2, -40.0, -LOG_2]),
        ([1.0, NAN, 2.0, 3.0], [2, 1, 0, 1], [0.0, NAN, 0.0, NAN]),
        ([INF, NAN, -INF, 5.0], [0, 0, 1, 2], [NAN, NAN, -INF, 0.0]),
        ([INF, 3.0, INF, -INF, INF], [0, 0, 1, 1, 1], [0.0, -INF, -LOG_2, -INF, -LOG_2]),
        ([-INF, -INF, 1.0, -INF], [1, 1, 0, 0], [-INF, -INF, 0.0, -INF]),
        ([1e308, -1e308, 2.0], [1, 1, 0], [0.0, -INF, 0.0]),
        ([7.0], [1], [0.0]),
        ([], [], []),
    ],
    ids=str,
)
def test_normalised_values(
    array: Any, x: list[float], ids: list[int], expected: list[float]
) -> None:
    given = array(np.asarray(x, dtype=float)), array(np.asarray(ids, dtype=np.int64)), 3
    close(segment_log_softmax(*given), expected)
    close(segment_softmax(*given), np.exp(expected))


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


@pytest.mark.parametrize("axis", [0, 1, -1])
@each_normalised
def test_normalised_along_axes(array: Any, function: Any, whole: Any, axis: int) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(5, 6, 7)) * 20
    ids = rng.integers(0, 4, size=x.shape[axis])
    out = function(array(x), array(ids), num_segments=5, axis=axis)
    expected = np.empty_like(x)
    for segment in range(5):
        place = (slice(None),) * (axis % 3) + (ids == segment,)
        expected[place] = whole(x[place], axis=axis)
    close(out, expected, rtol=1e-14)


def test_no_segments(array: Any) -> None:
    out = segment_logsumexp(array(np.zeros((0, 3))), array(np.zeros(0, dtype=np.int64)), 0)
    assert out.shape == (0, 3)
    out = segment_logsumexp(array(np.zeros((2, 0))), array([0, 1]), 3)
    assert out.shape == (3, 0)
    for function in (segment_softmax, segment_log_softmax):
        ids = array(np.zeros(0, dtype=np.int64))
        assert function(array(np.zeros((0, 3))), ids, 0).shape == (0, 3)
        assert function(array(np.zeros((2, 0))), array([0, 1]), 3).shape == (2, 0)


@given(st.lists(st.tuples(st.floats(-800, 800), st.integers(0, 4)), max_size=40), st.integers(5, 7))
def test_each_is_a_sum(entries: list[tuple[float, int]], num_segments: int) -> None:
    x = np.asarray([value for value, _ in entries])
    ids = np.asarray([segment for _, segment in entries], dtype=int)
    out = segment_logsumexp(x, ids, num_segments)
    for segment in range(num_segments):
        expected = logsumexp(x[ids == segment])
        np.testing.assert_allclose(out[segment], expected, rtol=1e-14, atol=1e-14)
    for function, whole in NORMALISED:
        each: Any = function(x, ids, num_segments)
        for segment in set(ids.tolist()):
            inside = ids == segment
            np.testing.assert_allclose(each[inside], whole(x[inside]), rtol=1e-14, atol=1e-14)


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


def test_sorts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sorts = []
    argsort = np.argsort

    def counted(*given: Any, **named: Any) -> Any:
        sorts.append(given)
        return argsort(*given, **named)

    monkeypatch.setattr(np, "argsort", counted)
    segment_softmax(np.zeros(3), np.asarray([1, 0, 1]), 2)
    assert len(sorts) == 1


@each_function
def test_place_and_dtype(xp: Any, array: Any, function: Any) -> None:
    x = array([1.0, 2.0, 3.0], "float32")
    ids = array([1, 0, 1])
    out = function(x, ids, 2)
    assert type(out) is type(x)
    assert compat.device(out) == compat.device(x)
    assert out.dtype == xp.float32
    close(ids, [1, 0, 1])
    close(x, [1.0, 2.0, 3.0])
    out = function(array([1, 2, 3]), ids, 2)
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

    @pytest.mark.parametrize("library", [Backend.JAX, Backend.DASK], indirect=True, ids=str)
    @pytest.mark.parametrize("num_segments", [0, 2])
    def test_entries_of_unseen_ids(self, array: Any, num_segments: int) -> None:
        """What belongs to no segment has no share of any, whatever its value."""
        shares = [0.0] * 7 if num_segments == 0 else [0.5, 0.5, 0.0, 0.0, 0.0, 0.0, 1.0]
        x = array([1.0, 1.0, 2.0, NAN, INF, -INF, 3.0])
        ids = array([0, 0, 7, -1, 2, -(2**40), 1])
        close(segment_softmax(x, ids, num_segments), shares)
        with np.errstate(divide="ignore"):
            close(segment_log_softmax(x, ids, num_segments), np.log(shares))


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


def derivatives_of(
    library: Backend, xp: Any, function: Any, point: list[Any], ids: list[int]
) -> Any:
    """Return the first and second derivative, by reverse and by forward over reverse mode."""
    x, segments = make_array(library, xp, point), make_array(library, xp, ids)

    def of_entries(x: Any) -> Any:
        return function(x, segments, 3)

    if library is Backend.JAX:
        import jax

        first = jax.jacrev(of_entries)(x)
        second = jax.jit(jax.jacfwd(jax.jacrev(of_entries)))(x)
    else:
        import torch

        first = torch.func.jacrev(of_entries)(x)
        second = torch.func.jacfwd(torch.func.jacrev(of_entries))(x)
    return to_numpy(first), to_numpy(second)


@pytest.mark.parametrize("library", [Backend.TORCH, Backend.TORCH_CUDA, Backend.JAX], ids=str)
class TestDerivativesOfShares:
    POINT, IDS = (0.5, 0.5, -INF, 2.0, -1.0, -INF, -INF), (0, 0, 0, 2, 2, 1, 1)

    def test_values(self, library: Backend) -> None:
        """Of each order those of a softmax of each segment, and 0 where all of it is -inf."""
        xp = available(library).namespace()
        point, ids = list(self.POINT), list(self.IDS)
        p = np.asarray(segment_softmax(point, ids, 3))
        same = np.equal.outer(ids, ids)
        eye, there = np.eye(len(p)), np.asarray(ids) != 1
        first = np.diag(p) - np.outer(p, p) * same
        # d^2 p_i / dx_j dx_k
        second = np.einsum("ik,ij->ijk", first, eye)
        second -= np.einsum("ik,j,ij->ijk", first, p, same)
        second -= np.einsum("i,jk,ij->ijk", p, first, same)
        found = derivatives_of(library, xp, segment_softmax, point, ids)
        np.testing.assert_allclose(found[0], first, rtol=1e-14, atol=1e-16)
        np.testing.assert_allclose(found[1], second, rtol=1e-13, atol=1e-15)
        found = derivatives_of(library, xp, segment_log_softmax, point, ids)
        np.testing.assert_allclose(found[0], (eye - p * same) * there, rtol=1e-14, atol=1e-16)
        expected = -np.einsum("jk,ij->ijk", first, same)
        np.testing.assert_allclose(found[1], expected, rtol=1e-13, atol=1e-15)

    def test_infinite_entries_of_other_segments(self, library: Backend) -> None:
        xp = available(library).namespace()
        for function in (segment_softmax, segment_log_softmax):
            for odd in (INF, NAN):
                first, second = derivatives_of(
                    library, xp, function, [0.5, odd, 2.0, -1.0], [0, 1, 2, 2]
                )
                kept = np.ix_([0, 2, 3], [0, 2, 3])
                alone = derivatives_of(library, xp, function, [0.5, 2.0, -1.0], [0, 2, 2])
                np.testing.assert_allclose(first[kept], alone[0], rtol=1e-15)
                np.testing.assert_allclose(
                    second[1:][:, 2:, 2:][1:], alone[1][1:, 1:, 1:], rtol=1e-15
                )


@pytest.mark.parametrize("odd", [2.0, 5000.0, INF, -INF, NAN])
def test_derivatives_beside_entries_of_no_segment(odd: float) -> None:
    xp = available(Backend.JAX).namespace()
    import jax

    ids, x = xp.asarray([0, 5, 0, -1]), xp.asarray([0.0, odd, 0.0, odd])
    for function, expected in (
        (segment_logsumexp, [0.5, 0.0, 0.5, 0.0]),
        (segment_softmax, [0.25, 0.0, -0.25, 0.0]),
        (segment_log_softmax, [0.5, 0.0, -0.5, 0.0]),
    ):

        def of_first(x: Any, ids: Any, function: Any = function) -> Any:
            return function(x, ids, 1)[0]

        gradient = jax.jit(jax.grad(of_first))(x, ids)
        np.testing.assert_allclose(gradient, expected, rtol=1e-15)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_known_ids_in_a_traced_program(function: Any) -> None:
    """They are looked at where the program is traced."""
    xp = available(Backend.JAX).namespace()
    import jax

    x, ids = xp.asarray([1.0, 2.0, 3.0]), xp.asarray([0, 2, 0])
    close(jax.jit(lambda x: function(x, ids, 3))(x), function(x, ids, 3))
    with pytest.raises(ValueError, match=r"^segment_ids has numbers from 0 to 2, but num_segments"):
        jax.jit(lambda x: function(x, ids, 2))(x)


@pytest.mark.parametrize("library", [Backend.DASK], indirect=True, ids=str)
@each_normalised
def test_chunks(xp: Any, function: Any, whole: Any) -> None:
    """Blocks of any size and number, empty ones too, and unknown ones across the axis."""
    x = np.random.default_rng(0).normal(size=(9, 4))
    ids = np.asarray([0, 1, 0, 2, 2, 1, 0, 0, 1])
    expected = np.empty_like(x)
    for segment in range(3):
        expected[ids == segment] = whole(x[ids == segment], axis=0)
    for chunks in ((9, 4), (1, 4), (2, 3), ((4, 0, 5), (4,)), ((0, 9), (1, 3))):
        for of_ids in (9, 2, ((3, 0, 6),)):
            given = xp.from_array(x, chunks=chunks), xp.from_array(ids, chunks=of_ids)
            out = function(*given, 3)
            full = (tuple(filter(None, lengths)) for lengths in given[0].chunks)
            assert out.chunks == tuple(full)  # without the empty blocks
            close(out, expected, rtol=1e-14)
    columns = np.asarray([True, False, True, True])
    unknown = xp.from_array(x, chunks=2)[:, xp.asarray(columns)]
    close(function(unknown, xp.asarray(ids), 3), expected[:, columns], rtol=1e-14)
