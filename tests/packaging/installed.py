"""Check the installed package, with the standard library and what the package needs.

Runs in an environment of its own, outside the checkout: no test runner is there, and no SciPy.
Exact values come from `decimal`. The last line that it prints is a JSON object, for
`tests.packaging`.
"""

from __future__ import annotations

import doctest
import importlib
import importlib.metadata
import importlib.util
import io
import json
import math
import pkgutil
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal, localcontext
from pathlib import Path
from types import ModuleType
from typing import Any

NEEDED = {"array_api_compat", "array_api_extra", "numpy"}
# What modules of the package, and examples of docstrings, may import where it is installed.
OPTIONAL = {"numba", "pandas", "scipy", "sklearn"}
MARGIN = 8  # units of roundoff, of the terms and of the value


def import_alone() -> ModuleType:
    """Import the package, which must load what it needs and nothing else."""
    before = set(sys.modules)
    package = importlib.import_module("agnostic_lse")
    loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
    foreign = loaded - set(sys.stdlib_module_names) - NEEDED - {"agnostic_lse"}
    assert not foreign, f"the import loads {sorted(foreign)}"
    assert Path(str(package.__file__)).is_relative_to(sys.prefix), package.__file__
    return package


def check_files(package: ModuleType) -> None:
    """Look for what is no module, and at the version."""
    folder = Path(str(package.__file__)).parent
    for name in ("py.typed", "_engines/kernels.cu", "_examples/digits_classifier.py"):
        assert (folder / name).is_file(), name
    assert importlib.metadata.version("agnostic-lse") == package.__version__


def run_doctests(package: ModuleType) -> tuple[int, list[str]]:
    """Run the examples of all docstrings that can run here; return how many, and who cannot."""
    count, lacking = 0, []
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    names = [info.name for info in pkgutil.walk_packages(package.__path__, "agnostic_lse.")]
    for name in ["agnostic_lse", *names]:
        if name == "agnostic_lse.__main__":
            continue
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in OPTIONAL:
                raise
            lacking.append(name)
            continue
        for session in doctest.DocTestFinder().find(module):
            if not all(map(importlib.util.find_spec, imported(session))):
                lacking.append(session.name)
                continue
            session.globs = {"__name__": session.name}
            out = io.StringIO()
            failed, tried = runner.run(session, out=out.write)
            assert failed == 0, out.getvalue()
            count += tried
    return count, lacking


def imported(session: doctest.DocTest) -> set[str]:
    """Return which optional packages a session imports."""
    sources = "".join(example.source for example in session.examples)
    return set(re.findall(r"^(?:from|import) (\w+)", sources, flags=re.MULTILINE)) & OPTIONAL


def exact_sum(
    terms: Iterable[float], weights: Iterable[float] | None = None
) -> tuple[Decimal, float]:
    """Return the logarithm of a sum of exponentials, and the size of its terms beside the sum."""
    values = [Decimal(float(x)) for x in terms]
    scales = [Decimal(1)] * len(values) if weights is None else [Decimal(float(b)) for b in weights]
    with localcontext() as context:
        context.prec = 50
        parts = [b * x.exp() for x, b in zip(values, scales, strict=True)]
        total = abs(sum(parts, Decimal(0)))
        sizes = [abs(x) + abs(abs(b).ln()) + 1 for x, b in zip(values, scales, strict=True)]
        weighted = sum((abs(p) * s for p, s in zip(parts, sizes, strict=True)), Decimal(0))
        return total.ln(), float(weighted / total)


class Checks:
    """Comparisons with exact values, counted."""

    def __init__(self, np: Any) -> None:
        self.np = np
        self.count = 0
        self.functions: set[str] = set()

    def near(self, name: str, got: Any, exact: Decimal | float, scale: float = 0.0) -> None:
        """Compare one number."""
        self.count += 1
        self.functions.add(name)
        error = abs(Decimal(float(got)) - Decimal(exact))
        of = self.np.finfo(got.dtype)
        roundoffs = Decimal(float(of.eps) / 2) * Decimal(max(abs(float(exact)), scale))
        allowed = MARGIN * (roundoffs + Decimal(float(of.smallest_subnormal)))
        assert error <= allowed, f"{name}: {float(got)!r}, but {float(exact)!r} is exact"

    def true(self, name: str, condition: Any) -> None:
        """Count what is equal or not."""
        self.count += 1
        self.functions.add(name)
        assert bool(condition), name


