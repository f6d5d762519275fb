"""Checkpoints of accumulators: what they hold as numbers, text and lists, and back."""

from __future__ import annotations

import importlib
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import array_api_compat as compat
import numpy as np

from ._namespace import Array, DType, Namespace, as_complex, dtype_name, namespace_name, to_host
from ._running import RunningSum

FORMAT = "agnostic_lse.LogSumExpAccumulator, version 2"
# What `to_dict` may name, and so `from_dict` import
_NAMESPACES = ("numpy", "cupy", "torch", "jax.numpy", "dask.array", "array_api_strict")


def as_numbers(of: RunningSum) -> dict[str, Any]:
    """Return the parts as lists, in the order of ``reshape(x, -1)``."""
    return {name: as_lists(to_host(part)) for name, part in of._asdict().items()}


def as_lists(host: np.ndarray[Any, Any]) -> Any:
    """Return numbers as a list that JSON can hold, or complex ones as two.

    As text, those that it cannot: nan, infinities, and what has more digits than float64.
    """
    if np.iscomplexobj(host):
        return {"real": as_lists(host.real), "imag": as_lists(host.imag)}
    exact = host.dtype.itemsize <= np.dtype(np.float64).itemsize
    return [x if exact and math.isfinite(x) else str(x) for x in host.reshape(-1).tolist()]


class Checkpoint:
    """What `to_dict` returned, and nothing else: whatever it could not be is refused."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.data = data
        if data.get("format") != FORMAT:
            raise ValueError(
                f"data has the format {data.get('format')!r}, but {FORMAT!r} was expected: pass "
                "what to_dict returned."
            )
        self.is_empty = set(data) == {"format", "shape", "shape_was_given"}
        if not self.is_empty:
            self._expect("keys", sorted(data), set(data) == _KEYS)
        shape = data["shape"]
        self._expect("shape_was_given", data["shape_was_given"], _is(bool, data["shape_was_given"]))
        nowhere = self.is_empty and shape is None and not data["shape_was_given"]
        known = _is(list, shape) and all(_is(int, n) and n >= 0 for n in shape)
        self._expect("shape", shape, nowhere or known)
        self.shape = tuple(shape or ())
        if not self.is_empty:
            self._expect_counts()
            self.sum_of("total")

    def _expect(self, name: str, came: Any, right: bool) -> None:
        if not right:
            text = repr(came)
            text = text if len(text) <= 100 else f"{text[:97]}..."
            raise ValueError(
                f"data has {text} for {name}, which to_dict never writes: pass what it returned."
            )

    def _expect_counts(self) -> None:
        count, plain = self.data["count"], self.data["count_without_weights"]
        self._expect("count", count, _is(int, count) and count >= 0)
        right = _is(int, plain) and 0 <= plain <= count
        if self.data["mass"] is None:
            right = right and plain == count
        self._expect("count_without_weights", plain, right)
        self._expect("dtype", self.data["dtype"], self.data["dtype"] in _DTYPES)

    def sum_of(self, name: str) -> dict[str, Any]:
        """Return the parts of a sum in their order."""
        numbers = self.data[name]
        right = isinstance(numbers, Mapping) and set(numbers) == set(RunningSum._fields)
        self._expect(name, numbers, right)
        for part, listed in numbers.items():
            right = self._are(listed, part)
            if name == "total" and part in ("rest", "lost"):
                right = right and isinstance(listed, Mapping) == self._is_complex
            self._expect(f"{part} of {name}", listed, right)
        return {part: numbers[part] for part in RunningSum._fields}

    @property
    def _is_complex(self) -> bool:
        return "complex" in self.data["dtype"]

    def _are(self, listed: Any, part: str) -> bool:
        """Tell whether something lists a number for each slot."""
        if isinstance(listed, Mapping):
            possible = self._is_complex and part != "scale"
            pair = set(listed) == {"real", "imag"}
            return possible and pair and all(self._are(x, "scale") for x in listed.values())
        right = _is(list, listed) and len(listed) == math.prod(self.shape)
        return right and all(map(_is_number, listed))


_KEYS = {
    *("format", "shape", "shape_was_given", "count", "count_without_weights"),
    *("namespace", "device", "dtype", "total", "mass"),
}
_DTYPES = (
    *("float16", "bfloat16", "float32", "float64", "longdouble", "float128", "float96"),
    *("complex64", "complex128", "clongdouble", "complex256", "complex192"),
)


def _is(kind: type, value: Any) -> bool:
    """Tell whether a value is of a kind; to Python, True is an integer too."""
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _is_number(value: Any) -> bool:
    """Tell whether something is a number as `as_numbers` writes it."""
    if isinstance(value, str):
        try:
            np.longdouble(value)
        except ValueError:
            return False
        return True
    # An integer may be larger than any of floating point.
    whole = _is(int, value) and abs(value) <= _LARGEST
    return whole or (_is(float, value) and math.isfinite(value))


# JSON may turn what was written as a float into an integer, such as 1e22
_LARGEST = int(np.finfo(np.float64).max)


def from_numbers(
    xp: Namespace, numbers: Any, shape: tuple[int, ...], dtype: DType, device: Any
) -> Array:
    """Return the array that `as_numbers` has made lists of."""
    host = np.dtype(dtype_name(dtype))

    def array(numbers: Sequence[Any]) -> Array:
        values = np.asarray([host.type(x) for x in numbers], dtype=host)
        return xp.asarray(np.reshape(values, shape), device=device)

    if isinstance(numbers, Mapping):
        return as_complex(xp, array(numbers["real"]), array(numbers["imag"]))
    return array(numbers)


def named_namespace(name: str) -> Namespace:
    if name not in _NAMESPACES:
        raise ValueError(
            f"data comes from the namespace {name!r}, but one of {', '.join(_NAMESPACES)} was "
            "expected: name another by xp."
        )
    try:
        return compat.array_namespace(importlib.import_module(name).asarray(0.0))
    except ImportError as error:
        raise ValueError(
            f"data comes from {name}, which cannot be imported here ({error}): install it, or name "
            "another namespace by xp."
        ) from error


def named_device(xp: Namespace, name: str) -> Any:
    """Return the device of this name, or None if it is the default one."""
    if str(compat.device(xp.empty(0))) == name:
        return None
    devices = xp.__array_namespace_info__().devices()
    for device in devices:
        if str(device) == name:
            return device
    raise ValueError(
        f"data comes from the device {name!r}, but {namespace_name(xp)} has "
        f"{', '.join(map(str, devices))} here: name one by device."
    )


def nothing_like(xp: Namespace, name: str, device: Any) -> Array:
    """Return an array without entries, of the dtype of a name, on a device."""
    try:
        # NumPy's bfloat16 comes from elsewhere, and is known by name once it is imported.
        dtype = getattr(xp, name) if hasattr(xp, name) else np.dtype(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of JAX, which says what is refused below
            like = xp.empty(0, dtype=dtype, device=device)
        found = dtype_name(like.dtype)
    except (TypeError, ValueError, RuntimeError, AssertionError) as error:  # each library's own
        found = str(error).partition("\n")[0]
    if found != name:
        raise ValueError(
            f"data has the dtype {name}, but {namespace_name(xp)} cannot make an array of it on "
            f"the device {device} ({found}): name another xp or device."
        )
    return like
