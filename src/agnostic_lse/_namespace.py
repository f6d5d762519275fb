"""The way in: namespaces, devices, dtypes and axes, and what is refused."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import array_api_compat as compat
import array_api_extra as xpx
import numpy as np

from ._wording import counted, kind_of, with_article

# The standard defines no common base class for arrays, and no type checker knows one.
Array: TypeAlias = Any
Namespace: TypeAlias = Any
DType: TypeAlias = Any

# What NumPy could report is meant to happen here, such as exp(-1000) vanishing beside a peak.
quiet = np.errstate(all="ignore")

# What NumPy's longdouble is called depends on the machine.
WIDE = ("longdouble", "float128", "float96")
_NUMERIC = (
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
    *("longdouble", "clongdouble", "float128", "complex256", "float96", "complex192"),
)
_NARROW = ("float16", "bfloat16")
# Half a unit in the last place above float16's largest number
_ROUNDS_TO_INFINITY = 65520.0


def arguments(
    xp: Namespace | None,
    *,
    where: object = None,
    optional: Sequence[str] = (),
    indices: Mapping[str, object] | None = None,
    **numbers: object,
) -> tuple[Namespace, DType, list[Array | None], Array | None]:
    """Return the shared namespace, the result's dtype, the numbers as its arrays, and the mask.

    Arrays keep their namespace and device. Python numbers and lists join the arrays beside them;
    where there are none they become NumPy arrays, as any object with ``__array__`` does. Beside
    JAX's arrays NumPy's become JAX's. Dtypes are promoted as the namespace promotes them. Where all
    are integers or booleans, or where it does not promote them, these count as its default real
    dtype. A Python number takes the dtype of the arrays beside it. A mask of None stays None, and
    so do the numbers named optional. Indices are only asked for their namespace and device;
    `whole_numbers` returns them.
    """
    short = where is None and (xp is None or xp is np or xp is numpy_namespace())
    if short and not indices and (plain := _plain(numbers, optional)):
        return plain
    values = {**(indices or {}), **numbers, "where": where}
    for name, value in values.items():
        refuse_containers(name, value)
        if value is None and name not in ("where", *optional):
            raise TypeError(_not_numeric(name, "NoneType"))
    xp, device = _shared_place(xp, values)
    if not _knows_scalars(xp):
        numbers = {
            name: value.item() if isinstance(value, np.number) else value
            for name, value in numbers.items()
        }
    mask = None if where is None else _as_array(xp, "where", where, device)
    if mask is not None and not _is_dtype(xp, mask.dtype, "bool"):
        raise TypeError(f"where has dtype {mask.dtype}, but booleans were expected: compare first.")
    weak = {
        name: _not_integer(name, value)
        for name, value in numbers.items()
        if type(value) in (int, float, complex)
    }
    strong = {
        name: _as_array(xp, name, value, device)
        for name, value in numbers.items()
        if value is not None and name not in weak
    }
    if not strong:  # numbers alone
        strong = {name: _as_array(xp, name, value, device) for name, value in weak.items()}
    dtype = _promoted(xp, strong)
    if any(isinstance(value, complex) for value in weak.values()):
        dtype = xp.result_type(dtype, xp.complex64)
    arrays = strong | {
        name: _as_array(xp, name, value, device, working_dtype(xp, dtype))
        for name, value in weak.items()
        if name not in strong
    }
    return xp, dtype, [arrays.get(name) for name in numbers], mask


# What NumPy itself takes a microsecond to tell of a dtype, and several times for each call.
_NAMES = {np.dtype(name): name for name in _NUMERIC if hasattr(np, name)}
_KINDS = {
    "b": ("bool",),
    "i": ("integral", "numeric"),
    "u": ("integral", "numeric"),
    "f": ("real floating", "numeric"),
    "c": ("complex floating", "numeric"),
}
# What kernels and short ways serve
PLAIN = (np.dtype(np.float64), np.dtype(np.float32))


@functools.cache
def numpy_namespace() -> Namespace:
    """Return NumPy as it follows the standard."""
    return compat.array_namespace(np.empty(0))


def _plain(
    numbers: dict[str, object], optional: Sequence[str]
) -> tuple[Namespace, DType, list[Array | None], None] | None:
    """Return what there is to return of NumPy's arrays of one plain dtype, or None of others."""
    arrays = list(numbers.values())
    dtype: DType = None
    for name, array in numbers.items():
        if array is None and name in optional:
            continue
        # Compared with None, NumPy's float64 is equal to it.
        if type(array) is not np.ndarray or (dtype is not None and dtype != array.dtype):
            return None
        dtype = array.dtype
    if dtype is None or dtype not in PLAIN:
        return None
    return numpy_namespace(), dtype, arrays, None


