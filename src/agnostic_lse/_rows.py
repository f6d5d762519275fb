"""Methods of estimators on a Dask array's blocks of rows."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import array_api_compat as compat
from sklearn import config_context, get_config
from sklearn.exceptions import NotFittedError

from ._engines import threads
from ._namespace import Array, quiet, refuse_containers, refuse_lazy, without_empty_blocks

Method = TypeVar("Method", bound=Callable[..., Any])


def by_blocks(method: Method) -> Method:
    """Let a function of an estimator and samples take a Dask array too, lazily, block by block.

    Each block of rows is given as the array that it is. What comes of one, a row of zeros tells.
    The estimator is kept as it is now, lest the answer depend on what becomes of it later.
    """

    @functools.wraps(method)
    def of_samples(estimator: Any, X: Any, *args: Any, **options: Any) -> Any:
        if not compat.is_dask_array(X):
            refuse_lazy("X", X)
            return method(estimator, X, *args, **options)
        refuse_containers("X", X)
        estimator = copy.deepcopy(estimator)
        finite = get_config()["assume_finite"]
        of_rows = functools.partial(_of_rows, method, estimator, args, options, finite)
        if X.ndim != 2:
            raise ValueError(
                f"X has shape {X.shape}, but two dimensions were expected: pass a row for each "
                "sample."
            )
        X = without_empty_blocks(X).rechunk({1: -1})
        row = compat.array_namespace(X._meta).zeros((1, X.shape[1]), dtype=X.dtype)
        try:
            of_row = of_rows(row)
        except NotFittedError:
            raise
        except ValueError as error:
            raise ValueError(
                "A row of zeros, given to learn what becomes of X, was refused by "
                f"{type(estimator).__name__} ({error}): pass what it was fitted for, or map the "
                "blocks yourself, by X.map_blocks."
            ) from error
        from dask.delayed import delayed  # whose package is loaded, since the array is its own

        # In a task of its own, or each block's task would bring an estimator along: a worker needs
        # it but once, and it may be large.
        shared = delayed(of_rows, pure=True, traverse=False)
        if isinstance(of_row, list):  # one for each output
            return [_mapped(shared, place, X, each) for place, each in enumerate(of_row)]
        return _mapped(shared, None, X, of_row)

    return cast(Method, of_samples)


@quiet  # the workers call it, later
def _of_rows(
    method: Any, estimator: Any, args: Any, options: Any, finite: bool, rows: Array
) -> Any:
    with threads.alone(), config_context(assume_finite=finite):
        return method(estimator, rows, *args, **options)


def _mapped(of_rows: Any, place: int | None, X: Any, of_row: Array) -> Any:
    """Return what becomes of the rows of a Dask array, given what became of one row.

    Where a function returns a list, it is what is in its place.
    """
    nothing = of_row[:0, ...]
    return X.map_blocks(
        functools.partial(_of_block, place, nothing),
        of_rows,
        chunks=(X.chunks[0], *((length,) for length in nothing.shape[1:])),
        drop_axis=[1] if nothing.ndim == 1 else [],
        dtype=nothing.dtype,
        meta=nothing,
    )


def _of_block(
    place: int | None, nothing: Array, rows: Array, of_rows: Callable[[Array], Any]
) -> Any:
    if not rows.shape[0]:  # of no rows scikit-learn takes none
        return nothing
    out = of_rows(rows)
    return out if place is None else out[place]
