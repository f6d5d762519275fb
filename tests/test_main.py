"""The command line and its demo."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import runpy
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import scale

import agnostic_lse
from agnostic_lse import _demo
from agnostic_lse.__main__ import main

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Path]:
    """Run the demo once: what it prints, its progress, its picture."""
    import contextlib
    import io

    picture = tmp_path_factory.mktemp("demo") / "picture.png"
    with (
        contextlib.redirect_stdout(io.StringIO()) as out,
        contextlib.redirect_stderr(io.StringIO()) as progress,
    ):
        assert main(["demo", "--out", str(picture)]) == 0
    return out.getvalue(), progress.getvalue(), picture


def rows(printed: str, model: str) -> list[list[float]]:
    """Return a model's rows: accuracy, -inf, nan, warnings, clipped and exact loss."""
    row = rf"^  {model} .*?((?: +(?:[\d.]+|inf|nan)){{6}})$"
    return [
        [float(field) for field in fields.split()]
        for fields in re.findall(row, printed, flags=re.MULTILINE)
    ]


def test_ours_is_finite(demo: Any) -> None:
    held_out, bright = rows(demo[0], "SoftmaxRegression")
    for accuracy, vanished, nans, warned, _, exact in (held_out, bright):
        assert accuracy > 0.8
        assert vanished == nans == warned == 0
        assert np.isfinite(exact)
    assert bright[5] > bright[4]  # the clipped loss hides how wrong the model is


@pytest.mark.parametrize("model", ["LogisticRegression", "SGDClassifier", "MLPClassifier"])
def test_theirs_is_not(demo: Any, model: str) -> None:
    held_out, bright = rows(demo[0], model)
    assert held_out[1] < 100 < 1000 < bright[1]  # scikit-learn before 1.8 has 11 on plain images
    assert bright[3] >= 1
    assert not np.isfinite(bright[5])  # and 1.8 has nan


@pytest.mark.parametrize("model", ["LogisticRegression", "SGDClassifier", "MLPClassifier"])
def test_theirs_is_once_wrapped(demo: Any, model: str) -> None:
    (wrapped,) = rows(demo[0], f"wrapped {model}")
    assert wrapped[1] == wrapped[2] == wrapped[3] == 0
    assert wrapped[0] == rows(demo[0], model)[1][0]
    assert np.isfinite(wrapped[5])


def test_same_weights(demo: Any) -> None:
    ours, theirs = rows(demo[0], "SoftmaxRegression"), rows(demo[0], "LogisticRegression")
    for mine, other in zip(ours, theirs, strict=True):
        assert mine[0] == other[0]
        assert mine[4] == other[4]


class Undecided:
    """A model that knows nothing of the first image, as SGDClassifier may before 1.9."""

    def predict_proba(self, X: Any) -> Any:
        proba = np.full((len(X), 3), 1 / 3)
        proba[0] = np.nan
        return proba

    def predict_log_proba(self, X: Any) -> Any:
        return np.log(self.predict_proba(X))

    def score(self, X: Any, y: Any) -> float:  # noqa: ARG002 (so scikit-learn names them)
        warnings.warn("not of predict_log_proba", RuntimeWarning, stacklevel=1)
        return 0.5


def test_nan_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = _demo._outcome(
        "Undecided", cast("Any", Undecided()), np.ones((4, 2)), np.arange(4) % 3
    )
    _demo._print_outcomes("as they are", [outcome])
    assert str(rows(capsys.readouterr().out, "Undecided")) == "[[0.5, 0.0, 3.0, 0.0, nan, nan]]"


@pytest.mark.parametrize(
    ("label", "module"),
    [
        ("NumPy", "numpy"),
        ("PyTorch", "torch"),
        ("JAX, jitted", "jax"),
        ("Dask", "dask"),
        ("array-api-strict", "array_api_strict"),
        ("CuPy", "cupy"),
    ],
)
def test_libraries_agree(demo: Any, label: str, module: str) -> None:
    if importlib.util.find_spec(module) is None:
        assert f"{label}: left out, {module} is not installed" in demo[0]
        return
    if f"{label}: left out, it finds no GPU" in demo[0]:
        return
    (line,) = re.findall(rf"^  {label} \d.*$", demo[0], flags=re.MULTILINE)
    difference = line.split()[-3]
    assert difference == "(reference)" if module == "numpy" else float(difference) <= 4
    assert module in ("cupy", "jax") or " cpu" in line  # which take a GPU where there is one


