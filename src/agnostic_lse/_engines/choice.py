"""Which kernels may run: by the environment, or for a while."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import os
from collections.abc import Iterator
from typing import Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["auto", "off", "host", "cuda"]
KINDS: tuple[Kind, ...] = get_args(Kind)
_chosen: contextvars.ContextVar[Kind | None] = contextvars.ContextVar("kernels", default=None)


def chosen() -> Kind:
    """Return which kernels may run, one of `KINDS`."""
    return _chosen.get() or _by_environment()


def of_context() -> Kind | None:
    """Return what a context manager has chosen, to be chosen again elsewhere."""
    return _chosen.get()


@contextlib.contextmanager
def within(kind: Kind | None) -> Iterator[None]:
    """Choose what `of_context` has returned elsewhere."""
    with contextlib.nullcontext() if kind is None else kernels(kind):
        yield


@functools.cache
def _by_environment() -> Kind:
    return _checked(os.environ.get("AGNOSTIC_LSE_KERNELS", "").strip() or "auto")


def _checked(kind: str) -> Kind:
    for known in KINDS:
        if kind == known:
            return known
    raise ValueError(f"kernels are {kind!r}, but one of {', '.join(KINDS)} was expected.")


@contextlib.contextmanager
def kernels(kind: Kind) -> Iterator[None]:
    """Choose the kernels for a while: compiled code that runs the same sums faster.

    Parameters
    ----------
    kind : {'auto', 'off', 'host', 'cuda'}
        'auto': those for CuPy's arrays, and those for host memory, which Numba compiles, for arrays
        large enough to repay the loading of it. 'host': those for host memory alone, for small
        arrays too, and none where Numba is not installed. 'cuda': those for CuPy's arrays alone.
        'off': none. Outside of the context the environment variable ``AGNOSTIC_LSE_KERNELS`` says
        it, as it is at the first call; without it, 'auto' holds.

    Raises
    ------
    ValueError
        If `kind` is none of these.

    See Also
    --------
    show_config : Which kernels and how many threads are in use.

    Notes
    -----
    Values are the same with and without, but for their last digits, and so is the accuracy. Kernels
    leave weights, masks, integers and complex numbers to the ordinary way, and all arrays while
    PyTorch or JAX trace, or take derivatives. Without kernels, large arrays are still cut into
    tiles and shared among threads. PyTorch's arrays in host memory that none serves are summed as
    NumPy sees them, which is faster, but not with 'off' and 'cuda'. The choice holds for the
    thread, or the task, that makes it.

    Examples
    --------
    >>> import agnostic_lse
    >>> with agnostic_lse.kernels("off"):
    ...     print(agnostic_lse.logsumexp([0.0, -40.0]))
    4.248354255291589e-18
    """
    token = _chosen.set(_checked(kind))
    try:
        yield
    finally:
        _chosen.reset(token)
