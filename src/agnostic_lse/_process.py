"""What a long run asks of its process: signals, a progress bar, and address space."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ._engines import host

# From <malloc.h>
_M_ARENA_MAX = -8


@contextlib.contextmanager
def noted_signals() -> Iterator[Callable[[], None]]:
    """Give what to call between blocks, which leaves if a signal has asked to since.

    An exception out of the signal itself could come anywhere: in a call back from compiled code,
    which swallows it, or in the midst of a lock. A second signal does what it does by default.
    """
    came: list[int] = []

    def end_if_asked() -> None:
        if came and came[0] == signal.SIGINT:
            raise KeyboardInterrupt
        if came:
            raise SystemExit(128 + came[0])  # as shells count it

    if threading.current_thread() is not threading.main_thread():
        yield end_if_asked  # elsewhere no signals come, and none can be awaited
        return
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    numbers = [getattr(signal, name) for name in names if hasattr(signal, name)]
    # Whoever started the process may want it to go on, as nohup does.
    defaults = (signal.SIG_DFL, signal.default_int_handler)
    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) in defaults}

    def note(number: int, _: object) -> None:
        came.append(number)
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, note)
    try:
        yield end_if_asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def progress_bar(total: int, quiet: bool) -> Iterator[Callable[[int], object]]:
    """Give what to tell how many bytes are done: a bar, if someone is there to see it."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield lambda _: None
        return
    try:
        bars = importlib.import_module("tqdm").tqdm
    except ImportError:
        sys.stderr.write(
            "There is no progress bar, since tqdm is not installed: pip install tqdm, or give "
            "--quiet.\n"
        )
        yield lambda _: None
        return
    # tqdm has a thread that watches bars which expect too much between two calls: not this one.
    without_thread: Any = type("Bar", (bars,), {"monitor_interval": 0})
    with without_thread(total=total, unit="B", unit_scale=True, miniters=1, file=sys.stderr) as bar:
        yield bar.update


def save_address_space() -> None:
    """Take less address space where it is limited, so that more often there is enough for Numba.

    Numba loads SciPy's OpenBLAS, which nothing here calls: of its own threads, each wants 32 MiB.
    An arena of glibc's takes 64 MiB for each thread, and its stack another 8.
    """
    if host.address_space_limit() is None:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    threading.stack_size(2**19)
    with contextlib.suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)
