"""The demo: a pipeline on handwritten digits, beside scikit-learn's own classifiers."""

from __future__ import annotations

import functools
import runpy
import statistics
import time
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.metrics import log_loss as clipped_log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from . import _libraries
from ._console import progress, say, say_json
from ._namespace import Array, to_host
from ._reductions import log_softmax
from .sklearn import LogProbabilityClassifier, log_loss

# Pixels 100 times as bright are what a camera of 11 bits gives where the training images had 4.
GAIN = 100
# So that there is something to time
REPEATS = 200
OURS = "SoftmaxRegression (by the mixin)"
# exp of anything below is 0 in float64: half the smallest subnormal number, 2**-1075.
VANISHING = -1075 * np.log(2)
NOTES = """\
  by the mixin   a small example of what LogProbabilityMixin makes of a model's scores
  wrapped        the same fitted model inside LogProbabilityClassifier: one line more
  warnings       those of predict_log_proba
  clipped        scikit-learn's log_loss: it takes a probability below 2.2e-16 for 2.2e-16, so that
                 no image costs more than 36, however wrong the model is
  exact          the same mean, of the logarithms themselves
  SGDClassifier  learns each digit against the rest: on bright images several of its ten
                 probabilities round to 1 before they are normalised, and count as equal; where all
                 round to 0, scikit-learn makes them 1/10, or nan before its version 1.9"""


@dataclass
class Outcome:
    """What one model says of one set of images."""

    model: str
    log_proba: np.ndarray[Any, np.dtype[np.float64]]
    accuracy: float
    warnings: int
    clipped_loss: float
    exact_loss: float

    @property
    def vanished(self) -> int:
        """The number of entries that are -inf."""
        return int(np.isneginf(self.log_proba).sum())

    @property
    def nans(self) -> int:
        """The number of entries that are nan."""
        return int(np.isnan(self.log_proba).sum())

    def as_dict(self) -> dict[str, Any]:
        """Return what the tables show."""
        return {
            "model": self.model,
            "accuracy": float(self.accuracy),
            "minus_inf": self.vanished,
            "nan": self.nans,
            "warnings": self.warnings,
            "clipped_loss": float(self.clipped_loss),
            "exact_loss": float(self.exact_loss),
        }


@dataclass
class Run:
    """One array library's log-probabilities, beside NumPy's, which have no `roundoffs`."""

    library: str
    device: str
    roundoffs: float | None
    seconds: float


def run(out: Path, as_json: bool = False) -> None:
    """Run the demo, print its tables and draw its picture."""
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, random_state=0, stratify=y
    )
    models = dict(_fitted(X_train, y_train))
    held_out = [_outcome(name, model, X_test, y_test) for name, model in models.items()]
    bright = [_outcome(name, model, GAIN * X_test, y_test) for name, model in models.items()]
    wrapped = [
        _outcome(f"wrapped {name}", _wrapped(model), GAIN * X_test, y_test)
        for name, model in models.items()
        if name != OURS
    ]
    pipeline = models[OURS]
    scores = pipeline[-1].predict_joint_log_proba(pipeline[:-1].transform(GAIN * X_test))
    if as_json:
        _draw(bright, out)
        plain, scaled = "as they are", f"{GAIN} times as bright"
        outcomes = [*((plain, o) for o in held_out), *((scaled, o) for o in bright + wrapped)]
        runs = list(_runs(np.tile(scores, (REPEATS, 1))))
        say_json(
            {
                "outcomes": [{"images": images} | o.as_dict() for images, o in outcomes],
                "runs": [asdict(run) for run in runs if isinstance(run, Run)],
                "left_out": [reason for reason in runs if isinstance(reason, str)],
                "picture": str(out),
            }
        )
        return

    say(f"Log-probabilities of {len(y_test)} handwritten digits that no model has seen\n")
    _print_outcomes("as they are", held_out)
    _print_outcomes(f"{GAIN} times as bright", bright)
    _print_outcomes(f"{GAIN} times as bright, wrapped", wrapped)
    ours, same_weights = bright[0], bright[1]
    say(
        f"{same_weights.model} and {ours.model.split()[0]} have the same weights. On the bright "
        f"images\n{same_weights.vanished} of {ours.log_proba.size} logarithms of the former are "
        f"-inf, and {ours.vanished} of the latter.\n\n{NOTES}"
    )
    _print_runs(scores)
    _draw(bright, out)
    say(f"\nPicture: {out}")


