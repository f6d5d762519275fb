"""What the benchmarks share: the machine in words, progress, and JSON."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import agnostic_lse
from agnostic_lse._engines.choice import Kind

RESULTS = Path("benchmarks/results")
LIBRARIES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "torch",
    "jax",
    "cupy-cuda12x",
    "cupy-cuda13x",
)
# Of the many flags of a processor, those that decide how a loop over exponentials is compiled.
FLAGS = {
    *("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512dq", "avx512bw", "avx512vl"),
    *("asimd", "sve", "sve2", "hypervisor"),
}
CPU = Path("/sys/devices/system/cpu")


def kernels(word: Kind) -> Callable[[], AbstractContextManager[Any]]:
    """Return what chooses the kernels: auto, off, host or cuda."""
    return functools.partial(agnostic_lse.kernels, word)


def nanoseconds_each(seconds: dict[str, float], elements: int) -> dict[str, float]:
    return {name: float(f"{s / elements * 1e9:.4g}") for name, s in seconds.items()}


def environment(**more: Any) -> dict[str, Any]:
    """Describe the machine and the versions, but not whose machine it is."""
    info = _first_processor()
    flags = info.get("flags", info.get("Features", "")).split()
    return {
        "processor": info.get("model name") or platform.processor() or platform.machine(),
        "machine": platform.machine(),
        "cores": len({_siblings(n) for n in processors()}),
        "processors": len(processors()),
        "caches": _caches(),
        "flags": sorted(FLAGS.intersection(flags)),
        "memory_gib": round(_meminfo("MemTotal") / 2**30, 1),
        "load_at_start": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {"agnostic_lse": agnostic_lse.__version__, **versions()},
        **more,
    }


def versions() -> dict[str, str]:
    found = {}
    for name in LIBRARIES:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _first_processor() -> dict[str, str]:
    """Return what Linux says of the first processor."""
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
        pairs = (line.partition(":") for line in text.splitlines())
        return {name.strip(): value.strip() for name, _, value in pairs}
    return {}


def _caches() -> dict[str, str]:
    caches = {}
    for index in sorted((CPU / "cpu0/cache").glob("index*")):
        level, kind, size = (
            (index / name).read_text().strip() for name in ("level", "type", "size")
        )
        kib = int(size.removesuffix("K"))
        words = f"{kib} KiB" if kib < 1024 else f"{kib / 1024:g} MiB"
        caches[f"L{level}{'' if kind == 'Unified' else kind[0].lower()}"] = words
    return caches


def _meminfo(what: str) -> int:
    """Return the bytes of a line of what Linux says of memory, 0 elsewhere."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) * 1024
    return 0


def free_memory() -> int:
    return _meminfo("MemAvailable")


def processors() -> list[int]:
    """Return the processors that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _siblings(processor: int) -> str:
    """Return the processors of the same core, or itself where that is not known."""
    with contextlib.suppress(OSError):
        return (CPU / f"cpu{processor}/topology/thread_siblings_list").read_text().strip()
    return str(processor)


def one_of_each_core_first() -> list[int]:
    """Return the processors, those that share a core with an earlier one at the end."""
    seen: set[str] = set()
    first: list[int] = []
    later: list[int] = []
    for processor in processors():
        core = _siblings(processor)
        (later if core in seen else first).append(processor)
        seen.add(core)
    return first + later


@contextlib.contextmanager
def confined(threads: int) -> Iterator[None]:
    """Let the processes started within run on that many processors only."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, one_of_each_core_first()[:threads])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def thread_counts() -> list[int]:
    """Return the powers of 2 up to the number of processors, and that number.

    JAX takes its number of threads from the processors that it finds at its start; where a process
    cannot be confined to some of them, only the number of all can be compared.
    """
    every = len(processors())
    if not hasattr(os, "sched_setaffinity"):
        return [every]
    return sorted({2**k for k in range(every.bit_length())} | {every})


class Progress:
    """A bar, or a line that counts where tqdm is missing."""

    def __init__(self, total: int, title: str) -> None:
        self.total, self.title, self.done = total, title, 0
        self.bar: Any = None
        if find_spec("tqdm") is not None:
            self.bar = import_module("tqdm").tqdm(total=total, desc=title, file=sys.stderr)

    def step(self, what: str) -> None:
        """Count one more thing done."""
        self.done += 1
        if self.bar is not None:
            self.bar.set_postfix_str(what, refresh=False)
            self.bar.update()
            if self.done == self.total:
                self.bar.close()
            return
        line = f"{self.title}: {self.done}/{self.total} {what}"
        on_screen = sys.stderr.isatty()
        end = "\n" if not on_screen or self.done == self.total else ""
        start = "\r" if on_screen else ""
        print(f"{start}{line:<78}" if on_screen else line, end=end, file=sys.stderr, flush=True)


def save(results: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{path} written", file=sys.stderr)
