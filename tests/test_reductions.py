"""The reductions on every array library: values, dtypes, shapes, devices."""

from __future__ import annotations

import math
from typing import Any

import array_api_compat as compat
import numpy as np
import pytest
import scipy.special
from array_api_extra.testing import lazy_xp_function
from hypothesis import given
from hypothesis import strategies as st

from agnostic_lse import LogSumExpAccumulator, log_softmax, logmeanexp, logsumexp, softmax
from tests.backends import Backend, to_numpy

for function in (log_softmax, logmeanexp, logsumexp, softmax):
    lazy_xp_function(function)

each_function = pytest.mark.parametrize(
    "function",
    [logsumexp, logmeanexp, softmax, log_softmax],
    indirect=True,
    ids=lambda f: f.__name__,
)
INF, NAN, PI = math.inf, math.nan, math.pi


def close(actual: Any, expected: Any, rtol: float = 4e-16) -> None:
    """Compare with an expected value to the last digits, nan being equal to nan."""
    np.testing.assert_allclose(to_numpy(actual), expected, rtol=rtol, atol=0, strict=False)


class TestTextbook:
    """The cases that everybody tries first."""

    @pytest.mark.parametrize(
        ("exponents", "expected"),
        [
            ([1000.0, 1001.0, 1002.0], 1002.4076059644443),
            ([1000.0, 1000.0, 1000.0], 1001.0986122886682),
            ([-1000.0, -1000.0, -1000.0], -998.9013877113318),
            ([-1000.0, -1000.0, 1000.0], 1000.0),
        ],
    )
    def test_logsumexp(self, array: Any, exponents: list[float], expected: float) -> None:
        close(logsumexp(array(exponents)), expected)

    @pytest.mark.parametrize(
        ("exponents", "expected"),
        [
            ([1000.0, 1000.0, 1000.0], [1 / 3, 1 / 3, 1 / 3]),
            ([-1000.0, -1000.0, -1000.0], [1 / 3, 1 / 3, 1 / 3]),
            ([-1000.0, -1000.0, 1000.0], [0.0, 0.0, 1.0]),
        ],
    )
    def test_normalised(
        self, xp: Any, array: Any, exponents: list[float], expected: list[float]
    ) -> None:
        x = array(exponents)
        # The rounding of a logarithm near 1000 comes back as a relative error.
        close(xp.exp(x - logsumexp(x)), expected, rtol=1000 * 2**-52)
        close(softmax(x), expected)


