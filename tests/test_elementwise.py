"""Arithmetic on logarithms, entry by entry, on every backend."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat as compat
import mpmath as mp
import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st

from agnostic_lse import (
    log1mexp,
    log1pexp,
    log_expit,
    logaddexp,
    logexpm1,
    logit,
    logsubexp,
    logsumexp,
)
from tests.backends import Backend, available, make_array, to_numpy
from tests.reference import exactly, needs_long_double, roundoffs

UNARY = (log1mexp, log1pexp, logexpm1, log_expit, logit)
BINARY = (logaddexp, logsubexp)
for function in (*UNARY, *BINARY):
    lazy_xp_function(function)

INF, NAN = math.inf, math.nan
TINY = 4.248354255291589e-18  # log(1 + exp(-40)), and 0 where the sum is formed first


def each(functions: Sequence[Any], indirect: bool) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "function", functions, indirect=indirect, ids=lambda f: f.__name__
    )


each_unary, each_binary = each(UNARY, indirect=True), each(BINARY, indirect=True)
each_plain_unary, each_plain_binary = each(UNARY, indirect=False), each(BINARY, indirect=False)


def close(actual: Any, expected: Any, rtol: float = 1e-15) -> None:
    np.testing.assert_allclose(to_numpy(actual), expected, rtol=rtol, atol=0)


@pytest.mark.parametrize(
    ("function", "values"),
    [
        (
            log1mexp,
            {-INF: 0.0, -800.0: 0.0, -40.0: -TINY, -1e-300: -690.7755278982137, 0.0: -INF}
            | {1e-300: NAN, 1.0: NAN, 1000.0: NAN, INF: NAN, NAN: NAN},
        ),
        (
            log1pexp,
            {-INF: 0.0, -800.0: 0.0, -40.0: TINY, 0.0: math.log(2), 40.0: 40.0, 1e308: 1e308}
            | {INF: INF, NAN: NAN},
        ),
        (
            logexpm1,
            {-INF: NAN, -1.0: NAN, -1e-300: NAN, 0.0: -INF, 1e-300: -690.7755278982137}
            | {40.0: 40.0, 1e308: 1e308, INF: INF, NAN: NAN},
        ),
        (
            log_expit,
            {-INF: -INF, -1e308: -1e308, -40.0: -40.0, 0.0: -math.log(2), 40.0: -TINY, 800.0: 0.0}
            | {INF: 0.0, NAN: NAN},
        ),
        (
            logit,
            {-INF: NAN, -1e-300: NAN, 0.0: -INF, 1e-300: -690.7755278982137, 0.5: 0.0}
            | {0.5 - 2**-54: -(2**-52), 0.5 + 2**-53: 2**-51, 1 - 2**-53: 36.7368005696771}
            | {1.0: INF, 1 + 2**-52: NAN, INF: NAN, NAN: NAN},
        ),
    ],
    indirect=["function"],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_special_values(array: Any, function: Any, values: dict[float, float]) -> None:
    close(function(array(list(values))), list(values.values()))


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        (
            logaddexp,
            [
                (-INF, -INF, -INF),
                (-INF, 5.0, 5.0),
                (INF, -INF, INF),
                (INF, INF, INF),
                (INF, 1000.0, INF),
                (NAN, INF, NAN),
                (NAN, -INF, NAN),
                (NAN, 0.0, NAN),
                (0.0, -40.0, TINY),
                (1000.0, 1000.0, 1000 + math.log(2)),
                (1e308, -1e308, 1e308),
                (-1e308, -1e308, -1e308),
            ],
        ),
        (
            logsubexp,
            [
                (-INF, -INF, -INF),
                (5.0, -INF, 5.0),
                (INF, -INF, INF),
                (INF, 5.0, INF),
                (INF, INF, NAN),
                (NAN, INF, NAN),
                (NAN, -INF, NAN),
                (0.0, NAN, NAN),
                (NAN, NAN, NAN),
                (0.0, -40.0, -TINY),
                (1000.0, 1000.0, -INF),
                (1000.0, 999.0, 1000 + math.log(1 - math.exp(-1))),
                (0.0, 1.0, NAN),
                (-INF, 1.0, NAN),
                (1.0, INF, NAN),
                (1e308, -1e308, 1e308),
                (-1e308, 1e308, NAN),
            ],
        ),
    ],
    indirect=["function"],
    ids=lambda x: getattr(x, "__name__", ""),
)
def test_special_pairs(array: Any, function: Any, rows: list[tuple[float, float, float]]) -> None:
    x1, x2, expected = zip(*rows, strict=True)
    close(function(array(x1), array(x2)), expected)
    if function.__name__ == "logaddexp":
        close(function(array(x2), array(x1)), expected)


# Each function as mpmath has it, and its condition number times its size: x times its derivative.
EXACT: dict[str, tuple[Any, Any]] = {
    "log1mexp": (lambda x: mp.log1p(-mp.exp(x)), lambda x: x * mp.exp(x) / mp.expm1(x)),
    "log1pexp": (lambda x: mp.log1p(mp.exp(x)), lambda x: x / (1 + mp.exp(-x))),
    "logexpm1": (lambda x: mp.log(mp.expm1(x)), lambda x: x * mp.exp(x) / mp.expm1(x)),
    "log_expit": (lambda x: -mp.log1p(mp.exp(-x)), lambda x: x / (1 + mp.exp(x))),
    # Beside its zero at 1/2 it is exact: no share of the argument's own uncertainty is taken.
    "logit": (lambda p: mp.log(p / (1 - p)), lambda p: p * 0),
}


def arguments_of(name: str) -> Any:
    rng = np.random.default_rng(0)
    size = np.concatenate(
        [10 ** rng.uniform(-8, 3, 1500), rng.uniform(0.3, 1.3, 800), math.log(2) * np.ones(3)]
    )
    if name in ("log1pexp", "log_expit"):
        return np.concatenate([size, -size])
    if name == "logit":
        p = np.concatenate([rng.uniform(0, 1, 1500), 10 ** rng.uniform(-30, -1, 500)])
        return np.concatenate([p, 0.5 + rng.choice([-1, 1], 500) * 10 ** rng.uniform(-7, -1, 500)])
    return -size if name == "log1mexp" else size


@each_unary
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_accuracy(array: Any, function: Any, dtype: str) -> None:
    true, by_argument = EXACT[function.__name__]
    x = arguments_of(function.__name__).astype(dtype)
    out = to_numpy(function(array(x)))
    assert out.dtype == dtype
    with mp.workdps(60):
        for value, argument in zip(out.tolist(), x.tolist(), strict=True):
            expected = true(mp.mpf(argument))
            size = max(abs(expected), abs(by_argument(mp.mpf(argument))))
            assert roundoffs(value, expected, size, dtype) <= 4, argument


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_accuracy_of_pairs(array: Any, sign: int, dtype: str) -> None:
    rng = np.random.default_rng(1)
    high = rng.choice([-1, 1], 2000) * 10 ** rng.uniform(-6, 2.5, 2000)
    high[:200] = 0
    gap = 10 ** rng.uniform(-6, 1.9, 2000)
    high, low = high.astype(dtype), (high - gap).astype(dtype)
    # Sums near 1, whose logarithm is near 0
    near = slice(1000, 1500)
    low[near] = np.log(-sign * np.expm1(-gap[near])) if sign == 1 else low[near]
    high[near] = np.where(sign == 1, -gap[near], high[near])
    high, low = np.maximum(high, low), np.minimum(high, low)
    out = to_numpy((logaddexp if sign == 1 else logsubexp)(array(high), array(low)))
    with mp.workdps(60):
        for value, x1, x2 in zip(out.tolist(), high.tolist(), low.tolist(), strict=True):
            if x1 == x2 and sign == -1:
                assert value == -INF
                continue
            a, b = mp.mpf(x1), mp.mpf(x2)
            expected = a + mp.log1p(sign * mp.exp(b - a))
            share = mp.exp(a - expected)
            size = max(abs(expected), share * abs(a) + abs(share - 1) * abs(b))
            assert roundoffs(value, expected, size, dtype) <= 4, (x1, x2)


def long_doubles(low: float, high: float, count: int) -> Any:
    """Return long doubles, evenly spread, with digits that no double has."""
    rng = np.random.default_rng(2)
    more = rng.random(count).astype(np.longdouble) * np.longdouble(2) ** -53
    return low + (high - low) * (rng.random(count) + more)


@needs_long_double
@pytest.mark.parametrize("library", [Backend.NUMPY, Backend.NUMPY_TILES, Backend.DASK], ids=str)
@each_unary
def test_accuracy_of_long_doubles(library: Backend, xp: Any, function: Any) -> None:
    """Where glibc's log1pl turns to another formula, among other places."""
    name = function.__name__
    true, by_argument = EXACT[name]
    places = (
        [(0.25, 0.75), (0.405, 0.42), (0.56, 0.57)] if name == "logit" else [(0, 2.5), (1, 1.3)]
    )
    spread = [long_doubles(low, high, 800) for low, high in places]
    x = np.concatenate([arguments_of(name)[::10], *spread])
    if name in ("log1pexp", "log_expit"):
        x = np.concatenate([x, -x])
    x = -np.abs(x) if name == "log1mexp" else x
    out = to_numpy(function(make_array(library, xp, x)))
    assert out.dtype == np.longdouble
    with mp.workprec(200):
        for value, argument in zip(out, map(exactly, x), strict=True):
            expected = true(argument)
            size = max(abs(expected), abs(by_argument(argument)))
            assert roundoffs(value, expected, size, "longdouble") <= 4, argument


