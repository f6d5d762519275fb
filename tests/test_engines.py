"""Tiles, threads and kernels: the same sums, whichever way they go."""

from __future__ import annotations

import importlib
import itertools
import math
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import agnostic_lse
from agnostic_lse import _logsum, log_softmax, logcumsumexp, logmeanexp, logsumexp, softmax
from agnostic_lse._engines import host, plain, threads, tiles
from agnostic_lse._engines.choice import Kind
from agnostic_lse._state import State
from tests.backends import Backend, available, lacking
from tests.cuda_emulator import COMPILER
from tests.reference import needs_long_double

FUNCTIONS = (logsumexp, logmeanexp, softmax, log_softmax, logcumsumexp)
INF, NAN = float("inf"), float("nan")


@pytest.fixture(params=["off", "host"])
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Choose no kernels, and those for host memory."""
    if request.param == "host":
        available(Backend.NUMPY_KERNELS)
    with agnostic_lse.kernels(request.param):
        yield request.param


def run(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class TestThreads:
    def test_number(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AGNOSTIC_LSE_NUM_THREADS", "OMP_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)
        if hasattr(os, "sched_getaffinity"):
            assert threads.number_of_threads() == len(os.sched_getaffinity(0))
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        monkeypatch.setenv("OMP_NUM_THREADS", "3,2")
        assert threads.number_of_threads() == 3
        monkeypatch.setenv("AGNOSTIC_LSE_NUM_THREADS", "5")
        assert threads.number_of_threads() == 5
        monkeypatch.setenv("AGNOSTIC_LSE_NUM_THREADS", "99")
        assert threads.number_of_threads() == 8

    @pytest.mark.parametrize("number", ["0", "-1", "many"])
    def test_wrong_number(self, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
        monkeypatch.setenv("AGNOSTIC_LSE_NUM_THREADS", number)
        with pytest.raises(ValueError) as error:  # noqa: PT011 (the sentence is compared below)
            threads.number_of_threads()
        assert str(error.value) == (
            f"AGNOSTIC_LSE_NUM_THREADS is {number!r}, but a positive number was expected: "
            "unset it to use all processors."
        )

    @pytest.mark.parametrize("number", ["1", "2", "7"])
    def test_each_once(self, monkeypatch: pytest.MonkeyPatch, number: str) -> None:
        monkeypatch.setenv("AGNOSTIC_LSE_NUM_THREADS", number)
        seen: list[int] = []
        threads.run(seen.append, 1000)
        assert sorted(seen) == list(range(1000))

    def test_several_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AGNOSTIC_LSE_NUM_THREADS", "2")
        together = threading.Barrier(2, timeout=30)  # which two threads must reach
        threads.run(lambda _: [together.wait()].clear(), 2)

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
    def test_failure_stops_soon(
        self, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
    ) -> None:
        monkeypatch.setenv("AGNOSTIC_LSE_NUM_THREADS", "2")
        working: set[int] = set()
        seen: list[int] = []

        def task(number: int) -> None:
            working.add(number)
            seen.append(number)
            try:
                if number == 3:
                    raise error
            finally:
                working.remove(number)

        with pytest.raises(error):
            threads.run(task, 10_000)
        assert not working
        assert len(seen) < 10_000
        threads.run(seen.append, 10)  # and nothing is left behind

    def test_silence_is_the_callers(self) -> None:
        with np.errstate(divide="ignore"):
            threads.run(lambda _: [np.log(np.zeros(3))].clear(), 50)

    def test_nested(self) -> None:
        seen: list[int] = []
        threads.run(lambda i: threads.run(lambda k: seen.append(10 * i + k), 10), 10)
        assert sorted(seen) == list(range(100))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
    def test_after_fork(self) -> None:
        script = """
import os, numpy as np, agnostic_lse
os.environ["AGNOSTIC_LSE_NUM_THREADS"] = "3"
x = np.arange(1e6)
before = agnostic_lse.logsumexp(x)
child = os.fork()
if child == 0:
    os._exit(int(agnostic_lse.logsumexp(x) != before))