def check_sums(lse: Any, np: Any, checks: Checks) -> None:
    """Check all that sums along an axis."""
    for dtype in (np.float64, np.float32):
        x = (50 * np.random.default_rng(1).standard_normal((4, 30))).astype(dtype)
        b = np.linspace(0.5, 2, 30, dtype=dtype)
        signs = np.where(np.arange(30) % 3 == 0, -b, b)
        for i, row in enumerate(x):
            value, scale = exact_sum(row)
            checks.near("logsumexp", lse.logsumexp(x, axis=1)[i], value, scale)
            mean = value - Decimal(30).ln()
            checks.near("logmeanexp", lse.logmeanexp(x, axis=1)[i], mean, scale)
            for k in (0, 29):
                share = Decimal(float(row[k])) - value
                checks.near("log_softmax", lse.log_softmax(x, axis=1)[i, k], share, scale)
                checks.near(
                    "softmax", lse.softmax(x, axis=1)[i, k], share.exp(), scale * math.exp(share)
                )
            checks.near("logsumexp", lse.logsumexp(x, axis=1, b=b)[i], *exact_sum(row, b))
            size, sign = lse.logsumexp(x, axis=1, b=signs, return_sign=True)
            checks.near("logsumexp", size[i], *exact_sum(row, signs))
            checks.true("logsumexp", abs(sign[i]) == 1)
            checks.near("logcumsumexp", lse.logcumsumexp(x, axis=1)[i, 9], *exact_sum(row[:10]))
        checks.near("logsumexp", lse.logsumexp(x), *exact_sum(x.ravel()))
        checks.near("logsumexp", lse.logsumexp(x, where=x < 0), *exact_sum(x[x < 0]))
        ids = np.asarray([0, 1, 0, 1])
        parts = lse.segment_logsumexp(x, ids, 2)
        value, scale = exact_sum(x[1::2, 3])
        checks.near("segment_logsumexp", parts[1, 3], value, scale)
        share = Decimal(float(x[1, 3])) - value
        scale += abs(float(x[1, 3]))
        logs, shares = lse.segment_log_softmax(x, ids, 2), lse.segment_softmax(x, ids, 2)
        checks.near("segment_log_softmax", logs[1, 3], share, scale)
        checks.near("segment_softmax", shares[1, 3], share.exp(), scale * math.exp(share))
        product = lse.logmatmulexp(x, x.T)
        value, scale = exact_sum((x[0].astype(np.float64) + x[2]).tolist())
        checks.near("logmatmulexp", product[0, 2], value, 30 + scale)
        z = lse.logsumexp(x.astype(np.result_type(dtype, np.complex64)))
        checks.near("logsumexp", z.real, *exact_sum(x.ravel()))


def check_special_values(lse: Any, np: Any, checks: Checks) -> None:
    """Check infinities, nothing, and small answers."""
    inf = math.inf
    for given, expected in (([], -inf), ([-inf, -inf], -inf), ([inf, 0.0], inf)):
        checks.true("logsumexp", lse.logsumexp(np.asarray(given)) == expected)
    checks.true("logsumexp", np.isnan(lse.logsumexp(np.asarray([np.nan, inf]))))
    checks.near("logsumexp", lse.logsumexp(np.asarray([0.0, -40.0])), *exact_sum([0.0, -40.0])[:1])
    checks.true("softmax", (lse.softmax(np.asarray([-inf, -inf])) == 0).all())


def check_entries(lse: Any, np: Any, checks: Checks) -> None:
    """Check all that goes entry by entry."""
    one = Decimal(1)
    below = [-800.0, -30.0, -1.0, -1e-3, -1e-12]
    above = [-x for x in below]
    functions: tuple[tuple[str, Sequence[float], Callable[[Decimal], Decimal]], ...] = (
        ("log1mexp", below, lambda x: (one - x.exp()).ln()),
        ("log1pexp", [*below, *above], lambda x: (one + x.exp()).ln()),
        ("logexpm1", above, lambda x: (x.exp() - one).ln()),
        ("log_expit", [*below, *above], lambda x: -(one + (-x).exp()).ln()),
        ("logit", [1e-300, 1e-3, 0.25, 0.75], lambda x: (x / (one - x)).ln()),
        ("logitexp", [*below, -0.6931471805599453], lambda x: x - (one - x.exp()).ln()),
    )
    with localcontext() as context:
        context.prec = 400  # for 1 + exp(-800)
        for name, points, exact in functions:
            for x, got in zip(points, getattr(lse, name)(np.asarray(points)), strict=True):
                checks.near(name, got, exact(Decimal(x)))
        for x, y in ((0.0, -40.0), (3.0, 2.0), (1000.0, 999.0)):
            a, b = Decimal(x), Decimal(y)
            got = lse.logaddexp(np.float64(x), np.float64(y))
            checks.near("logaddexp", got, (a.exp() + b.exp()).ln(), abs(y) if x else 0)
            got = lse.logsubexp(np.float64(x), np.float64(y))
            checks.near("logsubexp", got, (a.exp() - b.exp()).ln(), abs(y) if x else 0)
            pair = lse.logsubexp(np.float64(y), np.float64(x), return_sign=True)
            checks.true("logsubexp", pair == (got, -1))


