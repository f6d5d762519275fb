"""Time the command ``reduce`` on a large file: ``python -m benchmarks.files``.

It runs beside a process that only reads the file, both in as little address space as --limit says,
from a disk whose cache in memory is emptied before each turn.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from agnostic_lse import _files, logsumexp
from agnostic_lse._timing import ORDER
from benchmarks.measure import RESULTS, Progress, environment, save

COLUMNS = 1000
# Numbers written at once: a whole number of rows, of 64 MB.
PART = 16_000 * COLUMNS
READING = f"""
import numpy as np, sys
buffer = np.empty({_files.BLOCK}, np.uint8)
with open(sys.argv[1], "rb", buffering=0) as stream:
    while stream.readinto(buffer.data):
        pass
"""
# What the system counts is asked for at the end, in the process itself.
REDUCING = """
import sys
from pathlib import Path
from agnostic_lse.__main__ import main
status = main(sys.argv[1:])
lines = Path("/proc/self/status").read_text().splitlines()
print(*(line.split()[1] for line in lines if line.startswith(("VmPeak", "VmHWM"))), file=sys.stderr)
sys.exit(status)
"""


def write(path: Path, rows: int) -> dict[str, Any]:
    """Write normal numbers, and return the exact results.

    All parts are the same but for an offset, so that the sums over all follow from those over one.
    """
    rng = np.random.default_rng(0)
    base = rng.standard_normal((PART // COLUMNS, COLUMNS), dtype=np.float32)
    # Multiples of 2**-20 below 64 in size, so that offsets are added without rounding
    base = (np.round(base * 2**17) / 2**17).astype(np.float32)
    offsets = [float(x) for x in rng.integers(-32, 32, rows // len(base)) / 16]
    shape = (len(offsets) * len(base), COLUMNS)
    progress = Progress(len(offsets), "writing")
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for offset in offsets:
            part = base + np.float32(offset)
            assert np.array_equal(part - np.float32(offset), base)  # noqa: S101 (as promised)
            file.write(part.data)
            progress.step("64 MB")
        os.fsync(file.fileno())
    wide = base.astype(np.float64)
    # math.fsum rounds once, and numbers this small need no shift.
    weight = math.log(math.fsum(map(math.exp, offsets)))
    columns = np.asarray([math.log(math.fsum(np.exp(column))) for column in wide.T])
    each_row = logsumexp(wide, axis=1)
    return {
        "none": np.asarray(math.log(math.fsum(np.exp(columns))) + weight),
        "0": columns + weight,
        "1": np.concatenate([each_row + offset for offset in offsets]),
    }


def forget(path: Path) -> None:
    """Have the system drop what it keeps of a file in memory."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(script: str, arguments: list[str], limit: int) -> tuple[float, str]:
    """Return the seconds of a process in limited address space, and what it says at its end."""

    def confine() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=confine,
    )
    if done.returncode:
        raise SystemExit(f"A process ended with status {done.returncode}: {done.stderr}")
    return time.perf_counter() - start, done.stderr


def measure(path: Path, rows: int, limit: int, repeats: int) -> dict[str, Any]:
    exact = write(path, rows)
    size, out = path.stat().st_size, path.with_name("out.npy")
    tasks = [(axis, cold) for axis in exact for cold in (True, False) if cold or axis == "none"]
    seconds: dict[str, list[float]] = {}
    entries: dict[str, dict[str, Any]] = {}
    progress = Progress(repeats * (len(tasks) + 2), "files")
    turns: list[tuple[str | None, bool]] = [(None, True), (None, False), *tasks]
    run(REDUCING, ["reduce", str(path), "--axis", "1", "--out", str(out)], limit)  # may compile
    for _ in range(repeats):
        for axis, cold in ORDER.sample(turns, len(turns)):
            name = f"{'reading' if axis is None else f'axis {axis}'}, {'cold' if cold else 'as is'}"
            if cold:
                forget(path)
            if axis is None:
                taken, _said = run(READING, [str(path)], limit)
            else:
                along = [] if axis == "none" else ["--axis", axis]
                command = ["reduce", str(path), *along, "--out", str(out), "--quiet"]
                taken, said = run(REDUCING, command, limit)
                space, resident = (int(kib) * 1024 for kib in said.split())
                error = np.abs(np.load(out) - exact[axis]) / np.abs(exact[axis])
                roundoff = float(np.finfo(np.float32).eps) / 2
                entries[name] = {
                    "peak_address_space_bytes": max(
                        space, entries.get(name, {}).get("peak_address_space_bytes", 0)
                    ),
                    "peak_resident_bytes": max(
                        resident, entries.get(name, {}).get("peak_resident_bytes", 0)
                    ),
                    "largest_error_in_roundoffs": float(f"{error.max() / roundoff:.3g}"),
                }
            seconds.setdefault(name, []).append(taken)
            progress.step(name)
    for name, each in seconds.items():
        entries.setdefault(name, {})
        entries[name]["seconds"] = [float(f"{s:.4g}") for s in each]
        entries[name]["gb_per_second"] = float(f"{size / min(each) / 1e9:.4g}")
    for name, entry in entries.items():
        reading = entries["reading, " + name.partition(", ")[2]]
        ratio = entry["gb_per_second"] / reading["gb_per_second"]
        entry["share_of_reading"] = float(f"{ratio:.3g}")
    words = "GB/s of the fastest turn, the process's own start included"
    return environment(
        unit=words,
        dtype="float32",
        bytes=size,
        limit_bytes=limit,
        block=_files.BLOCK,
        cases=entries,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument("--size", type=float, default=12.0, help="GB of the file (default: 12)")
    parser.add_argument(
        "--limit", type=int, default=500, help="MB of address space, 500 if left out"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where the file is made and deleted")
    parser.add_argument("--out", type=Path, help=f"default: {RESULTS}/files.json, if 12 GB or more")
    options = parser.parse_args()
    rows = max(1, round(options.size * 1e9 / 4 / PART)) * (PART // COLUMNS)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "numbers.npy"
        results = measure(path, rows, options.limit * 10**6, options.repeats)
    for name, entry in results["cases"].items():
        print(name, json.dumps(entry))
    if options.out or options.size >= 12:
        save(results, options.out or RESULTS / "files.json")


if __name__ == "__main__":
    main()