class TestValues:
    """What the design promises of special values, row by row."""

    ROWS = (
        # exponents, logsumexp, logmeanexp
        ([0.0, -40.0], 4.248354255291589e-18, -math.log(2)),
        ([-INF, -INF], -INF, -INF),
        ([-INF, 0.0], 0.0, -math.log(2)),
        ([INF, 0.0], INF, INF),
        ([INF, INF], INF, INF),
        ([INF, -INF], INF, INF),
        ([INF, 5000.0, -5000.0], INF, INF),
        ([NAN, 0.0], NAN, NAN),
        ([NAN, INF], NAN, NAN),
        ([NAN, -INF], NAN, NAN),
        ([1e308, -1e308], 1e308, 1e308),
        ([-1.7e308, -1.7e308], -1.7e308, -1.7e308),
        ([5.0], 5.0, 5.0),
        ([-INF], -INF, -INF),
        ([INF], INF, INF),
        ([-0.0], 0.0, 0.0),
        ([1e-12, 3e-12], math.log(2) + 2e-12, 2.0000000000005e-12),
        ([0.0] * 100, math.log(100), 0.0),
    )

    @pytest.mark.parametrize(("exponents", "log_sum", "log_mean"), ROWS)
    def test_sum_and_mean(
        self, array: Any, exponents: list[float], log_sum: float, log_mean: float
    ) -> None:
        close(logsumexp(array(exponents)), log_sum)
        close(logmeanexp(array(exponents)), log_mean)

    @pytest.mark.parametrize(
        ("scores", "expected", "log_expected"),
        [
            ([INF, 5000.0, INF], [0.5, 0.0, 0.5], [-math.log(2), -INF, -math.log(2)]),
            ([INF, 1.7976931348623157e308], [1.0, 0.0], [0.0, -INF]),
            ([-INF, -INF], [0.0, 0.0], [-INF, -INF]),
            ([-INF, 3.0], [0.0, 1.0], [-INF, 0.0]),
            ([NAN, 1.0], [NAN, NAN], [NAN, NAN]),
            ([NAN, INF], [NAN, NAN], [NAN, NAN]),
            ([40.0, 0.0], [1.0, math.exp(-40)], [-4.248354255291589e-18, -40.0]),
            ([0.0, -800.0], [1.0, 0.0], [0.0, -800.0]),
            ([1e308, -1e308], [1.0, 0.0], [0.0, -INF]),
            ([7.0], [1.0], [0.0]),
        ],
    )
    def test_softmax(
        self, array: Any, scores: list[float], expected: list[float], log_expected: list[float]
    ) -> None:
        close(softmax(array(scores)), expected)
        close(log_softmax(array(scores)), log_expected)

    def test_rows_do_not_touch(self, array: Any) -> None:
        rows = [exponents for exponents, *_ in self.ROWS if len(exponents) == 2]
        expected = [value for exponents, value, _ in self.ROWS if len(exponents) == 2]
        means = [value for exponents, _, value in self.ROWS if len(exponents) == 2]
        close(logsumexp(array(rows), axis=1), expected)
        close(logsumexp(array(np.asarray(rows).T), axis=0), expected)
        close(logmeanexp(array(rows), axis=1), means)

    @pytest.mark.parametrize("axis", [None, 0, 1, (0, 1), -1])
    @pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
    def test_empty(self, array: Any, shape: tuple[int, int], axis: Any) -> None:
        x = np.zeros(shape)
        expected = np.full(np.sum(x, axis=axis).shape, -INF)
        for function in (logsumexp, logmeanexp):
            out = to_numpy(function(array(x), axis=axis))
            np.testing.assert_array_equal(out, expected, strict=True)
        log_size, sign = logsumexp(array(x), axis=axis, return_sign=True)
        np.testing.assert_array_equal(to_numpy(log_size), expected, strict=True)
        np.testing.assert_array_equal(to_numpy(sign), np.zeros_like(expected), strict=True)
        for normalise in (softmax, log_softmax):
            assert to_numpy(normalise(array(x), axis=axis)).shape == shape

    def test_empty_of_three_dimensions(self, array: Any) -> None:
        x = array(np.zeros((2, 0, 3)))
        assert to_numpy(logsumexp(x, axis=(0, 2))).shape == (0,)
        np.testing.assert_array_equal(to_numpy(logsumexp(x, axis=1)), np.full((2, 3), -INF))
        np.testing.assert_array_equal(to_numpy(logsumexp(x, axis=(0, 1))), np.full(3, -INF))


