"""The benchmark: times and errors beside what else there is, on the user's own machine."""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from statistics import geometric_mean
from typing import Any

import numpy as np

from . import _exact, _libraries, show_config
from ._console import progress, say, say_json
from ._libraries import Library
from ._namespace import Array, to_host
from ._timing import Effort, Way, fastest
from ._wording import counted

FUNCTIONS = ("logsumexp", "log_softmax", "softmax")
OURS = "agnostic_lse"
# In the second kind of rows, one term is 0 and all others about this: what they add to the
# logarithm, 4e-18 each, is what one subtraction too many takes away.
FAR_BELOW = -40
NOTES = """\
  time      the least of several turns, the geometric mean of the arrays'
  ratio     how many times as long as agnostic_lse on the same library: below 1, it is slower
  error     the largest found, in units of roundoff times the condition number
  one peak  the same where one exponent of each sum is 0 and all others lie about 40 below"""
Along = Callable[[Array], Array]


def three_lines(xp: Any, function: str, axis: int) -> Along:
    """Return what people write without a library: the largest term, a sum and a logarithm."""

    def logsumexp(x: Array) -> Array:
        peak = x.max(axis=axis, keepdims=True)
        whole = xp.exp(x - peak).sum(axis=axis, keepdims=True)
        return (xp.log(whole) + peak).squeeze(axis)

    def softmax(x: Array) -> Array:
        scaled = xp.exp(x - x.max(axis=axis, keepdims=True))
        return scaled / scaled.sum(axis=axis, keepdims=True)

    def log_softmax(x: Array) -> Array:
        below = x - x.max(axis=axis, keepdims=True)
        return below - xp.log(xp.exp(below).sum(axis=axis, keepdims=True))

    return {"logsumexp": logsumexp, "softmax": softmax, "log_softmax": log_softmax}[function]


def _of_module(name: str) -> Callable[[Any, str, int], Along]:
    def along(_: Any, function: str, axis: int) -> Along:
        return functools.partial(getattr(importlib.import_module(name), function), axis=axis)

    return along


def _of_torch(torch: Any, function: str, axis: int) -> Along:
    return functools.partial(getattr(torch, function), dim=axis)


# What there is besides on each array library
OTHERS: dict[str, dict[str, Callable[[Any, str, int], Along]]] = {
    "NumPy": {"scipy.special": _of_module("scipy.special"), "three lines": three_lines},
    "CuPy": {"cupyx.scipy.special": _of_module("cupyx.scipy.special"), "three lines": three_lines},
    "PyTorch": {"torch": _of_torch},
    "PyTorch CUDA": {"torch": _of_torch},
    "JAX, jitted": {"jax.nn": _of_module("jax.nn")},
    "Dask": {"three lines": three_lines},
}


def run(size: int, quick: bool, number_of_threads: int | None, as_json: bool) -> None:
    """Run the benchmark and print what it finds."""
    effort = Effort(2, 0.02) if quick else Effort(3, 0.05)
    left_out: dict[str, str] = {}
    with confined(number_of_threads):
        with progress("Calculating exact answers"):
            arrays = problems(size, quick)
        found = list(results(arrays, effort, left_out))
        config = show_config("dicts")
    if as_json:
        say_json({"configuration": config, "results": found, "left_out": left_out})
        return
    threads = counted(config["threads"], "thread")
    shapes = ", ".join(map(str, arrays))
    say(f"agnostic_lse {config['agnostic_lse']} beside others, {threads}\nnormal numbers: {shapes}")
    for library in dict.fromkeys(result["library"] for result in found):
        _print_table([result for result in found if result["library"] == library])
    say(f"\n{NOTES}\n")
    _print_worst(found)
    for name, reason in left_out.items():
        say(f"{name}: left out, {reason}")