def check_batches(lse: Any, np: Any, checks: Checks) -> None:
    """Check the accumulator, and what it is written as."""
    x = 30 * np.random.default_rng(2).standard_normal(400)
    seen = [lse.LogSumExpAccumulator().update(part) for part in np.split(x, 8)]
    whole = seen[0]
    for other in seen[1:]:
        whole = whole.merge(other)
    checks.near("LogSumExpAccumulator", whole.value(), *exact_sum(x))
    again = lse.LogSumExpAccumulator.from_dict(json.loads(json.dumps(whole.to_dict())))
    checks.true("LogSumExpAccumulator", again == whole)


def check_large(lse: Any, np: Any, checks: Checks) -> None:
    """Check arrays that are cut up, and kernels where there is Numba."""
    x = np.random.default_rng(3).uniform(-1, 1, 2**20)
    exact = math.log(math.fsum(np.exp(x).tolist()))
    modes = ["off", "auto", *(["host"] if importlib.util.find_spec("numba") else [])]
    for mode in modes:
        with lse.kernels(mode):
            checks.near("logsumexp", lse.logsumexp(x), exact)
            rows = x.reshape(-1, 64)
            got = lse.log_softmax(rows, axis=1)[5, 7]
            checks.near("log_softmax", got, Decimal(float(rows[5, 7])) - exact_sum(rows[5])[0], 5)
    checks.true("kernels", True)
    out = io.StringIO()
    sys.stdout, stdout = out, sys.stdout
    try:
        lse.show_config()
    finally:
        sys.stdout = stdout
    checks.true("show_config", f"numpy {np.__version__}" in out.getvalue().lower())


def check_command(lse: Any, np: Any, checks: Checks) -> None:
    """Run the command line, by each name that it has."""
    commands = [[sys.executable, "-I", "-m", "agnostic_lse"]]
    for entry in importlib.metadata.distribution("agnostic-lse").entry_points:
        assert entry.group == "console_scripts"
        (script,) = Path(sys.executable).parent.glob(f"{entry.name}*")
        commands.append([str(script)])
    with tempfile.TemporaryDirectory() as folder:
        path, out = Path(folder, "numbers.npy"), Path(folder, "sums.npy")
        x = np.random.default_rng(4).standard_normal((6, 5))
        np.save(path, x)

        def printed(command: list[str], *arguments: str) -> str:
            run = subprocess.run(
                [*command, *arguments], capture_output=True, text=True, check=True, cwd=folder
            )
            assert run.stderr == "", run.stderr
            return run.stdout.strip()

        for command in commands:
            assert printed(command, "--version") == f"agnostic_lse {lse.__version__}"
            assert f"NumPy {np.__version__}" in printed(command, "info")
            assert float(printed(command, "reduce", str(path))) == lse.logsumexp(x)
            printed(command, "reduce", str(path), "--axis", "0", "--out", str(out))
            checks.true("reduce", (np.load(out) == lse.logsumexp(x, axis=0)).all())


def main() -> None:
    """Check all, and print how much that was."""
    lse: Any = import_alone()
    check_files(lse)
    np = importlib.import_module("numpy")
    checks = Checks(np)
    for check in (check_sums, check_special_values, check_entries, check_batches, check_large):
        check(lse, np, checks)
    missing = set(lse.__all__) - checks.functions
    assert not missing, f"{sorted(missing)} are not checked"
    check_command(lse, np, checks)
    examples, lacking = run_doctests(lse)
    found = {d.name: d.version for d in importlib.metadata.distributions()}
    outcome = {"checks": checks.count, "examples": examples, "lacking": lacking, "found": found}
    print(json.dumps(outcome))


if __name__ == "__main__":
    main()