class TestWeights:
    ROWS = (
        # exponents, weights, log of magnitude, sign
        ([1000.0, 1000.0, 999.0], [1.0, -1.0, 1.0], 999.0, 1.0),
        ([0.0, -800.0], [1e-300, 1e300], -109.22447210178634, 1.0),
        ([0.0, 0.0], [1e308, 1e308], 709.889355822726, 1.0),
        ([1.0, 2.0], [1.0, -1.0], 1.5413248546129181, -1.0),
        ([5.0, 5.0], [1.0, -1.0], -INF, 0.0),
        ([5.0, 5.0, -40.0], [1.0, -2.0, 1.0], 5.0, -1.0),
        ([0.0, 0.0, 0.0, -40.0], [1.0, -1.0, -1.0, -1.0], 4.248354255291589e-18, -1.0),
        ([NAN, 1.0], [0.0, 1.0], 1.0, 1.0),
        ([INF, 1.0], [0.0, 1.0], 1.0, 1.0),
        ([INF, 1.0], [0.0, -1.0], 1.0, -1.0),
        ([INF, 1.0], [2.0, -1.0], INF, 1.0),
        ([INF, 1.0], [-2.0, 1.0], INF, -1.0),
        ([INF, INF], [1.0, 1.0], INF, 1.0),
        ([INF, INF], [1.0, -1.0], NAN, NAN),
        ([1.0, 2.0], [0.0, 0.0], -INF, 0.0),
        ([-INF, -INF], [1.0, -1.0], -INF, 0.0),
        ([-INF, 0.0], [-1.0, 1.0], 0.0, 1.0),
        ([1.0, 2.0], [NAN, 1.0], NAN, NAN),
        ([1.0, 2.0], [INF, 1.0], INF, 1.0),
        ([1.0, 2.0], [-INF, 1.0], INF, -1.0),
        ([NAN, 2.0], [1.0, -1.0], NAN, NAN),
        ([3.0, 5000.0], [1.0, 0.0], 3.0, 1.0),
    )

    @pytest.mark.parametrize(("exponents", "weights", "log_size", "sign"), ROWS)
    def test_signed(
        self, array: Any, exponents: list[float], weights: list[float], log_size: float, sign: float
    ) -> None:
        a, b = array(exponents), array(weights)
        actual = logsumexp(a, b=b, return_sign=True)
        close(actual[0], log_size)
        close(actual[1], sign)
        close(logsumexp(a, b=b), NAN if sign < 0 else log_size)

    def test_rows_do_not_touch(self, array: Any) -> None:
        rows = [row for row in self.ROWS if len(row[0]) == 2]
        a, b = array([row[0] for row in rows]), array([row[1] for row in rows])
        log_size, sign = logsumexp(a, axis=1, b=b, return_sign=True)
        close(log_size, [row[2] for row in rows])
        close(sign, [row[3] for row in rows])

    @pytest.mark.parametrize("complex_weights", [False, True])
    @pytest.mark.parametrize(
        ("exponents", "weights", "log_size", "sign"),
        [
            ([0.0, 0.0, -40.0], [1.0, -1.0, 1.0], -40.0, 1.0),
            ([0.0, 0.0, -40.0], [-0.3, 0.3, -1.0], -40.0, -1.0),
            ([0.0, 0.0, 0.0, 0.0, -700.0], [1.0, -1.0, -1.0, 1.0, 1.0], -700.0, 1.0),
            ([0.0, 0.0, -INF], [1.0, -1.0, 1.0], -INF, 0.0),
        ],
    )
    def test_what_is_left_when_the_largest_cancel(
        self,
        array: Any,
        exponents: list[float],
        weights: list[float],
        log_size: float,
        sign: float,
        complex_weights: bool,
    ) -> None:
        b = array(weights, "complex128" if complex_weights else None)
        size, turn = logsumexp(array(exponents), b=b, return_sign=True)
        close(size, log_size, rtol=1e-15)
        close(turn, sign)

    # Right values are from 50-digit arithmetic.
    @pytest.mark.parametrize(
        ("dtype", "exponents", "weights", "log_size", "sign"),
        [
            ("float32", [1e6, 1e6], [1.01, -1.0], 999995.3948288603, 1.0),
            ("float32", [-2e7, -2e7], [1.5, -1.0], -2e7, 1.0),
            ("float64", [1e9, 1e9], [1 + 1e-8, -1.0], 999999981.5793193, 1.0),
            ("float64", [1e17] * 3, [-3.0, 1.0, 1.0], 1e17, -1.0),
            ("float64", [1e17] * 4, [-3.0, 1.0, 1.0, 1.0], -INF, 0.0),
            ("float64", [1e17, 1e17 - 16], [math.exp(-10), 1.0], 1e17, 1.0),
            ("float64", [-1e300] * 2, [1.0, -2.0], -1e300, -1.0),
        ],
    )
    def test_weights_beside_large_exponents(
        self,
        array: Any,
        dtype: str,
        exponents: list[float],
        weights: list[float],
        log_size: float,
        sign: float,
    ) -> None:
        a, b = array(exponents, dtype), array(weights, dtype)
        unit = float(np.finfo(dtype).eps)
        size, turn = logsumexp(a, b=b, return_sign=True)
        close(size, log_size, rtol=unit)
        close(turn, sign)
        seen = LogSumExpAccumulator()
        for place in range(len(exponents)):
            seen.update(a[place : place + 1], b=b[place : place + 1])
        size, turn = seen.value(return_sign=True)
        close(size, log_size, rtol=unit)
        close(turn, sign)

    def test_mean_of_weights_beside_large_exponents(self, array: Any) -> None:
        close(logmeanexp(array([1e17] * 3), b=array([3.0, -1.0, -1.0])), 1e17)
        close(logmeanexp(array([1e17] * 3), b=array([-3.0, 1.0, 1.0])), 1e17)

    @pytest.mark.parametrize(
        ("dtype", "exponents", "weights", "log_size", "sign"),
        [
            ("float64", [0.0, -1e-10], [1.0, -1.0], -23.025850929990458, 1.0),
            ("float64", [0.0, -1e-17], [1.0, -1.0], -39.143946580898776, 1.0),
            ("float64", [-1e-17, 0.0], [1.0, -1.0], -39.143946580898776, -1.0),
            ("float32", [0.0, -1e-6], [1.0, -1.0], -13.81551106048899, 1.0),
            ("float64", [0.0, -1e-10, 1e-12], [2.0, -1.0, -1.0], -23.035901265844468, 1.0),
        ],
    )
    def test_differences_of_what_is_nearly_the_same(
        self,
        array: Any,
        dtype: str,
        exponents: list[float],
        weights: list[float],
        log_size: float,
        sign: float,
    ) -> None:
        a, b = array(exponents, dtype), array(weights, dtype)
        size, turn = logsumexp(a, b=b, return_sign=True)
        close(size, log_size, rtol=2 * float(np.finfo(dtype).eps))
        close(turn, sign)

    @pytest.mark.parametrize("weight", [1.0218811621322887e-20, 1e-50, 1e-189, 1e-290])
    def test_tiny_weights_beside_1(self, array: Any, weight: float) -> None:
        close(logsumexp(array([0.0, 0.0]), b=array([1.0, weight])), weight)
        close(logsumexp(array([0.0, 0.0, 0.0]), b=array([1.0, weight, weight])), 2 * weight)

    @pytest.mark.parametrize(
        ("exponents", "weights", "expected"),
        [
            ([-40.0, -1e-17, -1e9], [1.0, -1.0, -1.0], -1.424835425529159e-17),
            ([-30.0, 0.0, -40.0], [-1.0, 1.0, 1.0], -9.3571981334150832e-14),
        ],
    )
    def test_mean_beside_what_lies_far_below(
        self,
        array: Any,
        library: Backend,
        exponents: list[float],
        weights: list[float],
        expected: float,
    ) -> None:
        if library is not Backend.DASK:  # which reads blocks once, and has no second round for all
            close(logmeanexp(array(exponents), b=array(weights)), expected)

    def test_mean_of_blocks_with_vanishing_weights(self, array: Any) -> None:
        out = logmeanexp(array([0.0, -1000.0]), b=array([1e-20, 1e300]))
        close(out, -736.8272297580946, rtol=1e-15)

    def test_mean_of_weights_that_cancel(self, array: Any) -> None:
        close(logmeanexp(array([1.0, 1.0, 2.0]), b=array([1.0, -1.0, 1e-20])), 2.0)
        close(logmeanexp(array([1.0, 2.0, 3.0]), b=array([1.0, -1.0, 1e-300])), NAN)

    @pytest.mark.parametrize(
        ("dtype", "exponents", "weights", "expected"),
        [
            ("float32", [-200.0, 0.0], [1e20, 1e-30], -50 * math.log(10)),
            ("float64", [-1000.0, 0.0], [1e200, 1e-200], -400 * math.log(10)),
            ("float64", [-1000.0, 0.0], [1e200, -1e-200], NAN),
            ("float32", [0.0, 1.0], [2.5e38, 2.5e38], 0.6201145069582775),
            ("float64", [0.0, 1.0], [1.6e308, 1.6e308], 0.6201145069582775),
        ],
    )
    def test_mean_of_weights_far_apart(
        self, array: Any, dtype: str, exponents: Any, weights: Any, expected: float
    ) -> None:
        out = logmeanexp(array(exponents, dtype), b=array(weights, dtype))
        close(out, expected, rtol=4 * float(np.finfo(dtype).eps))

    @pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
    def test_only_ratios_of_weights_matter(self, array: Any, scale: float) -> None:
        weights = np.asarray([1.0, 2.0, 3.0, 4.0])
        out = logmeanexp(array([1.5, -3.0, -3.0, -3.0]), b=array(scale * weights))
        close(out, -0.7072922143901305, rtol=5e-16)

    def test_subnormal(self, library: Backend, array: Any) -> None:
        # JAX's compiler takes subnormal numbers for 0.
        expected = -INF if library is Backend.JAX else math.log(2e-320)
        close(logsumexp(array([0.0, 0.0]), b=array([1e-320, 1e-320])), expected)

    @pytest.mark.parametrize(
        ("exponents", "weights", "expected"),
        [
            ([0.0, 1.0], [3.0, 1.0], 0.35737401950878855),
            ([0.0, 1.0], [3e300, 1e300], 0.35737401950878855),
            ([0.0, 1.0], [-3e-300, -1e-300], 0.35737401950878855),
            ([1e-12, 3e-12], [1.0, 3.0], 2.5e-12 + 0.375e-24),
            ([5.0, NAN], [2.0, 0.0], 5.0),
            ([5.0, 800.0], [2.0, 0.0], 5.0),
            ([0.0, 1.0], [2.0, -1.0], NAN),
            ([1.0, 0.0], [2.0, -1.0], math.log(2 * math.e - 1)),
            ([0.0, 1.0], [1.0, -1.0], NAN),
            ([0.0, 1.0], [0.0, 0.0], -INF),
            ([-INF, -INF], [1.0, 2.0], -INF),
            ([INF, 0.0], [1.0, 2.0], INF),
            ([0.0, -800.0], [1e-300, 1e300], -800.0),
        ],
    )
    def test_mean(
        self, array: Any, exponents: list[float], weights: list[float], expected: float
    ) -> None:
        close(logmeanexp(array(exponents), b=array(weights)), expected, rtol=1e-15)

    def test_broadcast(self, array: Any) -> None:
        close(logsumexp(array(0.0), b=array([1e308, 1e308])), 709.889355822726)
        a, b = np.zeros((2, 1)), np.asarray([[1.0, 2.0, 3.0]])
        close(logsumexp(array(a), axis=1, b=array(b)), [math.log(6), math.log(6)])
        close(logsumexp(array(a), axis=0, b=array(b)), np.log([2.0, 4.0, 6.0]))

    def test_numbers_and_lists(self, array: Any) -> None:
        x = array([1.0, 2.0], dtype="float32")
        assert to_numpy(logsumexp(x, b=2)).dtype == np.float32
        close(logsumexp(x, b=0.5), np.log(0.5 * np.exp([1.0, 2.0]).sum()), rtol=1e-7)
        close(logsumexp(array([1.0, 2.0]), b=[1.0, 1.0]), logsumexp(np.asarray([1.0, 2.0])))

    def test_integers(self, array: Any) -> None:
        out = logsumexp(array([1.0, 2.0]), b=array([1, 2]))
        close(out, math.log(math.e + 2 * math.e**2), rtol=1e-6)