print(os.waitpid(child, 0)[1])
"""
        # Python 3.12 warns of a fork where there are threads.
        assert run("import warnings; warnings.simplefilter('ignore')\n" + script) == "0"

    def test_when_the_interpreter_exits(self) -> None:
        script = """
import atexit, threading, numpy as np, agnostic_lse
x = np.zeros(2 * 10**6)
atexit.register(lambda: print(agnostic_lse.logsumexp(x)))
threading._register_atexit(lambda: print(agnostic_lse.logsumexp(x)))
"""
        assert run(script, AGNOSTIC_LSE_NUM_THREADS="3").split() == [str(np.log(2 * 10**6))] * 2

    @pytest.mark.parametrize("shape", [(300_000,), (600, 500), (7, 40_000), (40_000, 7)])
    def test_results_do_not_depend_on_them(
        self, monkeypatch: pytest.MonkeyPatch, kind: str, shape: tuple[int, ...]
    ) -> None:
        assert kind
        monkeypatch.setattr(os, "cpu_count", lambda: 8)
        x = np.random.default_rng(0).normal(size=shape)
        for axis, function in itertools.product(range(len(shape)), FUNCTIONS):
            found = []
            for number in ("1", "2", "5"):
                monkeypatch.setenv("AGNOSTIC_LSE_NUM_THREADS", number)
                found.append(np.asarray(function(x, axis=axis)).tobytes())
            assert len(set(found)) == 1, function

    def test_many_callers(self, kind: Kind) -> None:
        assert kind
        rng = np.random.default_rng(0)
        given = [rng.normal(size=shape) for shape in ((200_000,), (400, 400), (100_000, 3), (5, 2))]
        expected = [[function(x, axis=0) for function in FUNCTIONS] for x in given]
        wrong: list[str] = []

        def call(seed: int) -> None:
            with agnostic_lse.kernels(kind):
                for i in np.random.default_rng(seed).permutation(len(given) * len(FUNCTIONS)):
                    k, f = divmod(int(i), len(FUNCTIONS))
                    if not np.array_equal(FUNCTIONS[f](given[k], axis=0), expected[k][f]):
                        wrong.append(FUNCTIONS[f].__name__)

        callers = [threading.Thread(target=call, args=(seed,)) for seed in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        assert not wrong


class TestChoice:
    def test_unknown(self) -> None:
        with pytest.raises(ValueError) as error:  # noqa: PT011 (compared below)
            agnostic_lse.kernels("fast").__enter__()  # type: ignore[arg-type]  # to be refused
        assert str(error.value) == (
            "kernels are 'fast', but one of auto, off, host, cuda was expected."
        )

    def test_by_environment(self) -> None:
        script = "import agnostic_lse; agnostic_lse.show_config()"
        assert "kernels: off" in run(script, AGNOSTIC_LSE_KERNELS="off")

    def test_configuration_as_a_dictionary(self) -> None:
        script = """
import json, sys, agnostic_lse
config = agnostic_lse.show_config("dicts")
json.dumps(config)
print([m for m in config["libraries"] if m in sys.modules and m != "numpy"])
print([m for m, of in config["libraries"].items() if of["devices"]])
print(config["kernels"], config["threads"], config["libraries"]["numpy"])
"""
        out = run(script, AGNOSTIC_LSE_KERNELS="host", AGNOSTIC_LSE_NUM_THREADS="1").splitlines()
        assert out[:2] == ["[]", "['numpy']"]
        assert out[2] == f"host 1 {{'version': {np.__version__!r}, 'devices': ['cpu']}}"

    def test_libraries_without_devices(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fails() -> None:
            raise RuntimeError("Unable to initialize backend")

        runtime = SimpleNamespace(getDeviceCount=fails)
        cupy = SimpleNamespace(__version__="13.0", cuda=SimpleNamespace(runtime=runtime))
        monkeypatch.setitem(sys.modules, "cupy", cupy)
        monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(__version__="1.0", devices=fails))
        libraries = agnostic_lse.show_config("dicts")["libraries"]
        assert libraries["cupy"] == {"version": "13.0", "devices": []}
        assert libraries["jax"] == {"version": "1.0", "devices": []}

    def test_unknown_mode(self) -> None:
        with pytest.raises(ValueError, match=r"^mode is 'json', but 'stdout' or 'dicts' was "):
            agnostic_lse.show_config("json")  # type: ignore[call-overload]  # what is tested

    @pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the driver has another name")
    @pytest.mark.parametrize("fails", [0, 9])
    def test_gpus(self, fails: int, tmp_path: Path) -> None:
        """A library with NVML's functions, where its driver's would be."""
        if COMPILER is None:
            lacking("there is no compiler of C++")
        source = tmp_path / "nvml.cpp"
        source.write_text(f"""
