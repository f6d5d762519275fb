"""What is public, what importing it loads, and in which direction modules import."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pytest

import agnostic_lse

SOURCE = Path(agnostic_lse.__file__).parent
ARCHITECTURE = Path(__file__).parents[1] / "docs" / "architecture.md"


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
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['agnostic_lse']"


def layers() -> list[str]:
    """Return the modules in the first column of the table, from the top down."""
    rows = re.findall(r"^\| (`.*?`) \|", ARCHITECTURE.read_text(encoding="utf-8"), re.MULTILINE)
    return [layer(Path(path)) for row in rows for path in re.findall(r"`([^`]+\.py)`", row)]


def layer(path: Path) -> str:
    """Return the name within the package of the module in a file."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def files() -> dict[str, Path]:
    """Return the files of all modules by their names within the package."""
    paths = (path for path in SOURCE.rglob("*.py") if "_examples" not in path.parts)
    return {layer(path.relative_to(SOURCE)): path for path in paths}


def imported(module: str, path: Path, known: Collection[str]) -> Iterator[str]:
    """Give the modules of the package that one imports, at its top or within a function."""
    parts = () if module == "__init__" else tuple(module.split("."))
    package = parts if path.name == "__init__.py" else parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            base += tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                names = (".".join((*base, alias.name)), ".".join(base), "__init__")
                yield next(name for name in names if name in known)


def test_the_table_of_the_architecture_has_every_module() -> None:
    assert sorted(layers()) == sorted(files())


def test_imports_go_down_the_table_of_the_architecture() -> None:
    order = layers()
    upward = [
        f"{module} imports {target}"
        for module, path in files().items()
        for target in imported(module, path, order)
        if order.index(target) <= order.index(module)
    ]
    assert upward == []


def test_types_are_shipped() -> None:
    assert (SOURCE / "py.typed").exists()


def test_scalar_of_the_readme() -> None:
    assert agnostic_lse.logsumexp(np.asarray([1000.0, 1001.0, 1002.0])) == 1002.4076059644444
