"""What other systems lack is not needed: these tests take it away from the one that they run on."""

from __future__ import annotations

import errno
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agnostic_lse.__main__ import main

# What Windows has none of, or macOS, after others who use it where it is have been imported.
WITHOUT = """
import argparse, concurrent.futures, ctypes, importlib.util, os, signal, sys, tempfile, threading
import numpy, array_api_compat, array_api_extra
if importlib.util.find_spec("numba"):
    import numba
for module, names in (
    (os, ("fork", "getuid", "mkfifo", "register_at_fork", "sched_getaffinity", "sysconf")),
    (signal, ("SIGHUP", "SIGKILL", "SIGALRM", "SIGPIPE", "pthread_sigmask")),
):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sys.modules.update(dict.fromkeys(("fcntl", "grp", "pwd", "resource", "termios")))
sys.argv[0] = "-"
"""


def run(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT + script, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sums_on_several_threads() -> None:
    printed = run(
        "import agnostic_lse\n"
        "from agnostic_lse._engines import host, threads\n"
        "assert threads.number_of_threads() == os.cpu_count()\n"
        "assert host.address_space_limit() is None\n"
        "x = numpy.zeros(2**22)\n"
        "for mode in ('off', 'auto'):\n"
        "    with agnostic_lse.kernels(mode):\n"
        "        print(agnostic_lse.logsumexp(x))\n"
    )
    assert {float(line) for line in printed.split()} == {22 * math.log(2)}


@pytest.mark.parametrize("options", [[], ["--out"]])
def test_reduce(options: list[str], tmp_path: Path) -> None:
    path, out = tmp_path / "numbers.npy", tmp_path / "sums.npy"
    np.save(path, np.zeros((3, 4)))
    written = [*options, *([str(out)] if options else [])]
    printed = run(
        "from agnostic_lse.__main__ import main\nsys.exit(main(sys.argv[1:]))\n",
        *("reduce", str(path), "--axis", "0", *written),
    )
    values = np.load(out) if options else np.asarray(printed.split(), float)
    np.testing.assert_allclose(values, [math.log(3)] * 4)


@pytest.mark.parametrize(
    ("platform", "number", "status"),
    [
        ("win32", errno.EINVAL, 141),
        ("win32", errno.EPIPE, 141),
        ("linux", errno.EPIPE, 141),
        ("linux", errno.EINVAL, 1),
        ("win32", errno.ENOSPC, 1),
    ],
)
def test_output_that_nobody_reads(
    platform: str,
    number: int,
    status: int,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Closed:
        """Standard output as a pipe whose reader has left."""

        def fileno(self) -> int:
            return written

        def write(self, text: str) -> int:
            return len(text)

        def flush(self) -> None:
            raise OSError(number, os.strerror(number))

    reading, written = os.pipe()
    os.close(reading)
    closed: Any = Closed()
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sys, "stdout", closed)
    try:
        assert main([]) == status
    finally:
        os.close(written)
    said = capfd.readouterr().err
    assert said == (
        "" if status == 141 else f"Standard output cannot be written ({os.strerror(number)}).\n"
    )
