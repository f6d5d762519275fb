"""Run tests on a copy of the package that lies in another, by giving its names to the copy.

``python -m tests.vendored FOLDER NAME=COPY ... -- ARGUMENTS`` runs pytest with these arguments.
Whatever imports the package NAME, or a module of it, is given the same of COPY, which is imported
from FOLDER. Tests on NumPy's arrays and on array-api-strict's are kept, and those without any.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

BACKENDS = ("None", "numpy", "array-api-strict")


class Renaming(MetaPathFinder, Loader):
    """Finds the modules of packages under the names of their copies."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 (Python passes it)
        target: ModuleType | None = None,  # noqa: ARG002 (likewise)
    ) -> ModuleSpec | None:
        package = fullname.partition(".")[0]
        return ModuleSpec(fullname, self) if package in self.names else None

    def exec_module(self, module: ModuleType) -> None:
        package, dot, rest = module.__name__.partition(".")
        copy = importlib.import_module(self.names[package] + dot + rest)
        sys.modules[module.__name__] = copy  # which Python takes instead of the module it made


class Selection:
    """Leaves out the tests of other backends."""

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        def is_kept(item: pytest.Item) -> bool:
            parameters = item.callspec.params if hasattr(item, "callspec") else {}
            return str(parameters.get("library")) in BACKENDS

        left_out = [item for item in items if not is_kept(item)]
        config.hook.pytest_deselected(items=left_out)
        items[:] = filter(is_kept, items)


def loaded_from(folder: Path) -> list[str]:
    """Return the names of the loaded modules whose files lie in a folder."""
    files = {name: getattr(module, "__file__", None) for name, module in sys.modules.items()}
    return sorted(name for name, file in files.items() if file and folder in Path(file).parents)


def main(folder: str, *arguments: str) -> int:
    """Run the tests; 1 if the package itself was loaded, or the copy was not."""
    split = arguments.index("--")
    names = dict(argument.split("=") for argument in arguments[:split])
    originals = {}
    for name in names:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"{name} is not installed, so that nothing is put aside.")
        originals[name] = Path(spec.origin).parent
    sys.path.insert(0, folder)
    sys.meta_path.insert(0, Renaming(names))
    status = int(pytest.main(list(arguments[split + 1 :]), plugins=[Selection()]))
    for name, copy in names.items():
        if stray := loaded_from(originals[name]):
            print(f"{name} itself was loaded: {stray}", file=sys.stderr)  # noqa: T201 (it reports)
            return 1
        if copy not in sys.modules or sys.modules[name] is not sys.modules[copy]:
            print(f"{copy} was not loaded", file=sys.stderr)  # noqa: T201 (likewise)
            return 1
    return status


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
