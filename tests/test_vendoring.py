"""A copy of the package inside of another one works as the package does, whatever its name."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import array_api_compat
import array_api_extra
import pytest

import agnostic_lse

ROOT = Path(__file__).parents[1]
SOURCE = Path(agnostic_lse.__file__).parent
COPY, MINIMAL, OTHER_IMPORTS = re.findall(
    r"```sh\n(.*?)```", (ROOT / "docs/howto/vendor.md").read_text(), flags=re.DOTALL
)
CORE = ("reductions", "logsum", "accumulator", "elementwise", "segments")


def copied(folder: Path, *steps: str, source: Path = SOURCE) -> Path:
    """Follow steps of the page, and return the folder with ``somelib`` in it."""
    if shutil.which("sh") is None:
        pytest.skip("there is no shell to follow the page's steps")
    for step in (COPY, *steps):
        subprocess.run(
            ["sh", "-e", "-c", step],  # noqa: S607 (whichever shell there is)
            cwd=folder,
            env=os.environ | {"LSE": str(source)},
            check=True,
        )
    (folder / "somelib/__init__.py").touch()
    return folder


def run(*arguments: str, path: Path | None = None) -> str:
    """Run Python with these arguments, and return what it printed."""
    paths = [str(path)] if path else []
    paths += [str(SOURCE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def run_tests(folder: Path, modules: Sequence[str], *names: str) -> None:
    tests = [f"tests/test_{module}.py" for module in modules]
    quiet = ("-q", "-n", "0", "-p", "no:cacheprovider")
    out = run("-m", "tests.vendored", str(folder), *names, "--", *tests, *quiet)
    assert int(re.findall(r"(\d+) passed", out)[-1]) > 500


def test_least_copy_passes_the_tests(tmp_path: Path) -> None:
    run_tests(copied(tmp_path, MINIMAL), CORE, "agnostic_lse=somelib._vendored.lse")


def test_copy_with_copied_dependencies_passes_the_tests(tmp_path: Path) -> None:
    folder = copied(tmp_path, MINIMAL, OTHER_IMPORTS)
    externals = folder / "somelib/externals"
    for package in (array_api_compat, array_api_extra):
        shutil.copytree(
            Path(str(package.__file__)).parent,
            externals / package.__name__,
            ignore=shutil.ignore_patterns("tests", "__pycache__"),
        )
    (externals / "__init__.py").touch()
    (externals / "_array_api_compat_vendor.py").write_text("from .array_api_compat import *\n")
    run_tests(
        folder,
        ("reductions", "segments"),
        "agnostic_lse=somelib._vendored.lse",
        "array_api_compat=somelib.externals.array_api_compat",
        "array_api_extra=somelib.externals.array_api_extra",
    )


def test_whole_copy_imports(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    out = run(
        "-c",
        "import contextlib, io, sys, warnings\n"
        "import numpy as np\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from somelib._vendored import lse\n"
        "from somelib._vendored.lse import __main__, _bench, _demo, _files\n"
        "from somelib._vendored.lse.sklearn import (\n"
        "    LogProbabilityClassifier, log_proba, log_proba_source)\n"
        "X = np.asarray([[-2.0], [-1.0], [1.0], [2.0]])\n"
        "model = LogProbabilityClassifier(LogisticRegression()).fit(X, [0, 0, 1, 1])\n"
        "assert np.isfinite(log_proba(model, [[1000.0]])).all()\n"
        "print(log_proba_source(model))\n"
        "lse.show_config()\n"
        "print([name for name in sys.modules if name.startswith('agnostic_lse')])\n",
        path=folder,
    ).splitlines()
    source = "LogProbabilityClassifier: those of the classifier in it; LogisticRegression: "
    assert out[0].startswith(source)
    assert out[1] == f"agnostic_lse {agnostic_lse.__version__}"
    assert out[-1] == "[]"


def test_copies_beside_the_package(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    (folder / "otherlib").mkdir()
    shutil.copytree(folder / "somelib/_vendored/lse", folder / "otherlib/lse")
    out = run(
        "-c",
        "import json, pickle\n"
        "import numpy as np\n"
        "import agnostic_lse, agnostic_lse.sklearn as own\n"
        "import otherlib.lse as two\n"
        "import somelib._vendored.lse as one\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from somelib._vendored.lse.sklearn import LogProbabilityClassifier\n"
        "copies = (agnostic_lse, one, two)\n"
        "terms = np.linspace(-3.0, 3.0, 2_000_000).reshape(2, -1)\n"
        "with one.kernels('off'):\n"
        "    assert [copy._engines.choice.chosen() for copy in copies] == ['auto', 'off', 'auto']\n"
        "    sums = [copy.logsumexp(terms, axis=1) for copy in copies]\n"
        "    np.testing.assert_allclose(sums[0], sums[1], rtol=1e-15)\n"
        "    assert np.array_equal(sums[0], sums[2])\n"
        "accumulators = [copy.LogSumExpAccumulator().update([0.0, -40.0]) for copy in copies]\n"
        "data = [json.dumps(each.to_dict()) for each in accumulators]\n"
        "assert len(set(data)) == 1\n"
        "assert two.LogSumExpAccumulator.from_dict(json.loads(data[1])) == accumulators[2]\n"
        "for each in accumulators:\n"
        "    assert type(pickle.loads(pickle.dumps(each))) is type(each)\n"
        "try:\n"
        "    accumulators[0].merge(accumulators[1])\n"
        "except TypeError as error:\n"
        "    print(error)\n"
        "model = LogProbabilityClassifier(LogisticRegression())\n"
        "model.fit([[-2.0], [-1.0], [1.0], [2.0]], [0, 0, 1, 1])\n"
        "given = own.log_proba(model, [[1000.0]])\n"
        "assert np.array_equal(given, model.predict_log_proba([[1000.0]]))\n"
        "assert np.isfinite(given).all()\n"
        "print(len({id(copy.logsumexp) for copy in copies}))\n",
        path=folder,
    ).splitlines()
    assert out[0].startswith("other is a LogSumExpAccumulator")
    assert out[1] == "3"


def test_copy_in_a_zip_file(tmp_path: Path) -> None:
    archive = tmp_path / "somelib.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in SOURCE.rglob("*"):
            if path.suffix in (".py", ".cu"):
                file.write(path, Path("somelib/lse") / path.relative_to(SOURCE))
        file.writestr("somelib/__init__.py", "")
    out = run(
        "-c",
        "import numpy as np\n"
        "from somelib import lse\n"
        "print(lse.__file__)\n"
        "from somelib.lse import sklearn\n"
        "from somelib.lse._engines import cuda, host\n"
        "print(lse.logsumexp([0.0, -40.0]))\n"
        "with lse.kernels('host'):\n"
        "    print(lse.logsumexp([0.0, -40.0]))\n"
        "print(host.kernels() is not None)\n"
        "print('__global__' in cuda._source())\n",
        path=archive,
    ).splitlines()
    assert out[0].startswith(str(archive))
    assert out[1:3] == ["4.248354255291589e-18"] * 2
    assert out[4] == "True"
