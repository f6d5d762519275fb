"""SciPy's own tests of logsumexp, softmax and log_softmax, run on the functions of this library."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import agnostic_lse
from tests.backends import Backend, lacking, needed
from tests.scipy_plugin import DIRECTION, OWN_EXP, REPORT

SUITE = "scipy.special.tests.test_logsumexp"
LIBRARIES = [Backend.NUMPY, Backend.STRICT, Backend.TORCH, Backend.JAX, Backend.DASK]
# Sums of two infinite terms that docs/howto/replace_scipy.md tells of: 4 directions of a term that
# is +inf, each beside 9 that are -inf, in either order, and beside itself; and two of them beside
# the 3 ways to write +inf.
DIRECTIONS = 4 * 9 * 2 + 4 + 2 * 3 * 2
# SciPy's cases on each library are about 400, of which most are of each pair of two infinities.
LEAST = 380


def run(library: Backend, folder: Path) -> dict[str, Any]:
    """Return what came of SciPy's tests on one library, in a process of its own."""
    report, scipys = folder / "report.json", importlib.util.find_spec("scipy")
    paths = [str(Path(__file__).parents[1]), str(Path(agnostic_lse.__file__).parents[1])]
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name} | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "SCIPY_ARRAY_API": json.dumps([library.module]),
        REPORT: str(report),
    }
    assert scipys is not None
    assert scipys.origin is not None
    # Cases that SciPy's own functions fail on array-api-strict, or on JAX, must pass here.
    options = ["-q", "--runxfail", "--tb=short", "-c", os.devnull, "-p", "no:cacheprovider"]
    options += ["--confcutdir", str(Path(scipys.origin).parent), "-p", "tests.scipy_plugin"]
    command = [sys.executable, "-m", "pytest", *options, "--pyargs", SUITE]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if not report.exists():
        pytest.fail(f"SciPy's tests did not run:\n{done.stdout}\n{done.stderr}")
    result: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return result


@pytest.mark.parametrize("library", LIBRARIES, indirect=True, ids=str)
def test_scipys_own_tests(library: Backend, tmp_path: Path) -> None:
    needed("scipy")
    import scipy

    if tuple(map(int, scipy.__version__.split(".")[:2])) < (1, 17):
        pytest.skip(f"SciPy {scipy.__version__} has other tests than the 1.17 that these are for")
    if importlib.util.find_spec(SUITE.rpartition(".")[0]) is None:
        lacking("this SciPy ships no tests")
    result = run(library, tmp_path)
    assert result["failed"] == []
    assert result["outcomes"].get("passed", 0) >= LEAST
    assert result["outcomes"].get("skipped", 0) == 0
    parted = result["parted"]
    assert parted.pop(DIRECTION) == DIRECTIONS
    # Of JAX's own exponential, which is nan there, so is SciPy's expectation.
    assert set(parted) <= ({OWN_EXP} if library is Backend.JAX else set())
