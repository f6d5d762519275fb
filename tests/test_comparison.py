"""What docs/comparison.md and the how-to pages say of other libraries, held to those libraries.

A failure here says that another library has changed: then the page is to be rewritten.
"""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agnostic_lse
from tests.backends import available_package

INF = math.inf
DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "comparison.md").read_text()
Function = Callable[..., Any]


def described(name: str, written: str) -> Any:
    """Return a package, of the version that the page speaks of or a later one."""
    package = available_package(name)
    (version,) = re.findall(rf"{written} ([\d.]+\d)", PAGE.split("##")[0])
    if _numbers(package.__version__) < _numbers(version):
        pytest.skip(f"the page speaks of {written} {version}, and here is {package.__version__}")
    return package


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.match(r"[\d.]*\d", version)[0].split(".")))  # type: ignore[index]  # all have digits


@pytest.fixture
def scipy() -> Any:
    return described("scipy", "SciPy")


@pytest.fixture
def torch() -> Any:
    return described("torch", "PyTorch")


@pytest.fixture
def jax() -> Any:
    return described("jax", "JAX")


def gradient_on_torch(torch: Any, function: Function, values: Any) -> list[float]:
    x = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    function(x).backward()
    return x.grad.tolist()  # type: ignore[no-any-return]  # PyTorch has no types here


def gradient_on_jax(jax: Any, function: Function, values: Any) -> list[float]:
    return jax.grad(function)(jax.numpy.asarray(values)).tolist()  # type: ignore[no-any-return]  # nor JAX


NOTHING = [-INF, -INF]
LOST = ["logsumexp", "log_softmax", "logcumsumexp", "logaddexp"]


def on_torch(module: Any, name: str) -> Function:
    """Return a function of a vector, with one number as its result, of PyTorch or of ours."""
    function = getattr(module, name)
    if name == "logaddexp":
        return lambda x: function(x[0], x[1])
    return lambda x: function(x, 0) if name == "logsumexp" else function(x, 0)[0]


class TestDerivatives:
    @pytest.mark.parametrize("name", LOST)
    def test_pytorch_loses_those_at_nothing(self, torch: Any, name: str) -> None:
        assert np.isnan(gradient_on_torch(torch, on_torch(torch, name), NOTHING)).any()
        assert gradient_on_torch(torch, on_torch(agnostic_lse, name), NOTHING) == [0, 0]

    @pytest.mark.parametrize("name", LOST)
    def test_jax_loses_those_at_nothing(self, jax: Any, name: str) -> None:
        theirs = {
            "logsumexp": jax.nn.logsumexp,
            "log_softmax": lambda x: jax.nn.log_softmax(x)[0],
            "logcumsumexp": lambda x: jax.lax.cumlogsumexp(x)[1],
            "logaddexp": lambda x: jax.numpy.logaddexp(x[0], x[1]),
        }
        assert np.isnan(gradient_on_jax(jax, theirs[name], NOTHING)).any()
        assert gradient_on_jax(jax, on_torch(agnostic_lse, name), NOTHING) == [0, 0]

    def test_all_are_nan_at_infinity(self, torch: Any, jax: Any) -> None:
        for module in (torch, agnostic_lse):
            function = on_torch(module, "logsumexp")
            assert np.isnan(gradient_on_torch(torch, function, [INF, 0.0])[0])
        for module in (jax.nn, agnostic_lse):
            assert np.isnan(gradient_on_jax(jax, module.logsumexp, [INF, 0.0])[0])

    @pytest.mark.parametrize("values", [[0.0, 0.0], [-INF, 0.0]])
    def test_all_have_exact_second_ones(self, torch: Any, jax: Any, values: Any) -> None:
        p = np.exp(values) / np.exp(values).sum()
        expected = np.diag(p) - np.outer(p, p)
        for module in (torch, agnostic_lse):
            hessian = torch.func.hessian(on_torch(module, "logsumexp"))
            out = hessian(torch.tensor(values, dtype=torch.float64))
            np.testing.assert_allclose(out.numpy(), expected, atol=1e-12)
        for module in (jax.nn, agnostic_lse):
            out = jax.hessian(module.logsumexp)(jax.numpy.asarray(values))
            np.testing.assert_allclose(out, expected, atol=1e-6)

    def test_jax_has_none_by_a_weight_of_0(self, jax: Any) -> None:
        def by_weight(function: Function) -> list[float]:
            zeros = jax.numpy.zeros(2)
            return gradient_on_jax(jax, lambda b: function(zeros, b=b), [4.0, 0.0])

        assert by_weight(jax.nn.logsumexp) == [0.25, 0]
        np.testing.assert_allclose(by_weight(agnostic_lse.logsumexp), [0.25, 0.25], rtol=1e-6)

    def test_one_graph_for_torch_compile(self, torch: Any) -> None:
        def compiled(module: Any) -> Any:
            torch._dynamo.reset()
            function = on_torch(module, "logsumexp")
            program = torch.compile(lambda x: function(2 * x), backend="eager", fullgraph=True)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it tells which functions it looks into
                return program(torch.zeros(2))

        assert float(compiled(torch)) == pytest.approx(math.log(2), rel=1e-6)
        with pytest.raises(torch._dynamo.exc.Unsupported):
            compiled(agnostic_lse)