#include <cstring>
extern "C" {{
int nvmlInit_v2() {{ return {fails}; }}
int nvmlShutdown() {{ return 0; }}
int nvmlDeviceGetCount_v2(unsigned *count) {{ *count = 3; return 0; }}
int nvmlDeviceGetHandleByIndex_v2(unsigned i, void **device) {{
    *device = (void *)(0x123456789abc0000ul + i);
    return i == 1 ? 4 : 0;  // of which this process may not know
}}
int nvmlDeviceGetName(void *device, char *name, unsigned length) {{
    if (length < 96) return 7;
    strcpy(name, device == (void *)0x123456789abc0002ul ? "GPU two" : "GPU zero");
    return 0;
}}
int nvmlSystemGetDriverVersion(char *version, unsigned length) {{
    strcpy(version, "570.1");
    return length < 80 ? 7 : 0;
}}
}}
""")
        library = tmp_path / "libnvidia-ml.so.1"
        subprocess.run([COMPILER, "-shared", "-fPIC", source, "-o", library], check=True)
        script = """
import agnostic_lse
config = agnostic_lse.show_config("dicts")
print(config["gpus"], config["gpu_driver"])
agnostic_lse.show_config()
"""
        out = run(script, LD_LIBRARY_PATH=str(tmp_path))
        if fails:
            assert out.startswith("[] None\n")
            assert "GPUs of NVIDIA: none found\n" in out
        else:
            assert out.startswith("['GPU zero', 'GPU two'] 570.1\n")
            assert "GPUs of NVIDIA: GPU zero, GPU two (driver 570.1)\n" in out

    def test_nested(self) -> None:
        from agnostic_lse._engines.choice import chosen

        with agnostic_lse.kernels("off"):
            with agnostic_lse.kernels("host"):
                assert chosen() == "host"
            assert chosen() == "off"

    def test_nothing_is_loaded_for_small_arrays(self) -> None:
        script = """
import sys, numpy as np, agnostic_lse
agnostic_lse.logsumexp(np.zeros(1000)), agnostic_lse.softmax(np.zeros(1000))
print("numba" in sys.modules)
with agnostic_lse.kernels("off"):
    agnostic_lse.logsumexp(np.zeros(2 * 10**6))
print("numba" in sys.modules)
"""
        assert run(script).split() == ["False", "False"]

    def test_without_numba(self) -> None:
        script = """
import sys
sys.modules["numba"] = None
import numpy as np, agnostic_lse
print(agnostic_lse.logsumexp(np.zeros(2 * 10**6)))
agnostic_lse.show_config()
"""
        out = run(script)
        assert out.startswith(str(np.log(2 * 10**6)))
        assert "Numba, for kernels in host memory: not there" in out

    def test_without_a_cache(self) -> None:
        """Numba raises where it finds no directory to write to."""
        available(Backend.NUMPY_KERNELS)
        script = """
import numba.core.caching as caching
caching.CacheImpl._locator_classes = []
import numpy as np, agnostic_lse
with agnostic_lse.kernels("host"):
    print(agnostic_lse.logsumexp(np.zeros(1000)))