def _not_integer(name: str, value: Any) -> float | complex:
    """Return a Python number, an integer as a float: integers of arrays are not as large."""
    try:
        return float(value) if isinstance(value, int) else value
    except OverflowError as error:
        raise TypeError(
            f"{name} is a number larger than a floating-point number can be: pass its logarithm as "
            "an exponent."
        ) from error


def _is_array(value: object) -> bool:
    # To the helpers a NumPy scalar is an array; to its users it is a number.
    return bool(compat.is_array_api_obj(value)) and not isinstance(value, np.generic)


def refuse_containers(name: str, value: Any) -> None:
    """Refuse what other libraries would silently take for a plain array."""
    if isinstance(value, list | tuple):
        for entry in value:
            refuse_containers(name, entry)
            if _is_array(entry) and not isinstance(entry, np.ndarray):
                raise TypeError(
                    f"{name} is {kind_of(value)} of arrays ({type(entry).__name__}), which "
                    "would become a NumPy array: stack them first."
                )
    refuse_lazy(name, value)
    if compat.is_dask_array(value):
        value = value._meta  # an array of the kind of its blocks
    if isinstance(value, np.ma.MaskedArray) or type(value).__name__ == "MaskedTensor":
        raise TypeError(
            f"{name} is a masked array, whose mask would be dropped: fill it with what masked "
            "entries stand for, such as -inf for exponents of terms that are not there."
        )
    package, _, rest = type(value).__module__.partition(".")
    sparse = package == "sparse" or (
        package in ("scipy", "cupyx", "jax") and "sparse" in rest.split(".")
    )
    if getattr(value, "is_nested", False):
        raise TypeError(
            f"{name} is a nested {type(value).__name__}, whose rows differ in length: pass a dense "
            "array, filled with -inf."
        )
    if sparse or "sparse" in str(getattr(value, "layout", "")):
        raise TypeError(
            f"{name} is a sparse {type(value).__name__}, whose missing entries are zeros and not "
            "-inf: pass a dense array."
        )


def refuse_lazy(name: str, value: Any) -> None:
    """Refuse what holds a graph of Dask's but is no array, as what xarray calls a DataArray may."""
    graph = getattr(value, "__dask_graph__", None)
    if callable(graph) and not compat.is_dask_array(value) and graph() is not None:
        raise TypeError(
            f"{name} is a lazy {type(value).__name__}, which would be computed as a whole: pass "
            "its Dask array, such as that of .data or .to_dask_array()."
        )


def _shared_place(xp: Namespace | None, values: Mapping[str, object]) -> tuple[Namespace, Any]:
    """Return the namespace and the device of all arrays among some values."""
    arrays = {name: value for name, value in values.items() if _is_array(value)}
    named = str(getattr(xp, "__name__", "")).startswith("jax.")
    if named or any(map(compat.is_jax_array, arrays.values())):
        # As JAX's own functions do, take NumPy's arrays for constants, which lie on any device.
        arrays = {
            name: array for name, array in arrays.items() if not isinstance(array, np.ndarray)
        }
    return shared_namespace(xp, arrays), _shared_device(arrays)


def _knows_scalars(xp: Namespace) -> bool:
    """Tell whether scalars of NumPy have a dtype to a library; to others they are numbers."""
    return not (compat.is_torch_namespace(xp) or compat.is_array_api_strict_namespace(xp))


