"""Products of matrices of exponentials on every backend."""

from __future__ import annotations

import math
import tracemalloc
from typing import Any

import array_api_compat as compat
import array_api_strict
import mpmath as mp
import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function

from agnostic_lse import _products, logmatmulexp, logsumexp
from tests.backends import Backend, available, make_array, to_numpy
from tests.reference import log_sum, roundoffs

lazy_xp_function(logmatmulexp)

INF, NAN = math.inf, math.nan


@pytest.fixture(params=["by matmul", "term by term"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Multiply small matrices in the way of large ones, too."""
    if request.param == "by matmul":
        monkeypatch.setattr(_products, "_FEW_TERMS", 0)
    return str(request.param)


def close(actual: Any, expected: Any, rtol: float = 1e-15) -> None:
    np.testing.assert_allclose(to_numpy(actual), expected, rtol=rtol, atol=0)


def by_definition(a: Any, b: Any) -> Any:
    return logsumexp(np.asarray(a)[..., :, :, None] + np.asarray(b)[..., None, :, :], axis=-2)


@pytest.mark.usefixtures("way")
class TestValues:
    @pytest.mark.parametrize(
        ("a", "b", "expected"),
        [
            ([[0.0, -40.0]], [[0.0], [0.0]], [[4.248354255291589e-18]]),
            # Largest entries that meet small ones
            ([[0.0, -800.0]], [[-800.0], [0.0]], [[-800 + math.log(2)]]),
            ([[0.0, -5000.0]], [[-9000.0], [5.0]], [[-4995.0]]),
            ([[1e6, -1e6], [0.0, 0.0]], [[-1e6, 0.0], [1e6, 0.0]], None),
            ([[1e308, 0.0]], [[1e308], [0.0]], [[INF]]),
            ([[1e308, 0.0]], [[-1e308], [-3e4]], [[0.0]]),
            ([[-1e308, -1e308]], [[-1e308], [-1e308]], [[-INF]]),
            # Nothing there
            ([[-INF, -INF]], [[1.0], [2.0]], [[-INF]]),
            ([[-INF, 1.0]], [[1.0], [-INF]], [[-INF]]),
            ([[-INF, 1.0], [2.0, -INF]], [[1.0], [-INF]], [[-INF], [3.0]]),
            # Infinite, and unknown
            ([[INF, 1.0], [0.0, 1.0]], [[1.0], [1.0]], [[INF], [2 + math.log1p(math.exp(-1))]]),
            ([[INF, 1.0]], [[-INF], [1.0]], [[NAN]]),
            ([[INF, NAN]], [[1.0], [1.0]], [[NAN]]),
            ([[NAN, 1.0], [1.0, -INF]], [[1.0], [1.0]], [[NAN], [2.0]]),
            ([[-INF, -INF]], [[NAN], [1.0]], [[NAN]]),
        ],
        ids=str,
    )
    def test_special(self, array: Any, a: Any, b: Any, expected: Any) -> None:
        expected = by_definition(a, b) if expected is None else expected
        close(logmatmulexp(array(a), array(b)), expected)

    @pytest.mark.parametrize(
        ("a", "b"),
        [
            ((3, 4), (4, 5)),
            ((4,), (4, 5)),
            ((3, 4), (4,)),
            ((4,), (4,)),
            ((2, 3, 4), (2, 4, 5)),
            ((2, 3, 4), (4, 5)),
            ((3, 4), (6, 2, 4, 5)),
            ((2, 1, 3, 4), (6, 4, 5)),
            ((6, 1, 4), (4,)),
            ((4,), (6, 4, 2)),
            ((1, 1), (1, 1)),
            ((0, 4), (4, 5)),
            ((3, 4), (4, 0)),
            ((3, 0), (0, 2)),
            ((0,), (0,)),
            ((2, 3, 0), (0, 2)),
        ],
        ids=str,
    )
    def test_shapes(self, array: Any, a: tuple[int, ...], b: tuple[int, ...]) -> None:
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=a) * 20, rng.normal(size=b) * 20
        out = logmatmulexp(array(x), array(y))
        with np.errstate(divide="ignore"):
            expected = np.log(np.exp(x) @ np.exp(y))
        assert out.shape == expected.shape
        close(out, expected, rtol=1e-13)

    def test_layouts(self) -> None:
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 14, 9)), rng.normal(size=(9, 10))
        expected = logmatmulexp(a[:, ::-2, ::-1].copy(), b[::-1, 3:].copy())
        close(logmatmulexp(a[:, ::-2, ::-1], b[::-1, 3:]), expected, rtol=1e-14)
        close(logmatmulexp(np.asfortranarray(a), np.asfortranarray(b)), logmatmulexp(a, b), 1e-14)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("scale", [0.01, 1.0, 30.0, 1000.0])
    @pytest.mark.parametrize("kind", ["random", "apart", "near 0", "sparse", "log-probabilities"])
    def test_accuracy(self, array: Any, way: str, kind: str, scale: float, dtype: str) -> None:
        a, b = matrices(kind, scale, dtype)
        out = to_numpy(logmatmulexp(array(a), array(b)))
        assert out.dtype == dtype
        assert worst(a, b, out) <= (4 if way == "by matmul" else 2)

    def test_dtypes(self, xp: Any, library: Backend, array: Any) -> None:
        a, b = [[1, 2], [3, 4]], [[0, 1], [1, 0]]
        expected = by_definition(np.asarray(a, float), np.asarray(b, float))
        default = xp.__array_namespace_info__().default_dtypes()["real floating"]
        for given, result, rtol in (
            ("int64", str(default), 1e-6),
            ("float32", "float32", 1e-6),
            ("float16", "float16", 1e-3),
            ("bfloat16", "bfloat16", 1e-2),
        ):
            if given in ("float16", "bfloat16") and not library.knows(given):
                continue
            out = logmatmulexp(array(a, given), array(b, given))
            assert str(out.dtype).endswith(result)
            close(xp.astype(out, xp.float32), expected, rtol)
        out = logmatmulexp(array(a, "float32"), array(b, "float64"))
        assert out.dtype == xp.float64
        close(out, expected, rtol=1e-14)

    def test_place(self, array: Any) -> None:
        values = np.asarray([[1.0, -800.0], [3.0, 4.0]])
        a = array(values)
        out = logmatmulexp(a, a)
        assert type(out) is type(a)
        assert compat.device(out) == compat.device(a)
        close(a, values)


def matrices(kind: str, scale: float, dtype: str) -> tuple[Any, Any]:
    """Return two matrices of the kind, with k = 40."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(7, 40)) * scale, rng.normal(size=(40, 6)) * scale
    if kind == "apart":  # the largest of each row meet the smallest of each column
        a, b = np.sort(a, axis=1), -np.sort(-b, axis=0)
    if kind == "sparse":
        a[rng.random(a.shape) < 0.8] = -INF
        b[rng.random(b.shape) < 0.8] = -INF
    if kind == "log-probabilities":
        a = a - logsumexp(a, axis=1, keepdims=True)
        b = b - logsumexp(b, axis=1, keepdims=True)
    if kind == "near 0":
        a = a - by_definition(a, b)[:, :1]
    return a.astype(dtype), b.astype(dtype)


def worst(a: Any, b: Any, out: Any) -> float:
    """Return the largest error, in units of roundoff times the condition number."""
    errors = [0.0]
    for i, j in np.ndindex(*out.shape):
        x, y = a[i].astype(float), b[:, j].astype(float)
        there = (x > -INF) & (y > -INF)
        x, y = x[there], y[there]
        if not there.any():
            assert out[i, j] == -INF
            continue
        with mp.workdps(50):
            sums = [mp.mpf(p) + mp.mpf(q) for p, q in zip(x, y, strict=True)]
            peak = max(sums)
            others = sums.copy()
            others.remove(peak)
            true = peak + mp.log1p(mp.fsum(mp.exp(z - peak) for z in others))
            by_terms = mp.fsum(
                mp.exp(z - true) * (abs(p) + abs(q)) for z, p, q in zip(sums, x, y, strict=True)
            )
            size = max(abs(true), by_terms)
        errors.append(roundoffs(float(out[i, j]), true, size, str(out.dtype)))
    return max(errors)


@pytest.mark.parametrize("spread", [1.0, 500.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long(array: Any, dtype: str, spread: float) -> None:
    """Parts of the inner axis, and of the entries to sum anew."""
    rng = np.random.default_rng(0)
    a = (rng.normal(size=(30, 400)) * spread).astype(dtype)
    b = (rng.normal(size=(400, 20)) * spread).astype(dtype)
    out = logmatmulexp(array(a), array(b))
    expected = by_definition(a.astype(np.float64), b.astype(np.float64))
    close(out, expected, rtol=8 * float(np.finfo(dtype).eps))


def test_jax_without_64_bits() -> None:
    """Branches for few and for all entries ask for no integers of 64 bits."""
    available(Backend.JAX)
    import jax

    config: Any = jax.config
    wide = config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    try:
        rng = np.random.default_rng(0)
        for spread in (1.0, 25.0, 500.0):
            a, b = (rng.normal(size=(40, 40)).astype(np.float32) * spread for _ in range(2))
            out = logmatmulexp(jax.numpy.asarray(a), jax.numpy.asarray(b))
            assert out.dtype == "float32"
            close(out, by_definition(a.astype(float), b.astype(float)), 1e-6)
    finally:
        jax.config.update("jax_enable_x64", wide)


def test_blocks_of_the_inner_axis() -> None:
    import dask.array as da

    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 7, 50)) * 100, rng.normal(size=(50, 9)) * 100
    out = logmatmulexp(da.from_array(a, chunks=(1, 3, 8)), da.from_array(b, chunks=(20, 4)))
    assert out.chunks == ((1, 1), (3, 3, 1), (4, 4, 1))
    close(out.compute(), by_definition(a, b), rtol=1e-14)


def test_nan_is_not_lost_among_many(array: Any) -> None:
    a = np.full((2, 3000), 1.0)
    a[0, 3], a[0, 5], a[1, 9] = NAN, INF, NAN
    assert np.all(np.isnan(to_numpy(logmatmulexp(array(a), array(np.zeros((3000, 1)))))))


def test_memory() -> None:
    """Terms are summed in parts no larger than the matrices."""
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=(200, 200)) * 1000 for _ in range(2))
    tracemalloc.start()
    logmatmulexp(a, b)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * a.nbytes  # the terms alone are 200 times as large


