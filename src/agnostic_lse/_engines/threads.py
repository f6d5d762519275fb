"""Threads that share the parts of one call's work."""

from __future__ import annotations

import contextlib
import contextvars
import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait

_alone: contextvars.ContextVar[bool] = contextvars.ContextVar("alone", default=False)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Let calls use no thread but their own, where something else shares out the processors."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


def number_of_threads() -> int:
    """Return how many threads a call may use, the caller's own among them.

    There are never more than processors.
    """
    if _alone.get():
        return 1
    own = os.environ.get("AGNOSTIC_LSE_NUM_THREADS", "").strip()
    if own:
        if not own.isdecimal() or int(own) == 0:
            raise ValueError(
                f"AGNOSTIC_LSE_NUM_THREADS is {own!r}, but a positive number was expected: "
                "unset it to use all processors."
            )
        return min(int(own), os.cpu_count() or 1)
    # OpenMP allows a number for each level of nesting; joblib sets it in the processes it starts.
    of_openmp = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if of_openmp.isdecimal() and int(of_openmp) > 0:
        return min(int(of_openmp), os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(task: Callable[[int], None], count: int) -> None:
    """Call a function with each number below the count, on several threads.

    The caller works too, so that nothing waits for a thread that others keep busy. If a call fails,
    or the user interrupts, no other begins, and those that have begun are waited for.
    """
    wanted = min(number_of_threads(), count) - 1 if count > 1 else 0
    if wanted == 0:
        for number in range(count):
            task(number)
        return
    numbers, stopped = itertools.count(), threading.Event()
    taking = threading.Lock()

    def work() -> None:
        while not stopped.is_set():
            with taking:
                number = next(numbers)
            if number >= count:
                return
            try:
                task(number)
            except BaseException:  # an interrupt, too: it is raised again
                stopped.set()
                raise

    helpers: list[Future[None]] = []
    try:
        # No thread can be started any more when the interpreter exits.
        with contextlib.suppress(RuntimeError):
            while len(helpers) < wanted:
                # NumPy's errstate is the caller's: each helper works in a copy of its context.
                helpers.append(_pool().submit(contextvars.copy_context().run, work))
        work()
    finally:
        stopped.set()
        begun = [helper for helper in helpers if not helper.cancel()]
        wait(begun)
    for helper in begun:
        helper.result()


_threads: ThreadPoolExecutor | None = None
_making = threading.Lock()


def _pool() -> ThreadPoolExecutor:
    global _threads
    with _making:
        if _threads is None:
            _threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix=__package__)
        return _threads


def _forget() -> None:
    """Leave the threads of the parent behind, which a forked process has not got."""
    global _threads, _making
    _threads, _making = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
