"""What the benchmarks say of themselves; no test asserts a time."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import pytest

import agnostic_lse
from agnostic_lse._timing import Effort, Way, fastest
from benchmarks import gpu, report, scaling_report
from benchmarks.measure import RESULTS
from tests.backends import Backend, available_package


def stored(name: str) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((report.ROOT / RESULTS / f"{name}.json").read_text())
    return results


def others() -> dict[str, Any]:
    there = [name for name in report.SECTIONS if (report.ROOT / RESULTS / f"{name}.json").exists()]
    return {name: stored(name) for name in there}


def test_readme_says_what_was_measured() -> None:
    text = report.README.read_text()
    assert report.PLACE.search(text)
    assert text == report.written(text, stored("speed"), others())


def test_page_says_what_was_measured() -> None:
    page = report.page(stored("speed"), others())
    assert page == report.PAGE.read_text()


def test_results_describe_the_machine_but_not_whose_it_is() -> None:
    results = stored("speed")
    assert {"processor", "cores", "caches", "flags", "memory_gib", "versions"} <= results.keys()
    assert "/" not in json.dumps({k: v for k, v in results.items() if k != "left_out"})


def test_all_ways_take_turns() -> None:
    calls: list[str] = []

    def clock(way: Way, _: int) -> float:
        way.call()
        return 1.0

    ways = {name: Way(partial(calls.append, name)) for name in "abc"}
    seconds, repeats = fastest(ways, Effort(repeats=2, seconds=0), dict.fromkeys(ways, clock))
    assert repeats == 2
    assert seconds == {"a": 1.0, "b": 1.0, "c": 1.0}
    turns = calls[-6:]
    assert sorted(turns[:3]) == sorted(turns[3:]) == ["a", "b", "c"]


def test_geometric_mean() -> None:
    assert report.geometric_mean([0.5, 2.0]) == pytest.approx(1.0)


def test_no_gpu_is_one_sentence() -> None:
    if Backend.CUPY.missing() is None:
        gpu.cupy_with_a_gpu()
        return
    with pytest.raises(SystemExit, match=r"^No GPU was found: [^.]*\.$"):
        gpu.cupy_with_a_gpu()


def test_cost_model_says_what_was_measured() -> None:
    text = scaling_report.PAGE.read_text()
    assert text == scaling_report.written(text, stored("scaling"))


@pytest.mark.parametrize("chunks", [1, 7, 100, 1000])
def test_cost_model_counts_tasks(chunks: int) -> None:
    x = available_package("dask.array").ones(chunks, chunks=1)
    graph = dict(agnostic_lse.logsumexp(x).__dask_graph__())
    assert len(graph) == scaling_report.tasks(chunks)