class TestWhere:
    def test_leaves_out(self, array: Any) -> None:
        a = array([[1.0, NAN, 3.0], [INF, 2.0, 2.0]])
        mask = array([[True, False, True], [False, True, True]])
        close(logsumexp(a, axis=1, where=mask), [3.1269280110429727, 2.6931471805599454])
        means = [3.1269280110429727 - math.log(2), 2.0]
        close(logmeanexp(a, axis=1, where=mask), means, rtol=1e-15)
        close(softmax(a, axis=1, where=mask)[1, :], [0.0, 0.5, 0.5])
        half = -math.log(2)
        close(log_softmax(a, axis=1, where=mask)[1, :], [-INF, half, half])

    def test_all_left_out(self, array: Any) -> None:
        a, none = array([1.0, NAN]), array([False, False])
        close(logsumexp(a, where=none), -INF)
        close(logmeanexp(a, where=none), -INF)
        close(softmax(a, where=none), [0.0, 0.0])
        close(log_softmax(a, where=none), [-INF, -INF])
        close(logsumexp(a, where=none, return_sign=True)[1], 0.0)

    def test_with_weights(self, array: Any) -> None:
        a, b = array([1.0, NAN, 2.0]), array([2.0, 1.0, -1.0])
        mask = array([True, False, True])
        log_size, sign = logsumexp(a, b=b, where=mask, return_sign=True)
        close(log_size, math.log(math.e**2 - 2 * math.e), rtol=1e-15)
        close(sign, -1.0 if 2 * math.e < math.e**2 else 1.0)
        close(logmeanexp(a, b=b, where=array([True, False, False])), 1.0)

    def test_broadcast(self, array: Any) -> None:
        a = array([[1.0, 2.0], [3.0, 4.0]])
        close(logsumexp(a, axis=1, where=array([True, False])), [1.0, 3.0])


