"""Weights of all kinds times exponents of all sizes, against exact sums and means.

``python -m tests.fuzz_weights --cases 100000 --seed 1 --library numpy`` runs many of them and says
how many, the largest errors, and what failed; ``tests/test_weights.py`` runs some on every backend.

A case is one row of terms. Rows come in batches of one shape, so that one call answers many.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import numpy as np

import agnostic_lse
from tests.backends import Backend, make_array, to_numpy
from tests.exact_sums import Exact, exact_mean, exact_sum, taken_apart, units

# Units of roundoff. `promised` is what the library says of every result, times the condition
# number. `shifted` counts the exponents relative to the peak, where a difference of two of them, an
# exponential and a product are rounded for each term; `loose` is of a mean as the difference of two
# logarithms, each of which has its own 4.
ALLOWED = {"promised": 4.0, "shifted": 8.0, "loose": 8.0}
INF = math.inf

Kind = Literal["none", "real", "integers", "complex"]


class Batch(NamedTuple):
    """Rows of terms: exponents, and weights and a mask if there are any, each of shape (m, n)."""

    a: Any
    b: Any
    where: Any
    dtype: str

    def row(self, index: int) -> tuple[list[Any], list[Any] | None]:
        """Return the exponents and weights of a row that are not masked, as Python's numbers."""
        kept = slice(None) if self.where is None else self.where[index]
        weights = None if self.b is None else self.b[index][kept].tolist()
        return self.a[index][kept].tolist(), weights


class Found(NamedTuple):
    """What one way of calculating has found: the logarithm's size and sign of each row."""

    way: str
    size: Any
    sign: Any  # None where only the logarithm was asked for
    mean: bool = False
    # Whether it is read from two logarithms: never, of weights of several signs, or always.
    apart: Literal["never", "mixed", "always"] = "never"


class Failure(NamedTuple):
    way: str
    error: float
    measure: str
    text: str


# Cases