def problems(size: int, quick: bool) -> list[_Problem]:
    """Return arrays of about so many numbers: rows, and unless it is urgent others."""
    if size > sys.maxsize // 8:  # more bytes than there are addresses: NumPy calls that wrong
        raise MemoryError
    rows = _Problem((size // 1000, 1000), 1, "float64")
    if quick:
        return [rows]
    return [
        rows,
        _Problem((size // 1000, 1000), 1, "float32"),
        _Problem((size // 10, 10), 1, "float32"),
        _Problem((size,), 0, "float64"),
    ]


def results(
    problems: list[_Problem],
    effort: Effort,
    left_out: dict[str, str],
    libraries: Iterable[str] = tuple(OTHERS),
) -> Iterator[dict[str, Any]]:
    """Yield what each function took, and how far it was off, on each array; note what cannot."""
    for name in libraries:
        others = OTHERS[name]
        if missing := _libraries.missing(name):
            left_out[name] = missing
            continue
        with progress(f"Timing {name}"):
            try:
                with _libraries.opened(name) as library:
                    for problem in problems:
                        for function in FUNCTIONS:
                            ways = {OURS: _of_module(__package__)} | others
                            yield {
                                "library": f"{name} {_libraries.version(name)}",
                                "device": library.device,
                                **problem.result(function, library, ways, effort, left_out),
                            }
            # Found, but broken or without a device, each library with errors of its own
            except (ImportError, OSError, RuntimeError, _libraries.NoDeviceError) as error:
                left_out[name] = str(error).strip().partition("\n")[0]


class _Problem:
    """An array of normal numbers, and another with one peak in each sum; and exact answers."""

    def __init__(self, shape: tuple[int, ...], axis: int, dtype: str) -> None:
        self.axis = axis
        self.x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
        self.peaked = self.x + np.asarray(FAR_BELOW, dtype)
        self.peaked[..., shape[axis] // 2] = 0
        self.exact, self.exact_of_peaked = (
            _exact.sums(array.reshape(-1, shape[axis])) for array in (self.x, self.peaked)
        )

    def __str__(self) -> str:
        return f"{self.x.dtype} {'x'.join(map(str, self.x.shape))}"

    def result(
        self,
        function: str,
        library: Library,
        makers: dict[str, Callable[[Any, str, int], Along]],
        effort: Effort,
        left_out: dict[str, str],
    ) -> dict[str, Any]:
        """Return the seconds and the errors of each way to a function."""
        x, peaked = library.put(self.x), library.put(self.peaked)
        ways, errors, errors_of_peaked = {}, {}, {}
        for name, maker in makers.items():
            try:
                along = library.compiled(maker(library.module, function, self.axis))
            except (ImportError, AttributeError) as error:
                what = name if isinstance(error, ImportError) else f"{name}.{function}"
                left_out[what] = str(error)
                continue
            call = functools.partial(_call, library, along)
            errors[name] = self._error(function, call(x), self.exact)
            errors_of_peaked[name] = self._error(function, call(peaked), self.exact_of_peaked)
            ways[name] = Way(functools.partial(call, x))
        seconds, _ = fastest(ways, effort)
        return {
            "function": function,
            "dtype": self.x.dtype.name,
            "shape": list(self.x.shape),
            "axis": self.axis,
            "seconds": seconds,
            "error": errors,
            "error_one_peak": errors_of_peaked,
        }

    def _error(self, function: str, out: Array, answers: list[_exact.Sum]) -> float:
        host = to_host(out)
        rows = (-1,) if function == "logsumexp" else (-1, self.x.shape[self.axis])
        return _exact.error(function, host.reshape(rows), answers)


def _call(library: Library, along: Along, x: Array) -> Array:
    return library.finished(along(x))


@contextlib.contextmanager
def confined(number: int | None) -> Iterator[None]:
    """Keep all libraries to so many threads, those that are not loaded yet."""
    # PyTorch's threads would spin while they wait, and take the processors from whoever comes next.
    changed = {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "passive")}
    before: set[int] | None = None
    if number is not None:
        changed |= {"AGNOSTIC_LSE_NUM_THREADS": str(number), "OMP_NUM_THREADS": str(number)}
        if hasattr(os, "sched_setaffinity"):
            before = os.sched_getaffinity(0)
            os.sched_setaffinity(0, sorted(before)[:number])
    variables = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in variables.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
        if before is not None:
            os.sched_setaffinity(0, before)


def _print_table(results: list[dict[str, Any]]) -> None:
    say(
        f"\n{results[0]['library'] + ', ' + results[0]['device']:<36}"
        f"{'time':>12}{'ratio':>9}{'error':>10}{'one peak':>10}"
    )
    for function in FUNCTIONS:
        label = function
        of_function = [result for result in results if result["function"] == function]
        for way in of_function[0]["seconds"] if of_function else ():
            seconds = geometric_mean([result["seconds"][way] for result in of_function])
            ratios = [result["seconds"][way] / result["seconds"][OURS] for result in of_function]
            ratio = "" if way == OURS else f"{geometric_mean(ratios):.2f}"
            errors = (
                max(result[kind][way] for result in of_function)
                for kind in ("error", "error_one_peak")
            )
            say(
                f"  {label:<13}{way:<21}{seconds * 1e3:>9.3f} ms{ratio:>9}"
                + "".join(f"{_digits(error):>10}" for error in errors)
            )
            label = ""


def _print_worst(results: list[dict[str, Any]]) -> None:
    """Say where agnostic_lse comes off worst, so that means hide nothing."""
    _, way, result = min(
        ((s / result["seconds"][OURS], way, i), way, result)
        for i, result in enumerate(results)
        for way, s in result["seconds"].items()
        if way != OURS
    )
    ratio = result["seconds"][way] / result["seconds"][OURS]
    say(
        f"Smallest ratio: {ratio:.2f}, {way}, {result['function']} of {result['dtype']} "
        f"{'x'.join(map(str, result['shape']))}, on {result['library']}"
    )


def _digits(error: float) -> str:
    return f"{error:.1f}" if error < 1000 else f"{error:.0e}"
