"""Which kernels may run: by the environment, or for a while."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import os
from collections.abc import Iterator

KINDS = ("auto", "off", "host", "cuda")
_chosen: contextvars.ContextVar[str | None] = contextvars.ContextVar("kernels", default=None)


def chosen() -> str:
    """Return which kernels may run, one of `KINDS`."""
    return _chosen.get() or _by_environment()


@functools.cache
def _by_environment() -> str:
    return _checked(os.environ.get("AGNOSTIC_LSE_KERNELS", "").strip() or "auto")


def _checked(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"kernels are {kind!r}, but one of {', '.join(KINDS)} was expected.")
    return kind


@contextlib.contextmanager
def kernels(kind: str) -> Iterator[None]:
    """Choose the kernels for a while: compiled code that runs the same sums faster.

    Parameters
    ----------
    kind : {'auto', 'off', 'host', 'cuda'}
        'auto' takes whatever is installed for arrays that are large enough to repay it; 'off' none;
        'host' those for host memory, compiled by Numba, for small arrays too; 'cuda' those for
        CuPy's arrays, and none for host memory. Outside of the context the environment variable
        ``AGNOSTIC_LSE_KERNELS`` says it, as it is at the first call; without it, 'auto' holds.

    Raises
    ------
    ValueError
        If `kind` is none of these.

    See Also
    --------
    show_config : Which kernels and how many threads are in use.

    Notes
    -----
    Values and accuracy are the same with and without. A kernel that does not know a dtype, weights
    or strides leaves the call to the ordinary way, as it does while PyTorch or JAX trace or take
    derivatives. The choice holds for the thread, or the task, that makes it.

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
