"""Type checkers read users' programs as their comments say, and the programs run."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agnostic_lse
from tests.backends import available_package
from tests.typing.wrong_calls import CALLS

PROGRAMS = Path(__file__).parent / "typing"
SOURCE = Path(agnostic_lse.__file__).parents[1]
STUB = ast.parse(Path(agnostic_lse.__file__).with_suffix(".pyi").read_text())
SIGNATURES: dict[str, list[ast.arguments]] = {}
for node in STUB.body:
    if isinstance(node, ast.FunctionDef):
        SIGNATURES.setdefault(node.name, []).append(node.args)
# As a user sees the package: what is wrong inside of it is not theirs to know.
MYPY = ("--strict", "--follow-imports=silent", "--explicit-package-bases")


def checked(module: str, *arguments: str) -> str:
    """Run a type checker in an empty folder, so that it finds no configuration but the given."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env=os.environ | {"MYPYPATH": str(SOURCE), "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_mypy(tmp_path: Path) -> None:
    available_package("mypy")
    config = ("--config-file=", f"--cache-dir={tmp_path}")
    assert "no issues found" in checked("mypy", *config, *MYPY, str(PROGRAMS))


def test_pyright(tmp_path: Path) -> None:
    available_package("basedpyright")
    project = tmp_path / "pyrightconfig.json"
    settings = {
        "include": [str(PROGRAMS)],
        "extraPaths": [str(SOURCE)],
        "typeCheckingMode": "strict",
        # An unused comment is what a wrong call leaves that is no longer refused.
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    project.write_text(json.dumps(settings))
    out = checked("basedpyright", "--pythonpath", sys.executable, "--project", str(project))
    assert "0 errors, 0 warnings" in out


def test_stub_has_the_names_of_the_module() -> None:
    assert set(SIGNATURES) < set(agnostic_lse.__all__)
    names = next(node for node in STUB.body if isinstance(node, ast.Assign))
    assert ast.literal_eval(names.value) == agnostic_lse.__all__


@pytest.mark.parametrize("name", SIGNATURES)
def test_stub_has_the_parameters_of_the_function(name: str) -> None:
    true = inspect.signature(getattr(agnostic_lse, name)).parameters
    for signature in SIGNATURES[name]:
        positional, by_name = signature.args, signature.kwonlyargs
        stated = {each.arg for each in positional + by_name}
        assert stated == set(true)
        # return_sign=True needs no default, and so can be named alone.
        expected = [key for key, each in true.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
        assert [each.arg for each in positional] == [
            key for key in expected if key not in {each.arg for each in by_name}
        ]
        assert {each.arg for each in by_name} - set(expected) == stated - set(expected)
        defaults = [
            *zip(positional[::-1], signature.defaults[::-1], strict=False),
            *zip(by_name, signature.kw_defaults, strict=True),
        ]
        for each, default in defaults:
            if default is not None:
                assert ast.literal_eval(default) == true[each.arg].default


@pytest.mark.parametrize("name", ["arrays", "objects", "other_libraries"])
def test_programs_run(name: str) -> None:
    importlib.import_module(f"tests.typing.{name}")


@pytest.mark.parametrize("call", CALLS)
def test_wrong_calls_fail(call: Callable[[], Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        call()
