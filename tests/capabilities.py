"""What each function can do: one declaration, for the tests and for the table in the README.

``python -m tests.capabilities`` writes the table again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from agnostic_lse import LogSumExpAccumulator

# What may be declared; `tests/test_capabilities.py` has one test for each.
FEATURES = {
    "complex": "complex",
    "integers": "integers",
    "16 bits": "16 bits",
    "no wait": "no wait for a GPU",
    "lazy": "lazy on Dask",
    "unknown chunks": "unknown chunks",
    "jit": "`jax.jit`",
    "vmap": "`vmap`",
    "derivatives": "derivatives",
    "compile": "`torch.compile`",
}
REAL = frozenset(FEATURES) - {"complex"}
# The lengths tell the axes apart, for tests that leave some rows or columns out.
ROWS, COLUMNS = 4, 6
_RNG = np.random.default_rng(0)
NUMBERS = _RNG.normal(size=(ROWS, COLUMNS))
WEIGHTS = _RNG.uniform(1, 3, size=(ROWS, COLUMNS))
SIGNED = 4 * np.where(NUMBERS[:, ::-1] > -0.5, WEIGHTS, -WEIGHTS)
# One small negative weight in each row, so that sums stay positive
SOME = np.where(np.arange(COLUMNS) == [[1], [2], [3], [4]], -0.1, WEIGHTS)
MASK = _RNG.random((ROWS, COLUMNS)) < 0.7
IDS = np.asarray([0, 2, 0, 1, 2, 0])


@dataclass(frozen=True)
class Call:
    """One way of calling a function: arrays by name, and options.

    What it lacks are features that its function has in all other calls.
    """

    name: str
    arrays: dict[str, Any]
    options: dict[str, Any] = field(default_factory=dict)
    lacks: frozenset[str] = frozenset()

    def __call__(self, function: Callable[..., Any], **arrays: Any) -> Any:
        return function(**arrays, **self.options)

    def mapped(self, function: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the arrays, those of floating-point numbers as a function makes them."""
        return {
            name: function(array) if array.dtype.kind in "fc" else array
            for name, array in self.arrays.items()
        }

    def turned(self) -> Call:
        """Return the call with complex numbers."""
        arrays = self.mapped(lambda x: x * (1 + 0.5j))
        return replace(self, name=f"{self.name}, complex", arrays=arrays)


@dataclass(frozen=True)
class Capabilities:
    """What a function can do, and calls to show it with, from the plainest to the fullest."""

    calls: tuple[Call, ...]
    features: frozenset[str] = REAL
    limits: str = ""

    def every_call(self) -> Iterator[Call]:
        """Yield all calls, and each with complex numbers where a function takes any."""
        yield from self.calls
        if "complex" in self.features:
            yield from (call.turned() for call in self.calls)

    def few_calls(self) -> Iterator[Call]:
        """Yield the plainest call and the fullest, for what takes seconds."""
        every = list(self.every_call())
        yield from {call.name: call for call in (self.calls[0], self.calls[-1], every[-1])}.values()


def accumulated(
    a: Any, b: Any = None, *, axis: Any = None, return_sign: bool = False, mean: bool = False
) -> Any:
    """Return what an accumulator says of terms with weights, of the same without, and of both."""
    seen = LogSumExpAccumulator().update(a, axis=axis, b=b).update(a, axis=axis)
    seen = seen.merge(LogSumExpAccumulator().update(a, axis=axis, b=b))
    return seen.log_mean() if mean else seen.value(return_sign)


def _entrywise(*numbers: Any, features: frozenset[str] = REAL) -> Capabilities:
    names = ("x1", "x2") if len(numbers) == 2 else ("x",)
    return Capabilities((Call("plain", dict(zip(names, numbers, strict=True))),), features)


def _softmax(limits: str = "") -> Capabilities:
    along = {"axis": 1}
    return Capabilities(
        (
            Call("plain", {"x": NUMBERS}, along),
            Call("all", {"x": NUMBERS}),
            Call("where", {"x": NUMBERS, "where": MASK}, along),
        ),
        limits=limits,
    )


