"""How an array that is larger than memory is cut into blocks, and where these lie in its file."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Iterator, Sequence
from typing import NamedTuple

# Of the terms of each sum, at least so many are in a block, if there are. To join a block's sums
# with those before takes 12 to 15 nanoseconds each, as long as to sum some 40 terms of float32 (0.3
# each). And it says how short a run of bytes can be in the file: 8 MiB / 32 = 256 KiB. One disk of
# 1.4 to 2.1 GB/s gave 0.6 GB/s in such runs, which is ten times what joining takes, and 0.3 GB/s in
# runs of 64 KiB.
LEAST_TERMS = 32


class Blocks(NamedTuple):
    """How a file is cut: its axes, in the order of the file, those alike beside each other as one.

    Blocks hold ranges of each axis. Of the kept axes one is cut at most, and all before it to
    single indices, so that finished sums follow each other as in the result.
    """

    lengths: tuple[int, ...]
    summed: tuple[bool, ...]
    steps: tuple[int, ...]

    @classmethod
    def of(cls, shape: tuple[int, ...], axes: tuple[int, ...], entries: int) -> Blocks:
        """Cut an array in C order to blocks of so many entries, the last axes last."""
        merged: list[tuple[int, bool]] = []
        for axis, length in enumerate(shape):
            summed = axis in axes
            if length != 1:
                before = merged.pop()[0] if merged and merged[-1][1] == summed else 1
                merged.append((before * length, summed))
        merged = merged or [(1, False)]
        lengths, flags = zip(*merged, strict=True)
        terms = math.prod(length for length, summed in merged if summed)
        most_sums = max(1, entries // max(1, min(terms, LEAST_TERMS)))
        steps = []
        for length, summed in reversed(merged):
            step = max(1, min(length, entries if summed else min(entries, most_sums)))
            if summed:
                step = max(1, -(-length // -(-max(1, length) // step)))  # no small rest
            else:
                most_sums //= step
            entries //= step
            # What is left over after a cut is no whole one, but 1 at least.
            entries, most_sums = max(1, entries), max(1, most_sums)
            steps.append(step)
        return cls(lengths, flags, tuple(reversed(steps)))

    @property
    def most(self) -> int:
        """How many entries a block has at most."""
        return math.prod(self.steps)

    @property
    def pieces(self) -> int:
        """Of how many blocks each sum has a part."""
        cut = zip(self.lengths, self.steps, self.summed, strict=True)
        return math.prod(-(-length // step) for length, step, summed in cut if summed)

    @property
    def along(self) -> tuple[int, ...]:
        """The axes of a block that are summed."""
        return tuple(axis for axis, summed in enumerate(self.summed) if summed)

    def in_turn(self) -> Iterator[tuple[range, ...]]:
        """Return the blocks, those that make the same sums after each other."""
        nothing = (range(1),) * len(self.lengths)
        for kept in self._places(nothing, summed=False):
            yield from self._places(kept, summed=True)

    def _places(self, others: Sequence[range], summed: bool) -> Iterator[tuple[range, ...]]:
        """Cut the summed or the kept axes, the others being given."""
        axes = [axis for axis, flag in enumerate(self.summed) if flag == summed]
        starts = (range(0, self.lengths[axis], self.steps[axis]) for axis in axes)
        for place in itertools.product(*starts):
            block = list(others)
            for axis, i in zip(axes, place, strict=True):
                block[axis] = range(i, min(i + self.steps[axis], self.lengths[axis]))
            yield tuple(block)

    def runs(self, block: Sequence[range]) -> Iterator[tuple[int, int]]:
        """Return the first entry, and how many follow each other, of each run in the file."""
        pairs = enumerate(zip(block, self.lengths, strict=True))
        cut = max((axis for axis, (part, length) in pairs if len(part) < length), default=0)
        strides = [math.prod(self.lengths[axis + 1 :]) for axis in range(cut + 1)]
        count = math.prod(map(len, block[cut:]))
        for place in itertools.product(*block[:cut]):
            yield sum(map(operator.mul, (*place, block[cut].start), strides)), count