def test_progress(demo: Any) -> None:
    assert "Fitting MLPClassifier ... " in demo[1]


def test_a_reader_may_leave() -> None:
    script = (
        "import sys\n"
        "from agnostic_lse import _demo\n"
        "from agnostic_lse.__main__ import main\n"
        "_demo.run = lambda out: _demo.say('a line')\n"
        "sys.exit(main(['demo']))\n"
    )
    reading, writing = os.pipe()
    os.close(reading)
    run = subprocess.run(
        [sys.executable, "-c", script], stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert run.stderr == b""
    assert run.returncode == 141


def test_fits_the_terminal(demo: Any) -> None:
    assert max(map(len, demo[0].splitlines())) <= 100


def test_picture(demo: Any) -> None:
    with Image.open(demo[2]) as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 600
        assert len(np.unique(np.asarray(picture.convert("RGB")).reshape(-1, 3), axis=0)) > 50


class TestExample:
    def test_runs(self, capsys: pytest.CaptureFixture[str]) -> None:
        runpy.run_path(
            str(ROOT / "examples" / "classifiers" / "digits_classifier.py"), run_name="__main__"
        )
        assert re.match(r"finite: True, smallest: -\d+\.\d\n", capsys.readouterr().out)

    def test_two_classes(self) -> None:
        X, y = load_breast_cancer(return_X_y=True)
        X = scale(X)
        ours, theirs = _demo._example_classifier().fit(X, y), LogisticRegression().fit(X, y)
        np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-12)
        assert ours.score(X, y) == theirs.score(X, y)
        assert np.isfinite(ours.predict_log_proba(100 * X)).all()

    @pytest.mark.parametrize("method", ["predict", "predict_log_proba", "predict_joint_log_proba"])
    def test_unfitted(self, method: str) -> None:
        with pytest.raises(NotFittedError, match="SoftmaxRegression"):
            getattr(_demo._example_classifier(), method)(np.ones((2, 3)))


class TestErrors:
    @pytest.mark.parametrize(
        ("out", "reason"),
        [
            (".", "a file that can be written was expected (Is a directory): name another"),
            ("no/such/folder.png", "a file that can be written was expected (No such file or "),
            ("picture.xyz", "a .pdf, .png or .svg file was expected: end its name in one"),
            ("picture", "a .pdf, .png or .svg file was expected: end its name in one"),
        ],
    )
    def test_out_is_refused_at_once(
        self,
        out: str,
        reason: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(_demo, "run", lambda _: pytest.fail("it ran"))
        assert main(["demo", "--out", out]) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith(f"--out is {out}, but {reason}")
        assert printed.err.endswith(".\n")

    def test_out_in_a_folder_of_others(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(
            *_: Any,
        ) -> None:  # the superuser may write anywhere, so the test plays the system
            raise PermissionError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)
        assert main(["demo", "--out", str(tmp_path / "picture.png")]) == 2
        assert "(Permission denied): name another." in capsys.readouterr().err

    def test_out_is_left_as_it_was(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_demo, "run", lambda _: None)
        fresh, old = tmp_path / "fresh.PNG", tmp_path / "old.svg"
        old.write_text("a picture")
        for out in (fresh, old):
            assert main(["demo", "--out", str(out)]) == 0
        assert not fresh.exists()
        assert old.read_text() == "a picture"

    def test_missing_package(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
        assert main(["demo"]) == 1
        assert "The demo needs scikit-learn, which is not installed" in capsys.readouterr().err

    def test_no_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main([]) == 2
        assert "demo" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("arguments", "says"), [([], agnostic_lse.__doc__), (["demo"], "Fit classifiers of")]
    )
    def test_help(
        self, arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit, match="0"):
            main([*arguments, "--help"])
        printed = capsys.readouterr().out
        assert says in printed
        assert "`" not in printed

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="0"):
            main(["--version"])
        assert capsys.readouterr().out.startswith("agnostic_lse ")
