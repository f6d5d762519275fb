"""Sums of many terms in single precision, along every axis and in every layout of memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special

from agnostic_lse import logsumexp
from tests.accuracy.rivals import run
from tests.backends import Backend

# How to lay out one row of n numbers among others: an array, and the axis to sum along.
LAYOUTS: dict[str, Callable[[Any], tuple[Any, int]]] = {
    "contiguous": lambda x: (x, 0),
    "reversed": lambda x: (x[::-1], 0),
    "every other": lambda x: (np.repeat(x, 2)[::2], 0),
    "fast axis of two": lambda x: (np.stack([x, x]), 1),
    "slow axis of two": lambda x: (np.stack([x, x], axis=1), 0),
    "slow axis of two, Fortran order": lambda x: (np.asfortranarray(np.stack([x, x], axis=1)), 0),
}
KINDS: dict[str, Callable[[np.random.Generator, int], Any]] = {
    "zeros": lambda _, n: np.zeros(n, np.float32),
    "three values": lambda _, n: np.resize(np.asarray([0.1, -1.5, -3.3], np.float32), n),
    "normal": lambda rng, n: rng.standard_normal(n, dtype=np.float32),
    "spread": lambda rng, n: rng.standard_normal(n, dtype=np.float32) * 5,
}


def exact(x: Any) -> tuple[float, float]:
    """Return the logarithm of the sum and its condition, from sums in double precision.

    These err by a few units of roundoff of double precision, as NumPy adds in pairs: nothing to
    single precision.
    """
    peak = float(x.max())
    whole = by_terms = 0.0
    for start in range(0, x.size, 2**20):
        part = x[start : start + 2**20].astype(np.float64)
        terms = np.exp(part - peak)
        whole += float(terms.sum())
        by_terms += float((terms * np.abs(part)).sum())
    log = peak + float(np.log(whole))
    return log, max(abs(log), by_terms / whole)


def long_sums(length: int) -> list[dict[str, Any]]:
    """Return the errors of each library for each kind and layout."""
    rng = np.random.default_rng(0)
    out = []
    for kind, make in KINDS.items():
        x = make(rng, length)
        log, size = exact(x)
        for layout, lay in LAYOUTS.items():
            laid, axis = lay(x)
            errors = {}
            for name, (backend, function) in summing(axis).items():
                result = run(function, backend, (laid,)).astype(np.float64)
                worst = float(np.max(np.abs(result - log)))
                errors[name] = round(worst / (2.0**-24 * size), 2)
            out.append({"kind": kind, "layout": layout, "length": length, "errors": errors})
            print(f"{kind:12} {layout:32} {errors}", flush=True)
            del laid
    return out


def summing(axis: int) -> dict[str, tuple[Backend, Callable[[Any], Any]]]:
    """Return how each library sums along the axis; JAX compiles its own layout of any array."""

    def ours(x: Any) -> Any:
        return logsumexp(x, axis=axis)

    out: dict[str, tuple[Backend, Callable[[Any], Any]]] = {}
    for backend in (Backend.NUMPY, Backend.TORCH, Backend.JAX):
        if backend.missing() is None:
            out[f"agnostic_lse, {backend}"] = backend, ours
    out["scipy"] = Backend.NUMPY, lambda x: scipy.special.logsumexp(x, axis=axis)
    if Backend.TORCH.missing() is None:
        out["torch"] = Backend.TORCH, lambda x: x.logsumexp(axis)
    if Backend.JAX.missing() is None:
        import jax

        out["jax"] = Backend.JAX, lambda x: jax.scipy.special.logsumexp(x, axis=axis)
    return out
