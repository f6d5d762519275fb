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
    "_arguments",
    "_bench",
    "_demo",
    "_files",
    "_console",
    "_exact",
    "_libraries",
    "_timing",
    "sklearn",
    "_metaestimators",
    "_metaestimators.classifier",
    "_metaestimators.pool",
    "_metaestimators.transformer",
    "_metaestimators.around",
    "_classifiers",
    "_classifiers.boosters",
    "_classifiers.calibrated",
    "_classifiers.composite",
    "_classifiers.single",
    "_classifiers.rule",
    "_classifiers.columns",
    "_classifiers.links",
    "_losses",
    "_mixtures",
    "_mixin",
    "_transformers",
    "_validation",
    "_groups",
    "__init__",
    "_accumulator",
    "_checkpoints",
    "_running",
    "_means",
    "_reductions",
    "_products",
    "_segments",
    "_scan",
    "_elementwise",
    "_engines.configuration",
    "_engines",
    "_engines.cuda",
    "_engines.dask",
    "_engines.host",
    "_engines.plain",
    "_engines.views",
    "_engines._compiled",
    "_engines.tiles",
    "_engines.threads",
    "_engines.choice",
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
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "['agnostic_lse']"


def layer(path: Path) -> str:
    """Return the name that a file's module has in the list above."""
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def test_imports_go_one_way() -> None:
    files = {layer(path): path for path in SOURCE.rglob("*.py") if "_examples" not in path.parts}
    assert set(files) == set(LAYERS)
    for place, module in enumerate(LAYERS):
        parts = () if module == "__init__" else tuple(module.split("."))
        package = parts if files[module].name == "__init__.py" else parts[:-1]
        for node in ast.walk(ast.parse(files[module].read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = package[: len(package) - node.level + 1]
                base += tuple(node.module.split(".")) if node.module else ()
                for alias in node.names:
                    names = (".".join((*base, alias.name)), ".".join(base), "__init__")
                    target = next(name for name in names if name in LAYERS)
                    assert LAYERS.index(target) > place, f"{module} imports {target}"


def test_types_are_shipped() -> None:
    assert (SOURCE / "py.typed").exists()


def test_scalar_of_the_readme() -> None:
    assert agnostic_lse.logsumexp(np.asarray([1000.0, 1001.0, 1002.0])) == 1002.4076059644444
