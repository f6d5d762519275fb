"""What each function can do: one declaration, for the tests and for the table in the README.

``python -m tests.capabilities`` writes the table anew.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
NUMBERS = np.random.default_rng(0).normal(size=(4, 6))


@dataclass(frozen=True)
class Capabilities:
    """What a function can do, and arguments to show it with.

    The first axis of the arguments may be of unknown length.
    """

    arguments: tuple[Any, ...]
    options: dict[str, Any]
    features: frozenset[str] = REAL
    limits: str = ""

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return function(*arguments, **self.options)


def _along(features: frozenset[str] = REAL, limits: str = "") -> Capabilities:
    return Capabilities((NUMBERS,), {"axis": 1}, features, limits)


def _entrywise(*arguments: Any, features: frozenset[str] = REAL) -> Capabilities:
    return Capabilities(arguments, {}, features)


# Public names that are no functions of arrays
SETTINGS = {"LogSumExpAccumulator", "kernels", "show_config"}
CAPABILITIES = {
    "logsumexp": _along(REAL | {"complex"}),
    "logmeanexp": _along(
        REAL | {"complex"},
        limits="errs by up to 6 units of roundoff on JAX, and with some weights by 4.4, not 4",
    ),
    "softmax": _along(limits="errs by up to 5 units of roundoff, not 4"),
    "log_softmax": _along(),
    "logcumsumexp": _along(
        limits="errs by up to 5 units of roundoff, not 4, but of float32 outside JAX, and needs "
        "known chunks for `include_initial` and for `axis=None`"
    ),
    "segment_logsumexp": Capabilities(
        (NUMBERS, np.asarray([0, 2, 0, 1, 2, 0])),
        {"num_segments": 3, "axis": 1},
        limits="refuses ids out of range only where it can see them without waiting, "
        "and leaves them out elsewhere",
    ),
    "segment_softmax": Capabilities(
        (NUMBERS, np.asarray([0, 2, 0, 1, 2, 0])),
        {"num_segments": 3, "axis": 1},
        limits="refuses ids out of range only where it can see them without waiting, "
        "and gives 0 elsewhere; errs by up to 5 units of roundoff, not 4",
    ),
    "segment_log_softmax": Capabilities(
        (NUMBERS, np.asarray([0, 2, 0, 1, 2, 0])),
        {"num_segments": 3, "axis": 1},
        limits="refuses ids out of range only where it can see them without waiting, "
        "and gives -inf elsewhere",
    ),
    "logmatmulexp": Capabilities(
        (NUMBERS, NUMBERS.T.copy()),
        {},
        REAL - {"no wait"},
        "adds the rounding of the library's `matmul`, sums all entries term by term under `vmap`, "
        "which takes many times as long as a batch, and needs known chunks in batches",
    ),
    "logaddexp": _entrywise(NUMBERS, NUMBERS[:, ::-1].copy(), features=REAL | {"complex"}),
    "logsubexp": _entrywise(np.abs(NUMBERS), -np.abs(NUMBERS)),
    "log1mexp": _entrywise(-np.abs(NUMBERS)),
    "log1pexp": _entrywise(NUMBERS),
    "logexpm1": _entrywise(np.abs(NUMBERS)),
    "log_expit": _entrywise(NUMBERS),
    "logit": _entrywise(1 / (1 + np.exp(NUMBERS))),
    "logitexp": _entrywise(-np.abs(NUMBERS)),
}


def table() -> str:
    """Return the declarations as a table in Markdown."""
    libraries = ["NumPy", "CuPy", "PyTorch", "JAX", "Dask", "`array-api-strict`"]
    lines = [
        f"Every function runs on {', '.join(libraries[:-1])} and {libraries[-1]}.",
        "Unknown chunks are those of Dask's axes that are kept; `torch.compile` cuts a call into",
        "several graphs, so that it refuses `fullgraph=True`.",
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