"""
        assert run(script) == str(np.log(1000))


@st.composite
def views(draw: Any) -> tuple[Any, tuple[int, ...]]:
    """Draw an array of any strides, and axes."""
    shape = draw(array_shapes(min_dims=1, max_dims=4, max_side=9))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    width: Any = 32 if dtype == "float32" else 64
    numbers = st.one_of(st.floats(-800, 800, width=width), st.sampled_from([INF, -INF, NAN, 0.0]))
    x = draw(arrays(dtype, tuple(2 * n for n in shape), elements=numbers))
    step = st.sampled_from([slice(None), slice(None, None, 2), slice(None, None, -1)])
    x = x[tuple(draw(step) for _ in shape)].transpose(draw(st.permutations(range(len(shape)))))
    if draw(st.integers(0, 3)) == 0:  # an axis on which the array repeats itself
        repeated = draw(st.integers(0, x.ndim - 1))
        one = tuple(slice(1) if axis == repeated else slice(None) for axis in range(x.ndim))
        x = np.broadcast_to(x[one], x.shape)
    count = draw(st.integers(1, x.ndim))
    return x, tuple(draw(st.permutations(range(x.ndim)))[:count])


class TestWays:
    """Each way to the state of a sum, beside the one they all stand for."""

    @pytest.fixture(autouse=True)
    def compiled(self) -> None:
        available(Backend.NUMPY_KERNELS)

    @settings(max_examples=300, deadline=None)
    @given(views())
    def test_states(self, drawn: tuple[Any, tuple[int, ...]]) -> None:
        x, axes = drawn
        with np.errstate(all="ignore"):
            expected = _logsum.lift(np, x, axes)
            for way in (host.lift, host.lift_copy, plain.lift):
                state = way(x, axes)
                if state is not None:
                    self.assert_same(state, expected)

    @needs_long_double
    @settings(max_examples=300, deadline=None)
    @given(views(), st.booleans())
    def test_entries(self, drawn: tuple[Any, tuple[int, ...]], logarithm: bool) -> None:
        x, axes = drawn
        function = log_softmax if logarithm else softmax
        expected = function(x.astype(np.longdouble), axis=axes).astype(x.dtype)
        with np.errstate(all="ignore"):
            for way in (host.normalised, host.normalised_copy, plain.normalised):
                out = way(x, axes, logarithm)
                if out is not None:
                    # Terms below the normal numbers are rounded to whole ones of these.
                    smallest = 100 * float(np.finfo(x.dtype).smallest_subnormal)
                    # Differences of up to 1600 are rounded.
                    rtol = 1600 * float(np.finfo(x.dtype).eps)
                    np.testing.assert_allclose(out, expected, rtol=rtol, atol=smallest)

    def assert_same(self, state: Any, expected: Any) -> None:
        np.testing.assert_array_equal(state.peak, expected.peak)
        # Where the peak is nan, so is the value, whatever the rest.
        there = ~np.isnan(expected.peak)
        rest, true = state.rest[there], expected.rest[there]
        unit, tiny = (
            float(getattr(np.finfo(rest.dtype), name)) for name in ("eps", "smallest_subnormal")
        )
        # Terms far below the peak are added in other orders.
        rtol = np.where(true > 0.01, 8, 100) * unit
        assert np.all(np.abs(rest - true) <= rtol * true + 100 * tiny)

    @pytest.mark.parametrize("shape", [(1, 9), (1,), (3, 9)])
    def test_backwards(self, shape: tuple[int, ...]) -> None:
        x = np.zeros(shape)[::-1]
        with agnostic_lse.kernels("host"):
            np.testing.assert_allclose(softmax(x), 1 / x.size)
            np.testing.assert_allclose(logsumexp(x), np.log(x.size), atol=1e-15)

    @needs_long_double
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize(
        "n", [1, 3, 8, 9, 16, 17, 63, 64, 65, 127, 128, 300, 8192, 8200, 40_000, 70_001]
    )
    @pytest.mark.parametrize("layout", ["rows", "columns", "few columns", "one sum"])
    def test_lengths(self, layout: str, n: int, dtype: str) -> None:
        """Rows and columns of lengths at which the kernels change their ways."""
        rng = np.random.default_rng(n)
        shape, axis = {
            "rows": ((70, n), 1),
            "columns": ((n, 70), 0),
            "few columns": ((n, 3), 0),
            "one sum": ((n,), 0),
        }[layout]
        x = (rng.normal(size=shape) * rng.choice([0.1, 1, 30])).astype(dtype)
        with np.errstate(all="ignore"):
            expected = _logsum.lift(np, x.astype(np.longdouble), (axis,))
            state = host.lift(x, (axis,))
            out = host.normalised(x, (axis,), False)
            for found in (state or host.lift_copy(x, (axis,)), plain.lift(x, (axis,))):
                assert found is not None
                self.assert_same(found, expected)
        if out is not None:
            true = softmax(x.astype(np.longdouble), axis=axis)
            np.testing.assert_allclose(out, true, rtol=8 * float(np.finfo(dtype).eps), atol=1e-37)

    @needs_long_double
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("n", [1, 2, 7, 8, 9, 15, 16, 17, 100, 127, 128, 129])
    @pytest.mark.parametrize("rows", [(1, 1), (1, 64), (1, 129), (3, 1), (150, 2), (3, 100)])
    def test_rows_beside_unusual_ones(self, rows: tuple[int, int], n: int, dtype: str) -> None:
        """Rows are taken many at once, and each stays by itself."""
        rng = np.random.default_rng(n)
        x = rng.normal(size=(rows[0], rows[1] + 1, n)).astype(dtype)[:, :-1]
        usual = x.copy()
        odd = rng.random(rows) < 0.1
        odd[0, 0] = True
        at = np.nonzero(odd)
        x[(*at, rng.integers(n, size=len(at[0])))] = rng.choice([INF, -INF, NAN, -900], len(at[0]))
        x[(*(place[::3] for place in at),)] = -INF
        with np.errstate(all="ignore"):
            for of, there in ((usual, ~odd), (x, odd)):
                found = host.lift(x, (2,))
                assert found is not None
                states = found, _logsum.lift(np, of.astype(np.longdouble), (2,))
                self.assert_same(*(State(*(part[there] for part in state[:2])) for state in states))
                eps = float(np.finfo(dtype).eps)
                for logarithm, function in ((False, softmax), (True, log_softmax)):
                    entries = host.normalised(x, (2,), logarithm)[there]
                    true = function(of.astype(np.longdouble), axis=2)[there]
                    np.testing.assert_allclose(entries, true, rtol=8 * eps, atol=8 * eps)
                sums = host.log_sum(x, (2,))[there]
                true = logsumexp(of.astype(np.longdouble), axis=2, keepdims=True)[there]
                np.testing.assert_allclose(sums, true, rtol=8 * eps, atol=8 * eps)


class TestNarrow:
    """Arrays of many short runs, of which NumPy's steps take a copy."""

    @needs_long_double
    @pytest.mark.parametrize(
        "shape", [(50, 30), (64, 64), (200, 10), (3, 200, 10), (200, 1, 10), (20, 20, 20), (500, 3)]
    )
    def test_all_axes(self, shape: tuple[int, ...]) -> None:
        x = np.random.default_rng(0).normal(size=shape) * 30
        for count in range(1, len(shape) + 1):
            for axes in itertools.combinations(range(len(shape)), count):
                expected = _logsum.lift(np, x, axes)
                state = plain.lift(x, axes)
                assert state is not None
                np.testing.assert_array_equal(state.peak, expected.peak)
                np.testing.assert_allclose(state.rest, expected.rest, rtol=2e-15)
                for logarithm, function in ((False, softmax), (True, log_softmax)):
                    out = plain.normalised(x, axes, logarithm)
                    true = function(x.astype(np.longdouble), axis=axes)
                    np.testing.assert_allclose(out, true, rtol=1e-14)
                    np.testing.assert_allclose(plain.normalised(x, axes, logarithm, state), out)
                    assert out.flags.c_contiguous

    @pytest.mark.parametrize("odd", [INF, -INF, NAN])
    def test_infinite_peaks_are_left_to_others(self, odd: float) -> None:
        x = np.zeros((200, 10))
        x[3] = odd
        with np.errstate(all="ignore"):
            assert plain.lift(x, (1,)) is None
            assert plain.normalised(x, (1,), False) is None
            state = _logsum.lift(np, x, (1,))
            assert plain.normalised(x, (1,), True, state) is None


