"""The command line and its demo."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
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
from agnostic_lse.__main__ import COMMANDS, main
from agnostic_lse._arguments import parsed
from tests.reference import strictly_parsed

ROOT = Path(__file__).parents[1]
# What the system says of a folder that is opened as a file
REFUSED_FOLDER = "Is a directory" if os.name == "posix" else "Permission denied"


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
        "_demo.run = lambda *_: _demo.say('a line')\n"
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
            (".", f"a file that can be written was expected ({REFUSED_FOLDER}): name another"),
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
        monkeypatch.setattr(_demo, "run", lambda *_: pytest.fail("it ran"))
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
        monkeypatch.setattr(_demo, "run", lambda *_: None)
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

    def test_version(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit, match="0"):
            main(["--version"])
        assert capsys.readouterr().out.startswith("agnostic_lse ")


def help_of(*command: str) -> str:
    """Return what a user is told who asks for help."""
    arguments = [sys.executable, "-W", "error", "-m", "agnostic_lse", *command, "--help"]
    # The first of which Python 3.14 would obey
    terminal = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": "80"}
    run = subprocess.run(arguments, capture_output=True, text=True, check=True, env=terminal)
    assert run.stderr == ""
    return run.stdout


def examples(*command: str) -> list[list[str]]:
    """Return the commands that a help text gives as examples, without the name of the program."""
    found = re.findall(r"^  python -m agnostic_lse (.*)$", help_of(*command), flags=re.MULTILINE)
    return [shlex.split(line) for line in found]


def at_work(arguments: list[str], folder: Path, **options: Any) -> Any:
    """Run a command in a folder, with standard output and error apart and no terminal."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "agnostic_lse", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


CONTROL = re.compile(r"[^\n\x20-\x7e]")


class TestHelp:
    @pytest.mark.parametrize("command", ["", *COMMANDS])
    def test_ends_with_the_statuses(self, command: str) -> None:
        text = help_of(*command.split())
        last = text.rstrip().split("\n\n")[-1]
        assert last.startswith("exit status: 0 if all is well")
        for number, why in (
            ("1", "fails"),
            ("2", "wrong arguments"),
            ("130", "Ctrl-C"),
            ("141", ""),
        ):
            assert number in last
            assert why in last
        assert "`" not in text
        assert not CONTROL.search(text)
        assert max(map(len, text.splitlines())) <= 100

    @pytest.mark.parametrize("command", ["", *COMMANDS])
    def test_examples_run(self, command: str, tmp_path: Path) -> None:
        np.save(tmp_path / "scores.npy", np.random.default_rng(0).standard_normal((5, 3, 4)))
        found = examples(*command.split())
        assert len(found) >= 2
        for arguments in found:
            run = at_work(arguments, tmp_path)
            assert run.returncode == 0, run.stderr
            assert not CONTROL.search(run.stdout + run.stderr)
            if "--out" in arguments:
                assert (tmp_path / arguments[arguments.index("--out") + 1]).exists()
            else:
                assert run.stdout
            if "--json" in arguments:
                (text,) = re.findall(r"keys of the JSON: (.*?)\n\n", help_of(command), re.DOTALL)
                assert set(keys(strictly_parsed(run.stdout))) <= set(re.findall(r"\w+", text))

    def test_all_commands_are_listed(self) -> None:
        text = help_of()
        assert agnostic_lse.__doc__ in text
        assert re.findall(r"^    (\w+)  ", text, flags=re.MULTILINE) == list(COMMANDS)


def keys(data: Any) -> list[str]:
    """Return the keys of an object, and of the objects in a list in it."""
    found = list(data)
    for value in data.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            found += keys(value[0])
    return found


