"""The GPU kernels: compiled for each architecture, and run on the host."""

from __future__ import annotations

import importlib
import math
import re
import sys
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from agnostic_lse import _logsum
from agnostic_lse._engines import cuda
from tests.backends import lacking
from tests.cuda_emulator import COMPILER, Emulator
from tests.reference import conditioned_size, log_sum, roundoffs

INF, NAN = math.inf, math.nan
TYPES = ("Half", "Bfloat", "float", "double")
DTYPES = ("float16", "bfloat16", "float32", "float64")


class TestCompiled:
    @pytest.mark.parametrize("kind", TYPES)
    @pytest.mark.parametrize("architecture", ["sm_75", "sm_80", "sm_90", "sm_100"])
    def test_without_spills(self, architecture: str, kind: str) -> None:
        try:
            nvrtc: Any = importlib.import_module("cuda.bindings.nvrtc")
        except ImportError:
            lacking("cuda-bindings and nvidia-cuda-nvrtc are not installed")

        def done(result: Any) -> Any:
            outcome, *values = result
            assert outcome == nvrtc.nvrtcResult.NVRTC_SUCCESS, outcome
            return values[0] if values else None

        mine = [variant for variant in cuda.variants() if re.search(rf"<{kind}\b", variant[1])]
        (source, options), *more = {(source, options) for source, _, options in mine}
        assert not more
        try:
            program = done(nvrtc.nvrtcCreateProgram(source.encode(), b"kernels.cu", 0, [], []))
        except RuntimeError as error:
            lacking(f"NVRTC cannot be loaded: {error}")
        for _, name, _ in mine:
            done(nvrtc.nvrtcAddNameExpression(program, name.encode()))
        options = (*options, f"--gpu-architecture={architecture}", "--ptxas-options=-v")
        (outcome,) = nvrtc.nvrtcCompileProgram(
            program, len(options), [option.encode() for option in options]
        )
        log = b" " * done(nvrtc.nvrtcGetProgramLogSize(program))
        done(nvrtc.nvrtcGetProgramLog(program, log))
        text = log.rstrip(b" \0").decode()
        assert outcome == nvrtc.nvrtcResult.NVRTC_SUCCESS, text
        assert "warning" not in text, text
        names = {
            done(nvrtc.nvrtcGetLoweredName(program, name.encode())).decode(): name
            for _, name, _ in mine
        }
        used = re.findall(
            r"properties for (\w+)\n.*?(\d+) bytes spill stores, (\d+) bytes spill loads\n"
            r".*?Used (\d+) registers",
            text,
        )
        assert {symbol for symbol, *_ in used} >= set(names)
        for symbol, stores, loads, registers in used:
            print(f"{architecture} {names[symbol]}: {registers} registers")  # noqa: T201 (a report)
            assert (int(stores), int(loads)) == (0, 0), names[symbol]
        if kind != "double":  # which is slow on most devices
            assembly = b" " * done(nvrtc.nvrtcGetPTXSize(program))
            done(nvrtc.nvrtcGetPTX(program, assembly))
            assert b".f64" not in assembly


# In which order the threads of a block run, as far as its barriers leave that open
ORDERS = pytest.mark.parametrize("gpu", ["forwards", "backwards"], indirect=True)


@pytest.fixture
def gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    if COMPILER is None:
        lacking("g++ is not installed, to run the GPU kernels on the host")
    emulator = Emulator(processors=3)
    emulator.backwards = getattr(request, "param", "forwards") == "backwards"
    monkeypatch.setitem(sys.modules, "cupy", emulator)
    cuda._kernel.cache_clear()
    cuda._processors.cache_clear()
    yield emulator
    assert emulator.is_intact()
    cuda._kernel.cache_clear()
    cuda._processors.cache_clear()


def plain(x: Any) -> np.ndarray[Any, Any]:
    """Return an array as NumPy's, in float32 if it has fewer digits."""
    bare = np.asarray(x).view(np.ndarray)
    return bare.astype(np.float32) if bare.dtype.itemsize == 2 else bare


def rounded(x: Any, dtype: Any) -> np.ndarray[Any, Any]:
    return plain(x.astype(np.float64).astype(dtype))


