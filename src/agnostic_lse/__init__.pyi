# What type checkers see of the public names; nothing reads it at run time.
#
# Arrays come out of the type that they went in as. Of NumPy's, the dtype is told where one argument
# decides it. A sum along an axis may be a scalar, as in NumPy, whose own types say Any there too;
# and as in these, an array of no dimensions counts as an array.

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ._accumulator import LogSumExpAccumulator as LogSumExpAccumulator
from ._engines.choice import kernels as kernels
from ._engines.configuration import show_config as show_config
from ._reductions import Axis

__all__ = [
    "LogSumExpAccumulator",
    "kernels",
    "log1mexp",
    "log1pexp",
    "log_expit",
    "log_softmax",
    "logaddexp",
    "logcumsumexp",
    "logexpm1",
    "logit",
    "logitexp",
    "logmatmulexp",
    "logmeanexp",
    "logsubexp",
    "logsumexp",
    "segment_log_softmax",
    "segment_logsumexp",
    "segment_softmax",
    "show_config",
    "softmax",
]
__version__: str

class _Array(Protocol):
    """What the arrays of all libraries have, and a table or a list has not."""

    @property
    def shape(self) -> Any: ...
    @property
    def dtype(self) -> Any: ...
    @property
    def device(self) -> Any: ...

class _Convertible(Protocol):
    """What becomes a NumPy array, such as a table of pandas."""

    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...

_Real: TypeAlias = float | np.integer[Any] | np.bool
# As deep as this, since text is a sequence of texts without end
_Row: TypeAlias = Sequence[complex | _Convertible]
_Nested: TypeAlias = _Row | Sequence[_Row] | Sequence[Sequence[_Row]]
_NumPy: TypeAlias = NDArray[Any] | _Nested
_ArrayLike: TypeAlias = _Array | _Convertible | _Nested | complex
_A = TypeVar("_A", bound=_Array)
_F = TypeVar("_F", bound=np.floating[Any])
_N = TypeVar("_N", bound=np.inexact[Any])

