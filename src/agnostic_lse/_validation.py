"""What estimators are given, and labels that they give back."""

from __future__ import annotations

from typing import Any

import array_api_compat as compat
import numpy as np
from sklearn import get_config
from sklearn.utils import get_tags
from sklearn.utils.validation import validate_data

from ._namespace import (
    Array,
    DType,
    Namespace,
    arguments,
    is_complex,
    quiet,
    refuse_containers,
    to_host,
)
from ._wording import kind_of


def validated(estimator: Any, X: Any, *, reset: bool) -> Array:
    """Return X as a real array of two dimensions without nan or +inf."""
    _refuse_masks_and_containers("X", X)
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


def _refuse_masks_and_containers(name: str, value: Any) -> None:
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
    _refuse_masks_and_containers(name, value)
    xp, dtype, (value,), _ = arguments(None, **{name: value})
    if is_complex(xp, dtype):
        raise TypeError(
            f"{name} has dtype {dtype}, but real numbers were expected: return xp.real of it."
        )
    return xp.astype(value, dtype, copy=False)


def is_dispatched(estimator: Any) -> bool:
    """Tell whether scikit-learn gives an estimator arrays of all libraries as they are."""
    return bool(get_config()["array_api_dispatch"] and get_tags(estimator).array_api_support)


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
            f"and the same device as those passed to fit(), but X is {kind_of(X)} on {device} and "
            f"{name} {kind_of(array)} on {compat.device(array)}: move one of them."
        )


def number_of_classes(estimator: Any) -> int:
    classes = estimator.classes_
    try:
        shape = np.shape(classes)
    except ValueError:  # arrays of several lengths, one for each output
        shape = ()
    if len(shape) != 1:
        raise ValueError(
            f"{type(estimator).__name__}.classes_ is {kind_of(classes)}, but a "
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
