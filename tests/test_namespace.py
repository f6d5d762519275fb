"""The way in: what is taken, what is refused, and by which sentence."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import array_api_strict
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from agnostic_lse import log_softmax, logmeanexp, logsumexp, softmax
from agnostic_lse._namespace import constant
from tests.backends import Backend, to_numpy

REDUCTIONS = (logsumexp, logmeanexp, softmax, log_softmax)
each_reduction = pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)
Function = Callable[..., Any]


class TestTaken:
    @each_reduction
    @pytest.mark.parametrize(
        "given",
        [
            [1, 2.5],
            (1, 2.5),
            pd.Series([1.0, 2.5]),
            pd.DataFrame({"a": [1.0], "b": [2.5]}),
            np.matrix([[1.0, 2.5]]),
            [np.float64(1), np.asarray(2.5)],
        ],
        ids=lambda given: type(given).__name__,
    )
    def test_becomes_numpy(self, function: Function, given: Any) -> None:
        expected = function(np.asarray([1, 2.5]))
        out = function(given)
        assert type(out) in (np.float64, np.ndarray)
        np.testing.assert_array_equal(np.ravel(out), np.ravel(expected))

    def test_numbers(self) -> None:
        assert logsumexp(3) == 3.0
        assert logsumexp(True) == 1.0
        assert logsumexp(np.float32(3)).dtype == np.float32
        assert logsumexp(0, b=2) == math.log(2)

    @pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
    def test_matrix_rows(self) -> None:
        out = logsumexp(np.matrix([[0.0, 0.0], [1.0, 1.0]]), axis=1)
        assert type(out) is np.ndarray
        assert out.shape == (2,)

    @pytest.mark.parametrize("axis", [np.int64(1), [1], (np.int8(-1),)])
    def test_axis_of_other_kinds(self, axis: Any) -> None:
        assert logsumexp(np.zeros((2, 3)), axis=axis).shape == (2,)

    @each_reduction
    def test_xp(self, library: Backend, xp: Any, array: Any, function: Function) -> None:
        x = array([1.0, 2.0])
        out = function(x, xp=xp) if not library.is_numpy else function(x, xp=np)
        np.testing.assert_array_equal(to_numpy(out), to_numpy(function(x)))

    def test_xp_makes_arrays_of_lists(self) -> None:
        out = logsumexp([1.0, 2.0], xp=array_api_strict)
        assert isinstance(out, type(array_api_strict.zeros(1)))

    def test_bare_torch_module(self) -> None:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        out = logsumexp([1.0, 2.0], xp=torch)
        assert isinstance(out, torch.Tensor)
        assert logsumexp(torch.zeros(2), xp=torch) == math.log(2)

    def test_numpy_number_beside_an_array(self, array: Any) -> None:
        x = array([0.0, 0.0])
        np.testing.assert_allclose(to_numpy(logsumexp(x, b=np.float64(2.0))), math.log(4))


class TestRefused:
    @each_reduction
    @pytest.mark.parametrize(
        ("given", "sentence"),
        [
            ("abc", r"(a|x) is a str.*but numbers were expected: pass a numeric array"),
            (["a", "b"], r"(a|x) is a list.*but numbers were expected"),
            (None, r"(a|x) is a NoneType, but numbers were expected"),
            ([1, None], r"(a|x) is a list of dtype object, but numbers were expected"),
            ([[1], [1, 2]], r"(a|x) is a list, but numbers were expected"),
            (object(), r"(a|x) is a object of dtype object, but numbers"),
            (np.asarray(["a"]), r"(a|x) is a ndarray of dtype <U1, but numbers"),
            (np.asarray([1], dtype=object), r"(a|x) is a ndarray of dtype object"),
            (np.asarray([1], dtype="M8[s]"), r"(a|x) is a ndarray of dtype datetime64\[s\]"),
            (pd.Series(["a"]), r"(a|x) is a Series of dtype .*, but numbers"),
            (np.ma.masked_array([1.0], [True]), r"is a masked array, whose mask would be dropped"),
            (scipy.sparse.csr_array([[1.0]]), r"is a sparse csr_array, whose missing entries"),
            (scipy.sparse.coo_matrix([[1.0]]), r"is a sparse coo_matrix, whose missing entries"),
        ],
    )
    def test_not_numeric(self, function: Function, given: Any, sentence: str) -> None:
        with pytest.raises(TypeError, match=sentence):
            function(given)

    def test_sparse_torch(self) -> None:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        with pytest.raises(TypeError, match="a is a sparse Tensor"):
            logsumexp(torch.eye(2).to_sparse())

    def test_sparse_jax(self) -> None:
        jax = pytest.importorskip("jax", reason="JAX is not installed")
        from jax.experimental import sparse

        with pytest.raises(TypeError, match="a is a sparse BCOO"):
            logsumexp(sparse.BCOO.fromdense(jax.numpy.eye(2)))

    @pytest.mark.parametrize("name", ["b", "where"])
    def test_names_the_argument(self, name: str) -> None:
        with pytest.raises(TypeError, match=rf"^{name} is a masked array"):
            logsumexp([1.0], **cast("Any", {name: np.ma.masked_array([1.0], [True])}))
        with pytest.raises(TypeError, match=rf"^{name} is a list"):
            logsumexp([1.0], **cast("Any", {name: ["x"]}))

    @each_reduction
    def test_mask_of_numbers(self, array: Any, function: Function) -> None:
        sentence = r"where has dtype .*, but booleans were expected: compare first"
        with pytest.raises(TypeError, match=sentence):
            function(array([1.0, 2.0]), where=array([1.0, 0.0]))

    @each_reduction
    @pytest.mark.parametrize("axis", [2, -3, (0, 2)])
    def test_axis_out_of_range(self, array: Any, function: Function, axis: Any) -> None:
        sentence = r"axis (2|-3) is out of range for an array of 2 dimensions: .* -2 to 1\."
        with pytest.raises(ValueError, match=sentence):
            function(array([[1.0, 2.0]]), axis=axis)

    @each_reduction
    def test_axis_of_a_number(self, function: Function) -> None:
        with pytest.raises(ValueError, match=r"axis 0 is out of range .* pass axis=None"):
            function(1.0, axis=0)

    @each_reduction
    def test_axis_twice(self, function: Function) -> None:
        with pytest.raises(ValueError, match=r"axis \(0, -2\) names an axis more than once"):
            function([[1.0, 2.0]], axis=(0, -2))

    @each_reduction
    @pytest.mark.parametrize("axis", [0.5, "0", (None,)])
    def test_axis_of_wrong_type(self, function: Function, axis: Any) -> None:
        with pytest.raises(TypeError, match="axis must be None, an integer or a tuple of integers"):
            function([[1.0, 2.0]], axis=axis)

    @pytest.mark.parametrize("function", [logsumexp, logmeanexp])
    def test_weights_that_do_not_broadcast(self, array: Any, function: Function) -> None:
        sentence = r"a has shape \(3,\) and b has shape \(2,\), which do not broadcast"
        with pytest.raises(ValueError, match=sentence):
            function(array([1.0, 2.0, 3.0]), b=array([1.0, 2.0]))

    @each_reduction
    def test_mask_that_does_not_fit(self, array: Any, function: Function) -> None:
        with pytest.raises(ValueError, match=r"where has shape \(2,\)"):
            function(array([1.0, 2.0, 3.0]), where=array([True, False]))
        with pytest.raises(
            ValueError, match=r"where broadcasts to shape \(1, 3\), but the numbers"
        ):
            function(array([1.0, 2.0, 3.0]), where=array([[True, False, True]]))

    def test_mixed_namespaces(self, library: Backend, array: Any) -> None:
        other = np.ones(2) if not library.is_numpy else array_api_strict.ones(2)
        with pytest.raises(TypeError, match="All arrays must come from one namespace, but a from "):
            logsumexp(array([1.0, 2.0]), b=other)

    def test_frame_beside_another_namespace(self) -> None:
        x = array_api_strict.ones(2)
        with pytest.raises(TypeError, match="b is a Series, which becomes a NumPy array, beside"):
            logsumexp(x, b=pd.Series([1.0, 2.0]))

    def test_mixed_devices(self) -> None:
        here = array_api_strict.ones(2)
        there = array_api_strict.ones(2, device=array_api_strict.Device("device1"))
        with pytest.raises(ValueError, match="All arrays must lie on one device, but a on "):
            logsumexp(here, b=there)

    def test_wrong_xp(self) -> None:
        with pytest.raises(TypeError, match="xp is array_api_strict, but a comes from numpy"):
            logsumexp(np.ones(2), xp=array_api_strict)
        with pytest.raises(TypeError, match="xp is a str, but an array namespace was expected"):
            logsumexp(np.ones(2), xp="numpy")


def test_constant_is_the_array_itself_on_numpy() -> None:
    x = np.ones(2)
    assert constant(x) is x
