"""The same functions of several libraries on the host, as calls without arguments."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

import agnostic_lse
from agnostic_lse._bench import three_lines
from agnostic_lse._timing import Way
from benchmarks.measure import kernels

FUNCTIONS = ("logsumexp", "log_softmax", "softmax")
Call = Callable[[], Any]
# Takes the function's name, the array and the axis; gives None where the library has no such one.
Maker = Callable[[str, NDArray[Any], int], Call | None]


def _ours(function: str, x: NDArray[Any], axis: int) -> Call:
    return lambda: getattr(agnostic_lse, function)(x, axis=axis)


def _scipy(function: str, x: NDArray[Any], axis: int) -> Call:
    found = getattr(importlib.import_module("scipy.special"), function)
    return lambda: found(x, axis=axis)


def _sklearn(function: str, x: NDArray[Any], axis: int) -> Call | None:
    if function == "logsumexp":
        logsumexp = importlib.import_module("sklearn.utils._array_api")._logsumexp
        return lambda: logsumexp(x, axis=axis)
    if function == "softmax" and (x.ndim, axis) == (2, 1):  # it knows no other axis
        softmax = importlib.import_module("sklearn.utils.extmath").softmax
        return lambda: softmax(x)
    return None


def _three_lines(function: str, x: NDArray[Any], axis: int) -> Call:
    along = three_lines(np, function, axis)
    return lambda: along(x)


def _torch(function: str, x: NDArray[Any], axis: int) -> Call:
    torch = importlib.import_module("torch")
    tensor, found = torch.from_numpy(x), getattr(torch, function)
    return lambda: found(tensor, axis)


def _jax(function: str, x: NDArray[Any], axis: int) -> Call:
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    found = getattr(jax.nn, function)
    jitted, array = jax.jit(lambda y: found(y, axis=axis)), jax.device_put(x)
    return lambda: jitted(array).block_until_ready()


def _read(_: str, x: NDArray[Any], __: int) -> Call:
    """Return a look at every number once; of all at once, since short rows take NumPy longer."""
    return x.max


def _copy(_: str, x: NDArray[Any], __: int) -> Call:
    """Return a copy into memory that is there already."""
    out = np.empty_like(x)
    out.fill(0)  # has the system hand out the memory now
    return lambda: np.copyto(out, x)


OURS, OFF = "agnostic_lse", "agnostic_lse, kernels off"
CONTENDERS: dict[str, Maker] = {
    OURS: _ours,
    OFF: _ours,
    "scipy": _scipy,
    "scikit-learn": _sklearn,
    "numpy, three lines": _three_lines,
    "torch": _torch,
    "jax": _jax,
}
LIMITS: dict[str, Maker] = {"numpy.max": _read, "copy": _copy}
WITHIN = {OURS: kernels("auto"), OFF: kernels("off")}


def ways(function: str, x: NDArray[Any], axis: int, left_out: dict[str, str]) -> dict[str, Way]:
    """Return all that can be timed; note in `left_out` what cannot, and why."""
    with kernels("off")():
        true = np.asarray(_ours(function, x, axis)())
    found = {}
    for name, maker in CONTENDERS.items():
        try:
            call = maker(function, x, axis)
            if call is None:
                continue
            way = Way(call, WITHIN[name]) if name in WITHIN else Way(call)
            with way.within():
                out = np.asarray(call())
        except (ImportError, AttributeError) as error:
            left_out[name] = f"{type(error).__name__}: {error}"
            continue
        if agrees(function, out, true):
            found[name] = way
        else:
            left_out[f"{name}, {function} of {x.dtype} {x.shape}, axis {axis}"] = "another answer"
    for name, maker in LIMITS.items():
        limit = maker(function, x, axis)
        if limit is not None:
            found[name] = Way(limit)
    return found


def agrees(function: str, out: NDArray[Any], true: NDArray[Any]) -> bool:
    """Tell whether it is the same function, however well calculated."""
    at_0 = 0.0 if function == "softmax" else 1e-4
    return out.shape == true.shape and bool(np.allclose(out, true, rtol=1e-2, atol=at_0))
