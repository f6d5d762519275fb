"""Products of matrices of exponentials, as logarithms."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import array_api_compat as compat
import numpy as np

from . import _engines, _logsum, _sums
from ._elementary import exp
from ._namespace import (
    Array,
    DType,
    Namespace,
    arguments,
    constant,
    default_integer,
    finished,
    quiet,
    real_working,
)
from ._state import State


@quiet
def logmatmulexp(a: Any, b: Any, *, xp: Namespace | None = None) -> Any:
    r"""Logarithm of a product of matrices of exponentials, ``log(exp(a) @ exp(b))``.

    Parameters
    ----------
    a, b : array_like of shape (..., m, k) and (..., k, n)
        Real exponents. Axes before the last two broadcast, and an array of one axis is a row on the
        left and a column on the right, as in ``matmul``.
    xp : namespace, optional
        Array namespace of the arguments, where it is known.

    Returns
    -------
    array of shape (..., m, n)
        Without m or n where `a` or `b` has one axis. In the namespace, on the device and of the
        dtype of the arguments; integers and booleans give the namespace's default real dtype.

    Raises
    ------
    TypeError
        If an argument is not real, is sparse or masked, or if namespaces are mixed.
    ValueError
        If devices are mixed, shapes do not fit, or an argument has no axis.

    See Also
    --------
    logsumexp : Sums along axes.

    Notes
    -----
    .. math:: y_{ij} = \log \sum_k e^{a_{ik} + b_{kj}}

    Each row of `a` and each column of `b` is taken relative to its largest entry, and the library's
    own ``matmul`` multiplies their exponentials. Entries of which that would lose digits, since the
    largest entry of the row meets small ones of the column or since the result is close to 0, are
    summed term by term instead. The rounding of ``matmul``, which adds in order, comes on top of
    the errors of the other functions; like them it does not grow with the size of the exponents.
    On a GPU, whether there are such entries must be waited for. Under ``vmap`` that cannot be seen,
    and all entries are summed term by term: pass a batch instead, which is many times as fast.

    Examples
    --------
    A step of the forward algorithm of a hidden Markov model, from log-probabilities of two states:

    >>> import numpy as np
    >>> from agnostic_lse import logmatmulexp
    >>> states = [-1000.0, -1001.0]
    >>> transitions = np.log([[0.75, 0.25], [0.5, 0.5]])
    >>> print(logmatmulexp(states, transitions))
    [-1000.06834338 -1000.83484965]
    """
    xp, dtype, (a, b), _ = arguments(xp, a=a, b=b)
    a, b = real_working(xp, "a", a, dtype), real_working(xp, "b", b, dtype)
    _refuse_shapes(a, b)
    # By indices, since Dask's expand_dims asks for lengths.
    left = a if a.ndim > 1 else a[None, :]
    right = b if b.ndim > 1 else b[:, None]
    out = (_over_blocks if compat.is_dask_namespace(xp) else _product)(xp, left, right)
    single = (-2,) * (a.ndim == 1) + (-1,) * (b.ndim == 1)
    return finished(xp, out, dtype, single, keepdims=False)


def _refuse_shapes(a: Array, b: Array) -> None:
    shapes = tuple(a.shape), tuple(b.shape)
    for name, shape in zip("ab", shapes, strict=True):
        if not shape:
            raise ValueError(
                f"{name} is a single number, but an array of at least one axis was expected: "
                "add it to the other argument instead."
            )
    inner = a.shape[-1], b.shape[-2 if b.ndim > 1 else 0]
    batches = shapes[0][:-2], shapes[1][:-2]
    for name, shape, batch in zip("ab", shapes, batches, strict=True):
        if any(map(math.isnan, batch)):
            raise ValueError(
                f"{name} has shape {shape}, but known lengths were expected before the last two: "
                "call its compute_chunk_sizes() first."
            )
    known = not any(map(math.isnan, [*shapes[0], *shapes[1]]))  # Dask's may not be
    try:
        fits = inner[0] == inner[1] and np.broadcast_shapes(*batches) is not None
    except ValueError:
        fits = False
    if known and not fits:
        raise ValueError(
            f"a has shape {shapes[0]} and b has shape {shapes[1]}, which do not multiply: the last "
            "axis of a must be as long as the last but one of b, and axes before these two must "
            "broadcast."
        )


def _product(xp: Namespace, a: Array, b: Array) -> Array:
    if math.prod(_shape(a, b)) * a.shape[-1] <= _FEW_TERMS:
        return _term_by_term(xp, a, b)
    if compat.is_jax_namespace(xp):
        return _jitted()(a, b)
    out, doubtful, settled = _by_matmul(xp, a, b)
    count = _number_of(xp, doubtful)
    if count:
        doubtful = doubtful & ~settled()
        count = _number_of(xp, doubtful)
    if count is None:
        return _everywhere(xp, a, b)
    return _mended(xp, a, b, out, doubtful, count) if count else out


# Up to so many terms, adding them one by one costs less than finding out whether it is needed.
_FEW_TERMS = 2**12


def _shape(a: Array, b: Array) -> tuple[int, ...]:
    return (
        *np.broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2])),
        a.shape[-2],
        b.shape[-1],
    )


def _number_of(xp: Namespace, flags: Array) -> int | None:
    """Return how many flags are set, or None where that cannot be seen: under PyTorch's vmap."""
    try:
        return int(xp.count_nonzero(flags))
    except RuntimeError:
        return None