class TestComplex:
    def test_against_scipy(self, array: Any) -> None:
        rng = np.random.default_rng(0)
        a = rng.normal(size=(5, 4)) + 1j * rng.normal(size=(5, 4)) * 3
        b = rng.normal(size=(5, 4))
        for weights in (None, b, b + 1j):
            theirs = scipy.special.logsumexp(a, axis=1, b=weights, return_sign=True)
            mine = None if weights is None else array(weights)
            ours = logsumexp(array(a), axis=1, b=mine, return_sign=True)
            close(ours[0], theirs[0], rtol=1e-13)
            close(ours[1], theirs[1], rtol=1e-13)
            expected = np.log(np.sum(np.exp(a) * (1 if weights is None else weights), axis=1))
            close(logsumexp(array(a), axis=1, b=mine), expected, rtol=1e-13)

    @pytest.mark.parametrize(
        ("exponents", "expected"),
        [
            ([1000 + 1j * PI, 999 + 0j], 1000 + math.log(1 - math.exp(-1)) + 1j * PI),
            ([1j * PI], 1j * PI),
            ([-1j * PI], -1j * PI),
            ([5 + 7j], complex(5, 7 - 2 * PI)),
            ([complex(-INF, 1), 2 + 1j], 2 + 1j),
            ([complex(-INF, NAN), 2 + 1j], 2 + 1j),
            ([complex(-INF, 0)], complex(-INF, 0)),
            ([complex(NAN, 0), 1 + 0j], complex(NAN, NAN)),
            ([complex(INF, 0), 1 + 1j], complex(INF, 0)),
            ([complex(INF, 0), complex(0, NAN)], complex(NAN, NAN)),
            ([complex(INF, 0), complex(0, INF)], complex(NAN, NAN)),
        ],
    )
    def test_values(self, array: Any, exponents: list[complex], expected: complex) -> None:
        out = to_numpy(logsumexp(array(exponents)))
        np.testing.assert_allclose(out.real, expected.real, rtol=1e-15)
        np.testing.assert_allclose(out.imag, expected.imag, rtol=1e-15)
        assert not out.imag <= -PI - 1e-15

    def test_weights_at_the_ends_of_the_range(self, library: Backend, array: Any) -> None:
        largest = array([1.5e308 * (1 + 1j)])
        close(
            logsumexp(array([0.0]), b=largest), math.log(1.5e308) + 0.5 * math.log(2) + 0.25j * PI
        )
        close(np.real(to_numpy(logmeanexp(array([3.0]), b=largest))), 3.0)
        if library is not Backend.JAX:  # whose compiler takes subnormal numbers for 0
            smallest = logsumexp(array([0.0]), b=array([5e-324 * (1 + 1j)]))
            close(smallest, math.log(5e-324) + 0.5 * math.log(2) + 0.25j * PI)

    def test_imaginary_part_of_a_negative_sum(self, array: Any) -> None:
        close(logsumexp(array([0.0, 0.0]), b=array([-1 - 0j, -1 - 0j])), math.log(2) + 1j * PI)

    def test_negative_real_sum(self, array: Any) -> None:
        out = to_numpy(logsumexp(array([0j, 0j]), b=array([1.0, -3.0])))
        np.testing.assert_allclose(out, math.log(2) + 1j * PI, rtol=1e-15)

    def test_cancelling(self, array: Any) -> None:
        log_size, sign = logsumexp(array([1j, 1j]), b=array([1.0, -1.0]), return_sign=True)
        close(log_size, -INF)
        close(sign, 0.0)

    def test_mean(self, array: Any) -> None:
        a = np.asarray([1 + 2j, -1 + 0.5j, 0.25j])
        close(logmeanexp(array(a)), np.log(np.mean(np.exp(a))), rtol=1e-14)
        weights = np.asarray([1.0, 2.0, 3.0])
        expected = np.log(np.average(np.exp(a), weights=weights))
        close(logmeanexp(array(a), b=array(weights)), expected, rtol=1e-14)

    def test_softmax_is_refused(self, array: Any) -> None:
        for function in (softmax, log_softmax):
            with pytest.raises(TypeError, match=r"x has dtype .*complex128, but real numbers"):
                function(array([1j]))