def test_hidden_markov_model() -> None:
    """The forward algorithm of another library, on a model with impossible steps."""
    hmm = pytest.importorskip("hmmlearn.hmm", reason="hmmlearn is not installed")
    rng = np.random.default_rng(0)
    model = hmm.GaussianHMM(n_components=4, covariance_type="full", init_params="")
    model.startprob_ = np.asarray([1.0, 0.0, 0.0, 0.0])
    model.transmat_ = np.asarray(
        [[0.5, 0.5, 0.0, 0.0], [0.0, 0.25, 0.75, 0.0], [0.0, 0.0, 0.5, 0.5], [0.5, 0.0, 0.0, 0.5]]
    )
    model.means_ = rng.normal(size=(4, 2)) * 30
    model.covars_ = np.stack([np.eye(2)] * 4)
    x, _ = model.sample(300, random_state=1)
    with np.errstate(divide="ignore"):
        start, transitions = np.log(model.startprob_), np.log(model.transmat_)
    emitted = -0.5 * np.sum((x[:, None] - model.means_) ** 2, axis=2) - math.log(2 * math.pi)
    forward = start + emitted[0]
    for step in emitted[1:]:
        forward = logmatmulexp(forward, transitions) + step
    np.testing.assert_allclose(logsumexp(forward), model.score(x), rtol=1e-13)
    # As a tree of products of matrices instead of a chain of vectors
    steps = transitions + emitted[1:, None, :]
    while len(steps) > 1:
        pairs = logmatmulexp(steps[0 : len(steps) - 1 : 2], steps[1::2])
        steps = np.concatenate([pairs, steps[2 * len(pairs) :]])
    forward = logmatmulexp(start + emitted[0], steps[0])
    np.testing.assert_allclose(logsumexp(forward), model.score(x), rtol=1e-13)


