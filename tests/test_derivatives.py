"""Derivatives of every order, under JAX and PyTorch."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from agnostic_lse import log_softmax, logmeanexp, logsumexp, softmax
from tests.backends import Backend, available, make_array, to_numpy

INF = math.inf

# Points where a derivative is easily lost: ties, terms that are not there, answers near 0.
POINTS = (
    [0.3, -1.2, 2.0, 0.5],
    [1.0, 1.0, 1.0],
    [2.0, 2.0, -1.0],
    [0.0, -40.0],
    [1000.0, 999.0, -1000.0],
    [-INF, 0.5, 0.5],
    [7.0],
)


@pytest.fixture(params=[Backend.TORCH, Backend.TORCH_CUDA, Backend.JAX], ids=str)
def library(request: pytest.FixtureRequest) -> Backend:
    return available(request.param)


class Calculus:
    """Gradients and Hessians by one spelling on both libraries."""

    def __init__(self, library: Backend) -> None:
        self.library = library
        self.xp = library.namespace()

    def array(self, values: Any, dtype: str = "float64") -> Any:
        return make_array(self.library, self.xp, np.asarray(values, dtype=float), dtype)

    def jacobian(self, function: Callable[[Any], Any], order: int, point: Any) -> Any:
        """Return the derivative tensor of this order, reverse over reverse."""
        if self.library.is_torch:
            import torch

            for _ in range(order):
                function = _torch_jacobian(torch, function)
            return to_numpy(function(point))
        import jax

        for _ in range(order):
            function = jax.jacrev(function)
        return to_numpy(jax.jit(function)(point))

    def forward(self, function: Callable[[Any], Any], point: Any) -> Any:
        """Return the Jacobian by forward mode."""
        if self.library.is_torch:
            import torch

            return to_numpy(torch.func.jacfwd(function)(point))
        import jax

        return to_numpy(jax.jacfwd(function)(point))


def _torch_jacobian(torch: Any, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda x: torch.autograd.functional.jacobian(function, x, create_graph=True)


@pytest.fixture
def calculus(library: Backend) -> Calculus:
    return Calculus(library)


def probabilities(point: list[float]) -> Any:
    return softmax(np.asarray(point))


@pytest.mark.parametrize("point", POINTS)
class TestLogSumExp:
    def test_gradient(self, calculus: Calculus, point: list[float]) -> None:
        x = calculus.array(point)
        p = probabilities(point)
        for function in (logsumexp, logmeanexp):
            np.testing.assert_allclose(calculus.jacobian(function, 1, x), p, rtol=1e-15, atol=0)
            np.testing.assert_allclose(calculus.forward(function, x), p, rtol=1e-15, atol=0)

    def test_second(self, calculus: Calculus, point: list[float]) -> None:
        p = probabilities(point)
        expected = np.diag(p) - np.outer(p, p)
        for function in (logsumexp, logmeanexp):
            second = calculus.jacobian(function, 2, calculus.array(point))
            np.testing.assert_allclose(second, expected, rtol=1e-14, atol=1e-16)

    def test_third(self, calculus: Calculus, point: list[float]) -> None:
        p = probabilities(point)
        eye = np.eye(len(p))
        expected = (
            np.einsum("i,ij,ik->ijk", p, eye, eye)
            - np.einsum("i,j,ik->ijk", p, p, eye)
            - np.einsum("i,k,ij->ijk", p, p, eye)
            - np.einsum("i,j,jk->ijk", p, p, eye)
            + 2 * np.einsum("i,j,k->ijk", p, p, p)
        )
        third = calculus.jacobian(logsumexp, 3, calculus.array(point))
        np.testing.assert_allclose(third, expected, rtol=1e-13, atol=1e-15)

    def test_normalised(self, calculus: Calculus, point: list[float]) -> None:
        p = probabilities(point)
        x = calculus.array(point)
        expected = np.diag(p) - np.outer(p, p)
        np.testing.assert_allclose(
            calculus.jacobian(softmax, 1, x), expected, rtol=1e-14, atol=1e-16
        )
        expected = np.eye(len(p)) - p
        np.testing.assert_allclose(
            calculus.jacobian(log_softmax, 1, x), expected, rtol=1e-14, atol=1e-16
        )


class TestNothingThere:
    """Where the value is -inf for want of terms, derivatives are 0, not nan."""

    @pytest.mark.parametrize("order", [1, 2])
    @pytest.mark.parametrize("function", [logsumexp, logmeanexp, softmax])
    def test_all_minus_inf(self, calculus: Calculus, function: Any, order: int) -> None:
        derivative = calculus.jacobian(function, order, calculus.array([-INF, -INF]))
        np.testing.assert_array_equal(derivative, np.zeros_like(derivative))

    @pytest.mark.parametrize("function", [logsumexp, logmeanexp])
    def test_one_row_of_many(self, calculus: Calculus, function: Any) -> None:
        x = calculus.array([[-INF, -INF], [1.0, 1.0]])
        total = lambda x: calculus.xp.sum(function(x, axis=1)[1:])  # noqa: E731
        np.testing.assert_array_equal(
            calculus.jacobian(total, 1, x), np.asarray([[0.0, 0.0], [0.5, 0.5]])
        )

    @pytest.mark.parametrize("function", [logsumexp, logmeanexp])
    def test_all_masked(self, calculus: Calculus, function: Any) -> None:
        mask = calculus.array([0.0, 0.0]) > 0
        derivative = calculus.jacobian(
            lambda x: function(x, where=mask), 1, calculus.array([1.0, math.nan])
        )
        np.testing.assert_array_equal(derivative, [0.0, 0.0])

    def test_empty(self, calculus: Calculus) -> None:
        x = calculus.array(np.zeros((0, 2)))
        derivative = calculus.jacobian(lambda x: logsumexp(x, axis=0), 1, x)
        assert derivative.shape == (2, 0, 2)


def mean_by_weights(a: Any, b: Any) -> Any:
    return logmeanexp(a, b=b)


class TestWeights:
    POINT = ([0.5, 0.5, -1.0, 800.0], [2.0, -0.5, 1e-3, 0.0])

    def test_by_exponents(self, calculus: Calculus) -> None:
        a, b = self.POINT
        terms = np.asarray(b) * np.exp([0.5, 0.5, -1.0, 0.0])
        weights = calculus.array(b)
        for function in (logsumexp, logmeanexp):
            weighted = functools.partial(function, b=weights)
            derivative = calculus.jacobian(weighted, 1, calculus.array(a))
            np.testing.assert_allclose(derivative, terms / terms.sum(), rtol=1e-14)

    def test_by_weights(self, calculus: Calculus) -> None:
        a, b = [0.5, 0.5, -1.0, 3.0], np.asarray(self.POINT[1])
        exponents = calculus.array(a)
        derivative = calculus.jacobian(lambda b: logsumexp(exponents, b=b), 1, calculus.array(b))
        expected = np.exp(a) / np.sum(b * np.exp(a))
        np.testing.assert_allclose(derivative, expected, rtol=1e-14)  # at weight 0 too
        derivative = calculus.jacobian(lambda b: logmeanexp(exponents, b=b), 1, calculus.array(b))
        np.testing.assert_allclose(derivative, expected - 1 / b.sum(), rtol=1e-14, atol=1e-15)

    def test_by_weights_near_each_other(self, calculus: Calculus) -> None:
        a, b = np.asarray([1e-3, 2e-3, 3e-3]), np.asarray([1.0, 0.0, 2.0])
        exponents = calculus.array(a)
        derivative = calculus.jacobian(lambda b: logmeanexp(exponents, b=b), 1, calculus.array(b))
        expected = np.exp(a) / np.sum(b * np.exp(a)) - 1 / b.sum()
        np.testing.assert_allclose(derivative, expected, rtol=1e-10)

    @pytest.mark.parametrize("far", [-1000.0, -INF])
    def test_by_weights_of_terms_far_below(self, calculus: Calculus, far: float) -> None:
        for a, b, expected in (
            ([far, 3.0], [0.0, 1.0], [-1.0, 0.0]),
            ([far, far, 3.0], [1.0, 0.0, 1.0], [-0.5, -0.5, 0.5]),
        ):
            by_b = calculus.jacobian(
                functools.partial(mean_by_weights, calculus.array(a)), 1, calculus.array(b)
            )
            np.testing.assert_allclose(by_b, expected, rtol=1e-15)

    @pytest.mark.parametrize("function", [logsumexp, logmeanexp])
    def test_masked_weight_without_value(self, calculus: Calculus, function: Any) -> None:
        a, mask = calculus.array([0.0, 1.0, 2.0]), calculus.array([0.0, 1.0, 1.0]) > 0
        weighted = lambda b: function(a, b=b, where=mask)  # noqa: E731
        by_b = calculus.jacobian(weighted, 1, calculus.array([math.nan, 1.0, 1.0]))
        plain = calculus.jacobian(weighted, 1, calculus.array([7.0, 1.0, 1.0]))
        np.testing.assert_array_equal(by_b, plain)
        assert by_b[0] == 0

    def test_stays_finite_for_absent_terms(self, calculus: Calculus) -> None:
        a, b = [5.0, 5000.0, math.nan, INF], [1.0, 0.0, 0.0, 0.0]
        weights = calculus.array(b)
        by_a = calculus.jacobian(lambda a: logsumexp(a, b=weights), 1, calculus.array(a))
        np.testing.assert_array_equal(by_a, [1.0, 0.0, 0.0, 0.0])
        exponents = calculus.array(a)
        by_b = calculus.jacobian(lambda b: logsumexp(exponents, b=b), 1, calculus.array(b))
        assert np.all(np.isfinite(by_b))


def cases(calculus: Calculus) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Yield functions and points for a check of their derivatives by finite differences."""
    rng = np.random.default_rng(0)
    x, weights = (calculus.array(rng.normal(size=(3, 4))) for _ in range(2))
    mask = calculus.array(rng.normal(size=(3, 4))) > -0.5
    yield lambda x: logsumexp(x, axis=1), (x,)
    yield lambda x: logmeanexp(x, axis=(0, 1)), (x,)
    yield lambda x: softmax(x, axis=0), (x,)
    yield lambda x: log_softmax(x, axis=1), (x,)
    yield lambda x: logsumexp(x, axis=0, where=mask), (x,)
    yield lambda x: softmax(x, axis=1, where=mask), (x,)
    yield lambda x, b: logsumexp(x, axis=1, b=b, return_sign=True)[0], (x, weights)
    yield lambda x, y: logsumexp(x + 1j * y, axis=(0, 1), return_sign=True)[0], (x, weights)
    real = calculus.xp.real
    yield lambda x, y: real(logsumexp(x, axis=1, b=y + 1j * (x - y))), (x, weights)
    yield lambda x, y: real(logmeanexp(x, axis=1, b=y + 1j * (x - y))), (x, weights)