@needs_long_double
@pytest.mark.parametrize("sign", [1, -1])
def test_accuracy_of_long_double_pairs(sign: int) -> None:
    gap = long_doubles(1e-3, 2.5, 3000)
    high = np.random.default_rng(0).choice([-1, 1], 3000) * 10 ** long_doubles(-6, 1, 3000)
    high[:500] = 0
    low = high - gap
    out: Any = (logaddexp if sign == 1 else logsubexp)(high, low)
    with mp.workprec(200):
        pairs = zip(map(exactly, high), map(exactly, low), strict=True)
        for value, (a, b) in zip(out, pairs, strict=True):
            expected = a + mp.log1p(sign * mp.exp(b - a))
            share = mp.exp(a - expected)
            size = max(abs(expected), share * abs(a) + abs(share - 1) * abs(b))
            assert roundoffs(value, expected, size, "longdouble") <= 4, (a, b)


@given(st.floats(-700, 700))
def test_inverse_pairs(x: float) -> None:
    """`logexpm1` undoes `log1pexp`, and `log1mexp` itself, as far as what lies between allows."""
    roundoff = np.finfo(float).eps / 2
    y = log1pexp(x)
    size = abs(x) + abs(y) * (1 + math.exp(-x))  # what an error of y becomes
    assert abs(logexpm1(y) - x) <= 8 * roundoff * size
    x = -abs(x)
    y = log1mexp(x)
    if math.isfinite(y) and y != 0:
        assert abs(log1mexp(y) - x) <= 8 * roundoff * (
            abs(x) + abs(y) * -math.expm1(x) / math.exp(x)
        )