class Draw:
    """Random numbers of the kinds that do harm, from Python's own generator or Hypothesis's."""

    def __init__(self, rng: random.Random, dtype: str, subnormal: bool, finite: bool) -> None:
        self.rng, self.dtype, self.subnormal, self.finite = rng, dtype, subnormal, finite
        self.info = np.finfo(dtype)
        self.largest = float(self.info.max)
        self.most = 37.9 if dtype == "float32" else 307.9

    def sign(self) -> int:
        return self.rng.choice((1, -1))

    def power(self, low: float, high: float) -> float:
        """Return a positive number of any scale between two powers of 10."""
        return float(10.0 ** self.rng.uniform(low, high))

    def rounded(self, x: float) -> float:
        """Return a number of the dtype, subnormal only where such numbers are wanted."""
        with np.errstate(all="ignore"):
            out = float(np.asarray(x, dtype=self.dtype))
        return 0.0 if not self.subnormal and abs(out) < self.info.tiny else out

    def beside(self, x: float) -> float:
        """Return a number a few floats away from another."""
        spacing = float(np.spacing(np.asarray(abs(x), dtype=self.dtype)))
        return self.rounded(x + self.rng.choice((0, 0, 1, -1, 2, -3, 7)) * spacing)

    def exponents(self, length: int) -> list[float]:
        rng = self.rng
        center = self.rounded(
            rng.choice(
                (
                    0.0,
                    0.0,
                    self.sign() * rng.uniform(0, 3),
                    self.sign() * rng.uniform(0, 800),
                    self.sign() * self.power(-18, 18),
                    self.sign() * self.power(3, 18),
                    self.sign() * 10.0 ** rng.randint(-17, 18),
                )
            )
        )
        kind = rng.randrange(8)
        if kind == 0:
            out = [center] * length
        elif kind == 1:
            out = [self.beside(center) for _ in range(length)]
        elif kind == 2:
            scale = self.power(-17, 2.5)
            out = [center + scale * rng.gauss(0, 1) for _ in range(length)]
        elif kind == 3:
            out = [center + self.sign() * self.power(-20, 1) for _ in range(length)]
        elif kind == 4:
            out = [float(rng.randint(-4, 4)) for _ in range(length)]
        elif kind == 5:
            out = [self.sign() * self.power(-18, 18) for _ in range(length)]
        elif kind == 6:
            out = [rng.uniform(-800, 800) for _ in range(length)]
        else:  # pairs that are close, far apart from each other
            out = [center - 10 * rng.randrange(3) for _ in range(length)]
            out = [x + rng.choice((0, 0, self.power(-18, -1))) for x in out]
        out = [self.rounded(x) for x in out]
        if rng.random() < 0.3:  # ties
            out = [rng.choice(out) for _ in out]
        return out

    def weights(self, exponents: list[float]) -> list[float]:
        rng, length = self.rng, len(exponents)
        kind = rng.randrange(11)
        if kind == 0:
            out = [float(self.sign()) for _ in exponents]
        elif kind == 1:
            out = [float(rng.randint(-3, 3)) for _ in exponents]
        elif kind == 2:
            out = [rng.uniform(-2, 2) for _ in exponents]
        elif kind == 3:
            out = [self.sign() * self.power(-self.most, self.most) for _ in exponents]
        elif kind == 4:
            out = [self.sign() * rng.uniform(0.5, 1.5) * 10.0**self.most for _ in exponents]
        elif kind == 5:
            out = [self.sign() * float(self.info.tiny) * rng.uniform(0, 2) for _ in exponents]
        elif kind == 6:
            out = [self.sign() * self.beside(1.0) for _ in exponents]
        elif kind == 7:  # nearly cancelling
            scale = self.power(-self.most + 5, self.most - 5)
            out = [self.rounded(scale * rng.uniform(-1, 1)) for _ in exponents]
            out[-1] = self.beside(-math.fsum(out[:-1])) if length > 1 else out[-1]
        elif kind == 8:
            factor = 1 + self.power(-16, -1)
            out = [float(self.sign()) * rng.choice((1.0, factor)) for _ in exponents]
        elif kind == 9:  # what makes up for the exponents
            scale = 0.8 * self.most * math.log(10)
            out = [self.sign() * math.exp(min(max(-x, -scale), scale)) for x in exponents]
        else:
            out = [abs(rng.gauss(0, 1)) for _ in exponents]
        out = [self.rounded(min(max(x, -self.largest), self.largest)) for x in out]
        if rng.random() < 0.25 and not self.finite:
            out[rng.randrange(length)] = 0.0
        if rng.random() < 0.04 and not self.finite:
            out[rng.randrange(length)] = self.sign() * INF
        return out

    def angles(self, length: int) -> list[float]:
        rng = self.rng
        kind = rng.randrange(6)
        if kind == 0:
            out = [0.0] * length
        elif kind == 1:
            out = [self.sign() * self.power(-18, 0) for _ in range(length)]
        elif kind == 2:
            out = [rng.randint(-4, 4) * math.pi / 2 for _ in range(length)]
        elif kind == 3:
            first = rng.uniform(-4, 4)
            out = [first + rng.choice((0.0, self.power(-17, -2))) for _ in range(length)]
        elif kind == 4:
            out = [rng.uniform(-1000, 1000) for _ in range(length)]
        else:
            out = [rng.uniform(-4, 4) for _ in range(length)]
        return [self.rounded(x) for x in out]

    def special(self, exponents: list[float]) -> list[float]:
        """Return the exponents, some with infinities and nan among them."""
        for chance, x in ((0.06, -INF), (0.04, INF), (0.015, math.nan)):
            if self.rng.random() < chance and not self.finite:
                exponents[self.rng.randrange(len(exponents))] = x
        return exponents


def draw_batch(
    rng: random.Random,
    dtype: str,
    rows: int,
    length: int,
    kinds: tuple[Kind, ...] = ("none", "real", "real", "real", "integers", "complex"),
    complex_exponents: bool | None = None,
    subnormal: bool = True,
    finite: bool = False,
) -> Batch:
    """Return random rows of one kind of weights; finite ones lack zeros and masks, too."""
    draw = Draw(rng, dtype, subnormal, finite)
    kind = rng.choice(kinds)
    turned = rng.random() < 0.3 if complex_exponents is None else complex_exponents
    wide = {"float32": "complex64", "float64": "complex128"}[dtype]
    real = [draw.exponents(length) for _ in range(rows)]
    b: Any = None
    if kind == "integers":
        # Drawn so that many cancel
        b = np.asarray([[rng.choice((-3, -2, -1, 0, 1, 1, 2, 100)) for _ in row] for row in real])
    elif kind == "real":
        b = np.asarray([draw.weights(row) for row in real], dtype=dtype)
    elif kind == "complex":
        b = np.zeros((rows, length), dtype=wide)
        b.real = [draw.weights(row) for row in real]
        b.imag = [draw.weights(row) for row in real]
        b[np.isinf(b)] = 1j
        if rng.random() < 0.5:
            b[rng.randrange(rows)] = rng.choice((1, -1, 1j, -1j))
    a = np.asarray([draw.special(row) for row in real], dtype=dtype)
    if turned:
        a = a.astype(wide)
        angles = np.asarray([draw.angles(length) for _ in real], dtype=dtype)
        a.imag = np.where(np.isnan(a.real), 0, angles)
    where = None
    if rng.random() < 0.25 and not finite:
        where = np.asarray([[rng.random() < 0.8 for _ in row] for row in real])
    return Batch(a, b, where, dtype)