def _by_matmul(xp: Namespace, a: Array, b: Array) -> tuple[Array, Array, Callable[[], Array]]:
    """Return the product by matmul, where it may be inexact, and a function that knows better.

    Relative to the peaks ``row`` and ``column`` the product of exponentials is C. In units of
    roundoff u, the error of ``row + column + log(C)`` is about the sum of

    - the rounding of ``a - row`` and ``b - column``, half of what these are, weighted by the terms'
      shares p: at most (|log C| + log k) / 2, since their mean is the entropy of p less log C;
    - 4 by two exponentials, and half the size of the logarithm and of each sum by rounding them;
    - sqrt(length) / 2 by matmul, where length is that of a part added in order: twice the standard
      deviation of its rounding.

    Allowed are 4 units of the larger of the result and ``sum(p * (|a| + |b|))``, the problem's
    condition. The latter takes two more products, so it is only found where the former leaves
    doubt. Where C is so small that terms may have vanished from it, nothing is known but whether
    there are any.
    """
    length = a.shape[-1]
    row = _sums.highest(xp, a, (a.ndim - 1,))
    column = _sums.highest(xp, b, (b.ndim - 2,))
    left, right = _scaled(xp, a, row), _scaled(xp, b, column)
    product = _matmul(xp, left, right)
    base = row + column
    limits = xp.finfo(product.dtype)
    # Terms below the smallest normal number may vanish, all but one of them, each of which must
    # then be below a roundoff's share.
    lowest = length * float(limits.smallest_normal) / (float(limits.eps) / 2)
    kept = xp.isfinite(base) & (constant(product) >= lowest)
    log_product = xp.where(kept, _log(xp, xp.where(kept, product, 1.0)), -xp.inf)
    out = base + log_product
    known = constant(xp.where(kept, log_product, 0.0))
    error = (
        (4 + math.log(length) / 2 + math.sqrt(min(length, _IN_ORDER)) / 2)
        + xp.abs(known)
        + 0.5 * (xp.abs(base) + xp.abs(base + known))
    )
    # Where the base is -inf or nan, so is the result.
    doubtful = (base > -xp.inf) & ~(kept & (error <= 4 * xp.abs(base + known)))

    def settled() -> Array:
        p, q = constant(left), constant(right)
        size = [xp.where(xp.isfinite(x), xp.abs(x), 0.0) for x in (constant(a), constant(b))]
        condition = _matmul(xp, p * size[0], q) + _matmul(xp, p, q * size[1])
        there = [xp.astype(x > -xp.inf, p.dtype) for x in (a, b)]
        nothing = _matmul(xp, *there) == 0
        return (kept & (error * constant(product) <= 4 * condition)) | nothing

    return out, doubtful, settled