def shared_namespace(xp: Namespace | None, arrays: dict[str, Array]) -> Namespace:
    """Return the one namespace that all arrays come from."""
    owners = {name: compat.array_namespace(array) for name, array in arrays.items()}
    if len({id(owner) for owner in owners.values()}) > 1:
        came = " and ".join(
            f"{name} from {namespace_name(owner)}" for name, owner in owners.items()
        )
        raise TypeError(
            f"All arrays must come from one namespace, but {came} were given: "
            "convert one of them explicitly."
        )
    owner = next(iter(owners.values()), None)
    if xp is None:
        return owner or compat.array_namespace(np.empty(0))
    if not hasattr(xp, "asarray"):
        raise TypeError(
            f"xp is {kind_of(xp)}, but an array namespace was expected: "
            "pass a module such as numpy."
        )
    # A bare module such as torch stands for its wrapper, which follows the standard.
    xp = compat.array_namespace(xp.asarray(0.0))
    if owner is not None and owner is not xp:
        raise TypeError(
            f"xp is {namespace_name(xp)}, but {next(iter(owners))} comes from "
            f"{namespace_name(owner)}: leave xp out, or convert the array."
        )
    return xp


def namespace_name(xp: Namespace) -> str:
    """Return the name of a library's namespace, whether or not it comes in a wrapper."""
    # A copy of array-api-compat in another package is called by that one's name first.
    return str(xp.__name__).rpartition("array_api_compat.")[2]


def _shared_device(arrays: dict[str, Array]) -> Any:
    devices = {name: compat.device(array) for name, array in arrays.items()}
    # A traced JAX array has no device of its own.
    known = {name: device for name, device in devices.items() if device is not None}
    first = next(iter(known.values()), None)
    if any(device != first for device in known.values()):
        came = " and ".join(f"{name} on {device}" for name, device in known.items())
        raise ValueError(
            f"All arrays must lie on one device, but {came} were given: move one of them."
        )
    return first


def _as_array(xp: Namespace, name: str, value: Any, device: Any, dtype: DType = None) -> Array:
    kind = type(value).__name__
    if isinstance(value, np.ndarray):
        array = np.asarray(value)  # a subclass such as numpy.matrix changes what shapes mean
    elif _is_array(value):
        array = without_empty_blocks(value)
    else:
        if compat.is_numpy_namespace(xp) and hasattr(value, "__array__"):
            value = np.asanyarray(value)  # which shows what kind of array it is
            refuse_containers(name, value)
        if isinstance(value, np.generic):
            value = np.asarray(value) if _knows_scalars(xp) else value.item()
        elif hasattr(value, "__array__") and not compat.is_numpy_namespace(xp):
            raise TypeError(
                f"{name} is {with_article(kind)}, which becomes a NumPy array, beside an array "
                f"from {namespace_name(xp)}: convert one of them explicitly."
            )
        try:
            array = xp.asarray(value, dtype=dtype, device=device)
        except OverflowError as error:
            raise TypeError(_too_large(xp, name, kind)) from error
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(_ragged(name, value) or _not_numeric(name, kind)) from error
    came = dtype_name(array.dtype)
    if came in _NUMERIC:
        return _of_library(xp, name, array)
    if came.startswith(("float", "complex", "int", "uint")):
        raise TypeError(
            f"{name} has dtype {array.dtype}, which has too few digits to calculate with: convert "
            "it to a dtype of 16 bits or more, 64 for complex numbers."
        )
    raise TypeError(_not_numeric(name, f"{kind} of dtype {array.dtype}"))


def _of_library(xp: Namespace, name: str, array: Array) -> Array:
    """Return a numeric array in this machine's byte order, and one of NumPy as JAX's own."""
    if not getattr(array.dtype, "isnative", True):  # NumPy's alone may be of another machine
        array = array.astype(array.dtype.newbyteorder("="))
    if not (isinstance(array, np.ndarray) and compat.is_jax_namespace(xp)):
        return array
    try:
        converted = xp.asarray(array)  # on no device, so that it joins whatever is on one
    except TypeError as error:
        raise TypeError(
            f"{name} has dtype {array.dtype}, which JAX does not have: convert it to float64."
        ) from error
    # Without 64 bits JAX keeps the lower 32 of integers.
    if array.dtype.kind in "iu" and not np.array_equal(array, array.astype(converted.dtype)):
        raise TypeError(_too_large(xp, name, type(array).__name__))
    return converted


