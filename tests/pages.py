"""The code that the documentation shows, run as a reader would: ``python -m tests.pages PAGE ...``.

All sessions (``>>>``) of a page are one, from top to bottom.
"""

from __future__ import annotations

import doctest
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path
    for path in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"))
    if not {"_build", "gallery", "generated"} & set(path.parts)
)
BLOCK = re.compile(r"^( *)```(\w*|\{[^\n]*)\n(.*?)^\1```$", flags=re.DOTALL | re.MULTILINE)
IMPORT = re.compile(r"^\s*(?:>>> |\.\.\. )?\s*(?:from|import) (\w+)", flags=re.MULTILINE)


def name(page: Path) -> str:
    """Return what a page is called: its path from the root."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str = "python") -> list[str]:
    """Return a page's blocks of code in a language, without their indentation."""
    found = BLOCK.findall(page.read_text(encoding="utf-8"))
    return [
        re.sub(rf"^{indent}", "", text, flags=re.MULTILINE)
        for indent, kind, text in found
        if kind == language
    ]


def _sessions(page: Path) -> str:
    return "".join(text for text in blocks(page) if text.startswith(">>>"))


def session(page: Path) -> doctest.DocTest:
    """Return a page's examples, in order."""
    return doctest.DocTestParser().get_doctest(_sessions(page), {}, name(page), str(page), 0)


def packages(page: Path) -> set[str]:
    """Return the packages that a page's sessions import."""
    return set(IMPORT.findall(_sessions(page))) - {"agnostic_lse", "cupy"}


def run(page: Path) -> doctest.TestResults:
    """Run a page's session. Without a GPU it must run with NumPy in CuPy's place.

    It runs in a module, as a reader's does, so that what it defines can be pickled, and stays until
    the process ends, since PyTorch's compiler keeps names there.
    """
    examples = session(page)
    asks = any("import cupy" in each.source for each in examples.examples)
    if asks and importlib.util.find_spec("cupy") is None:  # scikit-learn, too, looks whether it is
        sys.modules["cupy"] = np
    module = sys.modules["page"] = ModuleType("page")
    examples.globs = vars(module)
    runner = doctest.DocTestRunner(optionflags=doctest.REPORT_NDIFF)
    return runner.run(examples, clear_globs=False)


def main(names: list[str]) -> int:
    """Run pages, print how many examples each has, and return how many failed."""
    results = [(page, run(page)) for page in map(Path.absolute, map(Path, names))]
    for page, (failed, attempted) in results:
        print(f"{page}: {attempted} examples, {failed} failed")
    return min(1, sum(result.failed for _, result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