class TestManySmallTerms:
    """Terms below the leading digits of the peak's, of which many make most of a sum."""

    @needs_long_double
    @pytest.mark.parametrize("kind", ["host", "off"])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    @pytest.mark.parametrize("n", [500, 3072, 32_768])
    def test_are_not_rounded_in_order(self, n: int, dtype: str, kind: Kind) -> None:
        if kind == "host":
            available(Backend.NUMPY_KERNELS)
        eps = float(np.finfo(dtype).eps)
        for peak in np.random.default_rng(n).uniform(0.9, 1.3, 20) * -np.log(eps) / 2:
            x = np.zeros(n, dtype)
            x[0] = peak
            true = 1 / (np.exp(np.longdouble(x[0])) + (n - 1))
            with agnostic_lse.kernels(kind):
                assert abs(softmax(x)[1] / true - 1) < 2.5 * eps
                assert abs(logsumexp(x) / -np.log(true) - 1) < 2 * eps


LARGEST = np.finfo(float).max


class TestLargestNumber:
    """It stands for infinity in differences, but beside one it counts for nothing."""

    @pytest.mark.parametrize("shape", [(600_000,), (63, 2, 16), (5000, 3)])
    def test_beside_infinity(self, kind: str, shape: tuple[int, ...]) -> None:
        assert kind
        x = np.zeros(shape)
        x.flat[5], x.flat[-5] = LARGEST, INF
        assert softmax(x).flat[-5] == 1
        assert log_softmax(x).flat[-5] == 0
        b = np.ones(shape)
        b.flat[5] = -1
        assert logsumexp(x, b=b, return_sign=True) == (INF, 1)
        assert logmeanexp(x, b=b) == INF