def _fitted(X: Array, y: Array) -> Iterator[tuple[str, Pipeline]]:
    for name, classifier in (
        (OURS, _example_classifier()),
        ("LogisticRegression", LogisticRegression(max_iter=2000)),
        ("SGDClassifier", SGDClassifier(loss="log_loss", random_state=0)),
        ("MLPClassifier", MLPClassifier(max_iter=1000, random_state=0)),
    ):
        with progress(f"Fitting {name.split()[0]}"):
            model = make_pipeline(StandardScaler(), classifier).fit(X, y)
        yield name, model


def _wrapped(model: Pipeline) -> LogProbabilityClassifier:
    """Return a fitted model with exact log-probabilities; one to fit would go in as it is."""
    return LogProbabilityClassifier(FrozenEstimator(model)).fit(None, None)


def _example_classifier() -> Any:
    """Return the classifier of ``examples/``, which a wheel carries inside the package."""
    here = Path(__file__).parent
    folders = (here.parents[1] / "examples" / "classifiers", here / "_examples")
    path = next(path for folder in folders if (path := folder / "digits_classifier.py").exists())
    return runpy.run_path(str(path))["SoftmaxRegression"]()


def _outcome(name: str, model: Any, X: Array, y: Array) -> Outcome:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        log_proba = model.predict_log_proba(X)
        of_log_proba = len(caught)
        proba = model.predict_proba(X)
        accuracy = model.score(X, y)
    return Outcome(
        model=name,
        log_proba=log_proba,
        accuracy=accuracy,
        warnings=of_log_proba,
        # scikit-learn's refuses nan.
        clipped_loss=np.nan if np.isnan(proba).any() else clipped_log_loss(y, proba),
        exact_loss=log_loss(y, log_proba),
    )


def _print_outcomes(images: str, outcomes: list[Outcome]) -> None:
    say(f"Images {images}: {outcomes[0].log_proba.size} log-probabilities of each model")
    say(
        f"  {'model':<34}{'accuracy':>9}{'-inf':>7}{'nan':>6}{'warnings':>10}"
        f"{'log-loss, clipped':>19}{'exact':>9}"
    )
    for row in outcomes:
        say(
            f"  {row.model:<34}{row.accuracy:>9.3f}{row.vanished:>7}{row.nans:>6}{row.warnings:>10}"
            f"{row.clipped_loss:>19.3f}{row.exact_loss:>9.3f}"
        )
    say("")


def _print_runs(scores: Array) -> None:
    repeated = np.tile(scores, (REPEATS, 1))
    runs = list(_runs(repeated))
    say(
        f"\nlog_softmax of the scores of the {len(scores)} bright images, {REPEATS} times over: "
        f"{len(repeated)} rows, float64\n"
        "(differences from NumPy's result, in units of roundoff: 1.1e-16 of the value)\n"
        f"  {'array library':<30}{'device':<28}{'largest difference':>20}{'time':>12}"
    )
    for entry in runs:
        if isinstance(entry, str):
            say(f"  {entry}")
        else:
            difference = "(reference)" if entry.roundoffs is None else f"{entry.roundoffs:.1f}"
            say(
                f"  {entry.library:<30}{entry.device:<28}{difference:>20}"
                f"{entry.seconds * 1e3:>9.1f} ms"
            )