class TestDtypes:
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @each_function
    def test_kept(self, xp: Any, array: Any, dtype: str, function: Any) -> None:
        assert function(array([1.0, 2.0], dtype)).dtype == getattr(xp, dtype)

    @pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int32", "int64"])
    @each_function
    def test_integers(self, xp: Any, array: Any, dtype: str, function: Any) -> None:
        x = array([0, 1, 1], dtype)
        real = xp.__array_namespace_info__().default_dtypes()["real floating"]
        out = function(x)
        assert out.dtype == real
        np.testing.assert_allclose(to_numpy(out), function(np.asarray([0.0, 1.0, 1.0])), rtol=1e-6)

    def test_complex(self, xp: Any, array: Any) -> None:
        x = array([1j, 2.0], "complex64")
        log_size, sign = logsumexp(x, return_sign=True)
        assert logsumexp(x).dtype == xp.complex64
        assert log_size.dtype == xp.float32
        assert sign.dtype == xp.complex64

    def test_promotion(self, xp: Any, array: Any) -> None:
        single, double = array([1.0], "float32"), array([1.0], "float64")
        assert logsumexp(single, b=double).dtype == xp.float64
        assert logsumexp(single, b=array([1j], "complex64")).dtype == xp.complex64
        assert logsumexp(double, b=array([1j], "complex64")).dtype == xp.complex128
        assert logsumexp(single, b=1j).dtype == xp.complex64

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
    def test_sixteen_bits(self, xp: Any, library: Backend, array: Any, dtype: str) -> None:
        if not library.knows(dtype):
            assert not hasattr(xp, dtype)
            return
        zeros = array(np.zeros(100_000), dtype)
        out = logsumexp(zeros)
        assert str(out.dtype).endswith(dtype)
        expected = {"float16": np.float16(math.log(100_000)), "bfloat16": 11.5}[dtype]
        assert to_numpy(out) == expected
        assert to_numpy(logmeanexp(zeros)) == 0
        probabilities = softmax(array([11.0, 11.0, 1.0], dtype))
        assert str(probabilities.dtype).endswith(dtype)
        expected_p = scipy.special.softmax([11.0, 11.0, 1.0])
        tolerance = {"float16": 2**-11, "bfloat16": 2**-8}[dtype]
        np.testing.assert_allclose(to_numpy(probabilities), expected_p, rtol=tolerance)
        assert str(log_softmax(array([1.0], dtype)).dtype).endswith(dtype)

    def test_foreign_bfloat16(self) -> None:
        ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
        out = logsumexp(np.zeros(100_000, dtype=ml_dtypes.bfloat16))
        assert out.dtype == ml_dtypes.bfloat16
        assert float(out) == 11.5

    def test_long_double(self) -> None:
        out = logsumexp(np.asarray([0, -40], dtype=np.longdouble))
        assert out.dtype == np.longdouble
        rtol = 8 * float(np.finfo(np.longdouble).eps)
        np.testing.assert_allclose(out, np.log1p(np.exp(np.longdouble(-40))), rtol=rtol)

    def test_long_double_far_below_an_absent_term(self) -> None:
        a, b = np.asarray([20000, 0], np.longdouble), np.asarray([0, 1], np.longdouble)
        assert logsumexp(a, b=b) == logmeanexp(a, b=b) == 0

    def test_byte_order(self) -> None:
        assert logsumexp(np.asarray([0.0, -40.0], dtype=">f8")) == 4.248354255291589e-18


