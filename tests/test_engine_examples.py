"""The examples for other engines run, each in a process of its own, and find what they should.

So nothing that an engine starts, warns of or shuts down reaches the other tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.killed import EXAMPLES, Killed, uninterrupted
from tests.backends import lacking, needed

ROOT = Path(__file__).parents[1]


def output(folder: Path, *command: str) -> str:
    """Return what a program prints that must end well."""
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def example(folder: Path, name: str, warnings: str = "error") -> str:
    return output(folder, sys.executable, "-W", warnings, str(EXAMPLES / f"{name}.py"))


def test_cubed(tmp_path: Path) -> None:
    needed("cubed", "zarr")
    printed = example(tmp_path, "cubed_bounded_memory")
    assert printed.count("units of roundoff") == 3
    assert "exceeds allowed_mem" in printed


def test_ray(tmp_path: Path) -> None:
    needed("ray", "pyarrow")
    # Ray warns of settings of its own that it calls deprecated.
    printed = example(tmp_path, "ray_aggregation", warnings="error::RuntimeWarning")
    assert printed.startswith("100000 rows: 58.64049077009")


def test_spark(tmp_path: Path) -> None:
    needed("pyspark")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        lacking("Java is not installed, which Spark needs")
    assert "count=64000" in example(tmp_path, "spark_aggregation")


def test_mpi(tmp_path: Path) -> None:
    needed("mpi4py")
    # That of MPICH's wheel lies beside Python, and another MPI's would start ranks that are alone.
    mpiexec = shutil.which("mpiexec", path=str(Path(sys.executable).parent))
    if mpiexec is None:
        lacking("mpich is not installed: the extra test has it")
    program = str(EXAMPLES / "mpi_reduce.py")
    python = (sys.executable, "-W", "error", "-m", "mpi4py")
    assert "3 ranks" in output(tmp_path, mpiexec, "-n", "3", *python, program)
    assert "1 ranks" in output(tmp_path, *python, program)


def test_xarray(tmp_path: Path) -> None:
    needed("xarray", "dask")
    assert example(tmp_path, "xarray_dimension").count("units of roundoff") == 4


def test_zarr_and_hdf5(tmp_path: Path) -> None:
    needed("zarr", "h5py", "dask")
    assert example(tmp_path, "zarr_and_hdf5").count("units of roundoff") == 4


def test_every_engine_has_a_section_and_an_example() -> None:
    page = (ROOT / "docs" / "engines.md").read_text()
    for name in (
        *("checkpoint", "cubed_bounded_memory", "mpi_reduce", "ray_aggregation"),
        *("spark_aggregation", "xarray_dimension", "zarr_and_hdf5"),
    ):
        assert f"(../examples/larger_than_memory/{name}.py)" in page
        assert (EXAMPLES / f"{name}.py").exists()


class TestCheckpoint:
    def test_without_arguments(self, tmp_path: Path) -> None:
        printed = example(tmp_path, "checkpoint")
        assert printed.startswith("1000000 terms: ")
        assert [path.name for path in tmp_path.iterdir()] == ["sum.json"]
        assert example(tmp_path, "checkpoint") == printed

    def test_resumed_where_it_stopped(self, tmp_path: Path) -> None:
        program = (sys.executable, str(EXAMPLES / "checkpoint.py"))
        output(tmp_path, *program, "250", "sum.json")
        printed = output(tmp_path, *program, "300", "sum.json", "--progress")
        assert printed.startswith("batch 200\n")
        assert printed.splitlines()[-1] == uninterrupted(tmp_path / "whole.json", 300).value

    def test_too_many_batches_are_one_sentence(self, tmp_path: Path) -> None:
        program = (sys.executable, str(EXAMPLES / "checkpoint.py"))
        output(tmp_path, *program, "200", "sum.json")
        done = subprocess.run(
            (*program, "100", "sum.json"), cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "sum.json has 200 batches, but 100 are to be summed: name another" in done.stderr

    @pytest.mark.skipif(os.name != "posix", reason="only POSIX systems have SIGKILL")
    def test_killed_at_any_moment(self, tmp_path: Path) -> None:
        whole = uninterrupted(tmp_path / "whole.json", 2000)
        killed = Killed(whole, batches=2000, seed=0)
        for number in range(3):
            assert killed.round(tmp_path / f"{number}.json") == whole.value
        assert killed.places
