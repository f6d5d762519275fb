"""What commands print: lines of text, what is under way, and JSON that every parser reads."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import time
from collections.abc import Iterator
from typing import Any


def say(line: str) -> None:
    """Print a line of results."""
    # At once, so that it stays in order with the progress, and a reader who left is noticed here
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def say_json(data: Any) -> None:
    """Print results as one JSON object; nan and infinities, which JSON lacks, as text."""
    say(json.dumps(_strict(data), indent=2, allow_nan=False))


def _strict(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _strict(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_strict(value) for value in data]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data


@contextlib.contextmanager
def progress(what: str) -> Iterator[None]:
    """Show what is under way; it may take longer than two seconds."""
    if sys.stderr is None:  # it is closed
        yield
        return
    sys.stderr.write(f"{what} ... ")
    sys.stderr.flush()
    start = time.perf_counter()
    yield
    sys.stderr.write(f"{time.perf_counter() - start:.1f} s\n")
