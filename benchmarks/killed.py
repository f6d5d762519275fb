"""Kill and resume a program with checkpoints: ``python -m benchmarks.killed --rounds 50``.

Each round starts the example checkpoint.py, kills it at a random moment and starts it again, until
it comes to its end. What it prints then must be what it prints when nobody kills it, to the last
bit.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

EXAMPLES = Path(__file__).parents[1] / "examples" / "larger_than_memory"
# From then on a round is left to end: a busy machine may not come from one checkpoint to the next.
MOST_KILLS = 8
# Of the time that all batches take, how much a program is given at most, so that most are killed
SHARE = 0.4
# How many kills may come while the program starts, which takes as long as all batches do
STARTING = 0.1


class Whole(NamedTuple):
    """The last line of a program that nobody has killed, and how long its batches took."""

    value: str
    seconds: float


def start(checkpoint: Path, batches: int, log: Path) -> subprocess.Popen[bytes]:
    program = (sys.executable, str(EXAMPLES / "checkpoint.py"))
    with log.open("wb") as file:
        return subprocess.Popen(
            (*program, str(batches), str(checkpoint), "--progress"), stdout=file
        )


def last_line(log: Path) -> str:
    lines = log.read_text().splitlines()
    return lines[-1] if lines else "before the first batch"


def wait_for_first_batch(program: subprocess.Popen[bytes], log: Path) -> None:
    while program.poll() is None and log.stat().st_size == 0:
        time.sleep(0.001)


def uninterrupted(checkpoint: Path, batches: int) -> Whole:
    """Run the program from the beginning to its end."""
    checkpoint.unlink(missing_ok=True)
    log = checkpoint.with_suffix(".log")
    program = start(checkpoint, batches, log)
    wait_for_first_batch(program, log)
    began = time.monotonic()
    if program.wait():
        raise RuntimeError("the program failed where nobody killed it")
    return Whole(last_line(log), time.monotonic() - began)


class Killed:
    """Rounds of killing and resuming, and where the program was at each kill."""

    def __init__(self, whole: Whole, batches: int, seed: int) -> None:
        self.whole, self.batches = whole, batches
        self.random = random.Random(seed)  # noqa: S311 (nothing is to be kept secret)
        self.places: list[str] = []

    def round(self, checkpoint: Path) -> str:
        """Kill and resume a program until it comes to its end, and return its last line."""
        log = checkpoint.with_suffix(".log")
        for kill in range(MOST_KILLS + 1):
            program = start(checkpoint, self.batches, log)
            if self.random.random() > STARTING:
                wait_for_first_batch(program, log)
            moment = self.random.uniform(0, SHARE * self.whole.seconds)
            try:
                code = program.wait(moment if kill < MOST_KILLS else None)
            except subprocess.TimeoutExpired:
                program.send_signal(signal.SIGKILL)
                code = program.wait()
            # It may have come to its end just before the signal came.
            if code == -signal.SIGKILL:
                self.places.append(last_line(log))
            elif code == 0:
                return last_line(log)
            else:
                return f"failed with {code} after {last_line(log)}"
        raise AssertionError("the last program of a round is not killed")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.killed", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = [uninterrupted(Path(folder) / "whole.json", options.batches) for _ in range(3)]
        whole = min(runs, key=lambda run: run.seconds)  # since the first may have to load Python
        print(f"{whole.value}, in {whole.seconds:.2f} s")
        killed = Killed(whole, options.batches, options.seed)
        values = [killed.round(Path(folder) / f"{i}.json") for i in range(options.rounds)]
    agreed = values.count(whole.value)
    for value in {*values} - {whole.value}:
        print(f"differs: {value}", file=sys.stderr)
    writing = sum(place.startswith("checkpoint") for place in killed.places)
    print(
        f"{agreed} of {options.rounds} rounds agree to the last bit; {len(killed.places)} kills in "
        f"{len({*killed.places})} distinct places, {writing} of them while a checkpoint was written"
    )
    return int(agreed < options.rounds)


if __name__ == "__main__":
    sys.exit(main())