def test_complex(array: Any) -> None:
    x1 = np.asarray([1 + 2j, 1000 + 3j, 1j * math.pi, -INF + 1j])
    x2 = np.asarray([-1 + 0.5j, 999 - 1j, 0.5 + 0j, 2 + 1j])
    expected = logsumexp(np.stack([x1, x2]), axis=0)
    close(logaddexp(array(x1), array(x2)), expected)
    close(logaddexp(array(x1), 0.5), logsumexp(np.stack([x1, np.full(4, 0.5)]), axis=0))
    assert logaddexp(array([1j], "complex64"), array([0.0], "float32")).dtype.__repr__().count("64")


@each_unary
def test_complex_is_refused(array: Any, function: Any) -> None:
    match = r"^(x|p) has dtype .*complex128, but real numbers were expected: take xp\.real\(\1\)\."
    with pytest.raises(TypeError, match=match):
        function(array([1j]))
    with pytest.raises(TypeError, match=r"^x2 has dtype .*complex128, but real numbers were exp"):
        logsubexp(array([1.0]), array([1j]))


class TestDtypes:
    @each_unary
    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
    def test_kept(self, library: Backend, array: Any, function: Any, dtype: str) -> None:
        if dtype in ("float16", "bfloat16") and not library.knows(dtype):
            return
        values = np.asarray([0.25, 0.75]) * (-1 if function.__name__ == "log1mexp" else 1)
        out = function(array(values, dtype))
        assert str(out.dtype).endswith(dtype)
        expected = function(values)
        unit = {"float16": 2**-11, "bfloat16": 2**-8, "float32": 2**-24, "float64": 2**-53}[dtype]
        np.testing.assert_allclose(to_numpy(out), expected, rtol=16 * unit)

    @each_unary
    @pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64"])
    def test_integers(self, xp: Any, array: Any, function: Any, dtype: str) -> None:
        x = array([0, 1], dtype)
        out = function(x)
        assert out.dtype == xp.__array_namespace_info__().default_dtypes()["real floating"]
        np.testing.assert_allclose(to_numpy(out), function(np.asarray([0.0, 1.0])), rtol=1e-6)

    @each_binary
    def test_promotion(self, xp: Any, array: Any, function: Any) -> None:
        single, double = array([1.0], "float32"), array([0.0], "float64")
        assert function(single, double).dtype == xp.float64
        assert function(single, 0.0).dtype == xp.float32
        assert function(1.0, single).dtype == xp.float32
        assert function(double, array([0], "int32")).dtype == xp.float64

    def test_numpy_scalars(self) -> None:
        unary: tuple[Any, ...] = UNARY
        for function in unary:
            assert type(function(0.0)) is np.float64
            assert type(function(np.float32(0))) is np.float32
        for function in BINARY:
            assert type(function(0.0, 0)) is np.float64
            assert type(function(np.float32(0), 0.0)) is np.float32
        assert logaddexp([0, 1], 0).dtype == np.float64