# Ways


def by_sum(
    batch: Batch, make: Callable[[Any], Any], library: Any = agnostic_lse
) -> Iterator[Found]:
    """Yield the sums by the function, their signs asked for and not."""
    a, b, where = (None if x is None else make(x) for x in (batch.a, batch.b, batch.where))
    pair = library.logsumexp(a, axis=1, b=b, where=where, return_sign=True)
    yield Found("logsumexp, return_sign", *map(to_numpy, pair))
    yield Found("logsumexp", to_numpy(library.logsumexp(a, axis=1, b=b, where=where)), None)


def by_mean(
    batch: Batch, make: Callable[[Any], Any], library: Any = agnostic_lse, in_blocks: bool = False
) -> Iterator[Found]:
    """Yield the means by the function.

    Of blocks whose weights may add up to 0, there are no means to take the mean of.
    """
    a, b, where = (None if x is None else make(x) for x in (batch.a, batch.b, batch.where))
    out = to_numpy(library.logmeanexp(a, axis=1, b=b, where=where))
    yield Found("logmeanexp", out, None, True, "mixed" if in_blocks else "never")


def by_accumulator(batch: Batch, make: Callable[[Any], Any], rng: random.Random) -> Iterator[Found]:
    """Yield sums and means by accumulators of some columns each, merged, one by way of JSON."""
    a, b, where = batch.a, batch.b, batch.where
    if where is not None:  # which accumulators do not take
        b = np.ones(a.shape, a.real.dtype) if b is None else b
        b = np.where(where, b, np.zeros_like(b))
    parts = [agnostic_lse.LogSumExpAccumulator() for _ in range(rng.randint(1, 3))]
    cuts = sorted(rng.randint(0, a.shape[1]) for _ in range(rng.randint(0, 3)))
    for start, stop in zip([0, *cuts], [*cuts, a.shape[1]], strict=True):
        if start < stop:
            columns = slice(start, stop)
            weights = None if b is None else make(b[:, columns])
            rng.choice(parts).update(make(a[:, columns]), axis=1, b=weights)
    chosen = rng.randrange(len(parts))
    text = json.dumps(parts[chosen].to_dict(), allow_nan=False)
    parts[chosen] = agnostic_lse.LogSumExpAccumulator.from_dict(json.loads(text))
    whole = parts[0]
    for part in parts[1:]:
        whole = whole.merge(part)
    pair = whole.value(return_sign=True)
    yield Found("accumulator, return_sign", *map(to_numpy, pair))
    yield Found("accumulator", to_numpy(whole.value()), None)
    yield Found("accumulator, log_mean", to_numpy(whole.log_mean()), None, True, "always")


# Checks


def answers(batch: Batch, mean: bool) -> list[Exact]:
    """Return the exact answers of all rows."""
    exact = exact_mean if mean else exact_sum
    is_complex = np.iscomplexobj(batch.a) or np.iscomplexobj(batch.b)
    out = []
    for index in range(len(batch.a)):
        exponents, weights = batch.row(index)
        found = exact(exponents, weights)
        if is_complex and not found.is_complex:
            found = exact([*map(complex, exponents)], weights)._replace(is_complex=True)
        out.append(found)
    return out


def mixed(weights: list[Any] | None) -> bool:
    """Tell whether weights differ in their sign or direction."""
    there = [complex(b) for b in weights or [] if b != 0]
    return any(b.imag != 0 for b in there) or len({b.real > 0 for b in there}) > 1


class Tally:
    """How many answers were checked, the largest error of each way, and what failed."""

    def __init__(self, allowed: dict[str, float] = ALLOWED) -> None:
        self.allowed = allowed
        self.worst: dict[tuple[str, str], float] = {}
        self.failures: list[Failure] = []
        self.rows = 0
        self.checked: Counter[str] = Counter()

    def add(self, batch: Batch, ways: list[Found]) -> None:
        """Check what was found of a batch."""
        exact = {mean: answers(batch, mean) for mean in {found.mean for found in ways}}
        self.rows += len(batch.a)
        for found in ways:
            for index, answer in enumerate(exact[found.mean]):
                self._check(batch, index, found, answer)

    def _check(self, batch: Batch, index: int, found: Found, answer: Exact) -> None:
        if answer.is_unknown:
            return
        value = found.size[index].item()
        sign = None if found.sign is None else found.sign[index].item()
        size, angle, is_sound = taken_apart(value, sign, answer.is_complex, batch.dtype)
        self.checked[found.way] += 1
        apart = found.apart == "always" or (found.apart == "mixed" and mixed(batch.row(index)[1]))
        for measure in ("loose",) if apart else ("promised", "shifted"):
            error = units(answer, size, angle, batch.dtype, measure) if is_sound else INF
            key = found.way, measure
            self.worst[key] = max(self.worst.get(key, 0.0), error)
            if not error <= self.allowed[measure]:
                text = described(batch, index, value, sign, answer)
                self.failures.append(Failure(found.way, error, measure, text))
                break


