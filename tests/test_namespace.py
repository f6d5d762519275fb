"""The way in: what is taken, what is refused, and by which sentence."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import agnostic_lse
from agnostic_lse import log_softmax, logmeanexp, logsumexp, softmax
from agnostic_lse._namespace import constant
from tests.backends import Backend, available, available_package, to_numpy
from tests.capabilities import SETTINGS

Function = Callable[..., Any]
Array = Callable[..., Any]

REDUCTIONS = (logsumexp, logmeanexp, softmax, log_softmax)
each_reduction = pytest.mark.parametrize("function", REDUCTIONS, ids=lambda f: f.__name__)

# A call of each public function that is taken: lists join whatever array is put beside them.
ROW, MASK = [0.25, 0.75], [True, False]
TAKEN: dict[str, dict[str, Any]] = {
    "log1mexp": {"x": ROW},
    "log1pexp": {"x": ROW},
    "log_expit": {"x": ROW},
    "log_softmax": {"x": ROW, "where": MASK},
    "logaddexp": {"x1": ROW, "x2": ROW},
    "logcumsumexp": {"x": ROW},
    "logexpm1": {"x": ROW},
    "logit": {"p": ROW},
    "logitexp": {"x": ROW},
    "logmatmulexp": {"a": ROW, "b": ROW},
    "logmeanexp": {"a": ROW, "b": ROW, "where": MASK},
    "logsubexp": {"x1": ROW, "x2": ROW},
    "logsumexp": {"a": ROW, "b": ROW, "where": MASK},
    "segment_log_softmax": {"x": ROW, "segment_ids": [0, 0], "num_segments": 1},
    "segment_logsumexp": {"x": ROW, "segment_ids": [0, 0], "num_segments": 1},
    "segment_softmax": {"x": ROW, "segment_ids": [0, 0], "num_segments": 1},
    "softmax": {"x": ROW, "where": MASK},
}
FIRST = {function: next(iter(arguments)) for function, arguments in TAKEN.items()}
ARRAYS = [
    (function, name)
    for function, arguments in TAKEN.items()
    for name in arguments
    if name != "num_segments"
]
NUMBERS = [(function, name) for function, name in ARRAYS if name not in ("where", "segment_ids")]
BESIDE = [(function, name) for function, name in ARRAYS if name != FIRST[function]]
COMPLEX = ("logaddexp", "logcumsumexp", "logmeanexp", "logsumexp")
REAL = [name for name in TAKEN if name not in COMPLEX]
PAIRS = [(function, name) for function, name in NUMBERS if name != FIRST[function]]

REDUCE = ["logsumexp", "logmeanexp", "softmax", "log_softmax"]
OF_SEGMENTS = ["segment_logsumexp", "segment_softmax", "segment_log_softmax"]
ALONG_ONE = ["logcumsumexp", *OF_SEGMENTS]

each_function = pytest.mark.parametrize("function", TAKEN)
each_array = pytest.mark.parametrize(("function", "name"), ARRAYS)
each_number = pytest.mark.parametrize(("function", "name"), NUMBERS)
each_beside = pytest.mark.parametrize(("function", "name"), BESIDE)
each_pair = pytest.mark.parametrize(("function", "name"), PAIRS)


def call(function: str, **given: Any) -> Any:
    """Call a public function as it is taken, but for the arguments given."""
    return getattr(agnostic_lse, function)(**(TAKEN[function] | given))


def refused(error: type[Exception], sentence: str) -> Any:
    """Expect an error of the whole of one sentence, to which JAX may add a note of its own."""
    return pytest.raises(error, match=rf"^{sentence}\.(\n-+\nFor simplicity, JAX[\s\S]*)?$")


def test_each_function_is_called() -> None:
    assert set(TAKEN) == set(agnostic_lse.__all__) - SETTINGS
    for function in TAKEN:
        call(function)


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
        rows: list[Any] = [np.zeros(2), [0.0, 0.0]]
        assert logsumexp(rows) == math.log(4)

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


ORDERS = (">", "<")
BYTES = ("f2", "f4", "f8", "i2", "i4", "i8", "u2", "u4", "u8")


class TestByteOrder:
    """Files of FITS and netCDF, and others, have numbers in the order of another machine."""

    @each_array
    @pytest.mark.parametrize("order", ORDERS)
    def test_numpy(self, function: str, name: str, order: str) -> None:
        kinds = BYTES if name != "segment_ids" else BYTES[3:]
        taken = TAKEN[function]
        for kind in kinds if name != "where" else ["?"]:
            native = np.asarray(taken[name], kind)
            out = call(function, **{name: native.astype(order + kind)})
            expected = call(function, **{name: native})
            assert out.dtype == expected.dtype
            assert out.dtype.isnative
            np.testing.assert_array_equal(out, expected)

    @pytest.mark.parametrize("function", [logsumexp, logmeanexp])
    @pytest.mark.parametrize("kind", ["c8", "c16", "g", "G"])
    def test_wide_and_complex(self, function: Function, kind: str) -> None:
        native = np.asarray([1.0, 2.0], kind)
        foreign = native.astype(native.dtype.newbyteorder("S"))
        assert not foreign.dtype.isnative
        for arrays in ((foreign, None), (foreign, foreign), (native, foreign)):
            out = function(arrays[0], b=arrays[1])
            assert out.dtype == native.dtype
            assert out.dtype.isnative
            expected = function(native, b=None if arrays[1] is None else native)
            np.testing.assert_array_equal(out, expected)

    @pytest.mark.parametrize("library", [Backend.JAX, Backend.DASK], indirect=True, ids=str)
    @pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i4", "i8", "u2"])
    def test_other_libraries(self, library: Backend, xp: Any, array: Array, kind: str) -> None:
        foreign = np.asarray([0, 1], f">{kind}")
        arrays = [foreign] if library is Backend.JAX else [xp.from_array(foreign)]
        for given in arrays:
            for other in (array([0.0, 1.0]), array([0.0, 1.0], "float32")):
                native = array([0, 1], kind)
                out, expected = logsumexp(other, b=given), logsumexp(other, b=native)
                assert out.dtype == expected.dtype
                np.testing.assert_array_equal(to_numpy(out), to_numpy(expected))
            if foreign.dtype.kind == "i":
                out = agnostic_lse.segment_logsumexp(array([0.0, 1.0]), given, 2)
                np.testing.assert_array_equal(to_numpy(out), [0.0, 1.0])

    @pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i4", "u2", "c16"])
    def test_accumulator(self, kind: str) -> None:
        native = np.asarray([1.0, 2.0], kind)
        foreign = native.astype(native.dtype.newbyteorder("S"))
        seen = agnostic_lse.LogSumExpAccumulator().update(foreign).update(foreign, b=foreign)
        expected = agnostic_lse.LogSumExpAccumulator().update(native).update(native, b=native)
        assert seen == expected
        assert seen.value().dtype.isnative


INTEGERS = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


class TestMixedKinds:
    """Numbers of several kinds: real ones of any size, complex ones, integers and booleans."""

    @staticmethod
    def promoted(library: Backend, one: str, other: str) -> str:
        """Return what the library itself says, or else what the documentation does."""
        if library.is_strict:
            kinds = [kind if kind not in INTEGERS else "float64" for kind in (one, other)]
            return str(np.result_type(*kinds))
        if library.is_torch:
            import torch

            try:
                return str(torch.promote_types(getattr(torch, one), getattr(torch, other)))[6:]
            except RuntimeError:  # it promotes no unsigned integers of 16 bits and more
                return one
        if library is Backend.JAX:
            import jax.numpy as jnp

            return str(jnp.promote_types(one, other))
        return str(np.promote_types(one, other))

    @pytest.mark.parametrize("real", ["float16", "bfloat16", "float32", "float64", "complex64"])
    def test_pairs(self, library: Backend, array: Array, real: str) -> None:
        if real in ("float16", "bfloat16") and not library.knows(real):
            pytest.skip(f"{library} has no {real}")
        one = array([1.0, 2.0], real)
        for integer in INTEGERS:
            other = array([0, 1], integer)
            expected = self.promoted(library, real, integer)
            for a, b, direct in ((one, other, 2.0), (other, one, math.log(1 + 2 * math.e))):
                out = logsumexp(a, b=b)
                assert str(out.dtype).rpartition(".")[2] == expected
                np.testing.assert_allclose(complex(out), direct, rtol=1e-2)
            assert str(logmeanexp(one, b=other).dtype).endswith(expected)
            if real != "complex64":
                assert str(agnostic_lse.logaddexp(one, other).dtype).endswith(expected)
                assert str(agnostic_lse.logmatmulexp(one, other).dtype).endswith(expected)

    @pytest.mark.parametrize("integer", ["bool", "int32", "uint8"])
    def test_integers_alone(self, xp: Any, array: Array, integer: str) -> None:
        ones = array([1, 1], integer)
        expected = to_numpy(xp.zeros(1)).dtype.name
        for out in (logsumexp(ones, b=ones), logsumexp(ones, b=array([True, True])), softmax(ones)):
            assert str(out.dtype).rpartition(".")[2] == expected

    def test_large_integers_do_not_overflow(self, library: Backend, array: Array) -> None:
        """As numbers of 16 bits they would."""
        if not library.knows("float16"):
            pytest.skip(f"{library} has no float16")
        out = logsumexp(array([0.0, 0.0], "float16"), b=array([10**6, 10**6], "int32"))
        np.testing.assert_allclose(float(out), math.log(2e6), rtol=1e-3)

    @pytest.mark.parametrize("number", [2, 2.0, True])
    @pytest.mark.parametrize("real", ["float16", "bfloat16", "float32"])
    def test_numbers_take_the_dtype_beside_them(
        self, library: Backend, array: Array, real: str, number: float
    ) -> None:
        if real != "float32" and not library.knows(real):
            pytest.skip(f"{library} has no {real}")
        if library.is_strict and number is True:
            pytest.skip("array-api-strict promotes no booleans")
        x = array([0.0, 0.0], real)
        assert logsumexp(x, b=number).dtype == x.dtype

    def test_scalars_of_numpy(self, library: Backend, array: Array) -> None:
        x = array([0.0, 0.0], "float32")
        assert logsumexp(x, b=np.float32(2.0)).dtype == x.dtype
        weak = library.is_torch or library.is_strict  # to which they are Python's numbers
        expected = "float32" if weak else "float64"
        out = logsumexp(x, b=np.float64(2.0))
        assert str(out.dtype).rpartition(".")[2] == expected
        np.testing.assert_allclose(float(out), math.log(4), rtol=1e-6)

    def test_numbers_that_jax_traces(self) -> None:
        """A Python number widens nothing, traced or not."""
        available(Backend.JAX)
        import jax
        import jax.numpy as jnp

        for dtype in ("bfloat16", "float32", "float64"):
            x = jnp.ones(2, dtype)
            for number in (2, 2.0):
                assert jax.jit(lambda b, x=x: logsumexp(x, b=b))(number).dtype == x.dtype


@pytest.mark.parametrize("library", [Backend.JAX], indirect=True, ids=str)
class TestNumPyBesideJax:
    """JAX's own functions take NumPy's arrays."""

    @each_beside
    def test_taken(self, array: Array, function: str, name: str) -> None:
        first, taken = FIRST[function], TAKEN[function]
        both = {key: array(taken[key]) for key in (first, name)}
        expected = call(function, **both)
        for one, two in ((first, name), (name, first)):
            out = call(function, **{one: both[one], two: np.asarray(taken[two])})
            assert type(out) is type(expected)
            assert out.dtype == expected.dtype
            np.testing.assert_array_equal(to_numpy(out), to_numpy(expected))

    @each_beside
    def test_while_tracing(self, array: Array, function: str, name: str) -> None:
        import jax

        first, taken = FIRST[function], TAKEN[function]
        expected = call(function, **{key: array(taken[key]) for key in (first, name)})
        for one, two in ((first, name), (name, first)):
            constant = np.asarray(taken[two])
            traced = jax.jit(
                lambda x, one=one, two=two, y=constant: call(function, **{one: x, two: y})
            )
            np.testing.assert_allclose(traced(array(taken[one])), expected, rtol=1e-15)

    def test_by_name(self, xp: Any) -> None:
        out = logsumexp(np.asarray([0.0, 0.0]), xp=xp)
        assert isinstance(out, type(xp.zeros(1)))

    def test_accumulator(self, array: Array) -> None:
        seen = agnostic_lse.LogSumExpAccumulator().update(array([0.0, 0.0]), b=np.asarray([1, 2]))
        seen.update(np.zeros(3))
        assert isinstance(seen.value(), type(array([0.0])))
        np.testing.assert_allclose(seen.value(), math.log(6), rtol=1e-15)

    @pytest.mark.parametrize("name", ["b", "where"])
    def test_refused(self, array: Array, name: str) -> None:
        for given, sentence in (
            (np.ma.masked_array([1.0, 2.0]), MASKED),
            (np.asarray(["a", "b"]), f"is an ndarray of dtype <U1, {NO_NUMBERS}"),
        ):
            with refused(TypeError, f"{name} {sentence}"):
                call("logsumexp", **{"a": array(ROW), name: given})

    @pytest.mark.skipif(np.dtype("g").itemsize == 8, reason="longdouble is float64 here")
    def test_longdouble(self, array: Array) -> None:
        sentence = r"b has dtype \S+, which JAX does not have: convert it to float64"
        with refused(TypeError, sentence):
            logsumexp(array(ROW), b=np.ones(2, "g"))

    def test_integers_of_32_bits(self, array: Array) -> None:
        import jax

        sentence = "an integer that is too large for jax.numpy: pass floating-point numbers"
        with jax.enable_x64(False):
            x = array(ROW, "float32")
            with refused(TypeError, f"b is an ndarray with {sentence}"):
                logsumexp(x, b=np.asarray([1, 2**32]))
            assert float(logsumexp(x, b=np.asarray([1, 2**30]))) > 0
            match = "segment_ids has the number 4294967296, but numbers from 0 to 2147483647 were"
            for ids in (np.asarray([0, 2**32]), [0, 2**32]):
                with pytest.raises(ValueError, match=f"^{match}"):
                    agnostic_lse.segment_logsumexp(x, ids, 1)


NO_NUMBERS = (
    "but (numbers were expected: pass a numeric array, a number or a nested list of numbers"
    "|booleans were expected: compare first)"
)
MASKED = (
    "is a masked array, whose mask would be dropped: fill it with what masked entries stand for, "
    "such as -inf for exponents of terms that are not there"
)
SPARSE = "whose missing entries are zeros and not -inf: pass a dense array"
FEW_DIGITS = (
    "which has too few digits to calculate with: convert it to a dtype of 16 bits or more, 64 for "
    "complex numbers"
)


class TestRefusedKinds:
    @each_array
    @pytest.mark.parametrize(
        ("given", "came"),
        [
            ("abc", "a str of dtype <U3"),
            (b"abc", r"a bytes of dtype \|S3"),
            (["a", "b"], "a list of dtype <U1"),
            ([1, None], "a list of dtype object"),
            ({0.5}, "a set of dtype object"),
            (object(), "an object of dtype object"),
            (np.asarray(["a"]), "an ndarray of dtype <U1"),
            (np.asarray([1], dtype=object), "an ndarray of dtype object"),
            (np.asarray([1], dtype="M8[s]"), r"an ndarray of dtype datetime64\[s\]"),
            (np.asarray([1], dtype="m8[s]"), r"an ndarray of dtype timedelta64\[s\]"),
            (np.zeros(1, dtype=[("x", float)]), r"an ndarray of dtype \[\('x', '<f8'\)\]"),
            (pd.Series(["a"]), "a Series of dtype object"),
            (pd.DataFrame({"a": [1.0], "b": ["x"]}), "a DataFrame of dtype object"),
        ],
        ids=lambda given: given if isinstance(given, str) else "",
    )
    def test_no_numbers(self, function: str, name: str, given: Any, came: str) -> None:
        with refused(TypeError, f"{name} is {came}, {NO_NUMBERS}"):
            call(function, **{name: given})

    @each_function
    def test_no_numbers_for_each_library(self, library: Backend, xp: Any, function: str) -> None:
        xp = np if library.is_numpy else xp
        for given in (["xy"], [1, None], object()):
            kind = "a list" if isinstance(given, list) else "an object"
            sentence = f"{FIRST[function]} is {kind}( of dtype .*)?, {NO_NUMBERS}"
            with refused(TypeError, sentence):
                call(function, **{FIRST[function]: given}, xp=xp)

    @pytest.mark.parametrize(
        ("function", "name"),
        [pair for pair in ARRAYS if pair not in BESIDE or pair[1] in ("x2", "segment_ids")],
    )
    def test_none(self, function: str, name: str) -> None:
        with refused(TypeError, f"{name} is a NoneType( of dtype object)?, {NO_NUMBERS}"):
            call(function, **{name: None})

    @each_array
    @pytest.mark.parametrize(
        "given",
        [
            np.ma.masked_array([0.0, 1.0], [True, False]),
            np.ma.masked_array([0.0, 1.0]),
            [[np.ma.masked_array([0.0], [True])]],
            (0.0, np.ma.masked),
        ],
        ids=["masked", "without a mask", "in a list", "in a tuple"],
    )
    def test_masked(self, function: str, name: str, given: Any) -> None:
        with refused(TypeError, f"{name} {MASKED}"):
            call(function, **{name: given})

    @each_array
    @pytest.mark.parametrize(
        "kind", ["csr_array", "csc_matrix", "coo_matrix", "dok_array", "lil_array"]
    )
    def test_sparse(self, function: str, name: str, kind: str) -> None:
        given = getattr(scipy.sparse, kind)(np.eye(2))
        for hidden in (given, [given]):
            with refused(TypeError, f"{name} is a sparse {kind}, {SPARSE}"):
                call(function, **{name: hidden})

    @each_array
    @pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
    def test_sparse_torch(self, function: str, name: str) -> None:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        for given in (torch.eye(2).to_sparse(), torch.eye(2).to_sparse_csr()):
            with refused(TypeError, f"{name} is a sparse Tensor, {SPARSE}"):
                call(function, **{name: given})

    @each_array
    def test_sparse_jax(self, function: str, name: str) -> None:
        jax = pytest.importorskip("jax", reason="JAX is not installed")
        from jax.experimental import sparse

        for kind in (sparse.BCOO, sparse.BCSR):
            with refused(TypeError, f"{name} is a sparse {kind.__name__}, {SPARSE}"):
                call(function, **{name: kind.fromdense(jax.numpy.eye(2))})

    @each_array
    def test_blocks_of_dask(self, function: str, name: str) -> None:
        da = pytest.importorskip("dask.array", reason="Dask is not installed")
        x = da.from_array(np.eye(4), chunks=2)
        with refused(TypeError, f"{name} {MASKED}"):
            call(function, **{name: da.ma.masked_equal(x, 1)})
        with refused(TypeError, f"{name} is a sparse csr_matrix, {SPARSE}"):
            call(function, **{name: x.map_blocks(scipy.sparse.csr_matrix)})

    @each_array
    @pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")
    def test_nested_torch(self, function: str, name: str) -> None:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        ragged = [torch.zeros(2), torch.zeros(3)]
        for layout in (torch.strided, torch.jagged):
            given = torch.nested.nested_tensor(ragged, layout=layout)
            sentence = (
                f"{name} is a nested (Tensor|NestedTensor), whose rows differ in length: "
                "pass a dense array, filled with -inf"
            )
            with refused(TypeError, sentence):
                call(function, **{name: given})

    @each_array
    def test_lists_of_arrays(
        self, library: Backend, array: Array, function: str, name: str
    ) -> None:
        # A list of NumPy's own arrays is as good as one.
        one = array_api_strict.ones(2) if library.is_numpy else array([0.0, 1.0])
        kind = type(one).__name__
        for given in ([one, one], (0.0, [one])):
            sentence = (
                rf"{name} is a (list|tuple) of arrays \({kind}\), which would become a NumPy "
                "array: stack them first"
            )
            with refused(TypeError, sentence):
                call(function, **{name: given})

    @each_array
    @pytest.mark.parametrize(
        ("given", "kind"),
        [
            ([[1, 2], [3]], "list"),
            (((1,), (2, 3)), "tuple"),
            ([[1, 2], []], "list"),
            ([[[1], [2]], [[3], [4, 5]]], "list"),
            ([np.zeros(2), np.zeros(3)], "list"),
            ([1, [2, 3]], "list"),
        ],
        ids=str,
    )
    def test_ragged(self, function: str, name: str, given: Any, kind: str) -> None:
        sentence = (
            f"{name} is a nested {kind}, whose rows differ in length: fill the shorter ones with "
            "what stands for missing entries, such as -inf for exponents"
        )
        with refused(TypeError, sentence):
            call(function, **{name: given})

    def test_ragged_for_each_library(self, library: Backend, xp: Any) -> None:
        with pytest.raises(TypeError, match=r"^a is a nested list, whose rows differ in"):
            logsumexp([[1, 2], [3]], xp=np if library.is_numpy else xp)


class TestRefusedDtypes:
    @each_number
    @pytest.mark.parametrize("dtype", ["float8_e4m3fn", "float8_e5m2", "int4", "uint2"])
    def test_foreign_to_numpy(self, function: str, name: str, dtype: str) -> None:
        ml_dtypes = pytest.importorskip("ml_dtypes")
        with refused(TypeError, f"{name} has dtype {dtype}, {FEW_DIGITS}"):
            call(function, **{name: np.zeros(2, getattr(ml_dtypes, dtype))})

    @each_number
    def test_jax(self, function: str, name: str) -> None:
        jax = pytest.importorskip("jax", reason="JAX is not installed")
        with refused(TypeError, f"{name} has dtype float8_e4m3fn, {FEW_DIGITS}"):
            call(function, **{name: jax.numpy.zeros(2, jax.numpy.float8_e4m3fn)})
        with refused(TypeError, f"{name} is a PRNGKeyArray of dtype key<fry>, {NO_NUMBERS}"):
            call(function, **{name: jax.random.key(0)})

    @each_number
    @pytest.mark.filterwarnings("ignore:ComplexHalf:UserWarning")
    def test_torch(self, function: str, name: str) -> None:
        torch = pytest.importorskip("torch", reason="PyTorch is not installed")
        for dtype in (torch.complex32, torch.float8_e4m3fn, torch.float8_e5m2):
            with refused(TypeError, f"{name} has dtype {dtype}, {FEW_DIGITS}"):
                call(function, **{name: torch.zeros(2, dtype=dtype)})

    @each_pair
    def test_nothing_in_common(self, function: str, name: str) -> None:
        ml_dtypes = pytest.importorskip("ml_dtypes")
        first = FIRST[function]
        sentence = (
            f"{first} has dtype float16 and {name} has dtype bfloat16, which have no dtype in "
            "common: convert one of them"
        )
        one, other = np.zeros(2, np.float16), np.zeros(2, ml_dtypes.bfloat16)
        with refused(TypeError, sentence):
            call(function, **{first: one, name: other})

    @each_pair
    @pytest.mark.parametrize("number", [10**400, -(10**400)], ids=["positive", "negative"])
    def test_number_too_large(self, array: Array, function: str, name: str, number: int) -> None:
        sentence = (
            f"{name} is a number larger than a floating-point number can be: pass its logarithm as "
            "an exponent"
        )
        with refused(TypeError, sentence):
            call(function, **{FIRST[function]: array(ROW), name: number})

    @each_function
    def test_number_alone_too_large(self, function: str) -> None:
        sentence = f"{FIRST[function]} is a number larger than a floating-point number can be: .*"
        with refused(TypeError, sentence):
            call(function, **{FIRST[function]: 10**400})

    def test_large_integers_are_numbers(self, xp: Any) -> None:
        assert float(logsumexp(2**70, xp=np if xp.__name__ == "numpy" else xp)) == 2.0**70

    @each_array
    def test_masked_behind_a_protocol(self, function: str, name: str) -> None:
        class Behind:
            def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
                return np.ma.masked_array([1.0, 2.0], mask=[True, False])

        with refused(TypeError, f"{name} {MASKED}"):
            call(function, **{name: Behind()})

    @pytest.mark.parametrize("axis", [b"\x01", "0", 0.5])
    def test_axes_of_bytes(self, axis: Any) -> None:
        sentence = f"axis must be None, an integer or a tuple of integers, but {axis!r} was given"
        with refused(TypeError, re.escape(sentence)):
            logsumexp([0.0], axis=axis)

    @pytest.mark.parametrize(
        ("function", "name", "value"),
        [
            *((function, "axis", 0) for function in (*REDUCE, *ALONG_ONE)),
            *((function, "axis", (0,)) for function in REDUCE),
            *((function, "keepdims", True) for function in ("logsumexp", "logmeanexp")),
            ("logsumexp", "return_sign", True),
            ("logcumsumexp", "reverse", True),
            ("logcumsumexp", "include_initial", True),
            ("segment_logsumexp", "num_segments", 1),
        ],
    )
    def test_traced(self, function: str, name: str, value: Any) -> None:
        """What shapes or kinds of results depend on must be known while JAX traces."""
        available(Backend.JAX)
        import jax

        given = TAKEN[function] | {FIRST[function]: jax.numpy.asarray(ROW)}
        given = {key: value for key, value in given.items() if key != "where"} | {name: value}
        public = getattr(agnostic_lse, function)
        static = [key for key in given if isinstance(given[key], int | bool | tuple)]
        lists = {key: value for key, value in given.items() if isinstance(value, list)}
        given = {key: jax.numpy.asarray(value) for key, value in lists.items()} | {
            key: value for key, value in given.items() if key not in lists
        }
        # JAX adds a note to the sentence.
        match = (
            rf"^{name} (must be .*, but|is) .*Tracer.*: name it to jax\.jit by static_argnames\."
        )
        others = [key for key in static if key != name]
        with pytest.raises(TypeError, match=match):
            jax.jit(public, static_argnames=others)(**given)
        jax.jit(public, static_argnames=static)(**given)

    @pytest.mark.parametrize("name", ["keepdims", "return_sign"])
    def test_flags_of_wrong_type(self, name: str) -> None:
        value = np.asarray([True, False])
        with refused(
            TypeError, re.escape(f"{name} must be True or False, but {value!r} was given")
        ):
            call("logsumexp", **{name: value})

    def test_masked_tensor(self) -> None:
        available(Backend.TORCH)
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it calls itself a prototype
            masked = torch.masked.masked_tensor(torch.zeros(2), torch.asarray([True, False]))
        with refused(TypeError, f"a {MASKED}"):
            logsumexp(masked)

    @pytest.mark.parametrize(
        ("function", "name"),
        [
            *((function, FIRST[function]) for function in REAL),
            ("logsubexp", "x2"),
            ("logmatmulexp", "b"),
        ],
    )
    def test_complex(self, array: Array, function: str, name: str) -> None:
        sentence = (
            rf"{name} has dtype \S*complex128, but real numbers were expected: take "
            rf"xp\.real\({name}\)"
        )
        with refused(TypeError, sentence):
            call(function, **{name: array([1j, 2.0])})


class TestRefusedTogether:
    @each_beside
    def test_mixed_namespaces(
        self, library: Backend, array: Array, function: str, name: str
    ) -> None:
        # JAX takes NumPy's arrays.
        numpys = library.is_numpy or library is Backend.JAX
        first, other = FIRST[function], array_api_strict if numpys else np
        sentence = (
            rf"All arrays must come from one namespace, but ({first}|{name}) from \S+ and "
            rf"({first}|{name}) from \S+ were given: convert one of them explicitly"
        )
        for one, two in ((first, name), (name, first)):
            taken = TAKEN[function]
            given = {one: array(taken[one]), two: other.asarray(taken[two])}
            with refused(TypeError, sentence):
                call(function, **given)

    @each_beside
    def test_frame_beside_another_namespace(self, function: str, name: str) -> None:
        first = FIRST[function]
        sentence = (
            f"{name} is a Series, which becomes a NumPy array, beside an array from "
            "array_api_strict: convert one of them explicitly"
        )
        given = {first: array_api_strict.asarray(ROW), name: pd.Series(TAKEN[function][name])}
        with refused(TypeError, sentence):
            call(function, **given)

    @each_beside
    @pytest.mark.parametrize("package", ["array_api_strict", "torch"])
    def test_mixed_devices(self, function: str, name: str, package: str) -> None:
        module = pytest.importorskip(package, reason=f"{package} is not installed")
        first, places = FIRST[function], ("cpu", "meta")
        if package == "array_api_strict":
            places = (module.Device("CPU_DEVICE"), module.Device("device1"))
        sentence = (
            rf"All arrays must lie on one device, but ({first}|{name}) on \S+ and "
            rf"({first}|{name}) on \S+ were given: move one of them"
        )
        for here, there in (places, places[::-1]):
            given = {
                first: module.asarray(TAKEN[function][first], device=here),
                name: module.asarray(TAKEN[function][name], device=there),
            }
            with refused(ValueError, sentence):
                call(function, **given)

    @each_function
    def test_another_library_as_xp(self, library: Backend, array: Array, function: str) -> None:
        first, other = FIRST[function], array_api_strict if library.is_numpy else np
        sentence = (
            rf"xp is {other.__name__}, but {first} comes from \S+: leave xp out, or convert the "
            "array"
        )
        with refused(TypeError, sentence):
            call(function, **{first: array(ROW)}, xp=other)

    @each_function
    @pytest.mark.parametrize(
        ("xp", "kind"),
        [("numpy", "a str"), (1, "an int"), (object(), "an object"), (math, "a module")],
    )
    def test_no_namespace_as_xp(self, function: str, xp: Any, kind: str) -> None:
        sentence = f"xp is {kind}, but an array namespace was expected: pass a module such as numpy"
        for given in (ROW, np.asarray(ROW)):
            with refused(TypeError, sentence):
                call(function, **{FIRST[function]: given}, xp=xp)


class TestRefusedShapes:
    @pytest.mark.parametrize(
        ("function", "name"), [pair for pair in PAIRS if pair[0] != "logmatmulexp"]
    )
    def test_no_broadcasting(self, array: Array, function: str, name: str) -> None:
        first, where = FIRST[function], {"where": None} if "where" in TAKEN[function] else {}
        for shapes in (((3,), (2,)), ((2, 3), (2,)), ((2, 3), (3, 3)), ((3,), (0,))):
            came = f"{first} has shape {shapes[0]} and {name} has shape {shapes[1]}"
            one, two = map(array, map(np.ones, shapes))
            with refused(ValueError, f"{re.escape(came)}, which do not broadcast: make them fit"):
                call(function, **{first: one, name: two}, **where)

    @each_reduction
    def test_mask_that_does_not_fit(self, array: Array, function: Function) -> None:
        sentence = (
            r"where has shape \(2,\) and (a|x) has shape \(3,\), which do not broadcast: make "
        )
        with refused(ValueError, f"{sentence}them fit"):
            function(array([1.0, 2.0, 3.0]), where=array(MASK))

    @each_reduction
    @pytest.mark.parametrize(
        ("shape", "mask"),
        [((3,), (1, 3)), ((3,), (2, 3)), ((1,), (3,)), ((), (1,)), ((2, 1), (3,))],
    )
    def test_mask_that_enlarges(
        self, array: Array, function: Function, shape: tuple[int, ...], mask: tuple[int, ...]
    ) -> None:
        sentence = (
            r"where broadcasts to shape \([0-9, ]+\), but (a|x) has shape \([0-9, ]*\): give "
            "where a shape that fits into it"
        )
        with refused(ValueError, sentence):
            function(array(np.zeros(shape)), where=array(np.ones(mask, dtype=bool)))

    @each_reduction
    @pytest.mark.parametrize(
        "values", [[1.0, 0.0], [1, 0], [1j, 0]], ids=["float", "int", "complex"]
    )
    def test_mask_of_numbers(self, array: Array, function: Function, values: list[Any]) -> None:
        sentence = r"where has dtype \S+, but booleans were expected: compare first"
        with refused(TypeError, sentence):
            function(array([1.0, 2.0]), where=array(values))
        with refused(TypeError, sentence):
            function(array([1.0, 2.0]), where=values)


class TestRefusedAxes:
    @pytest.mark.parametrize("function", [*REDUCE, *ALONG_ONE])
    @pytest.mark.parametrize("axis", [1, -2, 10**30])
    def test_out_of_range(self, array: Array, function: str, axis: int) -> None:
        sentence = (
            f"axis {axis} is out of range for an array of 1 dimension: pass an axis from -1 to 0"
        )
        with refused(ValueError, sentence):
            call(function, **{FIRST[function]: array(ROW)}, axis=axis)

    @pytest.mark.parametrize("function", REDUCE)
    def test_one_of_several_out_of_range(self, array: Array, function: str) -> None:
        sentence = "axis 2 is out of range for an array of 2 dimensions: pass an axis from -2 to 1"
        with refused(ValueError, sentence):
            call(function, **{FIRST[function]: array([ROW])}, axis=(0, 2))

    @pytest.mark.parametrize("function", [*REDUCE, "logcumsumexp"])
    @pytest.mark.parametrize("axis", [0, -1])
    def test_of_a_number(self, function: str, axis: int) -> None:
        sentence = f"axis {axis} is out of range for an array of 0 dimensions: pass axis=None"
        plain = {name: 1.0 if name == FIRST[function] else None for name in TAKEN[function]}
        with refused(ValueError, sentence):
            call(function, **plain, axis=axis)

    @pytest.mark.parametrize("function", REDUCE)
    @pytest.mark.parametrize("axis", [(0, -2), (1, 1), [0, 1, 0]], ids=str)
    def test_twice(self, array: Array, function: str, axis: Any) -> None:
        came = re.escape(repr(axis))
        with refused(ValueError, f"axis {came} names an axis more than once: name each one once"):
            call(function, **{FIRST[function]: array([ROW])}, axis=axis)

    @pytest.mark.parametrize("function", [*REDUCE, *ALONG_ONE])
    @pytest.mark.parametrize(
        "axis", [0.5, 0.0, "0", "", (None,), (0.5,), [[0]], {0}, np.asarray([0])], ids=repr
    )
    def test_of_wrong_type(self, array: Array, function: str, axis: Any) -> None:
        kinds = "None, an integer or a tuple of integers"
        if function in ALONG_ONE:
            kinds = "(None or )?an integer"
        with refused(TypeError, f"axis must be {kinds}, but {re.escape(repr(axis))} was given"):
            call(function, **{FIRST[function]: array(ROW)}, axis=axis)

    @pytest.mark.parametrize("function", ALONG_ONE)
    def test_several(self, array: Array, function: str) -> None:
        with refused(TypeError, r"axis must be (None or )?an integer, but \(0,\) was given"):
            call(function, **{FIRST[function]: array(ROW)}, axis=(0,))


class TestRefusedByOneFunction:
    @pytest.mark.parametrize(
        ("ids", "error", "came", "advice"),
        [
            (
                [0],
                ValueError,
                r"shape \(1,\), but x has 2 entries along axis 0",
                "one number for each",
            ),
            (
                [[0, 0]],
                ValueError,
                r"shape \(1, 2\), but x has 2 entries along axis 0",
                "one number .*",
            ),
            (
                [0, 5],
                ValueError,
                "numbers from 0 to 5, but num_segments is 1",
                "numbers below it, .*",
            ),
            (
                [-1, 0],
                ValueError,
                "numbers from -1 to 0, but num_segments is 1",
                "numbers .*, from 0",
            ),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("function", OF_SEGMENTS)
    def test_segment_ids(
        self, function: str, ids: list[Any], error: type[Exception], came: str, advice: str
    ) -> None:
        with refused(error, f"segment_ids has {came}: give {advice}"):
            call(function, segment_ids=ids)

    @pytest.mark.parametrize("number", [2**63, 2**64 - 1, 2**63 + 5])
    def test_large_segment_ids(self, library: Backend, array: Array, number: int) -> None:
        most = 2**63 - 1
        match = (
            rf"^segment_ids has the number {number}, but numbers from 0 to {most} were expected: "
            r"give the numbers of segments\.$"
        )
        if library is not Backend.DASK:  # whose numbers are left out, since they are not known yet
            with pytest.raises(ValueError, match=match):
                call("segment_logsumexp", x=array(ROW), segment_ids=array([0, number], "uint64"))
        with pytest.raises(ValueError, match=match):
            call("segment_logsumexp", x=array(ROW), segment_ids=[0, number])
        with pytest.raises(ValueError, match=rf"^segment_ids has the number {-(10**30)}, but"):
            call("segment_logsumexp", x=array(ROW), segment_ids=[0, -(10**30)])

    @pytest.mark.parametrize("function", OF_SEGMENTS)
    @pytest.mark.parametrize("dtype", ["bool", "float64", "complex128"])
    def test_dtype_of_segment_ids(self, array: Array, function: str, dtype: str) -> None:
        sentence = (
            rf"segment_ids has dtype \S*{dtype}, but integers were expected: convert it to an "
            "integer dtype"
        )
        with refused(TypeError, sentence):
            call(function, x=array(ROW), segment_ids=array([0, 0], dtype))

    @pytest.mark.parametrize(
        ("count", "error", "expected"),
        [
            (1.0, TypeError, "an integer"),
            ("1", TypeError, "an integer"),
            (None, TypeError, "an integer"),
            (-1, ValueError, "a number of at least 0"),
        ],
        ids=str,
    )
    @pytest.mark.parametrize("function", OF_SEGMENTS)
    def test_num_segments(
        self, function: str, count: Any, error: type[Exception], expected: str
    ) -> None:
        sentence = (
            f"num_segments is {count!r}, but {expected} was expected: pass the number of segments"
        )
        with refused(error, sentence):
            call(function, num_segments=count)

    @pytest.mark.parametrize("name", ["a", "b"])
    def test_matrix_of_no_axes(self, array: Array, name: str) -> None:
        sentence = (
            f"{name} is a single number, but an array of at least one axis was expected: add it to "
            "the other argument instead"
        )
        for number in (1.0, array(1.0)):
            with refused(ValueError, sentence):
                call("logmatmulexp", **{name: number})

    @pytest.mark.parametrize(
        ("a", "b"),
        [((2,), (3,)), ((2, 3), (2, 3)), ((2, 2, 2), (3, 2, 2)), ((2, 0), (1, 2))],
        ids=str,
    )
    def test_matrices_that_do_not_multiply(
        self, array: Array, a: tuple[int, ...], b: tuple[int, ...]
    ) -> None:
        sentence = (
            f"a has shape {a} and b has shape {b}, which do not multiply: the last axis of a must "
            "be as long as the last but one of b, and axes before these two must broadcast"
        )
        with refused(ValueError, re.escape(sentence)):
            call("logmatmulexp", a=array(np.zeros(a)), b=array(np.zeros(b)))


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


@pytest.mark.parametrize("order", [("float64", "float32"), ("float32", "float64")])
def test_two_dtypes_in_either_order(order: tuple[str, str]) -> None:
    one, other = (np.asarray([1e30, 0.0], dtype=dtype) for dtype in order)
    for function in (agnostic_lse.logaddexp, agnostic_lse.logsubexp):
        assert function(one, other).dtype == np.float64
    assert agnostic_lse.logsumexp(one, b=other).dtype == np.float64
    assert agnostic_lse.logmeanexp(one, b=np.asarray([1.0, 1.0], order[1])).dtype == np.float64


def test_lazy_containers_are_refused() -> None:
    dask = available_package("dask")
    xr = available_package("xarray")
    lazy = xr.DataArray(dask.array.ones((4, 2), chunks=2), dims=("x", "y"))
    with pytest.raises(TypeError, match=r"^a is a lazy DataArray, .* of \.data or \.to_dask"):
        logsumexp(lazy)
    assert logsumexp(lazy.compute()) == pytest.approx(1 + math.log(8))