def _too_large(xp: Namespace, name: str, kind: str) -> str:
    return (
        f"{name} is {with_article(kind)} with an integer that is too large for "
        f"{namespace_name(xp)}: pass floating-point numbers."
    )


def _ragged(name: str, value: object) -> str | None:
    """Return what is to be said of a nested list that is no array, if it is one."""
    if not _has_unlike_rows(value):
        return None
    return (
        f"{name} is a nested {type(value).__name__}, whose rows differ in length: fill the shorter "
        "ones with what stands for missing entries, such as -inf for exponents."
    )


def _has_unlike_rows(value: object) -> bool:
    if not isinstance(value, list | tuple):
        return False
    return any(map(_has_unlike_rows, value)) or len(set(map(_shape_of, value))) > 1


def _shape_of(value: Any) -> tuple[int, ...]:
    """Return the shape of an array, or of a nested list whose rows are alike."""
    if isinstance(value, list | tuple):
        return (len(value), *(_shape_of(value[0]) if value else ()))
    return tuple(getattr(value, "shape", ()))


def without_empty_blocks(array: Array) -> Array:
    """Return a Dask array without its empty blocks, but for one along each axis of length 0.

    Other libraries' arrays are returned as they are.

    An empty block beside one of length 1 would be broadcast, and Dask's own functions lose track
    of empty blocks: a flip drops entries, and a rechunk refers to tasks that do not exist.
    """
    if not compat.is_dask_array(array):
        return array
    for axis, (length, chunks) in enumerate(zip(array.shape, array.chunks, strict=True)):
        full = [place for place, chunk in enumerate(chunks) if chunk != 0] or [0]
        if len(full) < len(chunks) and not math.isnan(length):  # which unknown lengths are
            array = array.blocks[(*(slice(None),) * axis, full)]
    return array


def whole_numbers(xp: Namespace, name: str, value: Any, beside: tuple[str, Array]) -> Array:
    """Return indices as an array in the namespace and on the device of the array beside them."""
    refuse_containers(name, value)
    _, device = _shared_place(xp, {name: value, beside[0]: beside[1]})
    integer = default_integer(xp, device)
    _refuse_wide(name, value, int(xp.iinfo(integer).max))
    array = _as_array(xp, name, value, device)
    if not _is_dtype(xp, array.dtype, "integral") and 0 not in array.shape:
        raise TypeError(
            f"{name} has dtype {array.dtype}, but integers were expected: convert it to an integer "
            "dtype."
        )
    if dtype_name(array.dtype) in ("int32", "int64"):
        return array
    # Narrower ones could not count the segments, and PyTorch takes no others as indices.
    out = xp.astype(array, integer)
    if dtype_name(array.dtype) in ("uint32", "uint64") and 0 not in array.shape and is_at_hand(out):
        lowest = int(xp.min(out))
        if lowest < 0:  # as large unsigned ones have become
            raise ValueError(
                _beyond(name, lowest + 2 ** xp.iinfo(array.dtype).bits, int(xp.iinfo(integer).max))
            )
    return out


def _refuse_wide(name: str, value: Any, most: int) -> None:
    """Refuse indices of NumPy, or in lists, that the dtype of indices would not hold."""
    if _is_array(value) and not isinstance(value, np.ndarray):
        return
    try:
        numbers = np.asarray(value)
    except ValueError:  # refused elsewhere
        return
    if numbers.dtype.kind in "fO" and not _is_array(value):
        numbers = np.asarray(value, dtype=object)  # as floats NumPy takes some large integers
    if numbers.dtype.kind not in "iuO" or numbers.size == 0 or numbers.dtype.itemsize < 4:
        return
    if numbers.dtype == object and not all(isinstance(entry, int) for entry in numbers.flat):
        return
    lowest, highest = int(numbers.min()), int(numbers.max())
    if highest > most or lowest < -most:
        raise ValueError(_beyond(name, highest if highest > most else lowest, most))