def described(batch: Batch, index: int, value: Any, sign: Any, answer: Exact) -> str:
    """Return a case as it can be tried again."""
    exponents, weights = batch.row(index)
    import mpmath as mp

    right = f"{mp.nstr(answer.log, 17)}, {mp.nstr(answer.sign, 17)}"
    given = f"{batch.dtype} a={exponents}, b={weights}"
    return f"{given} gave {value}, {sign}, right is {right}"


def checked(
    batch: Batch,
    make: Callable[[Any], Any],
    rng: random.Random,
    tally: Tally,
    library: Any = agnostic_lse,
    in_blocks: bool = False,
) -> None:
    """Check a batch in every way."""
    ways = [*by_sum(batch, make, library), *by_mean(batch, make, library, in_blocks)]
    ways += by_accumulator(batch, make, rng)
    tally.add(batch, ways)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz_weights", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000, help="rows of terms (%(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--library", choices=[str(b) for b in Backend], default="numpy")
    parser.add_argument("--dtype", choices=["float32", "float64"], help="both by default")
    parser.add_argument("--weights", choices=["none", "real", "integers", "complex"])
    parser.add_argument("--exponents", choices=["real", "complex"])
    parser.add_argument("--rows", type=int, default=50, help="in one call (%(default)s)")
    parser.add_argument("--show", type=int, default=3, help="failures of each way (%(default)s)")
    parser.add_argument("--units", type=float, help="what to allow instead of 4 and 8")
    options = parser.parse_args()
    backend = Backend(options.library)
    if reason := backend.missing():
        parser.error(reason)
    xp = backend.namespace()

    def make(x: Any) -> Any:
        if backend is Backend.DASK:
            return xp.from_array(x, chunks=(x.shape[0], rng.randint(1, max(1, x.shape[1]))))
        return make_array(backend, xp, x)

    rng = random.Random(options.seed)  # noqa: S311
    allowed = ALLOWED if options.units is None else dict.fromkeys(ALLOWED, options.units)
    tally, started, shown = Tally(allowed), time.perf_counter(), 0.0
    drawn: dict[str, Any] = {"subnormal": backend is not Backend.JAX}
    if options.weights:
        drawn["kinds"] = (options.weights,)
    elif backend.is_strict:  # which refuses to mix integers with floats
        drawn["kinds"] = ("none", "real", "real", "complex")
    if options.exponents:
        drawn["complex_exponents"] = options.exponents == "complex"
    with backend.at_work(), np.errstate(all="ignore"):
        while tally.rows < options.cases:
            dtype = options.dtype or rng.choice(("float32", "float64"))
            length = rng.choice((2, 5) if backend is Backend.JAX else (1, 2, 2, 3, 3, 4, 6, 9))
            batch = draw_batch(rng, dtype, options.rows, length, **drawn)
            checked(batch, make, rng, tally, in_blocks=backend is Backend.DASK)
            spent = time.perf_counter() - started
            if spent > shown + 10:
                shown = spent
                print(f"{tally.rows} cases, {spent:.0f} s", file=sys.stderr, flush=True)
    report(tally, options.show)
    return int(bool(tally.failures))


def report(tally: Tally, show: int) -> None:
    """Print what was found."""
    for (way, measure), error in sorted(tally.worst.items()):
        failed = sum(f.way == way and f.measure == measure for f in tally.failures)
        print(f"{way:26} {measure:9} largest error {error:10.4g}  failed {failed}")
    for way in sorted(tally.checked):
        failures = sorted((f for f in tally.failures if f.way == way), key=lambda f: len(f.text))
        for failure in failures[:show]:
            print(f"\n{way}: {failure.error:.4g} {failure.measure} units\n  {failure.text}")
    total = sum(tally.checked.values())
    print(f"\n{tally.rows} cases, {total} answers, {len(tally.failures)} failed")


if __name__ == "__main__":
    sys.exit(main())