def _runs(scores: np.ndarray[Any, Any]) -> Iterator[Run | str]:
    """Yield what each array library gives, GPUs first, or why it gives nothing."""
    expected = log_softmax(scores, axis=1)
    for name in _libraries.NAMES:
        if missing := _libraries.missing(name):
            yield f"{name}: left out, {missing}"
            continue
        with progress(f"Running {name}"):
            try:
                with _libraries.opened(name) as library:
                    actual, seconds = _timed(library, scores)
            except _libraries.NoDeviceError as error:
                yield f"{name}: left out, {error}"
                continue
        roundoffs = None if name == "NumPy" else _roundoffs(actual, expected)
        yield Run(f"{name} {_libraries.version(name)}", library.device, roundoffs, seconds)


def _roundoffs(actual: Array, expected: Array) -> float:
    """Return the largest difference in units of roundoff, relative to the value.

    Numbers below the smallest normal one count as 0, as they do to some of the libraries.
    """
    info = np.finfo(float)
    off = np.maximum(np.abs(to_host(actual) - expected) - info.tiny, 0)
    return float(np.max(off / np.maximum(np.abs(expected), info.tiny)) / (info.eps / 2))


def _timed(library: _libraries.Library, scores: np.ndarray[Any, Any]) -> tuple[Array, float]:
    """Return the result and the median time of five calls after a first."""
    x = library.put(scores)
    function = library.compiled(functools.partial(log_softmax, axis=1))
    out = library.finished(function(x))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        library.finished(function(x))
        seconds.append(time.perf_counter() - start)
    return out, statistics.median(seconds)


def _draw(outcomes: list[Outcome], out: Path) -> None:
    """Draw every log-probability of every model, from the largest to the smallest."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ours, same_weights = outcomes[0], outcomes[1]
    entries = ours.log_proba.size
    lowest = float(ours.log_proba.min())
    figure = Figure(figsize=(9, 5.4), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.axhspan(1.05 * lowest, VANISHING, color="0.94", lw=0)
    axes.text(
        0.99 * entries,
        VANISHING - 0.012 * abs(lowest),
        "below -745 the probability is 0 in float64, and its logarithm -inf",
        ha="right",
        va="top",
        color="0.35",
        fontsize=9,
    )
    # Of Okabe and Ito's palette, which the colour-blind can tell apart. Ours lies on that of the
    # same weights, which is wide and pale so that all can be seen.
    styles = (("#D55E00", 2, ""), ("#A3D5F3", 5, "s"), ("#009E73", 2, "D"), ("#A0527F", 2, "o"))
    for row, (colour, width, marker) in zip(outcomes, styles, strict=True):
        descending = np.sort(row.log_proba, axis=None)[::-1]
        lost = f"{row.vanished} of {entries} are -inf" if row.vanished else "none is -inf"
        axes.plot(
            descending[np.isfinite(descending)],
            color=colour,
            lw=width,
            marker=marker,
            markevery=[-1],
            markersize=6 + width / 2,
            zorder=3 if row is ours else 2 - width / 10,
            label=f"{row.model}: {lost}" + (f", {row.nans} nan" if row.nans else ""),
        )
    axes.legend(
        title="a mark ends a curve: what follows is -inf",
        alignment="left",
        loc="lower left",
        frameon=False,
        labelspacing=0.7,
        handlelength=3,
    )
    several = outcomes[2]
    axes.annotate(
        f"{several.model}: each digit against the rest,\n"
        "so that several probabilities of an image round to 1\n"
        "before they are normalised",
        xy=(float((several.log_proba > VANISHING / 2).sum()), VANISHING / 2),
        xytext=(12, 0),
        textcoords="offset points",
        va="center",
        color=styles[2][0],
        fontsize=9,
    )
    axes.set_xlim(0, 1.01 * entries)
    axes.set_ylim(1.05 * lowest, 0.02 * abs(lowest))
    axes.set_xlabel(f"the {entries} log-probabilities of each model, largest first")
    axes.set_ylabel("log-probability")
    axes.set_title(
        f"With the weights of {ours.model.split()[0]}, {same_weights.model} loses "
        f"{same_weights.vanished / entries:.0%} of its log-probabilities\n"
        f"({entries // 10} handwritten digits, {GAIN} times as bright)",
        loc="left",
        fontsize=11,
    )
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(out)
