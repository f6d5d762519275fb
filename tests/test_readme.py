"""Every block of code in the README runs, and prints what it says."""

from __future__ import annotations

import doctest
import re
import sys
from pathlib import Path

import numpy as np
import pytest

import agnostic_lse
import agnostic_lse.sklearn
from tests.backends import Backend

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", README, flags=re.DOTALL)


def test_python_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    if Backend.CUPY.missing():
        # Without a GPU the program must run with NumPy in CuPy's place: that is what it says.
        monkeypatch.setitem(sys.modules, "cupy", np)
    blocks = [text for kind, text in BLOCKS if kind == "python"]
    assert len(blocks) >= 6
    session = doctest.DocTestParser().get_doctest("".join(blocks), {}, "README.md", "README.md", 0)
    assert len(session.examples) >= 20
    failed, _ = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF).run(session)
    assert failed == 0


def test_every_block_is_known() -> None:
    assert {kind for kind, _ in BLOCKS} == {"python", "sh"}


def test_commands_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    commands = re.findall(r"^make (\w+)", README, flags=re.MULTILINE)
    assert commands == ["demo", "test"]
    for command in commands:
        assert re.search(rf"^{command}:", makefile, flags=re.MULTILINE)


def test_extras_exist() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    named = re.findall(r"pip install '\.\[([\w,]+)\]'", README)
    assert len(named) == 4
    for extra in [*",".join(named).split(","), *re.findall(r"`(cupy\d+)`", README)]:
        assert re.search(rf"^{extra} = ", project, flags=re.MULTILINE)


def test_every_public_name_is_in_the_table() -> None:
    table = re.findall(r"^\| `(\w+)` \|[^|]+\|$", README, flags=re.MULTILINE)
    assert sorted(table) == sorted(agnostic_lse.__all__)
    for name in agnostic_lse.sklearn.__all__:
        assert f"`{name}`" in README


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists()
