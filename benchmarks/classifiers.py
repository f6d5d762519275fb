"""Compare with scikit-learn's own log-probabilities: ``python -m benchmarks.classifiers``.

Writes docs/classifiers.md: every classifier near its training samples and far from them, the less
probable of two classes, scikit-learn's checks of estimators, cross-validated losses, and times.
"""

from __future__ import annotations

import collections
import os
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

os.environ["SCIPY_ARRAY_API"] = "1"  # before SciPy is imported

import array_api_compat as compat
import mpmath as mp
import numpy as np
import sklearn
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_iris,
    load_wine,
    make_classification,
)
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from agnostic_lse.sklearn import (
    LogPoolClassifier,
    LogProbabilityClassifier,
    LogProbabilityTransformer,
    LogSoftmaxTransformer,
    LogSumExpTransformer,
    log_proba,
    log_proba_source,
    neg_log_loss_scorer,
)
from benchmarks.measure import Progress
from benchmarks.report import ROOT
from tests.backends import make_array
from tests.classifier_references import cases, fit_case, near_and_far, reference_log_proba
from tests.test_metaestimators import DISPATCHING, RUNS, pipelines, run

PAGE = ROOT / "docs" / "classifiers.md"
ROWS = 100_000


def joined(outputs: Any) -> Any:
    """Return all numbers of one output or of several."""
    return np.concatenate(
        [np.ravel(each) for each in (outputs if isinstance(outputs, list) else [outputs])]
    )


def own(estimator: Any, rows: Any) -> Any:
    """Return what scikit-learn has: its predict_log_proba, or the logarithm of predict_proba."""
    if hasattr(estimator, "predict_log_proba"):
        return joined(estimator.predict_log_proba(rows))
    return np.log(joined(estimator.predict_proba(rows)))


