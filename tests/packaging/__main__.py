"""Install the wheel beside the oldest and the newest of what it needs, and check it there.

On each Python with `python -m tests.packaging`, on some with `python -m tests.packaging 3.11 3.13`.
Each environment has the wheel and what it needs, and nothing else; some have scikit-learn or Numba
besides. Packages come from the index that pip is set up for.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
# The first with wheels for a Python, where these are newer than the oldest that are allowed.
FIRST = {
    "3.13": {"numpy": "2.1.0"},
    "3.14": {"numpy": "2.3.2", "scikit-learn": "1.7.2"},
}
COLUMNS = ("Python", "NumPy", "compat", "extra", "besides", "checks", "examples", "seconds")


class Case(NamedTuple):
    """An environment to make."""

    python: str
    requirements: list[str]
    extra: str | None = None

    def __str__(self) -> str:
        return f"Python {self.python}, {' '.join(self.requirements) or 'newest'}" + (
            f", extra {self.extra}" if self.extra else ""
        )


def oldest(requirements: Sequence[str], python: str) -> list[str]:
    """Turn lower bounds into these very versions."""
    pairs = (requirement.split(">=") for requirement in requirements)
    return [f"{name}=={FIRST.get(python, {}).get(name, version)}" for name, version in pairs]


def cases(python: str) -> Iterator[Case]:
    """Give the environments for a version of Python."""
    needed, extras = PROJECT["dependencies"], PROJECT["optional-dependencies"]
    lowest = oldest(needed, python)
    yield Case(python, lowest)
    yield Case(python, [])
    yield Case(python, [*lowest, *oldest(extras["sklearn"], python)], "sklearn")
    yield Case(python, [], "sklearn")
    yield Case(python, [], "fast")


def interpreter(python: str) -> str | None:
    """Return where a version of Python is, or None."""
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
    found = sorted(pyenv.glob(f"{python}.*/bin/python{python}"))
    for candidate in (shutil.which(f"python{python}"), *map(str, found)):
        if candidate is None:
            continue
        command = [candidate, "-c", "import sys; print('{}.{}'.format(*sys.version_info))"]
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        if run.returncode == 0 and run.stdout.strip() == python:
            return candidate
    return None


def checked(case: Case, python: str, wheel: Path, folder: Path) -> dict[str, str]:
    """Make an environment, check the package in it, and return a row of the table."""
    subprocess.run([python, "-m", "venv", "--without-pip", str(folder)], check=True)
    own = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    what = f"agnostic-lse[{case.extra}] @ {wheel.as_uri()}" if case.extra else str(wheel)
    pip = [sys.executable, "-m", "pip", "--python", own, "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "install", "-qq", "--only-binary=:all:", what, *case.requirements], check=True
    )
    started = time.perf_counter()
    # What others warn of is theirs.
    strict = [] if case.extra else ["-W", "error"]
    run = subprocess.run(
        [own, "-I", *strict, str(Path(__file__).with_name("installed.py"))],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode:
        raise AssertionError(run.stdout + run.stderr)
    outcome = json.loads(run.stdout.splitlines()[-1])
    found = outcome["found"]
    if case.extra is None:
        names = {re.split(r"[<>=]", requirement)[0] for requirement in PROJECT["dependencies"]}
        assert set(found) == {*names, PROJECT["name"]}, f"other packages are there: {found}"
    name = {"sklearn": "scikit-learn", "fast": "numba"}.get(case.extra or "")
    return {
        "Python": case.python,
        "NumPy": found["numpy"],
        "compat": found["array-api-compat"],
        "extra": found["array-api-extra"],
        "besides": f"{name} {found[name]}" if name else "nothing",
        "checks": str(outcome["checks"]),
        "examples": str(outcome["examples"]),
        "seconds": f"{time.perf_counter() - started:.1f}",
    }


def build(out: Path) -> Path:
    """Build the wheel from the source distribution."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (wheel,) = out.glob("*.whl")
    return wheel


def main() -> int:
    """Check all cases, and print a table of them."""
    supported = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    parser = argparse.ArgumentParser("python -m tests.packaging", description=__doc__)
    parser.add_argument("pythons", nargs="*", default=supported, metavar="PYTHON")
    pythons = parser.parse_args().pythons
    rows, failures, left_out = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        wheel = build(Path(folder))
        for version in pythons:
            python = interpreter(version)
            if python is None:
                left_out.append(f"Python {version} is left out: it is not installed here.")
                continue
            for number, case in enumerate(cases(version)):
                try:
                    row = checked(case, python, wheel, Path(folder, f"{version}-{number}"))
                except (AssertionError, subprocess.CalledProcessError) as error:
                    failures.append(f"{case}: {error}")
                    print(failures[-1], file=sys.stderr)
                else:
                    rows.append(row)
                    print(*row.values(), sep="  ", file=sys.stderr)
    widths = {name: max(map(len, (name, *(row[name] for row in rows)))) for name in COLUMNS}
    for row in ({name: name for name in COLUMNS}, *rows):
        print("  ".join(row[name].ljust(widths[name]) for name in COLUMNS).rstrip())
    print(*left_out, sep="\n")
    print(f"{len(rows)} passed, {len(failures)} failed")
    return 1 if failures or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