def _beyond(name: str, number: int, most: int) -> str:
    return (
        f"{name} has the number {number}, but numbers from 0 to {most} were expected: give the "
        "numbers of segments."
    )


def is_at_hand(array: Array) -> bool:
    """Return whether entries can be looked at without computing or waiting for them."""
    if compat.is_cupy_array(array) or compat.is_dask_array(array):
        return False
    if compat.is_torch_array(array):
        import torch  # loaded already, since the array is its own

        transformed = torch._C._functorch.is_functorch_wrapped_tensor(array)
        return str(array.device) == "cpu" and not transformed
    if compat.is_jax_array(array):
        import jax  # loaded already, since the array is its own

        traced = isinstance(array, jax.core.Tracer)
        return not traced and all(device.platform == "cpu" for device in array.devices())
    return True


def default_integer(xp: Namespace, device: Any) -> DType:
    """Return the dtype that indices have where nothing says another; JAX may have no int64."""
    return xpx.default_dtype(xp, "integral", device=device)


def _promoted(xp: Namespace, arrays: dict[str, Array]) -> DType:
    """Return the dtype of a result of these arrays, as the library itself promotes theirs.

    Integers and booleans count as its default real dtype where nothing else is there, and where the
    library does not promote them: the standard leaves that open, and array-api-strict refuses.
    """
    own = {name: array.dtype for name, array in arrays.items()}
    real = {name: _floating_dtype(xp, array) for name, array in arrays.items()}
    if any(own[name] == dtype for name, dtype in real.items()):
        # What JAX traces may be a number of Python's, which widens nothing; its dtype does not say.
        given = arrays if compat.is_jax_namespace(xp) else own
        try:
            return xp.result_type(*given.values())
        except (TypeError, RuntimeError):  # which one depends on the library
            pass
    try:
        return xp.result_type(*real.values())
    except TypeError as error:
        came = " and ".join(f"{name} has dtype {dtype}" for name, dtype in own.items())
        raise TypeError(f"{came}, which have no dtype in common: convert one of them.") from error


def _not_numeric(name: str, came: str) -> str:
    if name == "where":
        return f"where is {with_article(came)}, but booleans were expected: compare first."
    return (
        f"{name} is {with_article(came)}, but numbers were expected: pass a numeric array, "
        "a number or a nested list of numbers."
    )


def dtype_name(dtype: DType) -> str:
    """Return the bare name of a dtype: "float32" for ``torch.float32`` and for NumPy's."""
    if isinstance(dtype, np.dtype) and dtype in _NAMES:
        return _NAMES[dtype]
    return str(getattr(dtype, "name", dtype)).rpartition(".")[2]


def is_complex(xp: Namespace, dtype: DType) -> bool:
    """Return whether a dtype is a complex one."""
    return _is_dtype(xp, dtype, "complex floating")


def _is_dtype(xp: Namespace, dtype: DType, *kinds: str) -> bool:
    if isinstance(dtype, np.dtype) and dtype.kind in _KINDS:
        return any(kind in kinds for kind in _KINDS[dtype.kind])
    if dtype_name(dtype) == "bfloat16":  # NumPy's comes from elsewhere, and NumPy does not know it
        return "numeric" in kinds
    return bool(xp.isdtype(dtype, kinds))


def _floating_dtype(xp: Namespace, array: Array) -> DType:
    if _is_dtype(xp, array.dtype, "bool", "integral"):
        return xpx.default_dtype(xp, "real floating", device=compat.device(array))
    return array.dtype


def working_dtype(xp: Namespace, dtype: DType) -> DType:
    """Return the dtype to calculate in: float32 for the two 16-bit formats."""
    return xp.float32 if dtype_name(dtype) in _NARROW else dtype


def working(xp: Namespace, array: Array, dtype: DType) -> Array:
    """Return the array in the dtype to calculate in; real arrays stay real."""
    dtype = working_dtype(xp, dtype)
    if array.dtype == dtype:
        return array
    if not is_complex(xp, array.dtype):
        dtype = real_dtype(xp, dtype)
    return array if array.dtype == dtype else xp.astype(array, dtype)


