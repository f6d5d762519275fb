"""The benchmark of the command line: what it finds, not how fast that was."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import mpmath as mp
import numpy as np
import pytest

import agnostic_lse
from agnostic_lse import _bench, _exact, _libraries
from agnostic_lse._engines.threads import number_of_threads
from tests.reference import conditioned_size, log_sum, strictly_parsed


def row(length: int, dtype: str, peaked: bool) -> Any:
    x = np.random.default_rng(length).standard_normal((1, length)).astype(dtype)
    if peaked:
        x -= 40
        x[0, length // 3] = 0
    return x


class TestExact:
    @pytest.mark.parametrize("peaked", [False, True])
    @pytest.mark.parametrize("dtype", ["float64", "float32"])
    @pytest.mark.parametrize("length", [1, 10, 1000, 10_001])
    def test_sums(self, length: int, dtype: str, peaked: bool) -> None:
        x = row(length, dtype, peaked)
        (found,) = _exact.sums(x)
        # The errors of float64's exponentials average out where there are many. And of 40 digits a
        # sum of 1 and 4e-17 has 23 of the latter.
        rtol = 1e-15 if length > 10_000 else 1e-20
        with mp.workdps(60):
            true, size = log_sum(x[0]), conditioned_size(x[0])
            assert abs(mp.mpf(str(found.log)) - true) <= rtol * abs(true)
            exact_size = mp.mpf(str(max(abs(found.log), found.by_terms)))
            assert abs(exact_size - size) <= 10 * rtol * size

    def test_some_rows_of_many(self) -> None:
        x = np.random.default_rng(0).standard_normal((1234, 3))
        found = _exact.sums(x)
        assert len({answer.row for answer in found}) == len(found) == 10
        for answer in found:
            assert float(answer.log) == pytest.approx(math.log(np.exp(x[answer.row]).sum()))

    @pytest.mark.parametrize("function", _bench.FUNCTIONS)
    @pytest.mark.parametrize("off", [0, 3, 1e6])
    def test_errors(self, function: str, off: float) -> None:
        x = row(100, "float64", False) + 3  # whose condition numbers are not far from 1
        out = getattr(agnostic_lse, function)(x, axis=1).astype(np.longdouble)
        out = (out * (1 + np.longdouble(off) * 2.0**-53)).astype(np.float64)
        found = _exact.error(function, out, _exact.sums(x))
        if off == 0:
            assert found <= 4
        else:
            assert 0.1 * off <= found <= off + 4

    @pytest.mark.parametrize("function", _bench.FUNCTIONS)
    @pytest.mark.parametrize("wrong", [math.nan, math.inf])
    def test_nan_and_infinity_are_infinitely_wrong(self, function: str, wrong: float) -> None:
        x = row(10, "float32", False)
        out = np.full_like(getattr(agnostic_lse, function)(x, axis=1), wrong)
        assert _exact.error(function, out, _exact.sums(x)) == math.inf

    @pytest.mark.parametrize("function", ["logsumexp", "log_softmax"])
    def test_one_peak_tells_the_ways_apart(self, function: str) -> None:
        x = row(10, "float64", True)
        answers = _exact.sums(x)
        ours = getattr(agnostic_lse, function)(x, axis=1)
        theirs = _bench.three_lines(np, function, 1)(x)
        assert _exact.error(function, ours, answers) <= 4
        assert _exact.error(function, theirs, answers) > 1e10


@pytest.mark.parametrize("function", _bench.FUNCTIONS)
@pytest.mark.parametrize("axis", [0, 1])
def test_three_lines(function: str, axis: int) -> None:
    x = np.random.default_rng(0).standard_normal((30, 40))
    out = _bench.three_lines(np, function, axis)(x)
    np.testing.assert_allclose(out, getattr(agnostic_lse, function)(x, axis=axis), rtol=1e-12)


def test_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("AGNOSTIC_LSE_NUM_THREADS", raising=False)
    has_affinity = hasattr(os, "sched_getaffinity")
    before = os.sched_getaffinity(0) if has_affinity else set()
    with _bench.confined(1):
        assert number_of_threads() == 1
        assert os.environ["OMP_NUM_THREADS"] == "1"
        assert not has_affinity or len(os.sched_getaffinity(0)) == 1
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "AGNOSTIC_LSE_NUM_THREADS" not in os.environ
    assert not has_affinity or os.sched_getaffinity(0) == before


def bench(*options: str, **environment: str) -> Any:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m", "agnostic_lse", "bench", "--json", *options],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | environment,
    )
    return strictly_parsed(run.stdout)


def test_every_library_that_is_installed() -> None:
    found = bench("--quick", "--size", "2000", "--threads", "1")
    assert set(found) == {"configuration", "results", "left_out"}
    assert found["configuration"]["threads"] == 1
    libraries = {result["library"] for result in found["results"]}
    for name in _bench.OTHERS:
        timed = any(library.startswith(f"{name} ") for library in libraries)
        assert timed != (name in found["left_out"])
        assert (name in found["left_out"]) or _libraries.missing(name) is None
    for result in found["results"]:
        assert (result["dtype"], result["shape"], result["axis"]) == ("float64", [2, 1000], 1)
        assert result["function"] in _bench.FUNCTIONS
        ways = set(result["seconds"])
        assert "agnostic_lse" in ways
        assert ways == set(result["error"]) == set(result["error_one_peak"])
        assert all(seconds > 0 for seconds in result["seconds"].values())
        for kind in ("error", "error_one_peak"):
            assert float(result[kind]["agnostic_lse"]) <= 5


def numpy_alone(folder: Path) -> str:
    """Return the path of a folder with what the package needs, and no more."""
    site = Path(np.__file__).parents[1]
    for name in ("numpy", "array_api_compat", "array_api_extra"):
        for found in site.glob(f"{name}*"):
            (folder / found.name).symlink_to(found)
    (folder / "agnostic_lse").symlink_to(Path(agnostic_lse.__file__).parent)
    return str(folder)


def test_numpy_alone(tmp_path: Path) -> None:
    def run(*arguments: str) -> Any:
        script = "import runpy, sys; sys.path.insert(0, sys.argv.pop(1)); "
        script += "runpy.run_module('agnostic_lse', run_name='__main__', alter_sys=True)"
        command = [sys.executable, "-I", "-S", "-c", script, numpy_alone_here, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True)

    numpy_alone_here = numpy_alone(tmp_path)
    config = strictly_parsed(run("info", "--json", "--devices").stdout)
    versions = {name: of["version"] for name, of in config["libraries"].items()}
    assert versions.pop("numpy") == np.__version__
    assert set(versions.values()) == {None}
    assert config["packages"]["scipy"] is config["packages"]["numba"] is None
    assert config["packages"]["array-api-compat"]
    assert config["host_kernels"] is False

    printed = run("bench", "--quick", "--size", "1000").stdout
    assert f"NumPy {np.__version__}, cpu" in printed
    assert "three lines" in printed
    assert "scipy.special: left out, No module named 'scipy'" in printed
    assert "PyTorch: left out, torch is not installed" in printed


def test_a_library_that_breaks(tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so: cannot open\\nand so on')")
    found = bench("--quick", "--size", "1000", PYTHONPATH=on_path(tmp_path))
    reason = "libcudart.so: cannot open"
    assert (found["left_out"]["PyTorch"], found["left_out"]["PyTorch CUDA"]) == (reason, reason)
    assert {result["library"].split()[0] for result in found["results"]} >= {"NumPy"}


def on_path(folder: Path) -> str:
    return os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])


def a_result(library: str, function: str, **seconds: float) -> dict[str, Any]:
    return {
        "library": library,
        "device": "cpu",
        "function": function,
        "dtype": "float32",
        "shape": [2, 3],
        "axis": 1,
        "seconds": seconds,
        "error": dict.fromkeys(seconds, 0.5),
        "error_one_peak": dict.fromkeys(seconds, math.inf),
    }


def test_tables(capsys: pytest.CaptureFixture[str]) -> None:
    results = [
        a_result("A 1", "logsumexp", agnostic_lse=1e-3, other=2e-3),
        a_result("A 1", "logsumexp", agnostic_lse=4e-3, other=32e-3),
        a_result("A 1", "softmax", agnostic_lse=1e-3, other=0.5e-3),
    ]
    _bench._print_table(results)
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1:] == [
        ["A", "1,", "cpu", "time", "ratio", "error", "one", "peak"],
        ["logsumexp", "agnostic_lse", "2.000", "ms", "0.5", "inf"],
        ["other", "8.000", "ms", "4.00", "0.5", "inf"],
        ["softmax", "agnostic_lse", "1.000", "ms", "0.5", "inf"],
        ["other", "0.500", "ms", "0.50", "0.5", "inf"],
    ]
    _bench._print_worst(results)
    worst = "Smallest ratio: 0.50, other, softmax of float32 2x3, on A 1\n"
    assert capsys.readouterr().out == worst
