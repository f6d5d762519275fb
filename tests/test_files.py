"""Sums over .npy files of any size."""

from __future__ import annotations

import itertools
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agnostic_lse import _blocks, _files, logsumexp
from agnostic_lse.__main__ import main
from tests.backends import available_package
from tests.reference import strictly_parsed

on_posix = pytest.mark.skipif(
    os.name != "posix", reason="Windows has other signals, names and limits"
)
SHAPES = ((), (1,), (7,), (5, 6), (6, 1, 4), (3, 4, 5), (40, 3), (3, 40), (2, 3, 1, 2, 3))
EMPTY = ((0,), (0, 3), (3, 0), (4, 0, 2))
DTYPES = ("<f8", ">f8", "<f4", ">f4", "<f2", ">f2", "g", "?", "u1", ">i4", "<i8", "<c8", ">c16")


def saved(folder: Path, array: Any) -> Path:
    path = folder / "numbers.npy"
    np.save(path, array)
    return path


def cut(monkeypatch: pytest.MonkeyPatch, block: int, least_terms: int = 2) -> None:
    monkeypatch.setattr(_files, "BLOCK", block)
    monkeypatch.setattr(_blocks, "LEAST_TERMS", least_terms)


def numbers(shape: tuple[int, ...], dtype: str, order: Any = "C") -> Any:
    drawn = 3 * np.random.default_rng(len(shape)).standard_normal(shape)
    return np.asarray(drawn).astype(dtype).astype(dtype, order=order)


def along(shape: tuple[int, ...]) -> list[tuple[int, ...] | None]:
    ndim = len(shape)
    every = [itertools.combinations(range(ndim), count) for count in range(1, ndim + 1)]
    return [None, *itertools.chain(*every)]


def words(axes: tuple[int, ...] | None) -> list[str]:
    return [] if axes is None else ["--axis", ",".join(map(str, axes))]


