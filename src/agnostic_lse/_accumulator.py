"""A sum of exponentials that grows: batches join it, and others like it merge with it."""

from __future__ import annotations

import copy
import math
import operator
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self, overload

import array_api_compat as compat
import numpy as np

from ._checkpoints import (
    FORMAT,
    Checkpoint,
    as_numbers,
    from_numbers,
    named_device,
    named_namespace,
    nothing_like,
)
from ._namespace import (
    Array,
    Namespace,
    arguments,
    broadcast,
    dtype_name,
    flag,
    is_complex,
    namespace_name,
    quiet,
    real_dtype,
    reduced_axes,
    shared_namespace,
    working,
)
from ._reductions import Axis
from ._running import RunningSum, joined, log_mean, log_size, running_sum
from ._wording import kind_of


class _Held(NamedTuple):
    """What an accumulator holds, replaced as a whole.

    Of the namespace, on the device and of the dtype of the results is `like`, which has no entries.
    `mass` is the sum of weights of what came with any, and `plain` the number of terms without.
    """

    like: Array
    shape: tuple[int, ...]
    total: RunningSum
    mass: RunningSum | None
    terms: int
    plain: int

    @property
    def xp(self) -> Namespace:
        return compat.array_namespace(self.like)

    def joined(self, other: _Held) -> _Held:
        given: dict[str, Any] = {_HELD: self.like, "what is added": other.like}
        shared_namespace(None, given)  # what one holds is not moved, even to JAX
        xp, dtype, _, _ = arguments(None, **given)
        like = self.like if self.like.dtype == dtype else xp.astype(self.like, dtype)
        mass = other.mass if self.mass is None else self.mass
        if self.mass is not None and other.mass is not None:
            mass = joined(dtype, self.mass, other.mass)
        return _Held(
            like,
            self.shape,
            joined(dtype, self.total, other.total),
            mass,
            self.terms + other.terms,
            self.plain + other.plain,
        )


_HELD = "the accumulator"


