"""Articles and plurals in errors, and that all errors take them from one place."""

from __future__ import annotations

import ast
import itertools
from pathlib import Path

import numpy as np
import pytest

import agnostic_lse
from agnostic_lse._wording import counted, kind_of, with_article

SOURCES = sorted(Path(agnostic_lse.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize(
    ("article", "nouns"),
    [
        ("an", "int int64 object array Array ellipsis OrderedDict Index Unknown"),
        ("an", "ndarray ndarray_of_text mpf SVC MLPClassifier XGBClassifier LGBMClassifier NMF"),
        ("a", "str float float32 bool bytes dict set list tuple module Tensor DataFrame Series"),
        ("a", "NoneType complex128 csr_array coo_matrix PRNGKeyArray KNeighborsClassifier GMM"),
        ("a", "uint8 unit UnionType ufunc UserDict OneHotEncoder OneVsRestClassifier _Private"),
        ("an", "_Immutable"),
    ],
)
def test_articles(article: str, nouns: str) -> None:
    for noun in nouns.split():
        assert with_article(noun) == f"{article} {noun}"


def test_kinds() -> None:
    given: dict[str, object] = {
        "an int": 1,
        "a str": "",
        "a NoneType": None,
        "an ndarray": np.zeros(1),
        "a uint8": np.uint8(1),
    }
    assert {kind_of(value): value for value in given.values()}.keys() == given.keys()


def test_plurals() -> None:
    assert [counted(n, "label") for n in (0, 1, 2)] == ["0 labels", "1 label", "2 labels"]
    assert [counted(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]
    assert counted(float("nan"), "row") == "nan rows"


def _articles(source: Path) -> list[str]:
    """Return which articles a module writes before the name of a type."""
    found = []
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.JoinedStr):
            continue
        for text, name in itertools.pairwise(node.values):
            written = isinstance(text, ast.Constant) and str(text.value).endswith((" a ", " an "))
            if written and "__name__" in ast.unparse(name):
                found.append(f"{source.name}:{node.lineno}")
    return found


def test_no_article_is_written_before_the_name_of_a_type() -> None:
    written = [place for source in SOURCES for place in _articles(source)]
    assert written == []