class TestFunctions:
    def test_scipy(self, scipy: Any) -> None:
        special = scipy.special
        theirs = (
            "logsumexp softmax log_softmax log_expit logit softplus "
            "expit log_ndtr ndtri_exp xlogy xlog1py"
        )
        for name in theirs.split():
            assert hasattr(special, name)
        for name in set(agnostic_lse.__all__) - set(theirs.split()):
            assert not hasattr(special, name)

    def test_jax(self, jax: Any) -> None:
        for name in ("logmeanexp", "log1mexp", "softplus", "log_sigmoid", "log_softmax"):
            assert hasattr(jax.nn, name)
        places = jax.nn, jax.numpy, jax.scipy.special, jax.lax
        for name in (
            *("logsubexp", "logexpm1", "logitexp", "logmatmulexp"),
            *("segment_logsumexp", "segment_softmax", "segment_log_softmax"),
        ):
            assert not any(hasattr(place, name) for place in places)
        x, mask = jax.numpy.asarray([0.0, 9.0]), jax.numpy.asarray([True, False])
        assert float(jax.nn.logsumexp(x, where=mask)) == 0
        assert jax.nn.logsumexp(x + 0j).dtype.kind == "c"

    def test_pytorch(self, torch: Any) -> None:
        for name in ("logsumexp", "log_softmax", "logcumsumexp", "logaddexp", "logit"):
            assert hasattr(torch, name)
        places = torch, torch.special, torch.nn.functional
        for name in (
            *("logmeanexp", "logsubexp", "log1mexp", "logexpm1", "logitexp", "logmatmulexp"),
            *("segment_softmax", "segment_log_softmax"),
        ):
            assert not any(hasattr(place, name) for place in places)
        assert torch.logsumexp(torch.zeros(2) + 0j, 0).is_complex()

    def test_scipy_sums_what_is_masked(self, scipy: Any) -> None:
        del scipy
        program = (
            "import numpy as np; from scipy.special import logsumexp; "
            "print(float(logsumexp(np.ma.array([0.0, 0.0], mask=[0, 1]))) > 0.5)"
        )
        environment = {name: text for name, text in os.environ.items() if name != "SCIPY_ARRAY_API"}
        out = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        assert out.stdout.strip() == "True"


def test_private_helper_of_sklearn() -> None:
    """What docs/howto/replace_private_helper.md says of it."""
    available_package("sklearn")
    jnp = available_package("jax.numpy")
    helpers = available_package("sklearn.utils._array_api")
    theirs = getattr(helpers, "_logsumexp", None)
    assert theirs is not None, "scikit-learn has no private logsumexp any more"
    assert theirs(np.asarray([0.0, -40.0])) == agnostic_lse.logsumexp([0.0, -40.0])
    with np.errstate(all="ignore"):
        assert theirs(np.asarray([-INF, -INF])) == -INF
    with pytest.raises(TypeError, match="immutable"):
        theirs(jnp.asarray([0.0, -40.0]), xp=jnp)


@pytest.mark.parametrize("name", ["accuracy", "speed"])
def test_measured_rows_are_those_of_their_pages(name: str) -> None:
    (table,) = re.findall(rf"<!-- {name} -->\n(.*?)<!-- end of {name} -->", PAGE, flags=re.DOTALL)
    source = (DOCS / f"{name}.md").read_text().splitlines()
    rows = table.splitlines()
    assert len(rows) > 4
    assert [row for row in rows if row not in source] == []


def test_measured_numbers_are_those_of_their_pages() -> None:
    """Times in the text stand in the table of times, and errors in that of errors."""
    speed, accuracy = ((DOCS / f"{name}.md").read_text() for name in ("speed", "accuracy"))
    text = PAGE.split("## Speed")[1].split("- **Cumulative")[0]
    times = re.findall(r"([\d.]+) µs", text)
    assert len(times) > 8
    assert [time for time in times if not re.search(rf" {time} (µs|\|)", speed)] == []
    text = PAGE.split("**Cumulative sums.**")[1].split("- **")[0]
    times = re.findall(r"([\d.]+)(?= ns| and)", text)
    assert len(times) > 6
    assert set(map(float, times)) <= _times_of_scans()
    text = PAGE.split("<!-- end of accuracy -->")[1].split("## Speed")[0]
    errors = re.findall(r"\d\.\d\d\b", text.replace("1.63 million", ""))
    assert len(errors) > 6
    assert [error for error in errors if f" {error} |" not in accuracy] == []
    assert "1.63e+06" in accuracy


def _times_of_scans() -> set[float]:
    """Return the nanoseconds of each of 10^7 cumulative sums, to three digits."""
    results = json.loads((DOCS.parent / "benchmarks/results/family.json").read_text())["results"]
    return {
        float(f"{time:.3g}")
        for result in results
        if result["what"].startswith("logcumsumexp of 1e+07 numbers")
        for time in result["nanoseconds_each"].values()
    }