def assert_same(got: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    # A few roundings of numbers about 1 or larger, and of sums near 1 beside larger terms
    margin = 16 * float(np.finfo(expected.dtype).eps)
    np.testing.assert_allclose(got, expected, rtol=margin, atol=margin)


def reduced(path: Path, *options: str) -> Any:
    out = path.with_name("sums.npy")
    assert main(["reduce", str(path), *options, "--out", str(out)]) == 0
    return np.load(out)


class TestValues:
    @pytest.mark.parametrize("order", ["C", "F"])
    @pytest.mark.parametrize("shape", [*SHAPES, *EMPTY], ids=str)
    @pytest.mark.parametrize("block", [24, 200])  # bytes: 3 or 25 entries
    def test_shapes(
        self,
        shape: tuple[int, ...],
        order: str,
        block: int,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        cut(monkeypatch, block)
        x = numbers(shape, "<f8", order)
        path = saved(tmp_path, x)
        for axes, keep in zip(along(shape), itertools.cycle((False, True))):
            options = [*words(axes), *(["--keepdims"] if keep else [])]
            assert_same(reduced(path, *options), logsumexp(x, axis=axes, keepdims=keep))

    @pytest.mark.parametrize("order", ["C", "F"])
    @pytest.mark.parametrize("dtype", DTYPES)
    def test_dtypes(
        self, dtype: str, order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cut(monkeypatch, 100)
        x = numbers((3, 4, 5), dtype, order)
        path = saved(tmp_path, x)
        for axes in along(x.shape):
            assert_same(reduced(path, *words(axes)), logsumexp(x, axis=axes))

    @pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
    def test_versions(self, version: tuple[int, int], tmp_path: Path) -> None:
        x = numbers((4, 3), "<f8")
        path = tmp_path / "numbers.npy"
        with path.open("wb") as file:
            np.lib.format.write_array(file, x, version=version)
        assert_same(reduced(path, "--axis", "0"), logsumexp(x, axis=0))

    def test_special_values(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cut(monkeypatch, 16)
        x = np.zeros((5, 9))
        x[0, 3], x[1, 8], x[2] = np.nan, np.inf, -np.inf
        x[3] = -800
        path = saved(tmp_path, x)
        assert_same(reduced(path, "--axis", "1"), logsumexp(x, axis=1))
        assert_same(reduced(path, "--axis", "-2"), logsumexp(x, axis=0))

    def test_kernels_and_tiles(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cut(monkeypatch, 2**22, 32)
        x = numbers((1300, 1000), "<f4")
        path = saved(tmp_path, x)
        for axes in along(x.shape):
            assert_same(reduced(path, *words(axes)), logsumexp(x, axis=axes))

    @settings(max_examples=40, deadline=None)
    @given(
        shape=st.lists(st.integers(0, 5), max_size=4).map(tuple),
        which=st.integers(0, 31),
        order=st.sampled_from("CF"),
        block=st.integers(24, 800),
        least_terms=st.integers(1, 20),
    )
    def test_any_cut(
        self, shape: tuple[int, ...], which: int, order: str, block: int, least_terms: int
    ) -> None:
        axes = tuple(axis for axis in range(len(shape)) if which >> axis & 1) or None
        x = numbers(shape, "<f8", order)
        with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
            cut(patch, block, least_terms)
            assert_same(reduced(saved(Path(folder), x), *words(axes)), logsumexp(x, axis=axes))


class TestBlocks:
    @settings(max_examples=60, deadline=None)
    @given(
        shape=st.lists(st.integers(1, 7), max_size=4).map(tuple),
        which=st.integers(0, 31),
        entries=st.integers(1, 2000),
    )
    def test_every_entry_once(self, shape: tuple[int, ...], which: int, entries: int) -> None:
        axes = tuple(axis for axis in range(len(shape)) if which >> axis & 1)
        blocks = _blocks.Blocks.of(shape, axes, entries)
        seen: list[int] = []
        for block in blocks.in_turn():
            runs = list(blocks.runs(block))
            assert sum(count for _, count in runs) == math.prod(map(len, block)) <= blocks.most
            seen += itertools.chain(*(range(first, first + count) for first, count in runs))
        assert blocks.most <= max(1, entries)
        assert sorted(seen) == list(range(math.prod(shape)))

    @pytest.mark.parametrize(
        ("shape", "axes", "least_run", "pieces"),
        [
            ((10**10,), (0,), 10**6, 9537),
            ((10, 10**9), (0,), 10**5, 1),  # sums of few terms are whole in one block
            ((10**7, 1000), (0,), 10**6, 9542),  # sums of few columns are all in one block
            ((10**7, 1000), (1,), 10**6, 1),
            ((10**5, 10**5), (0,), 32768, 3125),  # neither: 256 KiB of float64
            ((10**4, 10**4, 10**4), (0, 2), 10**6, 10**4),
            ((10**9, 2), (1,), 10**6, 1),
        ],
    )
    def test_runs_are_long(
        self, shape: tuple[int, ...], axes: tuple[int, ...], least_run: int, pieces: int
    ) -> None:
        entries = _files.BLOCK // 8
        blocks = _blocks.Blocks.of(shape, axes, entries)
        first = next(blocks.in_turn())
        assert {count >= least_run for _, count in blocks.runs(first)} == {True}
        assert entries // 2 <= blocks.most <= entries
        assert abs(blocks.pieces - pieces) <= pieces // 10


class TestPrinted:
    def test_one_number(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = saved(tmp_path, np.asarray([1000.0, 1001.0, 1002.0]))
        assert main(["reduce", str(path)]) == 0
        assert capsys.readouterr() == ("1002.4076059644444\n", "")

    @pytest.mark.parametrize("dtype", ["<f8", "<f4", "<c16", "g"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_a_line_each(
        self, dtype: str, order: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        x = numbers((3, 4, 5), dtype, order)
        assert main(["reduce", str(saved(tmp_path, x)), "--axis", "1"]) == 0
        expected = np.ravel(logsumexp(x, axis=1))
        lines = capsys.readouterr().out.splitlines()
        assert_same(np.asarray([expected.dtype.type(line) for line in lines]), expected)

    @pytest.mark.parametrize("dtype", ["<f8", "<f4", "<f2", "<i4", "<c8", "<c16", "g"])
    @pytest.mark.parametrize("order", ["C", "F"])
    @pytest.mark.parametrize("keepdims", [False, True])
    def test_json(
        self,
        dtype: str,
        order: str,
        keepdims: bool,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        x = numbers((3, 4, 5), dtype, order)
        if x.dtype.kind == "f":
            x[0, :, 1], x[1, 2, 3], x[2, 0, 4] = -math.inf, math.inf, math.nan
        path = saved(tmp_path, x)
        options = ["--axis", "-2", "--json", *(["--keepdims"] if keepdims else [])]
        assert main(["reduce", str(path), *options]) == 0
        said = strictly_parsed(capsys.readouterr().out)
        expected = logsumexp(x, axis=1, keepdims=keepdims)
        assert said == {
            "file": str(path),
            "axis": [1],
            "keepdims": keepdims,
            "shape": list(expected.shape),
            "dtype": expected.dtype.name,
            "values": said["values"],
            "out": None,
        }
        as_written = expected.real.dtype.type  # it reads numbers and texts
        values = said["values"]
        if expected.dtype.kind == "c":
            real, imag = ([as_written(v) for v in values[part]] for part in ("real", "imag"))
            got = np.asarray([complex(*parts) for parts in zip(real, imag, strict=True)])
        else:
            got = np.asarray([as_written(v) for v in values])
            if dtype != "<i4":
                assert {"inf", "nan", "-inf"} <= set(map(str, values))
        assert_same(got.astype(expected.dtype).reshape(said["shape"]), expected)

    def test_json_of_a_file(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path, out = saved(tmp_path, np.zeros((2, 5000))), tmp_path / "sums.npy"
        assert main(["reduce", str(path), "--axis", "0", "--out", str(out), "--json"]) == 0
        said = strictly_parsed(capsys.readouterr().out)
        assert (said["shape"], said["values"], said["out"]) == ([5000], None, str(out))
        np.testing.assert_array_equal(np.load(out), np.full(5000, math.log(2)))

    def test_cut_short_says_both_sizes(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = tmp_path / "short.npy"
        path.write_bytes(header((3,)) + bytes(23))
        size = path.stat().st_size
        assert main(["reduce", str(path)]) == 2
        assert f"with {size} bytes where its header says {size + 1}" in capsys.readouterr().err

    def test_too_many(
        self,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(_files, "_read", lambda *_: pytest.fail("it ran"))
        path = saved(tmp_path, np.zeros((2, 4097)))
        assert main(["reduce", str(path), "--axis", "0"]) == 2
        assert capsys.readouterr().err == (
            "The result has 4097 numbers, but at most 4096 are printed: name a file for them by "
            "--out.\n"
        )


def header(shape: Any, descr: Any = "<f8") -> bytes:
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def a_zip(path: Path) -> None:
    with path.open("wb") as file:
        np.savez(file, x=np.zeros(3))


def a_pipe(path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("the system has no pipes with names")
    os.mkfifo(path)


def with_bytes(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


def with_array(array: Any) -> Callable[[Path], Any]:
    return lambda path: np.save(path, array)


BAD_FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (lambda _: None, "(No such file or directory), but a .npy file on a disk was"),
    "a directory": (Path.mkdir, "(Is a directory), but a .npy file on a disk was expected"),
    "a pipe": (a_pipe, "(Is a pipe or a device, which cannot be sought), but"),
    "empty": (with_bytes(b""), "is empty, but a .npy file was expected"),
    "text": (with_bytes(b"1, 2, 3\n"), "is no .npy file, but a .npy file was expected"),
    "npz": (a_zip, "is a .npz archive, but a .npy file was expected"),
    "version": (with_bytes(b"\x93NUMPY\x09\x00" + bytes(99)), "format is version 9.0, not 1, 2"),
    "no version": (with_bytes(b"\x93NUMPY"), "has a header that cannot be read ("),
    "cut header": (with_bytes(header((3,))[:30]), "has a header that cannot be read ("),
    "no header": (with_bytes(b"\x93NUMPY\x01\x00\x04\x00[1]\n"), "header that cannot be read ("),
    "bad dtype": (with_bytes(header((3,), "<f3")), "has a header that cannot be read ("),
    "negative": (with_bytes(header((-3,))), "cannot be read (its shape is (-3,))"),
    "objects": (with_array(np.asarray([None])), "holds entries of dtype object, but numbers"),
    "strings": (with_array(np.asarray(["a"])), "holds entries of dtype <U1, but numbers"),
    "dates": (with_array(np.zeros(3, "M8[D]")), "holds entries of dtype datetime64[D], but"),
    "records": (with_array(np.zeros(3, [("x", "f8")])), "holds entries of dtype [('x', '<f8')]"),
    "cut short": (with_bytes(header((3,)) + bytes(23)), "was cut short, with "),
    "longer": (with_bytes(header((3,)) + bytes(25)), "is longer than it should be, with"),
    "overflow": (with_bytes(header((2**62, 2**62))), "was cut short, with"),
}


class TestErrors:
    @pytest.mark.parametrize("kind", BAD_FILES)
    def test_file(self, kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        make, sentence = BAD_FILES[kind]
        path, out = tmp_path / "file.npy", tmp_path / "out.npy"
        make(path)
        before = set(tmp_path.iterdir())
        assert main(["reduce", str(path), "--out", str(out)]) == 2
        self.assert_said(capsys, f"{path} ", sentence)
        assert set(tmp_path.iterdir()) == before

    @staticmethod
    def assert_said(capsys: pytest.CaptureFixture[str], start: str, part: str) -> None:
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith(start)
        assert part in printed.err
        assert printed.err.endswith(".\n")
        assert printed.err.count("\n") == 1

    @pytest.mark.parametrize(
        ("axis", "sentence"),
        [
            ("2", "--axis is 2, but axis 2 is out of range for an array of 2 dimensions: pass an"),
            ("-3", "--axis is -3, but axis -3 is out of range"),
            ("0,-2", "--axis is 0,-2, but axis (0, -2) names an axis more than once"),
            ("-1,-1", "--axis is -1,-1, but axis (-1, -1) names an axis more than once"),
            ("x", "--axis is 'x', but integers were expected"),
            ("0,", "--axis is '0,', but integers were expected"),
            ("", "--axis is '', but integers were expected"),
        ],
    )
    def test_axis(
        self, axis: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = saved(tmp_path, np.zeros((2, 3)))
        assert main(["reduce", str(path), "--axis", axis]) == 2
        self.assert_said(capsys, sentence, "")

    def test_axis_without_any(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = saved(tmp_path, np.zeros((2, 3)))
        with pytest.raises(SystemExit, match="2"):
            main(["reduce", str(path), "--axis", "--"])
        assert "--axis: expected one argument" in capsys.readouterr().err

    def test_axis_of_a_number(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        path = saved(tmp_path, np.float64(3))
        assert main(["reduce", str(path), "--axis", "0"]) == 2
        self.assert_said(capsys, str(path), "which has no axes: leave --axis out")

    @pytest.mark.parametrize("link", [None, Path.symlink_to, Path.hardlink_to])
    def test_out_is_the_file(
        self, link: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = saved(tmp_path, np.zeros(3))
        out = path if link is None else tmp_path / "link.npy"
        if link:
            link(out, path)
        before = path.read_bytes()
        assert main(["reduce", str(path), "--out", str(out)]) == 2
        self.assert_said(capsys, f"--out is {out}", "which is the file to read")
        assert path.read_bytes() == before

    @pytest.mark.parametrize(
        ("out", "reason"),
        [
            ("no/out.npy", "is no directory: make it, or name another"),
            ("numbers.npy/out.npy", "is no directory: make it, or name another"),
            (".", "a file that can be written was expected"),
            pytest.param("/dev/null", "a file that can be written was expected", marks=on_posix),
            pytest.param("/dev/stdout", "which is no name of a file", marks=on_posix),
            pytest.param("/proc/self/fd/1", "which is no name of a file", marks=on_posix),
        ],
    )
    def test_out(
        self, out: str, reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        path = saved(tmp_path, np.zeros(3))
        assert main(["reduce", str(path), "--out", str(tmp_path / out)]) == 2
        self.assert_said(capsys, f"--out is {tmp_path / out}", reason)

    def test_out_in_a_folder_of_others(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, true_open = saved(tmp_path, np.zeros(3)), Path.open

        def refuse(self: Path, mode: str, **more: Any) -> Any:
            if mode == "xb":  # the superuser may write anywhere, so the test plays the system
                raise PermissionError(13, "Permission denied")
            return true_open(self, mode, **more)

        monkeypatch.setattr(Path, "open", refuse)
        assert main(["reduce", str(path), "--out", str(tmp_path / "out.npy")]) == 2
        self.assert_said(capsys, "--out is ", "(Permission denied): name another")


class TestOut:
    def test_replaces_the_file_behind_a_link(self, tmp_path: Path) -> None:
        path = saved(tmp_path, np.zeros(3))
        old, link = tmp_path / "old.npy", tmp_path / "link.npy"
        old.write_text("old")
        link.symlink_to(old)
        assert main(["reduce", str(path), "--out", str(link)]) == 0
        assert link.is_symlink()
        assert np.load(old) == pytest.approx(math.log(3))

    @pytest.mark.parametrize(
        ("error", "status", "sentence"),
        [
            (OSError(5, "Input/output error"), 1, "cannot be read any further (Input/output err"),
            (MemoryError(), 1, "There is not enough memory"),
            (KeyboardInterrupt(), 130, "Interrupted, and nothing was written."),
        ],
    )
    def test_is_left_as_it_was(
        self,
        error: BaseException,
        status: int,
        sentence: str,
        tmp_path: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        cut(monkeypatch, 64)
        path, out = saved(tmp_path, np.zeros((100, 3))), tmp_path / "out.npy"
        out.write_text("old")
        true_runs, calls = _blocks.Blocks.runs, itertools.count()

        def runs(*arguments: Any) -> Any:
            if next(calls) == 3:
                assert len(list(tmp_path.glob(".out.npy.*.tmp"))) == 1
                raise error
            yield from true_runs(*arguments)

        monkeypatch.setattr(_blocks.Blocks, "runs", runs)
        assert main(["reduce", str(path), "--axis", "1", "--out", str(out)]) == status
        assert sentence in capsys.readouterr().err
        assert out.read_text() == "old"
        assert set(tmp_path.iterdir()) == {path, out}

    def test_file_becomes_shorter(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path, out = saved(tmp_path, np.zeros((100, 3))), tmp_path / "out.npy"
        target = _files._target

        def shorten(*arguments: Any) -> Any:
            os.truncate(path, 500)
            return target(*arguments)

        monkeypatch.setattr(_files, "_target", shorten)
        assert main(["reduce", str(path), "--out", str(out)]) == 1
        assert capsys.readouterr().err == f"{path} has become shorter: run again.\n"
        assert set(tmp_path.iterdir()) == {path}

    @on_posix
    def test_disk_is_full(self, tmp_path: Path) -> None:
        path, out = saved(tmp_path, np.zeros((20_000, 2))), tmp_path / "out.npy"
        run = command(
            path, "--axis", "1", "--out", str(out), before="RLIMIT_FSIZE, (100_000, 100_000)"
        )
        assert run.wait() == 1
        assert "cannot be written (File too large), and is as it was before" in said(run)
        assert set(tmp_path.iterdir()) == {path}


def command(path: Path, *options: str, before: str = "", env: Any = None) -> Any:
    """Start the command in a process of its own, which may have a limit of the system's."""
    script = f"""
import sys
{f"import resource; resource.setrlimit(resource.{before})" if before else ""}
from agnostic_lse.__main__ import main
from tests.backends import available_package
sys.exit(main(["reduce", *sys.argv[1:]]))
"""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, str(path), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )


def said(run: Any) -> str:
    """Return what a process that has ended wrote on standard error."""
    text: str = run.communicate()[1]
    return text


def as_module(arguments: list[str], stdout: Any) -> Any:
    """Start the command as users do, whose output Python keeps until there is more of it."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    return subprocess.Popen(
        [sys.executable, "-m", "agnostic_lse", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


def of_zeros(path: Path, rows: int, columns: int) -> Path:
    """Make a file that takes no room on the disk."""
    text = header((rows, columns), "<f4")
    path.write_bytes(text)
    os.truncate(path, len(text) + 4 * rows * columns)
    return path


class TestProcess:
    @on_posix
    @pytest.mark.parametrize(
        ("name", "status"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)]
    )
    def test_ended_by_a_signal(self, name: str, status: int, tmp_path: Path) -> None:
        path = of_zeros(tmp_path / "zeros.npy", 10**8, 1000)  # which takes minutes
        out = tmp_path / "out.npy"
        out.write_text("old")
        run = command(path, "--axis", "1", "--out", str(out), env={"AGNOSTIC_LSE_KERNELS": "off"})
        for _ in range(1000):
            if any(file.stat().st_size > 10_000 for file in tmp_path.glob(".out.npy.*.tmp")):
                break
            time.sleep(0.02)
        else:
            pytest.fail("it did not begin")
        run.send_signal(getattr(signal, name))
        assert run.wait(20) == status
        assert "Traceback" not in said(run)
        assert set(tmp_path.iterdir()) == {path, out}
        assert out.read_text() == "old"

    @on_posix
    @pytest.mark.parametrize("delay", [0.15, 0.3, 0.4, 0.5, 0.7])
    def test_ended_at_any_moment(self, delay: float, tmp_path: Path) -> None:
        """While Numba is loaded, say, which takes some of this time and calls back into Python."""
        path = of_zeros(tmp_path / "zeros.npy", 10**8, 1000)
        run = command(path, "--axis", "0", "--out", str(tmp_path / "out.npy"))
        time.sleep(delay)
        run.send_signal(signal.SIGTERM)
        # Before there is anything to tidy, the signal ends the process by itself.
        assert run.wait(20) in (143, -signal.SIGTERM)
        run.communicate()
        assert set(tmp_path.iterdir()) == {path}

    @pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the address space")
    @pytest.mark.parametrize("limit", [300_000_000, 500_000_000])
    def test_file_larger_than_memory(self, limit: int, tmp_path: Path) -> None:
        rows = limit // 4000 + 1
        path = of_zeros(tmp_path / "zeros.npy", rows, 1000)
        run = command(
            path,
            before=f"RLIMIT_AS, ({limit}, {limit})",
            env={"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"},
        )
        printed, error = run.communicate()
        assert error == ""
        assert float(printed) == pytest.approx(math.log(1000 * rows))

    def test_as_a_module(self, tmp_path: Path) -> None:
        path = saved(tmp_path, np.asarray([0.0, -40.0]))
        run = subprocess.run(
            [sys.executable, "-m", "agnostic_lse", "reduce", str(path)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout == "4.248354255291589e-18\n"
        assert run.stderr == ""

    @pytest.mark.parametrize(
        "arguments",
        [
            ["reduce", "FILE"],
            ["reduce", "FILE", "--json"],
            ["info"],
            ["info", "--json"],
            ["bench", "--quick", "--size", "1000"],
            ["bench", "--help"],
            ["--help"],
            ["--version"],
            [],
        ],
    )
    def test_output_that_nobody_reads(self, arguments: list[str], tmp_path: Path) -> None:
        path = saved(tmp_path, np.zeros(3))
        reader, writer = os.pipe()
        os.close(reader)
        run = as_module([str(path) if x == "FILE" else x for x in arguments], stdout=writer)
        os.close(writer)
        progress = r"((Calculating|Timing) .* \d+\.\d s\n)*"
        assert re.fullmatch(progress, said(run))
        assert run.returncode == 141

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
    def test_output_that_is_full(self, tmp_path: Path) -> None:
        with Path("/dev/full").open("w") as full:
            run = as_module(["reduce", str(saved(tmp_path, np.zeros(3)))], stdout=full)
        assert run.wait(60) == 1
        assert said(run) == "Standard output cannot be written (No space left on device).\n"

    @on_posix
    def test_permissions_stay(self, tmp_path: Path) -> None:
        out = tmp_path / "out.npy"
        out.write_text("old")
        out.chmod(0o600)
        assert main(["reduce", str(saved(tmp_path, np.zeros(3))), "--out", str(out)]) == 0
        assert out.stat().st_mode & 0o777 == 0o600

    def test_no_handler_stays(self, tmp_path: Path) -> None:
        before = signal.getsignal(signal.SIGTERM)
        assert main(["reduce", str(saved(tmp_path, np.zeros(3)))]) == 0
        assert signal.getsignal(signal.SIGTERM) == before


class TestProgress:
    def test_knows_its_end(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        available_package("tqdm")
        path = saved(tmp_path, np.zeros((1000, 16)))
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        assert main(["reduce", str(path)]) == 0
        printed = capsys.readouterr()
        assert float(printed.out) == pytest.approx(math.log(16_000))
        assert "128k/128k" in printed.err
        assert main(["reduce", str(path), "--quiet"]) == 0
        assert capsys.readouterr().err == ""

    def test_only_for_a_terminal(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["reduce", str(saved(tmp_path, np.zeros(3)))]) == 0
        assert capsys.readouterr().err == ""

    def test_no_tqdm(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "tqdm", None)  # as if it were not installed
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        assert main(["reduce", str(saved(tmp_path, np.zeros(3)))]) == 0
        printed = capsys.readouterr()
        assert float(printed.out) == pytest.approx(math.log(3))
        assert printed.err == (
            "There is no progress bar, since tqdm is not installed: pip install tqdm, or give "
            "--quiet.\n"
        )


class TestMappedFiles:
    @pytest.mark.parametrize("order", ["C", "F"])
    @pytest.mark.parametrize("mode", ["r", "r+", "c"])
    def test_memmap(self, mode: Any, order: str, tmp_path: Path) -> None:
        x = numbers((300, 400), "<f8", order)
        mapped = np.load(saved(tmp_path, x), mmap_mode=mode)
        assert isinstance(mapped, np.memmap)
        for axes in along(x.shape):
            got = logsumexp(mapped, axis=axes)
            assert type(got) in (np.ndarray, np.float64)
            np.testing.assert_array_equal(got, logsumexp(x, axis=axes))
        assert np.array_equal(mapped, x)
