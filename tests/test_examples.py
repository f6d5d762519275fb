"""The examples that need no engine run, each in a process of its own, and print true numbers.

Those for engines are in `test_engine_examples.py`, that for a cluster is in `test_cluster.py`.
"""

from __future__ import annotations

import itertools
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from mpmath import mp

from tests.backends import available_package

FOLDER = Path(__file__).parents[1] / "examples"
FOLDERS = {"classics", "classifiers", "larger_than_memory"}
# More threads than a loaded machine has processors take many times as long.
ENVIRONMENT = os.environ | {
    "MPLBACKEND": "agg",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def printed(name: str) -> str:
    """Return what an example prints, which must end well and warn of nothing."""
    available_package("matplotlib")
    available_package("scipy")
    warnings = ("-W", "error", "-W", "ignore:FigureCanvasAgg is non-interactive:UserWarning")
    done = subprocess.run(
        (sys.executable, *warnings, str(FOLDER / f"{name}.py")),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def numbers(text: str, pattern: str) -> list[float]:
    """Return the numbers that one line prints, where the pattern has its groups."""
    found = re.findall(pattern, text)
    assert len(found) == 1, f"{pattern} is {len(found)} times in:\n{text}"
    groups = found[0] if isinstance(found[0], tuple) else found
    return [float(group) for group in groups]


def titled() -> list[Path]:
    return sorted(FOLDER.rglob("*.py"))


def test_folders_have_headers() -> None:
    assert {path.parent.name for path in titled()} == FOLDERS
    for folder in (FOLDER, *(FOLDER / name for name in FOLDERS)):
        lines = (folder / "GALLERY_HEADER.rst").read_text(encoding="utf-8").splitlines()
        assert len(lines[0]) == len(lines[1])


@pytest.mark.parametrize("path", titled(), ids=lambda path: path.stem)
def test_page_is_titled_and_says_how_to_run_it(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0] == '"""'
    assert lines[2] == "=" * len(lines[1])
    docstring = "\n".join(lines[: lines.index('"""', 1)])
    assert f"{path.relative_to(FOLDER.parent)}" in docstring


@pytest.fixture(scope="module")
def softmax_printed() -> str:
    return printed("classics/softmax_denominator")


class TestSoftmax:
    def test_numbers(self, softmax_printed: str) -> None:
        out = softmax_printed
        with mp.workdps(50):
            exact = [float(v) for v in (mp.log1p(mp.exp(-40)), mp.log1p(mp.exp(-20)))]
            loss = float(1000 + mp.log(1 + mp.exp(-1) + mp.exp(-1000)))
        assert numbers(out, r"float64, gap 40\.0: .* exact (\S+)") == [
            pytest.approx(-exact[0], rel=1e-4)
        ]
        assert numbers(out, r"float32, gap 20\.0: .* exact (\S+)") == [
            pytest.approx(-exact[1], rel=1e-4)
        ]
        assert numbers(out, r"loss: (\S+), exact: (\S+)\n") == [
            math.inf,
            pytest.approx(loss, abs=1e-4),
        ]
        assert "gradient: [nan nan nan], exact: [ 0.7311  0.2689 -1.    ]" in out
        clipped = -math.log(np.finfo(float).eps)
        assert numbers(out, r"gap of 1000: loss (\S+), clipped (\S+),") == [
            1000.0,
            pytest.approx(clipped, abs=1e-4),
        ]
        # The smallest gap at which half of the smallest number is not reached
        assert numbers(out, r"from a gap of (\d+) on") == [math.ceil(1075 * math.log(2))]

    def test_clipping_stops_learning(self, softmax_printed: str) -> None:
        rows = [
            numbers(softmax_printed, name + r" +loss +(\S+) -> +(\S+), accuracy (\S+)")
            for name in ("clipped at 1e-7", r"clipped at 2\.2e-16", "log_softmax")
        ]
        first, last, accuracy = zip(*rows, strict=True)
        assert len(set(first)) == 1
        assert last[2] < 1 < 50 < last[1] < last[0]
        assert accuracy[2] > 0.9 > 0.6 > accuracy[1] > accuracy[0]


def test_mixture_log_likelihood() -> None:
    out = printed("classics/mixture_log_likelihood")
    assert "log-likelihood: -inf\n" in out
    assert "responsibilities of the first sample: [nan nan nan]\n" in out
    (true,) = numbers(out, r"log-likelihood: (-\d+\.\d{6})\n")
    before, after = numbers(out, r"log-likelihood: (\S+) at first, (\S+) after 30 rounds")
    assert before < true < after  # the maximum is above the truth on the same samples
    # The entropy of a Gaussian, half of log(2 pi e) and the log-spread for each of 800 dimensions,
    # weighted by the shares; groups that lie apart add that of the shares.
    shares, spreads = np.asarray([0.5, 0.3, 0.2]), np.asarray([1.0, 1.05, 1.1])
    entropy = 800 * (math.log(2 * math.pi * math.e) / 2 + shares @ np.log(spreads))
    assert true == pytest.approx(-entropy + shares @ np.log(shares), abs=2)
    (dimensions,) = numbers(out, r"finite up to (\d+) dimensions")
    assert 400 < dimensions < 1075 * math.log(2) / (entropy / 800) < dimensions + 100
    weights = numbers(out, r"weights: \[(\S+) (\S+) (\S+)\]")
    np.testing.assert_allclose(sorted(weights), sorted(shares), atol=0.03)
    found = numbers(out, r"spreads: \[(\S+) (\S+) (\S+)\]")
    np.testing.assert_allclose(sorted(found), sorted(spreads), atol=0.01)
    assert numbers(out, r"adjusted Rand index with the true groups: (\S+)")[0] > 0.95
    assert numbers(out, r"largest relative difference from score_samples: (\S+)")[0] < 1e-14


def energies_of_4_by_4() -> list[int]:
    """Return the energy of each state by plain loops, and how many states have it, by energy."""
    counts = dict.fromkeys(range(-32, 33), 0)
    bonds = [
        (4 * i + j, 4 * k % 16 + m % 4)
        for i, j in itertools.product(range(4), repeat=2)
        for k, m in ((i + 1, j), (i, j + 1))
    ]
    masks = [(1 << a, 1 << b) for a, b in bonds]
    for state in range(2**16):
        unlike = sum(bool(state & a) != bool(state & b) for a, b in masks)
        counts[2 * unlike - 32] += 1
    return [counts[energy] for energy in range(-32, 33)]


def test_ising() -> None:
    out = printed("classics/ising_partition_function")
    counts = energies_of_4_by_4()
    critical = 2 / math.log(1 + math.sqrt(2))
    for temperature in (0.04, 1.0, critical):
        with mp.workdps(50):
            z = sum(
                n * mp.exp(-energy / mp.mpf(temperature))
                for n, energy in zip(counts, range(-32, 33), strict=True)
            )
            exact = float(mp.log(z))
        place = rf"4 x 4, T = {temperature:.4f}: log Z = (\S+), by the "
        summed, naive = numbers(out, place + r"formula (\S+)")
        assert [summed, *numbers(out, place + "transfer")] == pytest.approx([exact] * 2, rel=1e-12)
        assert math.isinf(naive) if temperature == 0.04 else naive == pytest.approx(exact)

    rows, log_z = numbers(out, r"6 x (\d+): log Z = (\S+), and infinite for all longer")
    (endless,) = numbers(out, r"the largest eigenvalue gives (\S+) a spin")
    largest = math.log(np.finfo(float).max)
    assert log_z < largest < log_z + 6 * endless
    assert log_z / rows / 6 == pytest.approx(endless, rel=1e-3)
    million, a_spin = numbers(out, r"6 x 1000000: log Z = (\S+), (\S+) a spin")
    assert a_spin == pytest.approx(endless, abs=1e-9)
    assert million / 6e6 == pytest.approx(endless, rel=1e-9)
    # Onsager's value of the infinite lattice, log(2)/2 + 2G/pi with Catalan's constant G
    onsager = math.log(2) / 2 + 2 * float(mp.catalan) / math.pi
    assert 0 < endless - onsager < 0.01

    # The variance of the energy, from the same counts
    (peak, at) = numbers(out, r"4 x 4: peak of (\S+) at T = (\S+)")
    energy = np.arange(-32.0, 33)
    shares = np.asarray(counts) * np.exp(-(energy + 32) / at)
    shares /= shares.sum()
    mean = shares @ energy
    assert peak == pytest.approx(shares @ (energy - mean) ** 2 / at**2 / 16, abs=1e-4)


def test_hidden_markov() -> None:
    out = printed("classics/hidden_markov_scan")
    change, faces = [[0.95, 0.05], [0.1, 0.9]], [[1 / 6] * 6, [0.1] * 5 + [0.5]]
    rng = np.random.default_rng(0)
    states, state = [], rng.choice(2, p=[0.5, 0.5])
    for _ in range(10_000):
        states.append(state)
        state = rng.choice(2, p=change[state])
    rolls = [rng.choice(6, p=faces[state]) for state in states]
    # mpmath's exponents have no bounds, so that the forward algorithm does as it is.
    forward = [mp.mpf(0.5) * faces[state][rolls[0]] for state in (0, 1)]
    likelihoods = [sum(forward)]
    for roll in rolls[1:]:
        forward = [sum(forward[i] * change[i][j] for i in (0, 1)) * faces[j][roll] for j in (0, 1)]
        likelihoods.append(sum(forward))
    exact = [float(mp.log(likelihood)) for likelihood in likelihoods]
    (last,) = numbers(out, r"likelihood of (\d+) rolls: [^,]+, of \d+: 0\.0\n")
    assert exact[int(last) - 1] > -1076 * math.log(2) > exact[int(last) + 1]
    value, naive = numbers(out, rf"log-likelihood of {last:.0f} rolls: (\S+), naive (\S+)")
    assert value == pytest.approx(exact[int(last) - 1], abs=1e-6)
    assert value != pytest.approx(naive, abs=1e-3)  # of which few bits were left
    whole = numbers(out, r"log-likelihood of 10000 rolls: (\S+), naive (\S+)")
    assert whole == [pytest.approx(exact[-1], abs=1e-6), -math.inf]
    assert numbers(out, r"by scaling: (\S+),") == [pytest.approx(exact[-1], abs=1e-6)]
    (right,) = numbers(out, r"named rightly at (\S+)% of all rolls")
    assert 100 * (1 - np.mean(states)) < right < 100


def test_attention_on_a_graph() -> None:
    datasets = available_package("sklearn.datasets")
    out = printed("classics/attention_on_a_graph")
    X, y = datasets.load_digits(return_X_y=True)
    loss, lonely, zero = [], 0, 0
    products = X @ X.T  # of integers, and exact
    sizes = np.diagonal(products)
    for i in range(len(X)):
        squared = sizes + sizes[i] - 2 * products[i]
        squared[i] = np.inf
        near = squared < 36**2
        squared, same = squared[near], (y == y[i])[near]
        lonely += bool(np.all(np.exp(-squared) == 0))
        zero += bool(np.any(np.exp(-squared) > 0) and np.all(np.exp(-squared[same]) == 0))
        closest = squared[same].min(), squared.min()
        sums = [
            np.sum(np.exp(least - some))
            for least, some in zip(closest, (squared[same], squared), strict=True)
        ]
        loss.append(closest[0] - closest[1] - math.log(sums[0] / sums[1]))
    assert numbers(out, r"as they are: 0/0 in (\d+) nodes, 0 in (\d+)") == [lonely, zero]
    assert min(lonely, zero) > 0
    assert numbers(out, r"exact: mean loss (\S+), the largest (\S+)\n") == [
        pytest.approx(np.mean(loss), abs=1e-6),
        pytest.approx(max(loss), abs=1e-6),
    ]
    lowest, best = numbers(out, r"lowest loss: (\S+) at temperature (\S+)")
    assert lowest < 0.05
    assert 30 < best < 150


def test_interval_censored_lifetimes() -> None:
    out = printed("classics/interval_censored_lifetimes")
    days = np.ceil(10 * np.random.default_rng(0).weibull(1.5, size=500)).astype(int)
    for scale, is_finite in (("0.1", False), ("10", True), (r"1e\+09", True), (r"1e\+13", False)):
        exact, naive = numbers(out, rf"scale {scale}: log-likelihood (\S+), by the formula (\S+)\n")
        with mp.workdps(100):
            unit = mp.mpf(scale.replace("\\", ""))
            survival = [mp.exp(-((t / unit) ** mp.mpf(1.5))) for t in range(days.max() + 1)]
            failing = [0] + [mp.log(a - b) for a, b in itertools.pairwise(survival)]
        assert exact == pytest.approx(float(sum(failing[day] for day in days)), rel=1e-9)
        assert math.isfinite(naive) == is_finite
    assert numbers(out, r"formula: from \S+ \S+ to scale (\S+), shape (\S+)\n") == [0.1, 1.5]
    best_scale, best_shape = numbers(out, r"logsubexp: from \S+ \S+ to scale (\S+), shape (\S+)\n")

    def log_likelihood(scale: float, shape: float) -> float:
        survival = np.exp(-((np.arange(days.max() + 1) / scale) ** shape))
        return float(np.sum(np.log(survival[days - 1] - survival[days])))

    best = log_likelihood(best_scale, best_shape)
    for change in (0.99, 1.01):  # all around, the likelihood is smaller
        assert log_likelihood(best_scale * change, best_shape) < best
        assert log_likelihood(best_scale, best_shape * change) < best


def test_importance_weighted_bound() -> None:
    stats = available_package("scipy.stats")
    out = printed("classics/importance_weighted_bound")
    rng = np.random.default_rng(0)
    W = rng.normal(scale=0.1, size=(1000, 4))
    x = W @ rng.normal(size=4) + rng.normal(size=1000)
    exact = stats.multivariate_normal(np.zeros(1000), W @ W.T + np.eye(1000)).logpdf(x)
    assert numbers(out, "exact log-evidence: (.+)\n") == [pytest.approx(exact, abs=1e-6)]
    assert "by the formula: -inf" in out

    bounds, gaps = np.asarray(re.findall(r"K = +\d+: bound (\S+), gap (\S+)", out), float).T
    assert len(bounds) == 6
    assert np.all(np.diff(bounds) > 0)
    assert np.all(bounds < exact)
    np.testing.assert_allclose(exact - bounds, gaps, atol=1e-2)
    divergence, half = numbers(out, r"exact: gap (\S+) for K = 1, about (\S+) / K")
    # Both again, by eigenvalues: those of the posterior's precision as the proposal sees it
    precision = np.eye(4) + W.T @ W
    spread = 2 / np.sqrt(np.diag(precision))
    seen = np.linalg.eigvalsh(precision * np.outer(spread, spread))
    assert divergence == pytest.approx(np.sum(seen - 1 - np.log(seen)) / 2, abs=1e-4)
    second = np.prod(seen / np.sqrt(2 * seen - 1))
    assert half == pytest.approx((second - 1) / 2, abs=0.01)
    assert gaps[0] == pytest.approx(divergence, rel=0.02)
    assert gaps[2:4] * [1e2, 1e3] == pytest.approx([half] * 2, rel=0.1)

    (estimate,) = numbers(out, r"K = 10000000: (\S+), off")
    assert estimate == pytest.approx(exact, abs=5 * math.sqrt(2 * half / 1e7))


def test_digits_classifier() -> None:
    out = printed("classifiers/digits_classifier")
    assert re.search(r"^SoftmaxRegression: 0 of 10 are -inf, the smallest is -\d+\.\d$", out, re.M)
    assert re.search(r"^LogisticRegression: [1-9] of 10 are -inf, the smallest is -inf$", out, re.M)


def test_mislabelled_digits() -> None:
    out = printed("classifiers/mislabelled_digits")
    assert "8 of the 10 wrong labels" in out
    assert numbers(out, r"clipping makes (\d+) losses equal")[0] > 10
    exact, clipped = numbers(out, r"mean: (\S+), clipped: (\S+)\n")
    assert exact > clipped


def test_mixture_responsibilities() -> None:
    lines = printed("classifiers/mixture_responsibilities").splitlines()
    rows = np.asarray([line.split() for line in lines[1:]], float)
    assert rows.shape == (5, 5)
    x, exact, of_rounded = rows[:, 0], rows[:, 1], rows[:, 3]
    assert np.all(np.isfinite(exact))
    np.testing.assert_array_equal(np.isinf(of_rounded), np.abs(x) >= 100)
    np.testing.assert_allclose(exact[:2], of_rounded[:2])
    # Far away half of the difference of the precisions counts, 1 and 1/4 by the samples' spreads.
    np.testing.assert_allclose(exact[3:] / x[3:] ** 2, -(1 - 1 / 4) / 2, rtol=0.2)


def test_stacking() -> None:
    losses = [float(line.split()[-1]) for line in printed("classifiers/stacking").splitlines()[1:]]
    assert len(losses) == 2
    assert losses[0] < losses[1]