class TestPlace:
    @each_unary
    def test_unary(self, array: Any, function: Any) -> None:
        x = array([[0.25], [0.75]])
        out = function(x)
        assert type(out) is type(x)
        assert out.shape == (2, 1)
        assert compat.device(out) == compat.device(x)
        close(x, [[0.25], [0.75]])
        assert function(array(0.5)).shape == ()
        assert function(array(np.zeros((0, 3)))).shape == (0, 3)

    @each_binary
    def test_broadcasting(self, array: Any, function: Any) -> None:
        x1, x2 = array([[1.0], [2.0]]), array([0.0, 0.5, 1.0])
        out = function(x1, x2)
        assert type(out) is type(x1)
        assert compat.device(out) == compat.device(x1)
        rows = np.broadcast_arrays([[1.0], [2.0]], [0.0, 0.5, 1.0])
        close(out, function(*rows), rtol=4e-15)
        close(function(x1, 0.5), function(rows[0][:, :1], 0.5), rtol=4e-15)
        close(function(array(3.0), array(1.0)), function(3.0, 1.0))


class TestRefused:
    @each_binary
    def test_shapes(self, array: Any, function: Any) -> None:
        match = r"^x1 has shape \(2,\) and x2 has shape \(3,\), which do not broadcast: make them f"
        with pytest.raises(ValueError, match=match):
            function(array([1.0, 2.0]), array([1.0, 2.0, 3.0]))

    @each_plain_binary
    def test_containers(self, function: Any) -> None:
        with pytest.raises(TypeError, match=r"^x2 is a masked array, whose mask would be dropped"):
            function(1.0, np.ma.masked_array([1.0], [True]))
        with pytest.raises(TypeError, match=r"^x1 is a str of dtype <U1, but numbers were"):
            function("1", 1.0)
        with pytest.raises(TypeError, match=r"^x2 is a NoneType, but numbers were expected"):
            function(1.0, None)


POINTS = {
    "log1mexp": [-1e-3, -math.log(2), -0.5, -1.0, -30.0],
    "log1pexp": [-30.0, -1.0, 0.0, 1.0, 30.0],
    "logexpm1": [1e-3, math.log(2), 0.99, 1.0, 1.01, 30.0],
    "log_expit": [-30.0, -1.0, 0.0, 1.0, 30.0],
    "logit": [1e-3, 0.2, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9],
}


def transforms(library: Backend) -> tuple[Callable[..., Any], Callable[..., Any], Any]:
    """Return the library's grad and vmap, and its namespace."""
    xp = available(library).namespace()
    if library is Backend.JAX:
        import jax

        return jax.grad, jax.vmap, xp
    import torch

    return torch.func.grad, torch.func.vmap, xp


