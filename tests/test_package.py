"""What is public, what importing it loads, and in which direction modules import."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import agnostic_lse

SOURCE = Path(agnostic_lse.__file__).parent
# From the top down: each may import from those after it.
LAYERS = (
    "__main__",
    "_demo",
    "sklearn",
    "_groups",
    "__init__",
    "_reductions",
    "_products",
    "_segments",
    "_scan",
    "_elementwise",
    "_logsum",
    "_elementary",
    "_namespace",
)


def test_all_is_what_is_defined() -> None:
    public = {name for name in vars(agnostic_lse) if not name.startswith("_")}
    modules = {name for name in public if sys.modules.get(f"agnostic_lse.{name}")}
    assert public - modules == set(agnostic_lse.__all__)


@pytest.mark.parametrize("module", ["agnostic_lse", "agnostic_lse.sklearn"])
def test_public_names_are_documented(module: str) -> None:
    loaded = importlib.import_module(module)
    for name in loaded.__all__:
        text = inspect.getdoc(getattr(loaded, name)) or ""
        assert ">>>" in text, f"{name} has no example"
        for section in ("Examples", "See Also", "Notes"):
            assert f"\n{section}\n---" in text, f"{name} has no section {section}"


def test_import_is_light() -> None:
    script = (
        "import sys, numpy, array_api_compat, array_api_extra\n"
        "before = set(sys.modules)\n"
        "import agnostic_lse\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new - set(sys.stdlib_module_names)))\n"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)  # noqa: S603
    assert run.stdout.strip() == "['agnostic_lse']"


def test_imports_go_one_way() -> None:
    modules = {path.stem for path in SOURCE.glob("*.py")}
    assert modules == set(LAYERS)
    for place, module in enumerate(LAYERS):
        tree = ast.parse((SOURCE / f"{module}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.level:
                names = [node.module] if node.module else [alias.name for alias in node.names]
                for name in names:
                    target = name if name in LAYERS else "__init__"
                    assert LAYERS.index(target) > place, f"{module} imports {name}"


def test_types_are_shipped() -> None:
    assert (SOURCE / "py.typed").exists()


def test_scalar_of_the_readme() -> None:
    assert agnostic_lse.logsumexp(np.asarray([1000.0, 1001.0, 1002.0])) == 1002.4076059644444