def real_working(xp: Namespace, name: str, array: Array, dtype: DType) -> Array:
    """Return the array in the dtype to calculate in, unless it is complex."""
    if is_complex(xp, array.dtype):
        raise TypeError(
            f"{name} has dtype {array.dtype}, but real numbers were expected: take xp.real({name})."
        )
    return working(xp, array, dtype)


def exact_dtype(xp: Namespace, array: Array) -> DType:
    """Return the dtype in which the library's elementary functions err by less than 2 roundoffs.

    That is float64 for NumPy's float32: on some processors NumPy's functions of single precision
    err by more than 4.
    """
    if array.dtype != xp.float32:
        return array.dtype
    if compat.is_array_api_strict_namespace(xp):  # NumPy beneath, but not each device has float64
        return xp.__array_namespace_info__().dtypes(device=array.device).get("float64", xp.float32)
    on_numpy = compat.is_numpy_namespace(xp) or compat.is_dask_namespace(xp)
    return xp.float64 if on_numpy else xp.float32


def wide_dtype(xp: Namespace, array: Array) -> DType:
    """Return float64 for float32, except on JAX and where the device has none."""
    if compat.is_torch_namespace(xp) and array.dtype == xp.float32:
        return array.dtype if array.device.type == "mps" else xp.float64
    if compat.is_cupy_namespace(xp) and array.dtype == xp.float32:
        return xp.float64
    return exact_dtype(xp, array)


def largest_number(xp: Namespace, dtype: DType) -> Any:
    """Return the largest finite number of a real dtype."""
    return _of_python(dtype, xp.finfo(dtype).max)


def smallest_normal(xp: Namespace, dtype: DType) -> Any:
    """Return the smallest positive number of a real dtype that has all its digits."""
    return _of_python(dtype, xp.finfo(dtype).smallest_normal)


def _of_python(dtype: DType, number: Any) -> Any:
    """Return a limit of a dtype as a Python number, unless that has fewer digits."""
    return number if dtype_name(dtype) in WIDE else float(number)


def as_complex(xp: Namespace, real: Array, imag: Array) -> Array:
    """Return real + 1j * imag, for finite imag."""
    dtype = xp.result_type(real.dtype, xp.complex64)
    return xp.astype(real, dtype) + 1j * xp.astype(imag, dtype)


def real_dtype(xp: Namespace, dtype: DType) -> DType:
    """Return the dtype of the real part of numbers of this dtype."""
    if not is_complex(xp, dtype):
        return dtype
    return xp.real(xp.empty(0, dtype=dtype)).dtype