def test_finite_differences(calculus: Calculus) -> None:
    """First and second derivatives, forward and reverse, by each library's own check."""
    for function, inputs in cases(calculus):
        if calculus.library.is_torch:
            import torch

            for x in inputs:
                x.requires_grad_()
            assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True)
            assert torch.autograd.gradgradcheck(function, inputs)
        else:
            from jax.test_util import check_grads

            # It perturbs NumPy copies.
            on_jax = lambda *args, f=function: f(*map(calculus.xp.asarray, args))  # noqa: E731
            check_grads(on_jax, inputs, order=2)


def test_gradient_of_many_near_ties(calculus: Calculus) -> None:
    """Each of many terms keeps its own small derivative, to single precision."""
    x = np.zeros(100_000, dtype=np.float32)
    x[7] = 1e-3
    gradient = calculus.jacobian(logsumexp, 1, calculus.array(x, "float32"))
    np.testing.assert_allclose(gradient, softmax(x.astype(float)), rtol=1e-6)


def test_vmap(calculus: Calculus) -> None:
    x = np.random.default_rng(0).normal(size=(4, 3))
    if calculus.library.is_torch:
        import torch

        over_rows = torch.func.vmap(torch.func.grad(logsumexp))
    else:
        import jax

        over_rows = jax.vmap(jax.grad(logsumexp))
    np.testing.assert_allclose(
        to_numpy(over_rows(calculus.array(x))), softmax(x, axis=1), rtol=1e-14
    )