def exact(x: Any, axes: tuple[int, ...]) -> tuple[Any, Any]:
    """Return the state in extended precision."""
    wide = plain(x).astype(np.longdouble)
    kept = [axis for axis in range(x.ndim) if axis not in axes]
    rows = wide.transpose([*kept, *axes]).reshape(*(x.shape[axis] for axis in kept), -1)
    rows = np.sort(rows, axis=-1)
    peak, others = rows[..., -1], rows[..., :-1]
    with np.errstate(all="ignore"):
        rest = np.exp(others - np.where(np.isinf(peak), 0, peak)[..., None]).sum(axis=-1)
    infinite = np.where(peak > 0, (others == INF).sum(axis=-1), 0)
    rest = np.where(np.isnan(peak), NAN, np.where(np.isinf(peak), infinite, rest))
    shape = tuple(1 if axis in axes else length for axis, length in enumerate(x.shape))
    return peak.reshape(shape), rest.reshape(shape)


def finfo(dtype: Any) -> Any:
    """Return the limits of a dtype, of bfloat16 too."""
    limits: Any = ml_dtypes.finfo
    return limits(dtype)


def roundoff(dtype: Any) -> float:
    return float(finfo(dtype).eps) / 2


def check_lift(x: Any, axes: tuple[int, ...]) -> None:
    assert cuda.serves(x)
    peak, rest, lead, _ = cuda.lift(x, axes)
    assert lead is None
    assert peak.dtype == rest.dtype == (np.float64 if x.dtype == np.float64 else np.float32)
    expected_peak, expected = exact(x, axes)
    np.testing.assert_array_equal(plain(peak), expected_peak)
    # Differences from the peak err by up to u each, relative to themselves; the exponential by 2 u;
    # and the rest by one for its last digit.
    finite = plain(x)[np.isfinite(plain(x))].astype(float)
    spread = min(20.0, np.max(finite) / 2 - np.min(finite) / 2) if finite.size else 0.0
    # Of 16 bits up to 16 terms are added in order.
    bound = roundoff(peak.dtype) * (4 + 2 * spread + 16 * (x.dtype.itemsize == 2))
    np.testing.assert_allclose(plain(rest).astype(np.longdouble), expected, rtol=bound)


def check_normalised(x: Any, axes: tuple[int, ...]) -> None:
    wide = plain(x).astype(np.longdouble)
    peak, rest = exact(x, axes)
    u = roundoff(x.dtype)
    with np.errstate(all="ignore"):
        difference = np.where(wide == peak, np.where(peak == -INF, -INF, 0), wide - peak)
        difference = np.where(np.isnan(peak), NAN, difference)
        logs = difference - np.log1p(rest)
        out = cuda.normalised(x, axes, False)
        assert out.shape == x.shape
        assert out.dtype == x.dtype
        tiny = float(finfo(x.dtype).tiny)
        probabilities = np.exp(difference) / (1 + rest)
        np.testing.assert_allclose(plain(out), probabilities, rtol=5 * u, atol=tiny)
        out = cuda.normalised(x, axes, True)
        assert out.shape == x.shape
        assert out.dtype == x.dtype
        # The condition number: each difference errs in proportion to its size.
        weighted = np.where(probabilities > 0, probabilities * np.abs(difference), 0)
        size = np.abs(difference) + np.log1p(rest) + weighted.sum(axis=axes, keepdims=True)
        close = np.abs(plain(out) - logs) <= 4 * u * size + tiny
        same = (plain(out) == rounded(logs, x.dtype)) | (np.isnan(logs) & np.isnan(plain(out)))
        assert np.all(close | same)


LAYOUTS: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
    ((), ()),
    ((1,), (0,)),
    ((7,), ()),
    ((2, 3), ()),
    ((5, 1), (1,)),
    ((300, 4), (1,)),
    ((300, 3), (1,)),
    ((37, 10), (1,)),
    ((70, 16), (1,)),
    ((19, 29), (1,)),
    ((19, 33), (1,)),
    ((9, 128), (1,)),
    ((5, 500), (1,)),
    ((5, 512), (1,)),
    ((3, 2000), (1,)),
    ((2, 2048), (1,)),
    ((3, 8001), (1,)),
    ((2, 8192), (1,)),
    ((2, 9000), (1,)),
    ((2, 8193), (1,)),
    ((1, 70_001), (1,)),
    ((1, 200_000), (1,)),
    ((3, 600), (0,)),
    ((16, 70), (0,)),
    ((30, 70), (0,)),
    ((33, 70), (0,)),
    ((400, 3), (0,)),
    ((9000, 3), (0,)),
    ((20_000, 3), (0,)),
    ((700, 65), (0,)),
    ((3, 50, 7), (1,)),
    ((3, 5000, 2), (1,)),
    ((4, 5, 6), (0, 2)),
    ((40, 5, 60), (0, 2)),
    ((300, 5, 2), (0, 2)),
    ((3, 4, 5, 6), (1, 3)),
    ((3, 4, 5, 6), (0, 2)),
    ((3, 4, 5, 6), (1, 2)),
    ((3, 4, 5, 6), (0, 3)),
    ((2, 3, 4, 3, 2), (0, 2, 4)),
    ((2, 3, 4, 3, 2), (1, 3)),
    ((40, 300), (0, 1)),
    ((2, 1, 3, 1), (0, 1, 2, 3)),
]


