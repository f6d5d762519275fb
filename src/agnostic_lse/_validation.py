"""What estimators are given, and labels that they give back."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

import array_api_compat as compat
import numpy as np
from sklearn import config_context, get_config
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import validate_data

from ._engines import threads
from ._namespace import (
    Array,
    DType,
    Namespace,
    arguments,
    is_complex,
    quiet,
    refuse_containers,
    refuse_lazy,
    to_host,
)

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
        X = X.rechunk({1: -1})
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


def validated(estimator: Any, X: Any, *, reset: bool) -> Array:
    """Return X as a real array of two dimensions without nan or +inf."""
    _refuse_containers("X", X)
    if compat.is_dask_array(X):  # which is not to be computed for a look at it
        validate_data(estimator, X, reset=reset, skip_check_array=True)
        return real(X)
    X = real(validate_data(estimator, X, reset=reset, ensure_all_finite=False))
    xp = compat.array_namespace(X)
    if get_config()["assume_finite"] or is_unread(X):
        return X
    # One pass for both: nan is not below +inf either.
    if not xp.all(X < xp.inf):
        came = "NaN" if xp.any(xp.isnan(X)) else "+inf"
        raise ValueError(
            f"X contains {came}, but {type(estimator).__name__} expects finite numbers or -inf: "
            "replace these entries or drop their rows."
        )
    return X


def _refuse_containers(name: str, value: Any) -> None:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(
            f"{name} is a masked array, whose mask would be dropped: pass {name}.filled(-np.inf), "
            "which gives masked entries the probability 0."
        )
    refuse_containers(name, value)


def is_unread(X: Array) -> bool:
    """Return whether the entries of an array are not known yet."""
    if compat.is_jax_array(X):
        import jax  # loaded already, since the array is its own

        return isinstance(X, jax.core.Tracer)
    return bool(compat.is_dask_array(X))


def real(X: Array) -> Array:
    """Return X if its dtype is a real floating one, or its numbers in the widest of them."""
    xp = compat.array_namespace(X)
    if xp.isdtype(X.dtype, "real floating"):
        foreign = not getattr(X.dtype, "isnative", True)  # NumPy's alone may be of another machine
        return X.astype(X.dtype.newbyteorder("=")) if foreign else X
    if xp.isdtype(X.dtype, "complex floating"):
        raise ValueError(
            f"Complex data not supported: X has dtype {X.dtype}, but real numbers were expected: "
            "take xp.real(X)."
        )
    if getattr(X.dtype, "kind", "") in ("m", "M"):  # as NumPy calls times and dates
        raise TypeError(
            f"X has dtype {X.dtype}, but numbers were expected: convert it to numbers, such as "
            "numbers of days."
        )
    return xp.astype(X, widest_dtype(xp, compat.device(X)))


def widest_dtype(xp: Namespace, device: Any) -> DType:
    """Return float64 if the device has it, and float32 if not."""
    known = xp.__array_namespace_info__().dtypes(kind="real floating", device=device)
    return known.get("float64", xp.float32)


def floating(name: str, value: Any) -> Array:
    """Return what a host gave as an array of a real floating dtype."""
    _refuse_containers(name, value)
    xp, dtype, (value,), _ = arguments(None, **{name: value})
    if is_complex(xp, dtype):
        raise TypeError(
            f"{name} has dtype {dtype}, but real numbers were expected: return xp.real of it."
        )
    return xp.astype(value, dtype, copy=False)


def refuse_other_place(estimator: Any, X: Any, method: str, kept: dict[str, Array]) -> None:
    """Refuse samples that do not lie where any of the arrays kept from fit does.

    scikit-learn's own estimators do so under ``array_api_dispatch``.
    """
    samples = X if compat.is_array_api_obj(X) else np.empty(0)
    xp, device = compat.array_namespace(samples), compat.device(samples)
    if kept and not any(lies_on(xp, device, array) for array in kept.values()):
        name, array = next(iter(kept.items()))
        raise ValueError(
            f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace "
            f"and the same device as those passed to fit(), but X is a {type(X).__name__} on "
            f"{device} and {name} a {type(array).__name__} on {compat.device(array)}: move one of "
            "them."
        )


def number_of_classes(estimator: Any) -> int:
    classes = estimator.classes_
    try:
        shape = np.shape(classes)
    except ValueError:  # arrays of several lengths, one for each output
        shape = ()
    if len(shape) != 1:
        raise ValueError(
            f"{type(estimator).__name__}.classes_ is a {type(classes).__name__}, but a "
            "one-dimensional array with one label for each class was expected: set such an array, "
            "or wrap a classifier for each output in sklearn.multioutput.MultiOutputClassifier."
        )
    return int(shape[0])


def is_not_numeric(array: Any) -> bool:
    """Return whether an array holds what is neither a number nor a boolean."""
    return isinstance(array, np.ndarray) and array.dtype.kind not in "biufc"


def labels(xp: Namespace, classes: Any, index: Array) -> Array:
    """Return the classes at an index, in its namespace if that holds them exactly, or NumPy's."""
    device = compat.device(index)
    if lies_on(xp, device, classes):
        return classes[index]
    on_host = to_host(classes)
    if compat.is_dask_namespace(xp):  # its blocks hold whatever NumPy's arrays do
        return index.map_blocks(on_host.__getitem__, dtype=on_host.dtype)
    there = None if is_not_numeric(on_host) else _as_labels(xp, device, on_host)
    return on_host[to_host(index)] if there is None else there[index]


@quiet
def _as_labels(xp: Namespace, device: Any, numbers: Array) -> Array | None:
    """Return NumPy's numbers as an array of a namespace, or None if it cannot hold them exactly."""
    try:
        there = moved(xp, device, numbers)
    except (TypeError, ValueError, RuntimeError):  # which one depends on the library
        return None
    # JAX turns 64 bits into 32, unless it is told not to.
    held = numbers.astype(str(there.dtype).rpartition(".")[2])
    return there if np.array_equal(held, numbers, equal_nan=True) else None


def moved(xp: Namespace, device: Any, array: Array) -> Array:
    """Return NumPy's array in a namespace, on a device."""
    # PyTorch takes no other byte order, no negative strides, and nothing read-only.
    array = np.array(array, dtype=array.dtype.newbyteorder("="), order="C")
    return xp.asarray(array, device=device)


def lies_on(xp: Namespace, device: Any, array: Any) -> bool:
    """Return whether something is an array of a namespace on a device.

    None is any device, which is what arrays have while JAX traces.
    """
    return bool(
        compat.is_array_api_obj(array)
        and compat.array_namespace(array) is xp
        and (device is None or compat.device(array) in (None, device))
    )