class LogSumExpAccumulator:
    r"""Logarithm of a sum of exponentials that comes in batches, or from several workers.

    Parameters
    ----------
    shape : tuple of ints, optional
        Shape of the slots, of which each holds a sum of its own; ``()`` is a single one. By default
        the first batch says it.

    Attributes
    ----------
    shape : tuple of ints
        Shape of the slots, ``()`` as long as nothing has said it.
    count : int
        How many terms each slot has seen, those of weight 0 among them.

    Methods
    -------
    update(a, axis=None, b=None)
        Add a batch of terms.
    merge(other)
        Add all that another accumulator has seen.
    value(return_sign=False)
        Return the logarithms of the sums.
    log_mean()
        Return the logarithms of the means.
    reset()
        Forget all terms.
    to_dict()
        Return what is held as numbers, text and lists.
    from_dict(data, xp=None, device=None)
        Return the accumulator of such a dict.

    See Also
    --------
    logsumexp : The same for an array that is there as a whole.
    logmeanexp : The mean of one.

    Notes
    -----
    Held are the largest exponent :math:`z_k` of each slot and the sum of all others relative to it,

    .. math:: r = \sum_{i \ne k} \pm e^{z_i - z_k} \quad\text{with}\quad z_i = a_i + \log|b_i|,

    so that the value is :math:`z_k + \log(1 + r)`. What rounding takes from r is kept beside it, by
    Knuth's two-sum [1]_, so that the error does not grow with the number of batches. r is relative
    to an exponent less than 1 below the largest, so that the error does not grow where exponents
    rise slowly either. :math:`a_k` and the weight's part of :math:`z_k` are kept apart, so that a
    weight counts beside an exponent of any size. The order of batches and of merging changes no
    more than the last digits.

    All batches come from one namespace and device, where the results lie too. Their dtypes are
    promoted; lists, numbers and integers join as in `logsumexp`. An update that fails changes
    nothing, and threads may update one accumulator at once. Two accumulators are equal if they hold
    the same to the last digit. They can be copied, pickled, and written as JSON by `to_dict`.

    A batch of Dask's is added lazily: what is held is then its sum to be, and nothing is computed
    before the value is, but by `to_dict` and by a comparison.

    References
    ----------
    .. [1] D. E. Knuth, "The Art of Computer Programming", vol. 2, 3rd ed., 1997, section 4.2.2.

    Examples
    --------
    >>> from agnostic_lse import LogSumExpAccumulator
    >>> seen = LogSumExpAccumulator()
    >>> for batch in ([1000.0, 1001.0], [1002.0]):
    ...     seen = seen.update(batch)
    >>> print(seen.value(), seen.count)
    1002.4076059644444 3

    A slot for each column, and a second accumulator, such as another process may send:

    >>> columns = LogSumExpAccumulator().update([[0.0, 1.0], [0.0, 2.0]], axis=0)
    >>> other = LogSumExpAccumulator().update([[0.0, 3.0]], axis=0)
    >>> columns.merge(other).value().round(3).tolist()
    [1.099, 3.408]

    A checkpoint that any program can read:

    >>> import json
    >>> text = json.dumps(columns.to_dict())
    >>> LogSumExpAccumulator.from_dict(json.loads(text)) == columns
    True
    """

    __hash__ = None  # type: ignore[assignment]  # as of all that changes

    def __init__(self, shape: int | Sequence[int] | None = None) -> None:
        self._declared = None if shape is None else _as_shape(shape)
        self._held: _Held | None = None
        self._lock = threading.Lock()

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the slots."""
        return self._known_shape() or ()

    @property
    def count(self) -> int:
        """How many terms each slot has seen."""
        return self._held.terms if self._held else 0

    def _known_shape(self) -> tuple[int, ...] | None:
        held = self._held
        return held.shape if held else self._declared

    @quiet
    def update(self, a: Any, axis: Axis = None, b: Any = None) -> Self:
        """Add a batch of terms.

        Parameters
        ----------
        a : array_like
            Exponents, real or complex.
        axis : int, tuple of ints or None, default None
            Axes to sum along, so that the others have the shape of the slots; None sums over all.
        b : array_like, optional
            Weights, of any sign, broadcast against `a`. A term of weight 0 is not there, whatever
            its exponent.

        Returns
        -------
        LogSumExpAccumulator
            The accumulator itself.

        Raises
        ------
        TypeError
            If an argument is not numeric, is sparse or masked, or if it comes from another
            namespace than what came before.
        ValueError
            If it lies on another device, if shapes do not broadcast, if an axis is out of range or
            named twice, or if what is left of the shape is not that of the slots.
        """
        held = self._held
        given: dict[str, Any] = {"a": a, "b": b, _HELD: held.like if held else None}
        xp, _, (a, b, _), _ = arguments(None, optional=("b", _HELD), **given)
        # What is held already must not widen the arithmetic of a batch of fewer digits.
        dtype = arguments(None, optional=("b",), a=a, b=b)[1]
        a = working(xp, a, dtype)
        if b is not None:
            a, b = broadcast(xp, a=a, b=working(xp, b, dtype))
        axes = reduced_axes(axis, a.ndim)
        if any(math.isnan(length) for length in a.shape):
            raise ValueError(
                f"a has shape {tuple(a.shape)}, but known lengths were expected: call its "
                "compute_chunk_sizes() first."
            )
        count = math.prod(a.shape[place] for place in axes)
        shape = tuple(n for place, n in enumerate(a.shape) if place not in axes)
        self._refuse_other_shape(shape, "a, summed along axis,")
        like = xp.empty(0, dtype=dtype, device=compat.device(a))
        total, mass = running_sum(xp, a, b, axes), None
        if b is not None:
            real = xp.real(a) if is_complex(xp, a.dtype) else a
            mass = running_sum(xp, xp.zeros_like(real), b, axes)
        return self._join(_Held(like, shape, total, mass, count, count if b is None else 0))

    @quiet
    def merge(self, other: LogSumExpAccumulator) -> Self:
        """Add all that another accumulator has seen, which is left as it is.

        Parameters
        ----------
        other : LogSumExpAccumulator
            Of the same namespace, device and shape, or empty.

        Returns
        -------
        LogSumExpAccumulator
            The accumulator itself.

        Raises
        ------
        TypeError
            If `other` is no accumulator, or of another namespace.
        ValueError
            If it lies on another device, or has slots of another shape.
        """
        if not isinstance(other, LogSumExpAccumulator):
            raise TypeError(
                f"other is {kind_of(other)}, but a LogSumExpAccumulator was expected: add "
                "arrays by update."
            )
        shape = other._known_shape()
        if shape is not None:
            self._refuse_other_shape(shape, "other")
        return self._join(other._held) if other._held else self

    def _join(self, new: _Held) -> Self:
        with self._lock:
            # Once more: another thread may have been the first.
            self._refuse_other_shape(new.shape, "what is added")
            self._held = self._held.joined(new) if self._held else new
        return self

    def _refuse_other_shape(self, shape: tuple[int, ...], name: str) -> None:
        known = self._known_shape()
        if known is not None and known != shape:
            raise ValueError(
                f"{name} has shape {shape}, but the accumulator's slots have shape {known}: give "
                "the axes that leave this shape, or make another accumulator."
            )

    @overload
    def value(self, return_sign: Literal[False] = False) -> Any: ...
    @overload
    def value(self, return_sign: Literal[True]) -> tuple[Any, Any]: ...
    @overload
    def value(self, return_sign: bool) -> Any: ...
    @quiet
    def value(self, return_sign: bool = False) -> Any:
        """Return the logarithms of the sums.

        Parameters
        ----------
        return_sign : bool, default False
            Return the logarithm of each sum's magnitude and its sign as a pair.

        Returns
        -------
        result : array
            Of the shape of the slots; -inf where no term is there, and nan where the sum is
            negative and `return_sign` is false.
        sign : array
            Only with `return_sign`: +1, 0 or -1, for complex arguments a number of magnitude 1 or
            0.
        """
        return_sign = flag("return_sign", return_sign)
        held = self._held
        if held is None:
            nothing = np.full(self.shape, -np.inf)[()]
            return (nothing, np.zeros(self.shape)[()]) if return_sign else nothing
        dtype = held.like.dtype
        if not return_sign:
            return log_size(dtype, None, dtype, held.total)
        real = real_dtype(held.xp, dtype)
        return tuple(log_size(dtype, *pair, held.total) for pair in ((0, real), (1, dtype)))

    @quiet
    def log_mean(self) -> Any:
        """Return the logarithms of the means, as `logmeanexp` would of all terms and weights.

        Returns
        -------
        array
            Of the shape of the slots; -inf where no term is there, and nan where the mean is
            negative or the weights add up to 0. Where it is close to 0, it errs by what is a
            rounding of the largest exponent and of the logarithm of the count.
        """
        held = self._held
        if held is None:
            return np.full(self.shape, -np.inf)[()]
        return log_mean(held.like.dtype, held.plain, held.total, held.mass)

    def reset(self) -> Self:
        """Forget all terms, and the shape unless it was given at the beginning.

        Returns
        -------
        LogSumExpAccumulator
            The accumulator itself.
        """
        with self._lock:
            self._held = None
        return self

    def to_dict(self) -> dict[str, Any]:
        """Return what is held as numbers, text and lists, which JSON carries without loss.

        Returns
        -------
        dict
            What `from_dict` takes. Numbers that are not finite, or have more digits than a float,
            are text.
        """
        held = self._held
        shape = self._known_shape()
        data = {
            "format": FORMAT,
            "shape": None if shape is None else list(shape),
            "shape_was_given": self._declared is not None,
        }
        if held is None:
            return data
        return data | {
            "count": held.terms,
            "count_without_weights": held.plain,
            "namespace": namespace_name(held.xp),
            "device": str(compat.device(held.like)),
            "dtype": dtype_name(held.like.dtype),
            "total": as_numbers(held.total),
            "mass": None if held.mass is None else as_numbers(held.mass),
        }

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], xp: Namespace | None = None, device: Any = None
    ) -> Self:
        """Return the accumulator that `to_dict` made a dict of.

        Parameters
        ----------
        data : mapping
            What `to_dict` has returned, perhaps by way of JSON.
        xp : namespace, optional
            Where to resume; by default the namespace that it came from, which is imported.
        device : device, optional
            Device to resume on; by default the one that it came from, or with `xp` the default.

        Returns
        -------
        LogSumExpAccumulator
            An accumulator equal to the one of the dict.

        Raises
        ------
        TypeError
            If `data` is no mapping.
        ValueError
            If it is not what `to_dict` returns, or if its namespace, device or dtype is not there.
        """
        if not isinstance(data, Mapping):
            raise TypeError(
                f"data is {kind_of(data)}, but a dict was expected: pass what to_dict returned."
            )
        kept = Checkpoint(data)
        out = cls(kept.shape if data["shape_was_given"] else None)
        if kept.is_empty:
            return out
        if xp is None:
            xp = named_namespace(data["namespace"])
            device = named_device(xp, data["device"]) if device is None else device
        xp = arguments(xp, number=0.0)[0]  # the wrapper that follows the standard
        like = nothing_like(xp, data["dtype"], device)
        dtype = real_dtype(xp, working(xp, like, like.dtype).dtype)

        def sum_of(name: str) -> RunningSum:
            parts = kept.sum_of(name).values()
            return RunningSum(
                *(from_numbers(xp, part, kept.shape, dtype, device) for part in parts)
            )

        out._held = _Held(
            like,
            kept.shape,
            sum_of("total"),
            None if data["mass"] is None else sum_of("mass"),
            data["count"],
            data["count_without_weights"],
        )
        return out

    def __eq__(self, other: object) -> bool:
        """Tell whether another accumulator holds the same, to the last digit."""
        if not isinstance(other, LogSumExpAccumulator):
            return NotImplemented
        one, two = self.to_dict(), other.to_dict()
        return one | {"shape_was_given": None} == two | {"shape_was_given": None}

    def __repr__(self) -> str:
        """Show the value of one slot, and of several what they are."""
        held, what = self._held, f"count={self.count}, shape={self.shape}"
        if held is None or self.shape == ():
            return f"LogSumExpAccumulator({what}, value={self.value()})"
        kind = f"{namespace_name(held.xp)} {dtype_name(held.like.dtype)}"
        return f"LogSumExpAccumulator({what}, {kind})"

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        """Return a copy, which may share what is never changed, only replaced."""
        return copy.copy(self)

    def __getstate__(self) -> tuple[tuple[int, ...] | None, _Held | None]:
        """Return what a copy needs: all but the lock."""
        return self._declared, self._held

    def __setstate__(self, state: tuple[tuple[int, ...] | None, _Held | None]) -> None:
        """Become a copy."""
        self._declared, self._held = state
        self._lock = threading.Lock()


def _as_shape(shape: int | Sequence[int]) -> tuple[int, ...]:
    try:
        lengths = tuple(map(operator.index, shape if isinstance(shape, Sequence) else (shape,)))
    except TypeError:
        lengths = (-1,)
    if any(length < 0 for length in lengths):
        raise ValueError(f"shape must be a tuple of lengths, but {shape!r} was given.")
    return lengths