@pytest.mark.parametrize("library", [Backend.TORCH, Backend.TORCH_CUDA, Backend.JAX], ids=str)
class TestDerivatives:
    @each_plain_unary
    def test_unary(self, library: Backend, function: Any) -> None:
        grad, vmap, xp = transforms(library)
        points = POINTS[function.__name__]
        x = make_array(library, xp, points)
        derivative = function
        for order, rtol in ((1, 1e-14), (2, 1e-13), (3, 1e-12)):
            derivative = grad(derivative)
            with mp.workdps(50):
                expected = [
                    float(mp.diff(EXACT[function.__name__][0], point, order)) for point in points
                ]
            np.testing.assert_allclose(to_numpy(vmap(derivative)(x)), expected, rtol, atol=1e-15)

    @pytest.mark.parametrize("gap", [0.0, 1e-3, 1.0, 40.0])
    def test_sum(self, library: Backend, gap: float) -> None:
        grad, _, xp = transforms(library)
        x1, x2 = (make_array(library, xp, x) for x in (0.5, 0.5 - gap))
        p = 1 / (1 + math.exp(-gap))
        q = math.exp(-gap) / (1 + math.exp(-gap))
        for order in ((x1, x2, p, q), (x2, x1, q, p)):
            one, other, first, second = order
            close(grad(logaddexp, argnums=0)(one, other), first)
            close(grad(logaddexp, argnums=1)(one, other), second)
            close(grad(grad(logaddexp))(one, other), p * q, rtol=1e-14)
            close(grad(grad(logaddexp), argnums=1)(one, other), -p * q, rtol=1e-14)

    def test_difference(self, library: Backend) -> None:
        grad, _, xp = transforms(library)
        x1, x2 = (make_array(library, xp, x) for x in (1.0, 0.25))
        p = 1 / -math.expm1(-0.75)
        close(grad(logsubexp)(x1, x2), p, rtol=1e-14)
        close(grad(logsubexp, argnums=1)(x1, x2), 1 - p, rtol=1e-14)
        close(grad(grad(logsubexp))(x1, x2), p * (1 - p), rtol=1e-13)

    @each_plain_binary
    def test_absent_terms(self, library: Backend, function: Any) -> None:
        grad, _, xp = transforms(library)
        there, absent = (make_array(library, xp, x) for x in (1.0, -INF))
        close(grad(function)(there, absent), 1.0)
        close(grad(function, argnums=1)(there, absent), 0.0)
        close(grad(grad(function))(there, absent), 0.0)
        close(grad(function)(absent, absent), 0.0)
        close(grad(function, argnums=1)(absent, absent), 0.0)

    def test_at_infinity(self, library: Backend) -> None:
        """What derivatives tend to."""
        grad, _, xp = transforms(library)
        infinite, zero = (make_array(library, xp, x) for x in (INF, 0.0))
        for unary, point in ((log1pexp, infinite), (logexpm1, infinite), (log_expit, -infinite)):
            close(grad(unary)(point), 1.0)
            close(grad(grad(unary))(point), 0.0)
        for binary in (logaddexp, logsubexp):
            close(grad(binary)(infinite, zero), 1.0)
            close(grad(binary, argnums=1)(infinite, zero), 0.0)
        close(grad(logaddexp)(zero, infinite), 0.0)
        close(grad(logaddexp, argnums=1)(zero, infinite), 1.0)

    @pytest.mark.parametrize("x", [-INF, -800.0, 800.0, INF])
    def test_far_out(self, library: Backend, x: float) -> None:
        """Finite wherever the value is."""
        grad, _, xp = transforms(library)
        point = make_array(library, xp, x)
        for function in (log1mexp, log1pexp, logexpm1, log_expit):
            if math.isfinite(float(function(x))):
                assert math.isfinite(float(to_numpy(grad(function)(point))))
                assert math.isfinite(float(to_numpy(grad(grad(function))(point))))


@pytest.mark.parametrize("library", [Backend.TORCH, Backend.TORCH_CUDA], ids=str)
def test_gradcheck(library: Backend) -> None:
    _, _, xp = transforms(library)
    import torch

    unary: tuple[Any, ...] = UNARY
    for function in unary:
        x = make_array(
            library, xp, [p for p in POINTS[function.__name__] if abs(p) < 2]
        ).requires_grad_()
        assert torch.autograd.gradcheck(function, (x,), eps=1e-7, rtol=1e-3, check_forward_ad=True)
        x = make_array(library, xp, [p for p in POINTS[function.__name__] if 0.1 < abs(p) < 2])
        assert torch.autograd.gradgradcheck(function, (x.requires_grad_(),))
    x1 = make_array(library, xp, [1.0, 0.5, 3.0]).requires_grad_()
    x2 = make_array(library, xp, [0.5, -0.5, 0.0]).requires_grad_()
    binary: tuple[Any, ...] = BINARY
    for function in binary:
        assert torch.autograd.gradcheck(function, (x1, x2), check_forward_ad=True)
        assert torch.autograd.gradgradcheck(function, (x1, x2))