@overload
def logsumexp(
    a: NDArray[_N],
    axis: None = None,
    b: None = None,
    keepdims: Literal[False] = False,
    return_sign: Literal[False] = False,
    *,
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> _N: ...
@overload
def logsumexp(
    a: _NumPy | complex,
    axis: Axis = None,
    b: _ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: Literal[False] = False,
    *,
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> Any: ...
@overload
def logsumexp(
    a: _A,
    axis: Axis = None,
    b: _ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: Literal[False] = False,
    *,
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> _A: ...
@overload
def logsumexp(
    a: _Convertible,
    axis: Axis = None,
    b: _ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: Literal[False] = False,
    *,
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> Any: ...
@overload
def logsumexp(
    a: _NumPy | complex,
    axis: Axis = None,
    b: _ArrayLike | None = None,
    keepdims: bool = False,
    *,
    return_sign: Literal[True],
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> tuple[Any, Any]: ...
@overload
def logsumexp(
    a: _A,
    axis: Axis = None,
    b: _ArrayLike | None = None,
    keepdims: bool = False,
    *,
    return_sign: Literal[True],
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> tuple[_A, _A]: ...
@overload
def logsumexp(
    a: _Convertible,
    axis: Axis = None,
    b: _ArrayLike | None = None,
    keepdims: bool = False,
    *,
    return_sign: Literal[True],
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> tuple[Any, Any]: ...
@overload
def logsumexp(
    a: _ArrayLike,
    axis: Axis = None,
    b: _ArrayLike | None = None,
    keepdims: bool = False,
    return_sign: bool = False,
    *,
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> Any: ...
@overload
def logmeanexp(
    a: NDArray[_N],
    axis: None = None,
    b: None = None,
    keepdims: Literal[False] = False,
    *,
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> _N: ...
@overload
def logmeanexp(
    a: _NumPy | complex,
    axis: Axis = None,
    b: _ArrayLike | None = None,
    keepdims: bool = False,
    *,
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> Any: ...
@overload
def logmeanexp(
    a: _A,
    axis: Axis = None,
    b: _ArrayLike | None = None,
    keepdims: bool = False,
    *,
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> _A: ...
@overload
def logmeanexp(
    a: _Convertible,
    axis: Axis = None,
    b: _ArrayLike | None = None,
    keepdims: bool = False,
    *,
    where: _ArrayLike | None = None,
    xp: Any = None,
) -> Any: ...
@overload
def softmax(
    x: NDArray[_F], axis: Axis = None, *, where: _ArrayLike | None = None, xp: Any = None
) -> NDArray[_F]: ...
@overload
def softmax(
    x: _NumPy, axis: Axis = None, *, where: _ArrayLike | None = None, xp: Any = None
) -> NDArray[Any]: ...
@overload
def softmax(
    x: _Real, axis: Axis = None, *, where: _ArrayLike | None = None, xp: Any = None
) -> np.float64: ...
@overload
def softmax(x: _A, axis: Axis = None, *, where: _ArrayLike | None = None, xp: Any = None) -> _A: ...
@overload
def softmax(
    x: _Convertible, axis: Axis = None, *, where: _ArrayLike | None = None, xp: Any = None
) -> NDArray[Any]: ...
@overload
def log_softmax(
    x: NDArray[_F], axis: Axis = None, *, where: _ArrayLike | None = None, xp: Any = None
) -> NDArray[_F]: ...
@overload
def log_softmax(
    x: _NumPy, axis: Axis = None, *, where: _ArrayLike | None = None, xp: Any = None
) -> NDArray[Any]: ...
@overload
def log_softmax(
    x: _Real, axis: Axis = None, *, where: _ArrayLike | None = None, xp: Any = None
) -> np.float64: ...
@overload
def log_softmax(
    x: _A, axis: Axis = None, *, where: _ArrayLike | None = None, xp: Any = None
) -> _A: ...
@overload
def log_softmax(
    x: _Convertible, axis: Axis = None, *, where: _ArrayLike | None = None, xp: Any = None
) -> NDArray[Any]: ...
@overload
def logcumsumexp(
    x: NDArray[_N],
    axis: int | None = None,
    *,
    reverse: bool = False,
    include_initial: bool = False,
    xp: Any = None,
) -> NDArray[_N]: ...
@overload
def logcumsumexp(
    x: _NumPy,
    axis: int | None = None,
    *,
    reverse: bool = False,
    include_initial: bool = False,
    xp: Any = None,
) -> NDArray[Any]: ...
@overload
def logcumsumexp(
    x: _Real,
    axis: int | None = None,
    *,
    reverse: bool = False,
    include_initial: bool = False,
    xp: Any = None,
) -> NDArray[np.float64]: ...
@overload
def logcumsumexp(
    x: complex,
    axis: int | None = None,
    *,
    reverse: bool = False,
    include_initial: bool = False,
    xp: Any = None,
) -> NDArray[np.complex128]: ...
@overload
def logcumsumexp(
    x: _A,
    axis: int | None = None,
    *,
    reverse: bool = False,
    include_initial: bool = False,
    xp: Any = None,
) -> _A: ...
@overload
def logcumsumexp(
    x: _Convertible,
    axis: int | None = None,
    *,
    reverse: bool = False,
    include_initial: bool = False,
    xp: Any = None,
) -> NDArray[Any]: ...
@overload
def segment_logsumexp(
    x: NDArray[_F], segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> NDArray[_F]: ...
@overload
def segment_logsumexp(
    x: _NumPy, segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> NDArray[Any]: ...
@overload
def segment_logsumexp(
    x: _A, segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> _A: ...
@overload
def segment_logsumexp(
    x: _Convertible, segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> NDArray[Any]: ...
@overload
def segment_softmax(
    x: NDArray[_F], segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> NDArray[_F]: ...
@overload
def segment_softmax(
    x: _NumPy, segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> NDArray[Any]: ...
@overload
def segment_softmax(
    x: _A, segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> _A: ...
@overload
def segment_softmax(
    x: _Convertible, segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> NDArray[Any]: ...
@overload
def segment_log_softmax(
    x: NDArray[_F], segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> NDArray[_F]: ...
@overload
def segment_log_softmax(
    x: _NumPy, segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> NDArray[Any]: ...
@overload
def segment_log_softmax(
    x: _A, segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> _A: ...
@overload
def segment_log_softmax(
    x: _Convertible, segment_ids: _ArrayLike, num_segments: int, *, axis: int = 0, xp: Any = None
) -> NDArray[Any]: ...
@overload
def logmatmulexp(a: _NumPy, b: _ArrayLike, *, xp: Any = None) -> Any: ...
@overload
def logmatmulexp(a: _A, b: _A | _Nested, *, xp: Any = None) -> _A: ...
@overload
def logmatmulexp(a: _ArrayLike, b: _ArrayLike, *, xp: Any = None) -> Any: ...
@overload
def logaddexp(x1: _Real, x2: _Real, *, xp: Any = None) -> np.float64: ...
@overload
def logaddexp(x1: complex, x2: complex, *, xp: Any = None) -> np.complex128: ...
@overload
def logaddexp(x1: _NumPy, x2: _NumPy | complex, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def logaddexp(x1: complex, x2: _NumPy, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def logaddexp(x1: _A, x2: _A | _Nested | complex, *, xp: Any = None) -> _A: ...
@overload
def logaddexp(x1: _Nested | complex, x2: _A, *, xp: Any = None) -> _A: ...
@overload
def logaddexp(x1: _ArrayLike, x2: _ArrayLike, *, xp: Any = None) -> Any: ...
@overload
def logsubexp(
    x1: _Real, x2: _Real, *, return_sign: Literal[False] = False, xp: Any = None
) -> np.float64: ...
@overload
def logsubexp(
    x1: _NumPy, x2: _NumPy | complex, *, return_sign: Literal[False] = False, xp: Any = None
) -> NDArray[Any]: ...
@overload
def logsubexp(
    x1: complex, x2: _NumPy, *, return_sign: Literal[False] = False, xp: Any = None
) -> NDArray[Any]: ...
@overload
def logsubexp(
    x1: _A, x2: _A | _Nested | complex, *, return_sign: Literal[False] = False, xp: Any = None
) -> _A: ...
@overload
def logsubexp(
    x1: _Nested | complex, x2: _A, *, return_sign: Literal[False] = False, xp: Any = None
) -> _A: ...
@overload
def logsubexp(
    x1: _Real, x2: _Real, *, return_sign: Literal[True], xp: Any = None
) -> tuple[np.float64, np.float64]: ...
@overload
def logsubexp(
    x1: _NumPy, x2: _NumPy | complex, *, return_sign: Literal[True], xp: Any = None
) -> tuple[NDArray[Any], NDArray[Any]]: ...
@overload
def logsubexp(
    x1: complex, x2: _NumPy, *, return_sign: Literal[True], xp: Any = None
) -> tuple[NDArray[Any], NDArray[Any]]: ...
@overload
def logsubexp(
    x1: _A, x2: _A | _Nested | complex, *, return_sign: Literal[True], xp: Any = None
) -> tuple[_A, _A]: ...
@overload
def logsubexp(
    x1: _Nested | complex, x2: _A, *, return_sign: Literal[True], xp: Any = None
) -> tuple[_A, _A]: ...
@overload
def logsubexp(
    x1: _ArrayLike, x2: _ArrayLike, *, return_sign: bool = False, xp: Any = None
) -> Any: ...
@overload
def log1mexp(x: NDArray[_F], *, xp: Any = None) -> NDArray[_F]: ...
@overload
def log1mexp(x: _NumPy, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def log1mexp(x: _Real, *, xp: Any = None) -> np.float64: ...
@overload
def log1mexp(x: _A, *, xp: Any = None) -> _A: ...
@overload
def log1mexp(x: _Convertible, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def log1pexp(x: NDArray[_F], *, xp: Any = None) -> NDArray[_F]: ...
@overload
def log1pexp(x: _NumPy, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def log1pexp(x: _Real, *, xp: Any = None) -> np.float64: ...
@overload
def log1pexp(x: _A, *, xp: Any = None) -> _A: ...
@overload
def log1pexp(x: _Convertible, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def logexpm1(x: NDArray[_F], *, xp: Any = None) -> NDArray[_F]: ...
@overload
def logexpm1(x: _NumPy, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def logexpm1(x: _Real, *, xp: Any = None) -> np.float64: ...
@overload
def logexpm1(x: _A, *, xp: Any = None) -> _A: ...
@overload
def logexpm1(x: _Convertible, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def log_expit(x: NDArray[_F], *, xp: Any = None) -> NDArray[_F]: ...
@overload
def log_expit(x: _NumPy, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def log_expit(x: _Real, *, xp: Any = None) -> np.float64: ...
@overload
def log_expit(x: _A, *, xp: Any = None) -> _A: ...
@overload
def log_expit(x: _Convertible, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def logit(p: NDArray[_F], *, xp: Any = None) -> NDArray[_F]: ...
@overload
def logit(p: _NumPy, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def logit(p: _Real, *, xp: Any = None) -> np.float64: ...
@overload
def logit(p: _A, *, xp: Any = None) -> _A: ...
@overload
def logit(p: _Convertible, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def logitexp(x: NDArray[_F], *, xp: Any = None) -> NDArray[_F]: ...
@overload
def logitexp(x: _NumPy, *, xp: Any = None) -> NDArray[Any]: ...
@overload
def logitexp(x: _Real, *, xp: Any = None) -> np.float64: ...
@overload
def logitexp(x: _A, *, xp: Any = None) -> _A: ...
@overload
def logitexp(x: _Convertible, *, xp: Any = None) -> NDArray[Any]: ...