class TestDerivatives:
    @pytest.fixture(params=[Backend.TORCH, Backend.TORCH_CUDA, Backend.JAX], ids=str)
    def library(self, request: pytest.FixtureRequest) -> Backend:
        return available(request.param)

    # A tie, a row that meets a column far off, a row of nothing, and one that is 0 but for e^-40
    A = ((0.5, 0.5, -1.0), (0.0, -900.0, 1.0), (-INF, -INF, -INF), (0.0, -40.0, -INF))
    B = ((0.5, -900.0, 0.0), (0.5, 0.0, 0.0), (1.0, -INF, 0.0))

    @pytest.mark.usefixtures("way")
    def test_first(self, library: Backend) -> None:
        xp = library.namespace()
        a, b = np.asarray(self.A), np.asarray(self.B)
        weights = np.arange(12.0).reshape(4, 3) - 5
        out = by_definition(a, b)
        terms = a[:, :, None] + b[None]
        shares = np.exp(terms - np.where(np.isfinite(out), out, 0.0)[:, None, :])
        shares *= np.where(np.isfinite(out), weights, 0.0)[:, None, :]
        given = make_array(library, xp, weights)

        def weighted(a: Any, b: Any) -> Any:
            out = logmatmulexp(a, b)
            return xp.sum(xp.where(xp.isfinite(out), given * out, 0.0))

        points = make_array(library, xp, a), make_array(library, xp, b)
        if library is Backend.JAX:
            import jax

            by_a, by_b = jax.jit(jax.grad(weighted, argnums=(0, 1)))(*points)
        else:
            import torch

            by_a, by_b = torch.func.grad(weighted, argnums=(0, 1))(*points)
        np.testing.assert_allclose(to_numpy(by_a), shares.sum(2), rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(to_numpy(by_b), shares.sum(0), rtol=1e-13, atol=1e-15)

    @pytest.mark.usefixtures("way")
    def test_finite_differences(self, library: Backend) -> None:
        rng = np.random.default_rng(0)
        xp = library.namespace()
        a, b = rng.normal(size=(2, 3)), rng.normal(size=(3, 2))
        a[0], b[:, 0] = [-300.0, 300.0, 0.0], [300.0, -300.0, 0.0]  # to be summed term by term
        a[0] -= by_definition(a, b)[0, 0]
        points = make_array(library, xp, a), make_array(library, xp, b)
        if library is Backend.JAX:
            from jax.test_util import check_grads

            check_grads(
                lambda *args: logmatmulexp(*map(xp.asarray, args)), points, order=2, eps=1e-4
            )
        else:
            import torch

            for x in points:
                x.requires_grad_()
            assert torch.autograd.gradcheck(logmatmulexp, points, check_forward_ad=True)
            assert torch.autograd.gradgradcheck(logmatmulexp, points)

    @pytest.mark.usefixtures("way")
    def test_vmap(self, library: Backend) -> None:
        xp = library.namespace()
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(3, 4, 5)) * 300, rng.normal(size=(5, 2)) * 300
        points = make_array(library, xp, a), make_array(library, xp, b)
        if library is Backend.JAX:
            import jax

            out = jax.vmap(logmatmulexp, in_axes=(0, None))(*points)
        else:
            import torch

            out = torch.func.vmap(logmatmulexp, in_dims=(0, None))(*points)
        close(out, by_definition(a, b), rtol=1e-14)