class TestShapes:
    @pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2), (2, 0), (-1,), (0, 1, 2), ()])
    @pytest.mark.parametrize("keepdims", [False, True])
    def test_axes(self, array: Any, axis: Any, keepdims: Any) -> None:
        x = np.random.default_rng(1).normal(size=(3, 4, 5))
        direct = np.log(np.sum(np.exp(x), axis=axis, keepdims=keepdims))
        out = to_numpy(logsumexp(array(x), axis=axis, keepdims=keepdims))
        assert out.shape == direct.shape
        np.testing.assert_allclose(out, direct, rtol=1e-14)
        mean = np.log(np.mean(np.exp(x), axis=axis, keepdims=keepdims))
        out = to_numpy(logmeanexp(array(x), axis=axis, keepdims=keepdims))
        assert out.shape == mean.shape
        np.testing.assert_allclose(out, mean, rtol=1e-13, atol=1e-15)
        total = np.sum(np.exp(x), axis=axis, keepdims=True)
        np.testing.assert_allclose(
            to_numpy(softmax(array(x), axis=axis)), np.exp(x) / total, rtol=1e-14
        )
        np.testing.assert_allclose(
            to_numpy(log_softmax(array(x), axis=axis)), x - np.log(total), rtol=1e-13, atol=1e-15
        )

    def test_no_dimensions(self, array: Any) -> None:
        for function, expected in ((logsumexp, 3.0), (logmeanexp, 3.0), (softmax, 1.0)):
            out = to_numpy(function(array(3.0)))
            assert out.shape == ()
            assert out == expected

    def test_numpy_scalars(self) -> None:
        assert type(logsumexp(np.zeros(3))) is np.float64
        assert type(logsumexp([1, 2])) is np.float64
        assert type(logsumexp(np.float32(1))) is np.float32
        assert type(logmeanexp(np.zeros((2, 2), np.float32))) is np.float32
        assert all(type(out) is np.float64 for out in logsumexp([1.0], return_sign=True))

    @pytest.mark.parametrize("layout", ["F", "sliced", "reversed", "transposed", "broadcast"])
    def test_layouts(self, layout: str) -> None:
        x = np.random.default_rng(2).normal(size=(40, 30))
        given = {
            "F": np.asfortranarray(x),
            "sliced": np.repeat(np.repeat(x, 2, 0), 3, 1)[::2, ::3],
            "reversed": x[::-1, ::-1][::-1, ::-1],
            "transposed": np.ascontiguousarray(x.T).T,
            "broadcast": np.broadcast_to(x[:1], x.shape),
        }[layout]
        for axis in (0, 1, None):
            np.testing.assert_allclose(
                logsumexp(given, axis=axis), logsumexp(np.array(given), axis=axis), rtol=1e-15
            )


class TestPlace:
    """Results stay where their arguments are, and arguments stay as they are."""

    @each_function
    def test_namespace_and_device(self, array: Any, function: Any) -> None:
        x = array([1.0, 2.0, 3.0])
        out = function(x, axis=0, where=array([True, True, False]))
        if not isinstance(out, np.generic):
            assert type(out) is type(x)
        assert compat.device(out) == compat.device(x)
        out = function(array([1, 2], "int64"))
        assert compat.device(out) == compat.device(x)

    def test_arguments_are_not_written_to(self, array: Any) -> None:
        a, b = array([1.0, -INF, 3.0]), array([0.0, 2.0, -1.0])
        before = to_numpy(a).copy(), to_numpy(b).copy()
        logsumexp(a, b=b, where=array([True, False, True]), return_sign=True)
        logmeanexp(a, b=b)
        softmax(a)
        log_softmax(a)
        np.testing.assert_array_equal(to_numpy(a), before[0])
        np.testing.assert_array_equal(to_numpy(b), before[1])

    def test_result_is_a_new_array(self) -> None:
        x = np.asarray([[1.0], [2.0]])
        for function in (logsumexp, logmeanexp):
            out = function(x, axis=1)
            assert not np.shares_memory(out, x)
        empty = np.zeros((0, 3))
        assert softmax(empty) is not empty