def reduced_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Return the axes to reduce, counted from the front, each once."""
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int and -ndim <= axis < ndim:  # as most are: the rest takes a microsecond
        return (axis % ndim,)
    listed: Any = (
        axis if isinstance(axis, Sequence) and not isinstance(axis, str | bytes) else (axis,)
    )
    try:
        given = tuple(map(operator.index, listed))
    except TypeError:
        hint = f": {how}" if (how := how_to_trace(*listed)) else ""
        raise TypeError(
            f"axis must be None, an integer or a tuple of integers, but {axis!r} was given{hint}."
        ) from None
    for number in given:
        if not -ndim <= number < ndim:
            raise ValueError(
                f"axis {number} is out of range for an array of {counted(ndim, 'dimension')}: "
                f"pass {_axis_range(ndim)}."
            )
    axes = tuple(number % ndim for number in given)
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis {axis!r} names an axis more than once: name each one once.")
    return axes


def one_axis(axis: int, ndim: int) -> int:
    """Return an axis, counted from the front."""
    try:
        axis = operator.index(axis)
    except TypeError:
        hint = f": {how}" if (how := how_to_trace(axis)) else ""
        raise TypeError(f"axis must be an integer, but {axis!r} was given{hint}.") from None
    return reduced_axes(axis, ndim)[0]


def flag(name: str, value: object) -> bool:
    """Return an argument that is true or false."""
    try:
        return bool(value)
    except (TypeError, ValueError, RuntimeError):  # which one depends on the library
        hint = f": {how}" if (how := how_to_trace(value)) else ""
        raise TypeError(f"{name} must be True or False, but {value!r} was given{hint}.") from None


def how_to_trace(*values: object) -> str:
    """Return what to do about values that must be known, if JAX traces any of them."""
    traced = any(type(value).__module__.partition(".")[0] == "jax" for value in values)
    return "name it to jax.jit by static_argnames" if traced else ""


def _axis_range(ndim: int) -> str:
    return f"an axis from {-ndim} to {ndim - 1}" if ndim else "axis=None"


def broadcast(xp: Namespace, **arrays: Array) -> list[Array]:
    """Broadcast the arrays against each other."""
    shapes = {name: tuple(array.shape) for name, array in arrays.items()}
    if len(set(shapes.values())) == 1:
        return list(arrays.values())
    if any(math.isnan(length) for shape in shapes.values() for length in shape):
        return _broadcast_unknown(xp, list(arrays.values()))
    try:
        return list(xp.broadcast_arrays(*arrays.values()))
    except (ValueError, TypeError, RuntimeError) as error:  # which one depends on the library
        came = " and ".join(f"{name} has shape {shape}" for name, shape in shapes.items())
        raise ValueError(f"{came}, which do not broadcast: make them fit.") from error


def _broadcast_unknown(xp: Namespace, arrays: list[Array]) -> list[Array]:
    """Broadcast Dask arrays of unknown shape, block against block."""
    none = [xp.zeros_like(array, dtype=xp.bool) for array in arrays]
    shape = functools.reduce(operator.or_, none)
    return [xp.where(shape, array, array) for array in arrays]


def broadcast_mask(xp: Namespace, where: Array, name: str, like: Array) -> Array:
    """Broadcast a mask to the shape of an array, which it must not enlarge."""
    where, other = broadcast(xp, **{"where": where, name: like})
    if other.ndim != like.ndim or (
        tuple(other.shape) != tuple(like.shape) and not any(map(math.isnan, like.shape))
    ):
        raise ValueError(
            f"where broadcasts to shape {tuple(other.shape)}, but {name} has shape "
            f"{tuple(like.shape)}: give where a shape that fits into it."
        )
    return where


def finished(
    xp: Namespace, out: Array, dtype: DType, axes: tuple[int, ...] = (), keepdims: bool = True
) -> Any:
    """Return a result in its dtype and shape."""
    if not flag("keepdims", keepdims) and axes:
        out = xp.squeeze(out, axis=axes)
    if compat.is_dask_namespace(xp) and dtype_name(dtype) == "float16":
        # What rounds to infinity becomes it here, lest a worker warn of the cast.
        out = xp.where(out >= _ROUNDS_TO_INFINITY, xp.inf, out)
        out = xp.where(out <= -_ROUNDS_TO_INFINITY, -xp.inf, out)
    # NumPy's users expect a scalar where no axis is left.
    out = out if out.dtype == dtype else xp.astype(out, dtype)
    return out[() if out.ndim == 0 else ...]


def constant(array: Array) -> Array:
    """Return the array as a constant to automatic differentiation."""
    if compat.is_torch_array(array):
        return array.detach()
    if compat.is_jax_array(array):
        import jax  # loaded already, since the array is its own

        return jax.lax.stop_gradient(array)
    return array


def to_host(array: Any) -> np.ndarray[Any, np.dtype[Any]]:
    """Return an array as NumPy's, for what only the host can hold, such as labels of text."""
    if isinstance(array, np.ndarray):
        return np.asarray(array)
    if compat.is_cupy_array(array):
        return np.asarray(array.get())
    if compat.is_torch_array(array):
        return np.asarray(array.detach().cpu())
    if compat.is_array_api_obj(array):
        xp = compat.array_namespace(array)
        if compat.is_array_api_strict_namespace(xp):
            array = array.to_device(xp.Device("CPU_DEVICE"))
    return np.asarray(array)


def settled(array: Array) -> Array:
    """Return the array, and keep JAX's compiler from taking ``(x + y) - y`` for x."""
    if compat.is_jax_array(array):
        import jax  # loaded already, since the array is its own

        return jax.lax.optimization_barrier(array)
    return array