@pytest.mark.parametrize(
    ("a", "b", "error", "match"),
    [
        (
            np.zeros((2, 3)),
            np.zeros((2, 3)),
            ValueError,
            r"a has shape \(2, 3\) and b has shape \(2",
        ),
        (
            np.zeros((2, 3)),
            np.zeros(2),
            ValueError,
            r"a has shape .* which do not multiply: the la",
        ),
        (
            np.zeros((4, 2, 3)),
            np.zeros((5, 3, 2)),
            ValueError,
            r"a has shape \(4, 2, 3\) and b has",
        ),
        (1.0, np.zeros((2, 3)), ValueError, r"a is a single number, but an array of at least one "),
        (
            np.zeros(2),
            1.0,
            ValueError,
            r"b is a single number, but an array of at least one axis w",
        ),
        (
            np.zeros((2, 2), complex),
            np.zeros((2, 2)),
            TypeError,
            r"a has dtype complex128, but rea",
        ),
        (
            np.zeros((2, 2)),
            [["x", "y"]] * 2,
            TypeError,
            r"b is a list of dtype <U1, but numbers wer",
        ),
        (np.zeros((2, 2)), None, TypeError, r"b is a NoneType, but numbers were expected: pass a "),
        (
            np.zeros((2, 2)),
            array_api_strict.zeros((2, 2)),
            TypeError,
            r"All arrays must come from one namespace, but a from numpy and b from array_api_stric",
        ),
        (
            np.ma.masked_array([[1.0]], [[True]]),
            np.zeros((1, 1)),
            TypeError,
            r"a is a masked array, whose mask would be dropped: fill it with what masked entries ",
        ),
    ],
    ids=str,
)
def test_refused(a: Any, b: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=f"^{match}"):
        logmatmulexp(a, b)


def test_conditional_probabilities() -> None:
    """A check by meaning: rows of probabilities stay rows of probabilities."""
    assert log_sum(logmatmulexp(np.log([[0.5, 0.5]]), np.log([[0.9, 0.1], [0.2, 0.8]]))[0]) < 1e-15