def counted(function: Callable[..., Any], *given: Any) -> tuple[Any, int]:
    """Return what a function gives, and how many warnings it gave of numbers."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        found = function(*given)
    return found, sum(issubclass(each.category, RuntimeWarning) for each in heard)


def lost(x: Any) -> int:
    return int(np.sum(np.isneginf(x) | np.isnan(x)))


def table_row(line: list[Any]) -> str:
    return f"| {' | '.join(map(str, line))} |"


def every_classifier() -> Iterator[str]:
    """Give the lines of the table over all classifiers."""
    yield table_row(["classifier", "2 near", "2 far", "3 near", "3 far", "warnings", "off", "rule"])
    yield "|---|--:|--:|--:|--:|--:|--:|---|"
    samples = {n: near_and_far(n) for n in (2, 3)}
    known = {n: dict(cases(n)) for n in (2, 3)}
    names = list(dict.fromkeys([*known[2], *known[3]]))
    progress = Progress(len(names), "classifiers")
    total: collections.Counter[str] = collections.Counter()
    for name in names:
        cells, warned, warned_us, off, rule = [], 0, 0, 0.0, ""
        for n_classes in (2, 3):
            if name not in known[n_classes]:
                cells += ["-", "-"]
                continue
            X, y, *places = samples[n_classes]
            estimator = fit_case(name, clone(known[n_classes][name]), X, y)
            rule = log_proba_source(estimator).partition(": ")[2]
            for rows in places:
                before, theirs = counted(own, estimator, rows)
                out, ours = counted(log_proba, estimator, rows)
                out = joined(out)
                true = joined(reference_log_proba(estimator, rows))
                true = np.where(np.isnan(true), -np.inf, true)
                with np.errstate(all="ignore"):
                    difference = np.where(out == true, 0, np.abs(out - true) / np.abs(true))
                off = max(off, difference.max())
                warned, warned_us = warned + theirs, warned_us + ours
                cells.append(f"{lost(before)} → {lost(out)}")
                total["theirs"] += lost(before)
                total["ours"] += lost(out)
                total["true"] += lost(true)
        cells += [f"{warned} → {warned_us}", f"{off:.0e}" if off else "0", rule]
        yield table_row([name, *cells])
        progress.step(name)
    theirs, ours, true = (total[whose] for whose in ("theirs", "ours", "true"))
    yield f"\nIn all {theirs} of scikit-learn's are -inf or nan, {ours} of ours, {true} in truth."


def complements() -> Iterator[str]:
    """Give the lines of the table over margins."""
    yield table_row(["margin", "dtype", "scikit-learn", "ours", "truth"])
    yield "|--:|---|--:|--:|--:|"
    for dtype in ("float64", "float32"):
        for margin in (20, 34, 37, 700, 1e5):
            model = LogisticRegression().fit(np.array([[-1.0], [1.0]]), [0, 1])
            model.coef_, model.intercept_ = np.ones((1, 1), dtype), np.zeros(1, dtype)
            row = np.array([[margin]], dtype)
            with np.errstate(all="ignore"):
                theirs = model.predict_log_proba(row)[0, 0]
            with mp.workdps(40):
                truth = -mp.log1p(mp.exp(mp.mpf(margin)))
                text = mp.nstr(truth, 17 if dtype == "float64" else 9)
            cells = [f"{margin:g}", dtype, str(theirs), str(log_proba(model, row)[0, 0]), text]
            yield table_row(cells)


def checks() -> Iterator[str]:
    """Give the lines of the table over scikit-learn's checks."""
    yield table_row(["estimator", "passed", "skipped", "failed, as expected"])
    yield "|---|--:|--:|---|"
    members = [("a", LogisticRegression()), ("b", GaussianNB())]
    estimators = [
        LogSoftmaxTransformer(),
        LogSumExpTransformer(),
        LogProbabilityClassifier(LogisticRegression()),
        LogProbabilityClassifier(GaussianNB()),
        LogProbabilityTransformer(LogisticRegression()),
        LogProbabilityTransformer(GaussianNB(), cv=2),
        LogPoolClassifier(members),
        LogPoolClassifier(members, pool="log"),
    ]
    for estimator in estimators:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = check_estimator(estimator, on_fail=None, on_skip=None)
        count = collections.Counter(each["status"] for each in found)
        failed = sorted({each["check_name"] for each in found if each["status"] == "failed"})
        text = " ".join(str(estimator).split())
        yield table_row([f"`{text}`", count["passed"], count["skipped"], ", ".join(failed) or "-"])


def cross_validation() -> Iterator[str]:
    """Give the lines of the table over the bundled data sets."""
    yield table_row(["data", "classifier", "scikit-learn's neg_log_loss", "exact"])
    yield "|---|---|--:|--:|"
    data = {
        "iris": load_iris,
        "wine": load_wine,
        "breast cancer": load_breast_cancer,
        "digits": load_digits,
    }
    models = {
        "LogisticRegression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        "GaussianNB": GaussianNB(),
        "KNeighborsClassifier": KNeighborsClassifier(),
    }
    for title, load in data.items():
        X, y = load(return_X_y=True)
        for name, model in models.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                theirs = cross_val_score(model, X, y, scoring="neg_log_loss").mean()
                exact = LogProbabilityClassifier(model)
                ours = cross_val_score(exact, X, y, scoring=neg_log_loss_scorer).mean()
            yield table_row([title, name, f"{theirs:.6f}", f"{ours:.6f}"])


def namespaces() -> Iterator[str]:
    """Give the lines of the table over array libraries."""
    yield table_row(["after StandardScaler", *RUNS])
    yield "|---|" + "---|" * len(RUNS)
    X, y = load_iris(return_X_y=True)
    for name in DISPATCHING:
        cells = []
        for backend in RUNS:
            if backend.missing():
                cells.append("not tried: none here")
                continue
            place = partial(make_array, backend, backend.namespace())
            with warnings.catch_warnings(), config_context(array_api_dispatch=True):
                warnings.simplefilter("ignore")
                outs = [run(clone(model), place(X), place(y)) for model in pipelines(name)]
            stays = all(
                compat.array_namespace(out) is compat.array_namespace(place(X))
                and compat.device(out) == compat.device(place(X))
                for out in outs
            )
            cells.append("stays" if stays else "leaves")
        yield table_row([name, *cells])