def _log(xp: Namespace, x: Array) -> Array:
    """Return log(x), with derivatives in which x is never squared, which might vanish."""
    value = constant(x)
    if value is x:
        return xp.log(x)
    # By a product: the quotient of quotients that the derivative of log(x / value) would be, JAX's
    # compiler turns into one of products, x * value among them.
    grown = xp.log(x * (1 / value))
    return xp.log(value) + (grown - constant(grown))


def _scaled(xp: Namespace, x: Array, peak: Array) -> Array:
    """Return exp(x - peak), or 0 where the peak is not finite, whence derivatives would be nan."""
    finite = xp.isfinite(peak)
    return exp(xp, xp.where(finite, x, -xp.inf) - xp.where(finite, peak, 0.0))


# How many terms matmul adds in order, or else a sixteenth of them: each part is one more product.
# Parts of 128 cost a quarter more than the whole, and halve the error of 512.
_IN_ORDER = 128


def _matmul(xp: Namespace, left: Array, right: Array) -> Array:
    """Return the product of two matrices, multiplied in parts lest the rounding grow."""
    # On a GPU JAX rounds factors to 10 bits unless told otherwise.
    options = {"precision": "highest"} if compat.is_jax_namespace(xp) else {}
    length = left.shape[-1]
    step = max(_IN_ORDER, -(-length // 16))
    out = None
    for start in range(0, length, step):
        part = slice(start, min(start + step, length))
        product = xp.matmul(left[..., part], right[..., part, :], **options)
        out = product if out is None else out + product
    return out


def _term_by_term(xp: Namespace, a: Array, b: Array) -> Array:
    """Return the product from all its terms at once."""
    terms = xp.expand_dims(a, axis=-1) + xp.expand_dims(b, axis=-3)
    return xp.squeeze(_summed(xp, terms, terms.ndim - 2), axis=-2)


def _summed(xp: Namespace, terms: Array, axis: int) -> Array:
    """Return the logarithms of sums of exponentials along an axis, kept with length 1."""
    terms = _sums.nonempty(xp, terms, (axis,))
    return _engines.log_sum(xp, terms, None, None, (axis,)).log_abs


def _entries(xp: Namespace, a: Array, b: Array, rows: Array, columns: Array) -> Array:
    """Return entries of the product from all their terms, of rows of a and columns of b by number.

    Parts are as large as the arguments and the product together, so that the memory is too.
    """
    length = a.shape[-1]
    size = math.prod(a.shape) + math.prod(b.shape) + math.prod(_shape(a, b))
    step = -(-size // length)
    a = xp.reshape(a, (-1, length))
    b = xp.reshape(xp.matrix_transpose(b), (-1, length))

    def part(rows: Array, columns: Array) -> Array:
        terms = xp.take(a, rows, axis=0) + xp.take(b, columns, axis=0)
        return _summed(xp, terms, 1)[:, 0]

    if compat.is_jax_namespace(xp):
        import jax  # loaded already, since the arrays are its own

        # The checkpoint keeps derivatives from storing the terms of all parts.
        entry = jax.checkpoint(lambda pair: part(pair[0][None], pair[1][None])[0])
        return jax.lax.map(entry, (rows, columns), batch_size=step)
    count = rows.shape[0]
    parts = [slice(start, min(start + step, count)) for start in range(0, count, step)]
    return xp.concat([part(rows[each], columns[each]) for each in parts])


def _numbers(xp: Namespace, a: Array, b: Array) -> tuple[Array, Array]:
    """Return for each entry of the product the number of its row in a and of its column in b."""
    shape, device = _shape(a, b), compat.device(a)
    rows = xp.arange(math.prod(a.shape[:-1]), device=device)
    columns = xp.arange(math.prod(b.shape) // b.shape[-2], device=device)
    rows = xp.reshape(rows, (*a.shape[:-1], 1))
    columns = xp.reshape(columns, (*b.shape[:-2], 1, b.shape[-1]))
    return tuple(xp.reshape(xp.broadcast_to(each, shape), (-1,)) for each in (rows, columns))


def _mended(xp: Namespace, a: Array, b: Array, out: Array, doubtful: Array, room: int) -> Array:
    """Return the product with its doubtful entries summed anew, for which there must be room."""
    integer = default_integer(xp, compat.device(out))
    rank = xp.cumulative_sum(xp.astype(xp.reshape(doubtful, (-1,)), integer))
    # Where there is more room than needed, the last entry fills it.
    places = xp.searchsorted(rank, xp.arange(1, room + 1, dtype=integer, device=compat.device(out)))
    places = xp.clip(places, max=rank.shape[0] - 1)
    rows, columns = (xp.take(each, places) for each in _numbers(xp, a, b))
    exact = xp.take(_entries(xp, a, b, rows, columns), xp.clip(rank - 1, min=0))
    return xp.where(doubtful, xp.reshape(exact, tuple(out.shape)), out)


def _everywhere(xp: Namespace, a: Array, b: Array) -> Array:
    """Return the product with all entries summed from their terms."""
    return xp.reshape(_entries(xp, a, b, *_numbers(xp, a, b)), _shape(a, b))


@functools.cache
def _jitted() -> Callable[[Array, Array], Array]:
    """Return the product for JAX, where only a branch within the program can look at entries."""
    import jax  # loaded already, since the arrays are its own

    @jax.jit
    def product(a: Array, b: Array) -> Array:
        xp = compat.array_namespace(a)
        out, doubtful, settled = _by_matmul(xp, a, b)
        doubtful = jax.lax.cond(
            xp.any(doubtful), lambda: doubtful & ~settled(), lambda: xp.zeros_like(doubtful)
        )
        # No shape depends on data, so that there is room for few or for all.
        few = -(-math.prod(out.shape) // 32)
        count = xp.count_nonzero(doubtful)
        return jax.lax.switch(
            xp.astype(count > 0, int) + (count > few),
            [
                lambda: out,
                lambda: _mended(xp, a, b, out, doubtful, few),
                lambda: xp.where(doubtful, _everywhere(xp, a, b), out),
            ],
        )

    return product


def _over_blocks(xp: Namespace, a: Array, b: Array) -> Array:
    """Multiply the blocks of Dask arrays, and sum what they make along the inner axis."""
    import dask.array as da  # loaded already, since the arrays are its own

    shape = _shape(a, b)
    if (0 in a.shape or 0 in b.shape) and not any(map(math.isnan, shape)):
        return xp.full(shape, -xp.inf, dtype=a.dtype)
    ndim = max(a.ndim, b.ndim)
    m, n, k = ndim - 2, ndim - 1, ndim
    products = da.blockwise(
        _block_of_products,
        (*range(ndim), k),
        a,
        (*range(ndim - a.ndim, ndim - 2), m, k),
        b,
        (*range(ndim - b.ndim, ndim - 2), k, n),
        adjust_chunks={k: 1},
        dtype=a.dtype,
    )
    read = functools.partial(_read, a.dtype)
    return _engines.sum_of_blocks((products, None, None), (k,), read, False, a.dtype)


def _read(
    dtype: DType, xp: Namespace, parts: _engines.tiles.Results, axes: tuple[int, ...]
) -> Array:
    """Read the logarithms of sums from their states, in a dtype and without the axes."""
    return finished(xp, _logsum.value(xp, State(*parts)).log_abs, dtype, axes, keepdims=False)


@quiet
def _block_of_products(a: Array, b: Array) -> Array:
    xp = compat.array_namespace(a)
    return xp.expand_dims(_product(xp, a, b), axis=-1)
