"""The same problems for other libraries: by their own function, or as their users write it."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable
from typing import Any

import numpy as np

from tests.accuracy.problems import KINDS, SEGMENTS, as_tuple
from tests.backends import Backend, make_array

Function = Callable[..., Any]


def weighted_sums(logsumexp: Function) -> dict[str, Function]:
    """Return sums with weights by a function with SciPy's signature."""

    def weighted(a: Any, b: Any = None) -> Any:
        return logsumexp(a, axis=1, b=b, return_sign=True)

    return {f"logsumexp, {kind}": weighted for kind in KINDS}


def weighted_means(logsumexp: Function) -> dict[str, Function]:
    """Return means with weights as users of such a function write them."""

    def weighted(a: Any, b: Any = None) -> Any:
        return logsumexp(a, axis=1, b=1 / a.shape[1] if b is None else b / b.sum(1)[:, None])

    return {f"logmeanexp, {kind}": weighted for kind in KINDS}


def on_numpy() -> dict[str, Function]:
    """Return SciPy's functions, and NumPy's where it has none."""
    special = importlib.import_module("scipy.special")
    return {
        "logsumexp": lambda x: special.logsumexp(x, axis=1),
        **weighted_sums(special.logsumexp),
        **weighted_means(special.logsumexp),
        "logmeanexp": lambda x: special.logsumexp(x, axis=1) - np.log(x.shape[1]),
        "softmax": lambda x: special.softmax(x, axis=1),
        "log_softmax": lambda x: special.log_softmax(x, axis=1),
        "logcumsumexp": lambda x: np.logaddexp.accumulate(x, axis=1),
        "logmatmulexp": lambda a, b: special.logsumexp(a[:, :, None] + b, axis=1),
        "logaddexp": np.logaddexp,
        "logsubexp": lambda x1, x2: special.logsumexp(
            np.stack([x1, x2]), axis=0, b=np.asarray([[1], [-1]], dtype=x1.dtype)
        ),
        "log1mexp": lambda x: np.log1p(-np.exp(x)),
        "log1pexp": lambda x: np.logaddexp(0, x),
        "logexpm1": lambda x: np.log(np.expm1(x)),
        "log_expit": special.log_expit,
        "logit": special.logit,
        "logitexp": lambda x: x - np.log1p(-np.exp(x)),
    }


def on_jax() -> dict[str, Function]:
    """Return JAX's functions."""
    jax = importlib.import_module("jax")
    jnp, special = jax.numpy, importlib.import_module("jax.scipy.special")

    def peaks(x: Any, ids: Any) -> Any:
        return jax.ops.segment_max(x, ids, SEGMENTS)

    def relative(x: Any, ids: Any) -> Any:
        return x - peaks(x, ids)[ids]

    def wholes(x: Any, ids: Any) -> Any:
        return jax.ops.segment_sum(jnp.exp(relative(x, ids)), ids, SEGMENTS)

    return {
        "logsumexp": lambda x: special.logsumexp(x, axis=1),
        **weighted_sums(special.logsumexp),
        **weighted_means(special.logsumexp),
        "logmeanexp": lambda x: jax.nn.logmeanexp(x, axis=1),
        "softmax": lambda x: jax.nn.softmax(x, axis=1),
        "log_softmax": lambda x: jax.nn.log_softmax(x, axis=1),
        "logcumsumexp": lambda x: jax.lax.cumlogsumexp(x, axis=1),
        "segment_logsumexp": lambda x, ids: peaks(x, ids) + jnp.log(wholes(x, ids)),
        "segment_softmax": lambda x, ids: jnp.exp(relative(x, ids)) / wholes(x, ids)[ids],
        "segment_log_softmax": lambda x, ids: relative(x, ids) - jnp.log(wholes(x, ids))[ids],
        "logmatmulexp": lambda a, b: special.logsumexp(a[:, :, None] + b, axis=1),
        "logaddexp": jnp.logaddexp,
        "logsubexp": lambda x1, x2: x1 + jax.nn.log1mexp(x1 - x2),
        "log1mexp": lambda x: jax.nn.log1mexp(-x),
        "log1pexp": jax.nn.softplus,
        "logexpm1": lambda x: jnp.log(jnp.expm1(x)),
        "log_expit": jax.nn.log_sigmoid,
        "logit": special.logit,
        "logitexp": lambda x: x - jax.nn.log1mexp(-x),
    }


def on_torch() -> dict[str, Function]:
    """Return PyTorch's functions."""
    torch = importlib.import_module("torch")
    functional = torch.nn.functional
    return {
        "logsumexp": lambda x: torch.logsumexp(x, 1),
        "logsumexp, weighted": lambda a, b: torch.logsumexp(a + torch.log(b), 1),
        "logmeanexp, weighted": lambda a, b: torch.logsumexp(a + torch.log(b / b.sum(1, True)), 1),
        "logmeanexp": lambda x: torch.logsumexp(x, 1) - np.log(x.shape[1]),
        "softmax": lambda x: torch.softmax(x, 1),
        "log_softmax": lambda x: torch.log_softmax(x, 1),
        "logcumsumexp": lambda x: torch.logcumsumexp(x, 1),
        "logmatmulexp": lambda a, b: torch.logsumexp(a[:, :, None] + b, 1),
        "logaddexp": torch.logaddexp,
        "logsubexp": lambda x1, x2: x1 + torch.log(-torch.expm1(x2 - x1)),
        "log1mexp": lambda x: torch.log(-torch.expm1(x)),
        "log1pexp": functional.softplus,
        "logexpm1": lambda x: torch.log(torch.expm1(x)),
        "log_expit": functional.logsigmoid,
        "logit": torch.logit,
        "logitexp": lambda x: x - torch.log(-torch.expm1(x)),
    }


RIVALS = {
    "scipy": (Backend.NUMPY, on_numpy),
    "jax": (Backend.JAX, on_jax),
    "torch": (Backend.TORCH, on_torch),
}


def rivals() -> dict[str, tuple[Backend, dict[str, Function]]]:
    """Return the functions of each library that is installed."""
    return {
        name: (backend, functions())
        for name, (backend, functions) in RIVALS.items()
        if backend.missing() is None
    }


def versions() -> dict[str, str]:
    return {
        name: importlib.metadata.version(name)
        for name in ("numpy", "scipy", "jax", "torch")
        if name in {d.name.lower() for d in importlib.metadata.distributions()}
    }


def run(function: Function, backend: Backend, arguments: tuple[Any, ...]) -> Any:
    """Return what a function makes of NumPy arrays as arrays of its library, as NumPy's.

    A pair comes as a pair.
    """
    xp = backend.namespace()
    with np.errstate(all="ignore"):
        result = function(*(make_array(backend, xp, each) for each in arguments))
        return as_tuple(result) if isinstance(result, tuple) else as_tuple(result)[0]
