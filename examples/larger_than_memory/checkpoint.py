"""
A sum that may be killed and goes on
====================================

A sum of exponentials over a stream that may be killed at any moment and started again. The result
is the same to the last bit.

Run it from a checkout: ``python examples/larger_than_memory/checkpoint.py 2000 sum.json``
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from agnostic_lse import LogSumExpAccumulator

EVERY = 100


# %%
# The stream
# ----------
#
# It must be one that can be read again from a given place. Here a batch is made from its number.


def batch(number: int) -> Any:
    """Make a batch of its number, as a stream that can be read again from any place would."""
    return np.random.default_rng(number).normal(scale=10, size=1000)


# %%
# The checkpoint
# --------------
#
# The number of batches done stands in the same file as their sum: in two files, a kill between them
# would count batches twice or not at all. The file is replaced as a whole.


def save(path: Path, done: int, seen: LogSumExpAccumulator) -> None:
    """Replace the checkpoint by a new one as a whole: a reader finds either, never a part."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w") as file:
        json.dump({"batches": done, "sum": seen.to_dict()}, file)
        file.flush()
        os.fsync(file.fileno())  # on disk before it takes the old one's name
    os.replace(new, path)  # noqa: PTH105 (the name says that it is atomic)


def load(path: Path) -> tuple[int, LogSumExpAccumulator]:
    """Return how many batches are done, and their sum."""
    if not path.exists():
        return 0, LogSumExpAccumulator()
    data = json.loads(path.read_text())
    return data["batches"], LogSumExpAccumulator.from_dict(data["sum"])


# %%
# The program
# -----------
#
# It goes on from where the checkpoint is, and prints the value with all its digits. Kill it, start
# it again, and the last line is the same.


def main() -> None:
    """Sum the batches that no checkpoint has, and print the value with all its digits."""
    parser = argparse.ArgumentParser(description="A sum that may be killed and goes on.")
    parser.add_argument("batches", type=int, nargs="?", default=1000)
    parser.add_argument("checkpoint", type=Path, nargs="?", default=Path("sum.json"))
    parser.add_argument("--progress", action="store_true", help="print what is being done")
    options = parser.parse_args()
    done, seen = load(options.checkpoint)
    if done > options.batches:
        parser.error(
            f"{options.checkpoint} has {done} batches, but {options.batches} are to be summed: "
            "name another file."
        )

    def tell(what: str) -> None:
        if options.progress:
            print(what, flush=True)

    for number in range(done, options.batches):
        tell(f"batch {number}")
        seen.update(batch(number))
        if (number + 1) % EVERY == 0:
            tell(f"checkpoint {number + 1}")
            save(options.checkpoint, number + 1, seen)
    print(f"{seen.count} terms: {float(seen.value())!r} {float(seen.value()).hex()}")


if __name__ == "__main__":
    main()