def test_quiet_under_every_errstate() -> None:
    """Underflow and the like are meant; not even who asked for errors hears of them."""
    with np.errstate(all="raise"):
        logsumexp([0.0, -800.0, -INF])
        logsumexp([1e308, -1e308])
        logsumexp([INF, 800.0])
        logmeanexp([0.0, -800.0], b=[1e-300, 1e300])
        softmax([0.0, -800.0, INF])
        log_softmax([0.0, -800.0, -INF])
        logsumexp([5.0, 5.0], b=[1.0, -1.0], return_sign=True)


class TestAgainstScipy:
    """A drop-in: the same signature, the same shapes, the same values where SciPy is right."""

    @given(
        st.lists(st.floats(-700, 700), min_size=1, max_size=20),
        st.sampled_from([None, 0, -1]),
        st.booleans(),
    )
    def test_real(self, exponents: list[float], axis: Any, keepdims: bool) -> None:
        ours = logsumexp(exponents, axis, None, keepdims)
        theirs = scipy.special.logsumexp(exponents, axis, None, keepdims)
        assert np.shape(ours) == np.shape(theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)

    @given(st.lists(st.tuples(st.floats(-30, 30), st.integers(-3, 3)), min_size=1, max_size=12))
    def test_signed(self, terms: list[tuple[float, int]]) -> None:
        a, b = [float(x) for x, _ in terms], [float(w) for _, w in terms]
        log_size, sign = logsumexp(a, b=b, return_sign=True)
        direct = math.fsum(w * math.exp(x) for x, w in terms)
        scale = max(math.exp(x) for x in a)
        np.testing.assert_allclose(sign * np.exp(log_size), direct, rtol=1e-12, atol=1e-13 * scale)


@pytest.mark.parametrize("function", [softmax, log_softmax, logsumexp, logmeanexp], indirect=True)
@pytest.mark.parametrize(
    ("dtype", "row"),
    [
        ("float64", [8.13e307, -7.9e307, -1.11e308]),  # the largest difference is rounded to a tie
        ("float64", [1.7e308, -1.7e308]),
        ("float32", [3.4e38, -3.4e38, -INF]),
        ("float16", [65504.0, -65504.0]),
        ("float16", [65504.0, 65504.0, -65504.0]),
    ],
)
def test_quiet_at_the_largest_numbers(
    library: Backend, array: Any, function: Any, dtype: str, row: list[float]
) -> None:
    if dtype == "float16" and not library.knows(dtype):
        assert not library.has(dtype)
        return
    function(array(row, dtype))  # warnings are errors, also those of Dask's workers
    if library is Backend.DASK:
        function(array(row, dtype)).compute()


LARGEST = float(np.finfo(float).max)


@pytest.mark.parametrize(
    "function",
    [logsumexp, logmeanexp, softmax, log_softmax],
    indirect=True,
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("others", [-INF, INF, 0.0])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_nan_is_not_lost_among_many(
    array: Any, function: Any, others: float, axis: int | None
) -> None:
    """JAX's own maximum loses it in reductions as large as this."""
    x = np.full((3, 3000), others)
    x[1, 7] = math.nan
    out = to_numpy(function(array(x.T if axis == 0 else x), axis=axis))
    if function.__name__ in ("softmax", "log_softmax"):
        assert np.all(np.isnan((out.T if axis == 0 else out)[1]))
    else:
        assert np.isnan(out if axis is None else out[1])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_difference_of_the_largest_number(array: Any, dtype: str) -> None:
    """Where scores are masked by the lowest number, as many networks do it, it stays."""
    largest = float(np.finfo(dtype).max)
    for row, expected in (([1.0, -largest], [0.0, -largest]), ([0.0, largest], [-largest, 0.0])):
        assert to_numpy(log_softmax(array(row, dtype))).tolist() == expected


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_quiet_beside_an_absent_largest_number(array: Any, sign: float) -> None:
    a, absent = [LARGEST, -LARGEST], [0.0, 1.0]
    a, b = (a, absent) if sign > 0 else (a[::-1], absent[::-1])
    for function in (logsumexp, logmeanexp):
        assert float(to_numpy(function(array(a), b=array(b)))) == -LARGEST
        there = array(np.asarray(b) > 0)
        assert float(to_numpy(function(array(a), where=there))) == -LARGEST