class TestViews:
    """Arrays of PyTorch, seen as NumPy's by kernels, and where they are small by NumPy."""

    @pytest.fixture(autouse=True, params=["host", "auto"])
    def compiled(self, request: pytest.FixtureRequest) -> Iterator[None]:
        if request.param == "host":
            available(Backend.NUMPY_KERNELS)
        with agnostic_lse.kernels(request.param):
            yield

    @pytest.fixture
    def torch(self) -> Any:
        available(Backend.TORCH)
        return importlib.import_module("torch")

    def test_no_dimensions(self, torch: Any) -> None:
        assert logsumexp(torch.tensor(1.0)) == 1

    def test_they_stay_arrays_of_their_own(self, torch: Any) -> None:
        x = torch.tensor([[0.0, -40.0], [-math.inf, -math.inf]], dtype=torch.float64)
        before = x.clone()
        for function in (logsumexp, log_softmax, softmax):
            out = function(x, axis=1)
            assert type(out) is torch.Tensor
            out += 1  # which is nobody else's
            assert torch.equal(x, before)

    @pytest.mark.parametrize("axis", [0, 1, 2, (0, 1)])
    def test_sums_may_be_reshaped_without_a_copy(self, torch: Any, axis: Any) -> None:
        """As they may while derivatives are taken: a program must not fail only without."""
        for order in itertools.permutations(range(3)):
            x = torch.arange(60.0).reshape(3, 4, 5).permute(order)
            logsumexp(x.requires_grad_(), axis=axis).view(-1)
            logsumexp(x.detach(), axis=axis).view(-1)

    def test_repeated(self, torch: Any) -> None:
        x = torch.arange(5.0).expand(3, 5)
        for axis in (0, 1):
            assert torch.allclose(softmax(x, axis=axis), torch.softmax(x, axis))

    def test_zeros_without_memory(self, torch: Any) -> None:
        assert logsumexp(torch._efficientzerotensor((4,))) == math.log(4)

    def test_traced(self, torch: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # PyTorch deprecates its tracing
            traced = torch.jit.trace(logsumexp, (torch.zeros(4),), check_trace=False)
        assert traced(torch.ones(4)) == logsumexp(torch.ones(4))

    def test_derivatives_are_not_lost(self, torch: Any) -> None:
        x = torch.arange(5.0, requires_grad=True)
        logsumexp(x).backward()
        assert torch.allclose(x.grad, torch.softmax(x.detach(), 0))
        grad = torch.func.grad(lambda x: logsumexp(x))(x.detach())
        assert torch.allclose(grad, x.grad)
        _, tangent = torch.func.jvp(logsumexp, (x.detach(),), (torch.ones(5),))
        assert torch.allclose(tangent, torch.tensor(1.0))

    @pytest.mark.parametrize("function", [logsumexp, log_softmax, softmax, logmeanexp])
    def test_constants_of_a_derivative(self, torch: Any, function: Any) -> None:
        """Of arrays that are no argument themselves PyTorch makes ones without memory, too."""
        x = torch.arange(5.0)
        grad = torch.func.grad(lambda factor: (factor * function(x)).sum())
        assert torch.allclose(grad(torch.tensor(2.0)), function(x).sum())

    def test_jax(self) -> None:
        available(Backend.JAX)
        jax = importlib.import_module("jax")
        x = jax.numpy.arange(5.0)
        assert isinstance(logsumexp(x), jax.Array)
        assert np.allclose(jax.grad(logsumexp)(x), jax.nn.softmax(x))
        assert np.allclose(jax.jit(softmax)(x), jax.nn.softmax(x))


@pytest.mark.parametrize(("choice", "taken"), [("auto", True), ("off", False), ("cuda", False)])
def test_numpy_takes_small_arrays_of_torch(
    choice: Kind, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    available(Backend.TORCH)
    torch = importlib.import_module("torch")
    found: list[str] = []

    def noted(name: str) -> None:
        way = getattr(plain, name)

        def call(*arguments: Any) -> Any:
            found.append(name)
            return way(*arguments)

        monkeypatch.setattr(plain, name, call)

    noted("lift")
    noted("normalised")
    with agnostic_lse.kernels(choice):
        for function in (logsumexp, log_softmax, softmax):
            function(torch.zeros(3))
    assert found == (["lift", "normalised", "normalised"] if taken else [])


class TestTiles:
    @settings(max_examples=200, deadline=None)
    @given(array_shapes(min_dims=1, max_dims=4, max_side=40), st.data())
    def test_cut_covers_all_once(self, shape: tuple[int, ...], data: st.DataObject) -> None:
        axes = tuple(data.draw(st.sets(st.integers(0, len(shape) - 1))))
        x = np.zeros(shape, order=data.draw(st.sampled_from(["C", "F"])))
        parts = tiles.cut(x, axes)
        for place in itertools.chain(*parts):
            assert x[place].size <= tiles.SIZE
            x[place] += 1
        assert np.all(x == 1)
        for part in parts:  # each has the same sums
            kept = {str([p for a, p in enumerate(place) if a not in axes]) for place in part}
            assert len(kept) == 1

    def test_inputs_are_left_alone(self, kind: str) -> None:
        assert kind
        x = np.random.default_rng(0).normal(size=(500, 500))
        before = x.copy()
        x.flags.writeable = False
        for function in FUNCTIONS:
            function(x, axis=1)
            function(x[:, ::-1], axis=1)
        np.testing.assert_array_equal(x, before)


LIMITED = """
import resource, sys
import numpy as np, agnostic_lse
limit = int(sys.argv[1])
x = np.zeros(2**21, np.float32)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
print(agnostic_lse.logsumexp(x), agnostic_lse._engines.host.kernels() is not None)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux counts as it does")
@pytest.mark.parametrize("limit", [400_000_000, 550_000_000])
def test_numba_is_left_alone_where_address_space_is_short(limit: int) -> None:
    """Where there is not enough of it, what Numba loads tries again for ever."""
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "4"}
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env=environment,
    )
    assert done.stdout.split() == [str(np.float32(21 * math.log(2))), "False"]
