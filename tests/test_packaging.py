"""What is released: the wheel, the source distribution and what they say of themselves."""

from __future__ import annotations

import email
import email.message
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import agnostic_lse
from tests.backends import available_package

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
URLS = PROJECT["project"]["urls"]
LINK = re.compile(r"\]\(([^)#][^)]*)\)")


class Built(NamedTuple):
    """A wheel and a source distribution."""

    wheel: Path
    sdist: Path


def build(source: Path, out: Path) -> Built:
    """Build both from a folder, without a network and without a fixed time."""
    for name in ("build", "hatchling", "hatch_fancy_pypi_readme"):
        available_package(name)
    environment = {k: v for k, v in os.environ.items() if k != "SOURCE_DATE_EPOCH"}
    command = [sys.executable, "-m", "build", "--no-isolation", "--sdist", "--wheel"]
    run = subprocess.run(
        [*command, "--outdir", str(out), str(source)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return Built(wheel, sdist)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Build the checkout."""
    return build(ROOT, tmp_path_factory.mktemp("built"))


@pytest.fixture(scope="module")
def metadata(built: Built) -> email.message.Message:
    """Give what the wheel says of itself."""
    with zipfile.ZipFile(built.wheel) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return email.message_from_bytes(wheel.read(name))


def test_contents_of_the_wheel(built: Built) -> None:
    source = ROOT / "src" / "agnostic_lse"
    modules = {f"agnostic_lse/{path.relative_to(source).as_posix()}" for path in modules_of(source)}
    others = {"_engines/kernels.cu", "_examples/digits_classifier.py", "py.typed"}
    information = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    with zipfile.ZipFile(built.wheel) as wheel:
        names = wheel.namelist()
    assert len(names) == len(set(names))
    assert set(names) == {
        *modules,
        *(f"agnostic_lse/{name}" for name in others),
        *(f"agnostic_lse-{agnostic_lse.__version__}.dist-info/{name}" for name in information),
    }


def modules_of(source: Path) -> list[Path]:
    """Return the modules of the package and their types, of which one at least is known."""
    modules = sorted(path for path in source.rglob("*.py*") if path.suffix in (".py", ".pyi"))
    assert source / "_engines" / "cuda.py" in modules
    return modules


def test_sdist_has_what_its_tests_need(built: Built) -> None:
    with tarfile.open(built.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    folders = {name.partition("/")[0] for name in names if "/" in name}
    assert folders == {"benchmarks", "docs", "examples", "src", "tests"}
    for name in ("pyproject.toml", "conftest.py", "README.md", "LICENSE", "CITATION.cff"):
        assert name in names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


def test_bytes_depend_on_the_source_alone(built: Built, tmp_path: Path) -> None:
    # From elsewhere, from files that are newer and of other permissions, and without the version
    # control that the checkout may have.
    with tarfile.open(built.sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    for path in source.rglob("*"):
        if path.is_file():
            path.chmod(0o600)
            os.utime(path, (1.7e9, 1.7e9))
    again = build(source, tmp_path / "out")
    assert again.sdist.read_bytes() == built.sdist.read_bytes()
    assert again.wheel.read_bytes() == built.wheel.read_bytes()


def test_index_would_take_them(built: Built) -> None:
    available_package("twine")
    run = subprocess.run(
        [sys.executable, "-m", "twine", "--no-color", "check", "--strict", *map(str, built)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("PASSED") == 2


def test_metadata(metadata: email.message.Message) -> None:
    assert metadata["Name"] == "agnostic-lse"
    assert metadata["Version"] == agnostic_lse.__version__
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Description-Content-Type"] == "text/markdown"
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(re.split(r"[<>=]", line)[0] for line in needed) == [
        *("array-api-compat", "array-api-extra", "numpy"),
    ]
    lowest = PROJECT["project"]["requires-python"].removeprefix(">=3.")
    versions = re.findall(r"Python :: 3\.(\d+)", "\n".join(metadata.get_all("Classifier", [])))
    assert list(map(int, versions)) == list(range(int(lowest), int(lowest) + len(versions)))


def test_links_of_the_description_are_whole(metadata: email.message.Message) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    home = f"{URLS['Source']}/blob/v{agnostic_lse.__version__}/"
    description = str(metadata.get_payload())
    relative = [link for link in LINK.findall(readme) if not link.startswith("http")]
    assert "CONTRIBUTING.md" in relative
    whole = LINK.findall(description)
    assert len(whole) == len(LINK.findall(readme))
    assert all(link.startswith("https://") for link in whole)
    assert f"{home}CONTRIBUTING.md" in whole


def test_citation_agrees() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited: dict[str, Any] = dict(re.findall(r"^([\w-]+): (\S+)$", text, flags=re.MULTILINE))
    assert cited["version"] == agnostic_lse.__version__
    assert cited["license"] == PROJECT["project"]["license"]
    assert cited["repository-code"] == URLS["Source"]
    assert cited["url"] == URLS["Documentation"]


def test_addresses_stand_in_one_place() -> None:
    """Besides pyproject.toml, only the citation has them, which is compared with it above."""
    assert all(url.startswith((URLS["Source"], URLS["Documentation"])) for url in URLS.values())
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    for substitution in hook["substitutions"]:
        assert URLS["Source"] in substitution["replacement"]
    owner = re.sub(r"^https://github\.com/([^/]+)/.*$", r"\1", URLS["Source"])
    address = re.compile(rf"github\.com/{owner}/|{owner}\.github\.io")
    folders = ("src", "docs", "examples", "benchmarks")
    files = [*ROOT.glob("*.md"), *(path for name in folders for path in (ROOT / name).rglob("*"))]
    pages = [path for path in files if path.suffix in (".md", ".py") and "_build" not in path.parts]
    assert ROOT / "README.md" in pages
    assert not [page for page in pages if address.search(page.read_text(encoding="utf-8"))]


def test_changelog_has_the_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(agnostic_lse.__version__)}\b", text, flags=re.MULTILINE)


def test_demo_finds_its_example_in_the_wheel(built: Built, tmp_path: Path) -> None:
    with zipfile.ZipFile(built.wheel) as wheel:
        wheel.extractall(tmp_path)  # noqa: S202 (it was built just now)
    script = (
        "import sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from agnostic_lse import _demo\n"
        "print(_demo.__file__)\n"
        "print(_demo._example_classifier().fit([[-1.0], [1.0]], [0, 1]).predict([[2.0]]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", script, str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    place, predicted = run.stdout.splitlines()
    assert Path(place).is_relative_to(tmp_path)
    assert predicted == "[1]"