class TestStatus:
    def test_the_installed_script(self, tmp_path: Path) -> None:
        """The script that pip would write, in the words of the standard for entry points."""
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        ((name, target),) = project["scripts"].items()
        module, _, function = target.partition(":")
        script = tmp_path / name
        script.write_text(f"import sys\nfrom {module} import {function}\nsys.exit({function}())\n")
        run = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, check=False
        )
        assert run.returncode == 2
        assert run.stdout.startswith("usage: agnostic-lse [-h]")
        assert "  agnostic-lse bench --help" in run.stdout

    def test_as_a_module(self, tmp_path: Path) -> None:
        run = at_work(["info", "--nothing"], tmp_path)
        assert (run.returncode, run.stdout) == (2, "")
        assert run.stderr.startswith("usage: python -m agnostic_lse ")

    @pytest.mark.parametrize("size", ["999", "-5", "1e6", "many"])
    def test_size(self, size: str, tmp_path: Path) -> None:
        run = at_work(["bench", f"--size={size}"], tmp_path)
        assert (run.returncode, run.stdout) == (2, "")
        expected = f"{size!r} came, but a whole number of 1000 or more was expected"
        assert expected in run.stderr

    @pytest.mark.parametrize("size", [10**18, 10**30])
    def test_size_of_no_array(self, size: int, tmp_path: Path) -> None:
        run = at_work(["bench", "--quick", f"--size={size}"], tmp_path)
        assert (run.returncode, run.stdout) == (1, "")
        assert run.stderr.endswith("There is not enough memory: allow the process more.\n")

    @pytest.mark.parametrize("command", list(COMMANDS))
    @pytest.mark.parametrize(
        ("variable", "value"),
        [("AGNOSTIC_LSE_KERNELS", "fast"), ("AGNOSTIC_LSE_NUM_THREADS", "none")],
    )
    def test_environment(self, command: str, variable: str, value: str, tmp_path: Path) -> None:
        arguments = [command, "scores.npy"] if command == "reduce" else [command]
        run = at_work(arguments, tmp_path, env={**os.environ, variable: value})
        assert (run.returncode, run.stdout) == (2, "")
        assert re.fullmatch(rf".*{value!r}, but .* expected.*\.\n", run.stderr)

    @pytest.mark.parametrize("command", list(COMMANDS))
    @pytest.mark.parametrize(
        ("error", "status", "sentence"),
        [
            (KeyboardInterrupt(), 130, "Interrupted, and nothing was written.\n"),
            (MemoryError(), 1, "There is not enough memory: allow the process more.\n"),
        ],
    )
    def test_of_errors(
        self,
        command: str,
        error: BaseException,
        status: int,
        sentence: str,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(_: Any) -> int:
            raise error

        monkeypatch.setitem(COMMANDS, command, fail)
        assert main([command, "scores.npy"] if command == "reduce" else [command]) == status
        assert capsys.readouterr() == ("", sentence)

    def test_interrupted(self, tmp_path: Path) -> None:
        run = subprocess.Popen(
            [sys.executable, "-m", "agnostic_lse", "bench", "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            text=True,
        )
        assert run.stderr is not None
        run.stderr.read(len("Calculating"))  # from here on it is at work
        run.send_signal(signal.SIGINT)
        out, error = run.communicate(timeout=60)
        assert (run.returncode, out) == (130, "")
        assert error.endswith("Interrupted, and nothing was written.\n")
        assert "Traceback" not in error

    @pytest.mark.skipif(os.name != "posix", reason="only Unix closes outputs so")
    @pytest.mark.parametrize("arguments", ["info", "bench --quick", "demo", "reduce scores.npy"])
    def test_closed_output(self, arguments: str, tmp_path: Path) -> None:
        np.save(tmp_path / "scores.npy", np.zeros(3))
        program = f"{shlex.quote(sys.executable)} -m agnostic_lse {arguments}"
        run = subprocess.run(
            ["/bin/sh", "-c", f"{program} >&-"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert (run.returncode, run.stdout) == (1, "")
        assert run.stderr == "Standard output is closed: open it, or send it to a file.\n"

    @pytest.mark.skipif(os.name != "posix", reason="only Unix closes outputs so")
    def test_closed_errors(self, tmp_path: Path) -> None:
        np.save(tmp_path / "scores.npy", np.zeros(3))
        program = f"{shlex.quote(sys.executable)} -m agnostic_lse"
        for arguments, status in (("reduce nothing.npy", 2), ("reduce scores.npy", 0)):
            run = subprocess.run(
                ["/bin/sh", "-c", f"{program} {arguments} 2>&-"],
                capture_output=True,
                text=True,
                check=False,
                cwd=tmp_path,
            )
            assert run.returncode == status
            assert run.stdout == ("" if status else f"{np.log(3)}\n")


class TestInfo:
    def test_is_what_show_config_says(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["info"]) == 0
        text = capsys.readouterr().out
        agnostic_lse.show_config()
        assert text == capsys.readouterr().out
        assert main(["info", "--json"]) == 0
        assert strictly_parsed(capsys.readouterr().out) == agnostic_lse.show_config("dicts")

    def test_a_library_that_is_broken(self, tmp_path: Path) -> None:
        (tmp_path / "torch").mkdir()
        (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('no libc10.so\\nnone')")
        (tmp_path / "torch-9.9.dist-info").mkdir()
        metadata = "Metadata-Version: 2.1\nName: torch\nVersion: 9.9\n"
        (tmp_path / "torch-9.9.dist-info" / "METADATA").write_text(metadata)
        found = os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])])
        run = at_work(
            ["info", "--json", "--devices"], tmp_path, env={**os.environ, "PYTHONPATH": found}
        )
        assert run.returncode == 0
        assert run.stderr == "torch is installed, but cannot be imported (no libc10.so).\n"
        libraries = strictly_parsed(run.stdout)["libraries"]
        assert libraries["torch"] == {"version": "9.9", "devices": None}
        assert libraries["numpy"] == {"version": np.__version__, "devices": ["cpu"]}


PAGE = (ROOT / "docs" / "howto" / "command_line.md").read_text(encoding="utf-8")


class TestPages:
    @pytest.mark.parametrize("page", ["README.md", "docs/howto/command_line.md"])
    def test_commands_exist(self, page: str) -> None:
        text = (ROOT / page).read_text(encoding="utf-8")
        blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL)
        lines = [line for line in "".join(blocks).splitlines() if line.startswith("agnostic-lse ")]
        found = [parsed("agnostic-lse", shlex.split(line, comments=True)[1:])[0] for line in lines]
        assert {options.command for options in found} == set(COMMANDS)

    def test_what_reduce_prints(self, tmp_path: Path) -> None:
        """Run the blocks of its section in turn, as a reader would."""
        (section,) = re.findall(r"^## Sum a file(.*?)^## ", PAGE, flags=re.DOTALL | re.MULTILINE)
        blocks = re.findall(
            r"```sh\n(.*?)```(?:\n\n```(?:text|json)\n(.*?)```)?", section, re.DOTALL
        )
        assert len(blocks) == 4
        for commands, expected in blocks:
            python = shlex.quote(sys.executable)
            script = re.sub(r"^python ", f"{python} ", commands, flags=re.MULTILINE)
            script = re.sub(
                r"^agnostic-lse ", f"{python} -m agnostic_lse ", script, flags=re.MULTILINE
            )
            run = subprocess.run(
                ["/bin/sh", "-ec", script], cwd=tmp_path, capture_output=True, text=True, check=True
            )
            number = r"\d+\.\d+"  # whose last digit may depend on the processor
            assert re.sub(number, "", run.stdout) == re.sub(number, "", expected)
            found, shown = (list(map(float, re.findall(number, t))) for t in (run.stdout, expected))
            assert found == pytest.approx(shown, rel=1e-15)
        assert np.load(tmp_path / "sums.npy").shape == (2, 3, 1)

    def test_what_info_prints(self, capsys: pytest.CaptureFixture[str]) -> None:
        def labels(text: str) -> list[str]:
            return [re.split(r":| \d", line)[0] for line in text.splitlines()]

        (shown,) = re.findall(r"agnostic-lse info\n```\n\n```text\n(.*?)```", PAGE, re.DOTALL)
        assert main(["info"]) == 0
        assert labels(capsys.readouterr().out) == labels(shown)