def overhead() -> Iterator[str]:
    """Give the lines of the table over times, the least of seven in turn."""
    yield table_row(["classifier", "classes", "scikit-learn", "log_proba", "ratio"])
    yield "|---|--:|--:|--:|--:|"
    ways: tuple[Callable[[Any, Any], Any], ...] = (own, log_proba)
    for n_classes in (2, 5):
        X, y = make_classification(ROWS, 20, n_informative=10, n_classes=n_classes, random_state=0)
        for model in (LogisticRegression(), HistGradientBoostingClassifier(max_iter=50)):
            model.fit(X[:5000], y[:5000])
            best = [np.inf, np.inf]
            for _ in range(7):
                for i, way in enumerate(ways):
                    start = time.perf_counter()
                    way(model, X)
                    best[i] = min(best[i], time.perf_counter() - start)
            times = [f"{1e3 * seconds:.1f} ms" for seconds in best]
            yield table_row([type(model).__name__, n_classes, *times, f"{best[1] / best[0]:.2f}"])


SECTIONS: dict[str, tuple[Callable[[], Iterator[str]], str]] = {
    "Every classifier": (
        every_classifier,
        """\
Fitted to 80 samples of four clusters, and asked for 20 between them (near) and 10 at a hundred to
ten thousand times their spread (far), with two and three classes. Each cell counts entries that are
-inf or nan: scikit-learn's → ours, which all are -inf in truth. Where scikit-learn has no
`predict_log_proba`, the logarithm of its `predict_proba` stands for it. *Off* is the largest
relative difference of ours from a reference of 60 digits, made from the same scores. Gaussian
processes sum coefficients of some thousands in `predict_proba`; nothing better is known.""",
    ),
    "The less probable class": (
        complements,
        """\
Of two classes scikit-learn computes one probability as 1 - p. The log-probability of the less
probable one, for `LogisticRegression`:""",
    ),
    "scikit-learn's checks": (
        checks,
        """\
`check_estimator`, those of array namespaces among them. Out of fold, `fit_transform` differs from
`transform` on purpose. `GaussianNB` itself takes no samples and classes from two namespaces. The
first two transformers keep no arrays from their fit, so that they need not refuse others.""",
    ),
    "Namespaces": (
        namespaces,
        """\
Under `array_api_dispatch`, a `StandardScaler` and a classifier in `LogProbabilityClassifier`,
`LogPoolClassifier` and `LogProbabilityTransformer`, out of fold too, from samples to
log-probabilities and predictions. The rest of scikit-learn does not run on JAX and Dask, whoever is
at the end.""",
    ),
    "Cross-validation": (
        cross_validation,
        """\
Means of five folds. They part where the true class has a probability below the 2.2e-16 at which
scikit-learn clips: a little where few have, altogether where no neighbour votes for it, and the
loss is infinite.""",
    ),
    "Time": (
        overhead,
        f"""\
For {ROWS:,} rows of 20 features, beside `predict_log_proba`, or the logarithm of `predict_proba`
where there is none; the least of seven times, in turn.""",
    ),
}


def page() -> str:
    """Return the page."""
    made = "`python -m benchmarks.classifiers` makes this page anew."
    lines = ["# Classifiers", "", f"Beside scikit-learn {sklearn.__version__}; {made}"]
    for title, (rows, text) in SECTIONS.items():
        lines += ["", f"## {title}", "", text, "", *rows()]
    return "\n".join(lines) + "\n"


def main(out: Path = PAGE) -> None:
    """Write the page."""
    out.write_text(page())
    print(f"{out} written")


if __name__ == "__main__":
    main()