# Public names that are no functions of arrays
SETTINGS = {"LogSumExpAccumulator", "kernels", "show_config"}
CAPABILITIES = {
    "logsumexp": Capabilities(
        (
            Call("plain", {"a": NUMBERS}, {"axis": 1}),
            Call("return_sign", {"a": NUMBERS}, {"axis": 1, "return_sign": True}),
            Call("where", {"a": NUMBERS, "where": MASK}, {"axis": 1, "keepdims": True}),
            Call("b", {"a": NUMBERS, "b": SOME}, {"axis": 1}),
            Call("all, b", {"a": NUMBERS, "b": SIGNED}, {"return_sign": True}),
            Call("b, sign", {"a": NUMBERS, "b": SIGNED}, {"axis": 1, "return_sign": True}),
            Call(
                "b, where, sign",
                {"a": NUMBERS, "b": SIGNED, "where": MASK},
                {"axis": 1, "return_sign": True},
            ),
        ),
        REAL | {"complex"},
        limits="errs by up to 4.2 units of roundoff with weights of both signs, and by 5.1 where "
        "numbers are complex, not 4",
    ),
    "logmeanexp": Capabilities(
        (
            Call("plain", {"a": NUMBERS}, {"axis": 1}),
            Call("where", {"a": NUMBERS, "where": MASK}, {"axis": 1}),
            Call("b", {"a": NUMBERS, "b": WEIGHTS}, {"axis": 1}),
            Call("all, b", {"a": NUMBERS, "b": SOME}),
            Call("b, where", {"a": NUMBERS, "b": SOME, "where": MASK}, {"axis": 1}),
        ),
        REAL | {"complex"},
        "errs by up to 6 units of roundoff on JAX, and with some weights by 5.2 elsewhere, not 4",
    ),
    "softmax": _softmax("errs by up to 5 units of roundoff, not 4"),
    "log_softmax": _softmax(),
    "logcumsumexp": Capabilities(
        (
            Call("plain", {"x": NUMBERS}, {"axis": 1}),
            Call("all", {"x": NUMBERS}, {}, frozenset({"unknown chunks"})),
            Call("reverse", {"x": NUMBERS}, {"axis": 0, "reverse": True}),
            Call("include_initial", {"x": NUMBERS}, {"axis": 0, "include_initial": True}),
            Call("both", {"x": NUMBERS}, {"axis": 1, "reverse": True, "include_initial": True}),
        ),
        REAL | {"complex"},
        limits="errs by up to 5 units of roundoff, not 4, but of float32 outside JAX, and needs "
        "known chunks for `axis=None`",
    ),
    "segment_logsumexp": Capabilities(
        (Call("plain", {"x": NUMBERS, "segment_ids": IDS}, {"num_segments": 3, "axis": 1}),),
        limits="refuses ids out of range only where it can see them without waiting, "
        "and leaves them out elsewhere",
    ),
    "segment_softmax": Capabilities(
        (Call("plain", {"x": NUMBERS, "segment_ids": IDS}, {"num_segments": 3, "axis": 1}),),
        limits="refuses ids out of range only where it can see them without waiting, "
        "and gives 0 elsewhere; errs by up to 5 units of roundoff, not 4",
    ),
    "segment_log_softmax": Capabilities(
        (Call("plain", {"x": NUMBERS, "segment_ids": IDS}, {"num_segments": 3, "axis": 1}),),
        limits="refuses ids out of range only where it can see them without waiting, "
        "and gives -inf elsewhere",
    ),
    "logmatmulexp": Capabilities(
        (
            Call("plain", {"a": NUMBERS, "b": NUMBERS.T.copy()}),
            Call("vector", {"a": NUMBERS, "b": NUMBERS[0]}),
        ),
        REAL - {"no wait"},
        "adds the rounding of the library's `matmul`, sums all entries term by term under `vmap`, "
        "which takes many times as long as a batch, and needs known chunks in batches",
    ),
    "LogSumExpAccumulator": Capabilities(
        (
            Call("plain", {"a": NUMBERS}, {"axis": 1}),
            Call("all, mean", {"a": NUMBERS, "b": WEIGHTS}, {"mean": True}),
            Call("b", {"a": NUMBERS, "b": SOME}, {"axis": 1}),
            Call("mean", {"a": NUMBERS, "b": SOME}, {"axis": 1, "mean": True}),
            Call("b, sign", {"a": NUMBERS, "b": SIGNED}, {"axis": 1, "return_sign": True}),
        ),
        (REAL | {"complex"}) - {"unknown chunks"},
        limits="errs by up to 5 units of roundoff, not 4",
    ),
    "logaddexp": _entrywise(NUMBERS, NUMBERS[:, ::-1].copy(), features=REAL | {"complex"}),
    "logsubexp": Capabilities(
        (
            Call("plain", {"x1": np.abs(NUMBERS), "x2": -np.abs(NUMBERS)}),
            Call(
                "sign",
                {"x1": NUMBERS, "x2": np.where(MASK, NUMBERS - 1, NUMBERS + 1)},
                {"return_sign": True},
            ),
        )
    ),
    "log1mexp": _entrywise(-np.abs(NUMBERS)),
    "log1pexp": _entrywise(NUMBERS),
    "logexpm1": _entrywise(np.abs(NUMBERS)),
    "log_expit": _entrywise(NUMBERS),
    "logit": Capabilities((Call("plain", {"p": 1 / (1 + np.exp(NUMBERS))}),)),
    "logitexp": _entrywise(-np.abs(NUMBERS)),
}


def table() -> str:
    """Return the declarations as a table in Markdown."""
    libraries = ["NumPy", "CuPy", "PyTorch", "JAX", "Dask", "`array-api-strict`"]
    lines = [
        f"Every function runs on {', '.join(libraries[:-1])} and {libraries[-1]}.",
        "Unknown chunks are those of Dask's axes that are kept; `torch.compile` cuts a call into",
        "several graphs, so that it refuses `fullgraph=True`. A cell says yes if all calls have",
        "the feature: plain, with weights of both signs, with a mask, with each option, and with",
        "complex numbers where a function takes any.",
        "",
        "| | " + " | ".join(FEATURES.values()) + " |",
        "|---|" + "---|" * len(FEATURES),
    ]
    notes: list[str] = []
    for name, can in CAPABILITIES.items():
        mark = ""
        if can.limits:
            notes.append(f"{len(notes) + 1}. `{name}` {can.limits}.")
            mark = f" <sup>{len(notes)}</sup>"
        cells = ("yes" if feature in can.features else "no" for feature in FEATURES)
        lines.append(f"| `{name}`{mark} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *notes])


README = Path(__file__).parents[1] / "README.md"
PLACE = re.compile(r"(<!-- capabilities -->\n).*?(\n<!-- end of capabilities -->)", re.DOTALL)


def written(text: str) -> str:
    """Return a text with the table in its place."""
    return PLACE.sub(lambda found: f"{found[1]}{table()}{found[2]}", text)


if __name__ == "__main__":
    README.write_text(written(README.read_text()))