@ORDERS
class TestLayouts:
    @pytest.mark.parametrize(("shape", "axes"), LAYOUTS, ids=str)
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_all(
        self, gpu: Emulator, dtype: str, shape: tuple[int, ...], axes: tuple[int, ...]
    ) -> None:
        rng = np.random.default_rng(math.prod(shape))
        values = (4 * rng.standard_normal(shape)).astype(np.dtype(dtype))
        x = gpu.array(values)
        check_lift(x, axes)
        check_normalised(x, axes)
        np.testing.assert_array_equal(plain(x), plain(values))

    @pytest.mark.parametrize("dtype", DTYPES)
    def test_views(self, gpu: Emulator, dtype: str) -> None:
        rng = np.random.default_rng(1)
        base = gpu.array(rng.standard_normal((4, 35, 40)).astype(dtype))
        views = [
            base.transpose(2, 0, 1),
            base.transpose(1, 0, 2),
            base[::2],
            base[:, ::-1, 3:],
            base[:, :, ::-2],
            base[1:, 3:9, 1:5],
            np.broadcast_to(base[:, :1], (4, 5, 40), subok=True),
            np.broadcast_to(base[0, 0], (3, 2, 40), subok=True),
        ]
        for x in views:
            for axes in ((), (0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)):
                check_lift(x, axes)
                check_normalised(x, axes)

    def test_memory_layout_is_kept(self, gpu: Emulator) -> None:
        x = gpu.array(np.arange(24.0).reshape(2, 3, 4)).transpose(2, 0, 1)
        assert cuda.normalised(x, (0,), False).strides == x.strides

    def test_every_kernel_runs(self, gpu: Emulator) -> None:
        rng = np.random.default_rng(6)
        for dtype in DTYPES:
            for group in cuda._GROUPS:
                for n in (math.prod(group), math.prod(group) - 1):
                    check_normalised(gpu.array(rng.standard_normal((2, n)).astype(dtype)), (1,))
            for group in cuda._COLUMNS:
                x = gpu.array(rng.standard_normal((math.prod(group), 5)).astype(dtype))
                check_normalised(x, (0,))
            for n in (70_000, 70_001):
                check_normalised(gpu.array(rng.standard_normal(n).astype(dtype)), (0,))
                check_normalised(gpu.array(rng.standard_normal(n + 1).astype(dtype))[1:], (0,))
        assert set(gpu.launched) == {name for _, name, _ in cuda.variants()}

    def test_more_blocks_than_a_grid_has(
        self, gpu: Emulator, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(cuda, "_MOST_BLOCKS", 2)
        rng = np.random.default_rng(2)
        for shape, axes in (
            ((3000, 3), (1,)),
            ((7, 9000), (1,)),
            ((300, 500), (0,)),
            ((40, 5, 60), (0, 2)),
            ((2, 700, 3), (0, 2)),
        ):
            x = gpu.array(rng.standard_normal(shape))
            check_lift(x, axes)
            check_normalised(x, axes)


class TestValues:
    @pytest.mark.parametrize("n", [1, 2, 3, 9, 20, 100, 300, 1000, 5000, 10_000, 60_000])
    @pytest.mark.parametrize("dtype", DTYPES)
    @pytest.mark.parametrize("axis", [0, 1])
    def test_special(self, gpu: Emulator, dtype: str, n: int, axis: int) -> None:
        rng = np.random.default_rng(n)
        rows = rng.standard_normal((12, n)).astype(dtype)
        largest = finfo(dtype).max
        rows[0] = -INF
        rows[1, n // 2] = NAN
        rows[2] = NAN
        rows[3, n // 3] = INF
        rows[4, :: max(1, n // 5)] = INF
        rows[5, 0], rows[5, -1] = INF, NAN
        rows[6, :-1] = -INF
        rows[7] = largest
        rows[8] = -largest
        rows[8, -1] = largest
        rows[9] = 0
        rows[10] = INF
        rows[11, ::2] = -INF
        x = gpu.array(rows if axis == 1 else np.ascontiguousarray(rows.T))
        check_lift(x, (axis,))
        check_normalised(x, (axis,))

    @pytest.mark.parametrize("n", [2, 30, 1000, 9000, 100_000])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_peak_stays_out_of_rest(self, gpu: Emulator, dtype: str, n: int) -> None:
        for place, other in ((0, n - 1), (n - 1, 0), (n // 2, n // 2 - 1)):
            values = np.full((1, n), -INF, dtype)
            values[0, place], values[0, other] = 0, -40
            for x, axis in ((values, 1), (np.repeat(values.T, 3, axis=1), 0)):
                state = cuda.lift(gpu.array(x), (axis,))
                np.testing.assert_allclose(plain(state.rest), math.exp(-40), rtol=1e-7)

    @pytest.mark.parametrize("order", ["ascending", "descending", "mixed"])
    @pytest.mark.parametrize("scale", [0.0, 1e-5, 1e-2, 1.0, 30.0])
    @pytest.mark.parametrize("n", [1000, 50_000, 400_000])
    def test_long_sums(
        self,
        gpu: Emulator,
        monkeypatch: pytest.MonkeyPatch,
        n: int,
        scale: float,
        order: str,
    ) -> None:
        """A peak that climbs by less than a roundoff at a time must not drift."""
        monkeypatch.setattr(cuda, "_BLOCKS_AT_ONCE", 1)  # so that each thread has many terms
        rng = np.random.default_rng(3)
        values = np.sort((scale * rng.random(n)).astype(np.float32))
        values = {
            "ascending": values,
            "descending": values[::-1],
            "mixed": rng.permutation(values),
        }[order]
        for x in (gpu.array(values), gpu.array(np.repeat(values[:, None], 2, axis=1))):
            rest = cuda.lift(x, (0,)).rest
            expected = exact(x, (0,))[1]
            # Of the order of the error of one exponential, weighted as the condition number does
            off = np.max(np.abs(plain(rest) / expected - 1)) / roundoff(np.float32)
            assert off <= 4 + min(scale, 2.0)

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_bound(self, gpu: Emulator, dtype: str) -> None:
        rng = np.random.default_rng(4)
        for n in (2, 5, 40, 300):
            for scale in (1e-6, 1e-2, 1.0, 30.0):
                values = (scale * rng.standard_normal((4, n))).astype(dtype)
                values[1::2] -= np.asarray(
                    [float(log_sum(row.tolist())) for row in values[1::2]], dtype
                )[:, None]
                peak, rest, *_ = cuda.lift(gpu.array(values), (1,))
                out = plain(peak) + np.log1p(plain(rest).astype(float)).astype(dtype)
                for row, actual in zip(values.tolist(), out, strict=True):
                    size = conditioned_size(row)
                    assert roundoffs(actual.item(), log_sum(row), size, dtype) <= 4

    def test_twenty_million_terms(self, gpu: Emulator) -> None:
        x = np.broadcast_to(gpu.array(np.zeros(1, np.float32)), (20_000_000,), subok=True)
        assert plain(cuda.lift(x, (0,)).rest) == 19_999_999

    def test_as_the_reference(self, gpu: Emulator) -> None:
        import array_api_compat as compat

        values = np.random.default_rng(5).standard_normal((20, 30))
        state = _logsum.lift(compat.array_namespace(values), values, (1,))
        mine = cuda.lift(gpu.array(values), (1,))
        np.testing.assert_array_equal(plain(mine.peak), state.peak)
        np.testing.assert_allclose(plain(mine.rest), state.rest, rtol=1e-14)


class TestServes:
    def test_what(self, gpu: Emulator) -> None:
        assert cuda.serves(gpu.array(np.ones(3, np.float16)))
        assert not cuda.serves(gpu.array(np.ones(3, int)))
        assert not cuda.serves(gpu.array(np.ones((0, 3))))
        assert not cuda.serves(np.ones(3))
        pair = gpu.array(np.zeros(9, np.uint8))[1:9].view(np.float32)
        assert not cuda.serves(pair)


def test_nothing_of_cupy_is_imported() -> None:
    assert not cuda.serves(np.ones(3))
    assert "cupy" not in sys.modules or sys.modules["cupy"].__spec__ is not None
