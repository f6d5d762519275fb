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
    @pytest.mark.parametrize("axis", [0.5, "0", "", (None,)])
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
        with pytest.raises(ValueError, match=r"where broadcasts to shape \(1, 3\), but (a|x) has"):
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


class TestRefusedDtypes:
    @pytest.mark.parametrize("dtype", ["float8_e4m3fn", "int4", "float8_e5m2"])
    def test_foreign_to_numpy(self, dtype: str) -> None:
        ml_dtypes = pytest.importorskip("ml_dtypes")
        match = rf"^a has dtype {dtype}, which has too few digits to calculate with: convert it to "
        with pytest.raises(TypeError, match=match):
            logsumexp(np.zeros(3, getattr(ml_dtypes, dtype)))

    def test_jax(self) -> None:
        jax = pytest.importorskip("jax", reason="JAX is not installed")
        with pytest.raises(
            TypeError, match=r"^a has dtype float8_e4m3fn, which has too few digits"
        ):
            logsumexp(jax.numpy.zeros(3, jax.numpy.float8_e4m3fn))
        with pytest.raises(TypeError, match=r"^a is a PRNGKeyArray of dtype key<fry>, but numbers"):
            logsumexp(jax.random.key(0))

    @pytest.mark.filterwarnings("ignore:ComplexHalf:UserWarning")
    @pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
    def test_torch(self) -> None:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        for dtype in (torch.complex32, torch.float8_e4m3fn):
            with pytest.raises(
                TypeError, match=r"^a has dtype torch\..*, which has too few digits"
            ):
                logsumexp(torch.zeros(3, dtype=dtype))
        rows = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
        with pytest.raises(TypeError, match=r"^a is a nested Tensor, whose rows differ in length"):
            logsumexp(rows)

    def test_nothing_in_common(self) -> None:
        ml_dtypes = pytest.importorskip("ml_dtypes")
        match = "^a has dtype float16 and b has dtype bfloat16, which have no dtype in common: conv"
        with pytest.raises(TypeError, match=match):
            logsumexp(np.zeros(3, np.float16), b=np.zeros(3, ml_dtypes.bfloat16))

    def test_number_too_large(self, array: Any) -> None:
        match = "^b is a int larger than a floating-point number can be: pass its logarithm as an "
        with pytest.raises(TypeError, match=match):
            logsumexp(array([0.0]), b=10**400)


class TestHidden:
    """What hides in a container is refused as it would be alone."""

    def test_blocks_of_dask(self) -> None:
        da = pytest.importorskip("dask.array", reason="Dask is not installed")
        x = da.from_array(np.eye(4), chunks=2)
        for function in REDUCTIONS:
            with pytest.raises(TypeError, match=r"^(a|x) is a masked array, whose mask would be"):
                function(da.ma.masked_equal(x, 1))
            with pytest.raises(TypeError, match=r"^(a|x) is a sparse csr_matrix, whose missing"):
                function(x.map_blocks(scipy.sparse.csr_matrix))

    def test_lists(self) -> None:
        with pytest.raises(TypeError, match=r"^a is a masked array, whose mask would be dropped"):
            logsumexp([[np.ma.masked_array([1.0], [True])]])
        match = r"^a is a tuple of arrays \(Array\), which would become a NumPy array: stack them f"
        with pytest.raises(TypeError, match=match):
            logsumexp((array_api_strict.ones(2), array_api_strict.ones(2)))
        assert logsumexp([np.zeros(2), [0.0, 0.0]]) == math.log(4)


@pytest.mark.parametrize("name", ["no_float64", "no_x64"])
def test_devices_without_float64(name: str) -> None:
    if name not in str(array_api_strict.__array_namespace_info__().devices()):
        pytest.skip(f"this array-api-strict has no device {name}")
    device = array_api_strict.Device(name)
    x = array_api_strict.asarray(np.zeros(3, np.float32), device=device)
    for function in REDUCTIONS:
        out = function(x)
        assert out.device == device
        assert out.dtype == array_api_strict.float32


def test_dask_of_unknown_shape() -> None:
    da = pytest.importorskip("dask.array", reason="Dask is not installed")
    known = np.arange(12.0).reshape(6, 2)
    x = da.from_array(known, chunks=2)
    x, known = x[x[:, 0] > 3], known[known[:, 0] > 3]
    for ours, expected in (
        (logsumexp(x, axis=0, b=2.0), logsumexp(known, axis=0, b=2.0)),
        (logsumexp(x, axis=0, b=x + 1), logsumexp(known, axis=0, b=known + 1)),
        (logmeanexp(x, axis=1, b=x + 1), logmeanexp(known, axis=1, b=known + 1)),
        (softmax(x, axis=1, where=x > 6), softmax(known, axis=1, where=known > 6)),
        (log_softmax(x, axis=0, where=x > 4), log_softmax(known, axis=0, where=known > 4)),
    ):
        np.testing.assert_allclose(ours.compute(), expected, rtol=1e-15)


def test_constant_is_the_array_itself_on_numpy() -> None:
    x = np.ones(2)
    assert constant(x) is x
