"""Every block of code in the documentation runs, and prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import pages
from tests.backends import needed

# What needs no running: commands, and what programs print.
OTHERS = {"sh", "text", "yaml", "json", "toml"}
WITH_SESSIONS = [page for page in pages.PAGES if pages.session(page).examples]


def ran(folder: Path, *arguments: str) -> str:
    """Return what Python prints, in a process of its own, so that no setting of a page stays."""
    done = subprocess.run(
        (sys.executable, "-W", "error", *arguments),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("page", WITH_SESSIONS, ids=pages.name)
def test_sessions(page: Path) -> None:
    needed(*pages.packages(page))
    printed = ran(pages.ROOT, "-m", "tests.pages", str(page))
    assert re.search(r": [1-9]\d* examples, 0 failed$", printed)


def test_there_are_many() -> None:
    assert sum(len(pages.session(page).examples) for page in WITH_SESSIONS) >= 100


@pytest.mark.parametrize("page", pages.PAGES, ids=pages.name)
def test_every_block_is_known(page: Path) -> None:
    kinds = {kind for _, kind, _ in pages.BLOCK.findall(page.read_text(encoding="utf-8"))}
    assert {kind for kind in kinds if not kind.startswith("{")} <= OTHERS | {"python"}
    programs = [text for text in pages.blocks(page) if not text.startswith(">>>")]
    assert not programs or page.name == "engines.md"  # whose programs are run below


@dataclass
class Fragment:
    """What a program on the page on engines stands on, and what must hold after it."""

    packages: tuple[str, ...]
    before: str
    after: str


NUMBERS = "import numpy as np\nnumbers = np.linspace(-900.0, 900.0, 60).reshape(20, 3)\n"
ON_DISK = NUMBERS + (
    "import zarr\n"
    "stored = zarr.create_array('exponents.zarr', shape=(20, 3), chunks=(5, 3), dtype='f8')\n"
    "stored[:] = numbers\n"
)
CLOSE = "\nimport agnostic_lse\nexpected = agnostic_lse.logsumexp(numbers, axis=0)\n"
FRAGMENTS = {
    "import dask.array": Fragment(("dask", "zarr"), ON_DISK, ""),
    "import xarray": Fragment(
        ("xarray",),
        NUMBERS,
        CLOSE + "found = logsumexp(xr.DataArray(numbers, dims=('n', 'k')), 'n')\n"
        "assert found.dims == ('k',) and np.array_equal(found, expected)",
    ),
    "import zarr": Fragment(
        ("zarr",), ON_DISK, CLOSE + "assert np.allclose(seen.value(), expected, rtol=1e-15)"
    ),
    "import cubed": Fragment(("cubed", "zarr"), ON_DISK, ""),
    "from mpi4py": Fragment(
        ("mpi4py",),
        NUMBERS + "def batch(number): return numbers.ravel()[[number]]\n",
        "\nassert total.count == 60\n"
        "assert np.allclose(total.value(), 900 + np.log(1 / (1 - np.exp(-1800 / 59))))",
    ),
    "from ray": Fragment(
        ("ray", "pyarrow"),
        "class Rows:\n"
        "    def groupby(self, by): return self\n"
        "    def aggregate(self, by): assert by.get_target_column() == 'x'\n"
        "rows = Rows()\n",
        "\nimport pyarrow\n"
        "parts = [LogSumExp('x').aggregate_block(pyarrow.table({'x': [1000.0]})) for _ in 'ab']\n"
        "assert abs(LogSumExp('x').combine(*parts).value() - 1000.6931471805599) < 1e-12",
    ),
    # Spark's own needs Java; its example runs it. Here its two methods are what it says they are.
    "from agnostic_lse import LogSumExpAccumulator\n\nseen": Fragment(
        (),
        "import functools\nimport numpy as np\n"
        "class Rows:\n"
        "    def treeAggregate(self, zero, add, join):\n"
        "        parts = [add(zero, [1000.0]), add(type(zero)(), [1000.0])]\n"
        "        return functools.reduce(join, parts)\n"
        "    def aggregateByKey(self, zero, add, join):\n"
        "        return {'key': self.treeAggregate(zero, add, join)}\n"
        "batches = batches_by_key = Rows()\n",
        "\nassert abs(total.value() - 1000.6931471805599) < 1e-12\nassert groups['key'] == total",
    ),
    "@pandas_udf": Fragment(
        ("pandas",),
        "import pandas as pd\nfrom agnostic_lse import logsumexp\n"
        "def pandas_udf(kind): return lambda function: function\n"
        "class Frame:\n"
        "    def groupby(self, by): return self\n"
        "    def agg(self, column): assert column == 'x'\n"
        "df = Frame()\n"
        "_rows = pd.Series([1000.0, 1000.0])\n",
        "",
    ),
    "import json": Fragment(
        (),
        "import pathlib\nfrom agnostic_lse import LogSumExpAccumulator\n"
        "path, done = pathlib.Path('sum.json'), 3\n"
        "kept = seen = LogSumExpAccumulator().update([1.0])\n",
        "\nassert seen == kept and [p.name for p in pathlib.Path().iterdir()] == ['sum.json']",
    ),
}
PROGRAMS = pages.blocks(pages.ROOT / "docs" / "engines.md")


@pytest.mark.parametrize("beginning", FRAGMENTS)
def test_programs_on_engines(beginning: str, tmp_path: Path) -> None:
    (program,) = (text for text in PROGRAMS if text.startswith(beginning))
    fragment = FRAGMENTS[beginning]
    needed(*fragment.packages)
    if "import cubed" in program:
        program = program.replace('"/scratch"', repr(str(tmp_path)))
    if "pandas_udf" in program:  # given a pair of rows, as Spark would
        program = program.replace('agg(lse("x"))', 'agg("x" if lse(_rows) > 1000.69 else "")')
    ran(tmp_path, "-c", fragment.before + program + fragment.after)


def test_all_programs_on_engines_run() -> None:
    assert len(PROGRAMS) == len(FRAGMENTS)
