"""The accumulator on every array library: batches, merging, checkpoints, threads."""

from __future__ import annotations

import copy
import functools
import json
import math
import pickle
import sys
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agnostic_lse import LogSumExpAccumulator, logmeanexp, logsumexp
from agnostic_lse._checkpoints import FORMAT
from agnostic_lse._running import RunningSum
from agnostic_lse._state import State
from tests.backends import Backend, available_package, make_array, to_numpy
from tests.reference import conditioned_size, log_sum, roundoffs

INF, NAN = math.inf, math.nan
SPECIAL = [-INF, INF, NAN, 0.0, -0.0, 5e-324, -1.7e308, 1.7e308, 710.0, -745.0]


def close(actual: Any, expected: Any, rtol: float = 4e-16) -> None:
    # Some libraries take what is below the normal numbers for 0.
    np.testing.assert_allclose(to_numpy(actual), expected, rtol=rtol, atol=3e-308)


def of_batches(*batches: Any, **options: Any) -> LogSumExpAccumulator:
    seen = LogSumExpAccumulator()
    for batch in batches:
        seen.update(batch, **options)
    return seen


def through_json(seen: LogSumExpAccumulator) -> LogSumExpAccumulator:
    text = json.dumps(seen.to_dict(), allow_nan=False)
    return LogSumExpAccumulator.from_dict(json.loads(text))


class TestValues:
    def test_of_one_slot(self, library: Backend, array: Any) -> None:
        x = np.random.default_rng(0).normal(scale=20, size=300)
        seen = of_batches(*(array(batch) for batch in np.split(x, [1, 7, 7, 100, 250])))
        assert seen.count == 300
        assert seen.shape == ()
        assert type(seen.value()) is type(logsumexp(array(x)))
        close(seen.value(), logsumexp(x))
        close(seen.log_mean(), logmeanexp(x))
        assert library is Backend.DASK or "count=300" in repr(seen)

    def test_of_an_array_of_slots(self, array: Any) -> None:
        x = np.random.default_rng(1).normal(scale=20, size=(30, 2, 3))
        seen = LogSumExpAccumulator((2, 3))
        for batch in np.split(x, [4, 5]):
            seen.update(array(batch), axis=0)
        assert seen.shape == (2, 3)
        assert seen.count == 30
        close(seen.value(), logsumexp(x, axis=0), 1e-15)
        close(seen.log_mean(), logmeanexp(x, axis=0), 1e-15)
        assert "shape=(2, 3)" in repr(seen)
        several = of_batches(*map(array, np.split(x, 3)), axis=(0, -1))
        close(several.value(), logsumexp(x, axis=(0, 2)), 1e-15)

    def test_of_weights(self, array: Any) -> None:
        rng = np.random.default_rng(2)
        x, b = rng.normal(scale=5, size=(2, 60))
        b[::7] = 0
        x[::7] = NAN  # of weight 0: not there
        seen = LogSumExpAccumulator()
        for place in range(0, 60, 6):
            part = slice(place, place + 6)
            seen.update(array(x[part]), b=array(b[part]))
        size, sign = logsumexp(x, b=b, return_sign=True)
        close(seen.value(return_sign=True)[0], size, 1e-14)
        close(seen.value(return_sign=True)[1], sign)
        close(seen.log_mean(), logmeanexp(x, b=b), 1e-14)
        assert seen.count == 60

    def test_of_weights_in_some_batches(self, array: Any) -> None:
        first, second = np.asarray([1.0, 2.0]), np.asarray([3.0, 4.0])
        seen = LogSumExpAccumulator().update(array(first), b=array([2.0, 0.5]))
        seen.update(array(second))
        together = np.concat((first, second)), np.asarray([2.0, 0.5, 1.0, 1.0])
        close(seen.value(), logsumexp(together[0], b=together[1]))
        close(seen.log_mean(), logmeanexp(together[0], b=together[1]))

    def test_of_complex_numbers(self, array: Any) -> None:
        rng = np.random.default_rng(3)
        x = rng.normal(size=(8, 5)) + 1j * rng.uniform(-3, 3, size=(8, 5))
        seen = of_batches(*map(array, x[1:]))
        close(seen.value(), logsumexp(x[1:]), 1e-14)
        close(seen.log_mean(), logmeanexp(x[1:]), 1e-14)
        seen.update(array([0.5]))  # a real batch, too
        close(seen.value(), logsumexp(np.append(x[1:], 0.5)), 1e-14)

    @pytest.mark.parametrize("first", SPECIAL)
    @pytest.mark.parametrize("second", SPECIAL)
    def test_special(self, array: Any, first: float, second: float) -> None:
        seen = of_batches(array([first]), array([second]))
        close(seen.value(), logsumexp([first, second]))
        signed = LogSumExpAccumulator().update(array([first]), b=array([2.0]))
        signed.update(array([second]), b=array([-1.0]))
        wanted = logsumexp([first, second], b=[2.0, -1.0], return_sign=True)
        for ours, theirs in zip(signed.value(return_sign=True), wanted, strict=True):
            close(ours, theirs)

    def test_cancelling(self, array: Any) -> None:
        seen = LogSumExpAccumulator().update(array([3.0]), b=array([1.0]))
        seen.update(array([3.0]), b=array([-1.0]))
        assert [float(to_numpy(part)) for part in seen.value(return_sign=True)] == [-INF, 0]
        seen.update(array([-40.0]))
        close(seen.value(), -40.0)

    def test_small_answers_keep_their_digits(self, array: Any) -> None:
        close(of_batches(array([0.0]), array([-40.0])).value(), 4.248354255291589e-18)
        close(of_batches(array([-40.0]), array([0.0])).value(), 4.248354255291589e-18)

    @pytest.mark.parametrize("dtype", ["float16", "float32", "int32", "bool"])
    def test_dtypes(self, library: Backend, array: Any, dtype: str) -> None:
        if dtype == "float16" and not library.knows(dtype):
            assert not library.has(dtype)
            return
        batch = array([1, 0, 1], dtype)
        seen = of_batches(batch, batch)
        assert seen.value().dtype == logsumexp(batch).dtype
        wanted = logsumexp([1.0, 0.0, 1.0] * 2)
        np.testing.assert_allclose(to_numpy(seen.value()).astype(float), wanted, rtol=1e-3)
        assert through_json(seen) == seen

    def test_dtypes_are_promoted(self, library: Backend, array: Any) -> None:
        narrow, wide = array([1.0], "float32"), array([2.0], "float64")
        for batches in ((narrow, wide), (wide, narrow)):
            assert of_batches(*batches).value().dtype == wide.dtype
        if library.is_numpy:
            halves = of_batches(np.asarray([1.0, 2.0], np.float16), [3])
            assert halves.value().dtype == np.float64

    @pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_error_does_not_grow_with_batches(self, order: str, dtype: str) -> None:
        """Many batches, and a peak that rises at each of them."""
        x = np.linspace(0, 3, 20_000, dtype=dtype)
        x = {"rising": x, "falling": x[::-1], "shuffled": np.random.default_rng(0).permutation(x)}[
            order
        ]
        seen = of_batches(*x)
        exact = log_sum(x.tolist())
        assert roundoffs(seen.value(), exact, abs(exact), dtype) <= 2

    def test_error_does_not_grow_with_merging(self) -> None:
        x = np.random.default_rng(0).normal(size=3000)
        chain = functools.reduce(LogSumExpAccumulator.merge, map(of_batches, x))
        exact = log_sum(x.tolist())
        assert roundoffs(chain.value(), exact, abs(exact), "float64") <= 2

    def test_what_is_lost_keeps_its_digits(self) -> None:
        """With eleven digits a thousand terms show what takes float32 a million."""
        half = np.float16

        def term(x: float) -> RunningSum:
            return RunningSum.of(np, State(np.asarray(x, half), np.asarray(0, half)))

        for x in (-1.17, -0.3, -2.5):
            total = RunningSum.of(np, State(np.asarray(0, half), np.asarray(1023, half)))
            with np.errstate(all="ignore"):
                for _ in range(1000):
                    total = total.joined(np, term(x))
            rest = float(total.lead) + float(total.rest) + float(total.lost)
            exact = 1024 + 1000 * math.exp(float(half(x)))
            assert abs(rest / exact - 1) <= 2 * 2.0**-11

    @settings(deadline=None, max_examples=100)
    @given(
        st.lists(st.lists(st.floats(-800, 800), max_size=6), min_size=1, max_size=12),
        st.randoms(use_true_random=False),
    )
    def test_any_batches_in_any_order(self, batches: list[list[float]], random: Any) -> None:
        arrays = [np.asarray(batch, dtype=float) for batch in batches]
        parts = [of_batches(batch) for batch in arrays]
        random.shuffle(parts)
        while len(parts) > 1:
            parts.append(parts.pop(0).merge(parts.pop(0)))
            random.shuffle(parts)
        terms = np.concat(arrays).tolist()
        assert parts[0].count == len(terms)
        if not terms:
            assert parts[0].value() == -INF
            return
        for seen in (of_batches(*arrays), parts[0]):
            error = roundoffs(seen.value(), log_sum(terms), conditioned_size(terms), "float64")
            assert error <= 4


class TestNothingYet:
    def test_has_a_value(self) -> None:
        seen = LogSumExpAccumulator()
        assert seen.value() == -INF
        assert seen.log_mean() == -INF
        assert seen.value(return_sign=True) == (-INF, 0)
        assert (seen.count, seen.shape) == (0, ())
        assert repr(seen) == "LogSumExpAccumulator(count=0, shape=(), value=-inf)"
        np.testing.assert_array_equal(LogSumExpAccumulator(3).value(), [-INF] * 3)

    def test_merges(self, array: Any) -> None:
        some = of_batches(array([[1.0, 2.0]]), axis=0)
        before = to_numpy(some.value())
        assert some.merge(LogSumExpAccumulator()) is some
        np.testing.assert_array_equal(to_numpy(some.value()), before)
        assert LogSumExpAccumulator().merge(some) == some
        assert LogSumExpAccumulator().merge(LogSumExpAccumulator()) == LogSumExpAccumulator()

    def test_empty_batches(self, array: Any) -> None:
        nothing = array(np.empty((0, 2)))
        seen = of_batches(nothing, axis=0)
        np.testing.assert_array_equal(to_numpy(seen.value()), [-INF, -INF])
        assert seen.count == 0
        seen.update(array([[1.0, 2.0]]), axis=0)
        close(seen.value(), [1.0, 2.0])
        close(seen.log_mean(), [1.0, 2.0])

    def test_reset(self, array: Any) -> None:
        seen = of_batches(array([[1.0, 2.0]]), axis=0)
        assert seen.reset() is seen
        assert seen == LogSumExpAccumulator()
        assert seen.update(array([3.0])).count == 1
        assert LogSumExpAccumulator(2).update([1.0, 2.0], axis=()).reset().shape == (2,)


class TestRefusals:
    @pytest.mark.parametrize(
        ("use", "error", "match"),
        [
            (lambda s: s.update("one"), TypeError, "^a is a str"),
            (lambda s: s.update(None), TypeError, "^a is a NoneType"),
            (lambda s: s.update([1.0], b=[1.0, 2.0, 3.0, 4.0]), ValueError, "has shape"),
            (lambda s: s.update([[1.0, 2.0]], b=[1.0, 2.0, 3.0]), ValueError, "do not broadcast"),
            (lambda s: s.update([1.0], axis=1), ValueError, "^axis 1 is out of range"),
            (lambda s: s.update([1.0]), ValueError, r"has shape \(\), but .* have shape \(2,\)"),
            (lambda s: s.update([[1.0, 2.0]], axis=1), ValueError, r"\(1,\).*shape \(2,\)"),
            (lambda s: s.merge([1.0]), TypeError, "^other is a list"),
            (lambda s: s.merge(LogSumExpAccumulator(3)), ValueError, r"^other has shape \(3,\)"),
            (lambda s: s.merge(of_batches([1.0])), ValueError, r"^other has shape \(\)"),
        ],
    )
    def test_change_nothing(self, use: Any, error: type[Exception], match: str) -> None:
        seen = of_batches([[1.0, 2.0]], axis=0)
        before = copy.copy(seen)
        with pytest.raises(error, match=match):
            use(seen)
        assert seen == before

    def test_another_namespace(self, library: Backend, array: Any) -> None:
        if library.is_numpy or library is Backend.JAX:  # which takes NumPy's arrays
            strict = available_package("array_api_strict")
            other = strict.asarray([1.0])
        else:
            other = np.asarray([1.0])
        seen = of_batches(array([1.0]))
        match = "^All arrays must come from one namespace, but a from .* and the accumulator from"
        with pytest.raises(TypeError, match=match):
            seen.update(other)
        with pytest.raises(TypeError, match=r"^All arrays must come from one namespace"):
            seen.merge(of_batches(other))

    def test_another_device(self) -> None:
        strict = available_package("array_api_strict")
        seen = of_batches(strict.asarray([1.0]))
        other = strict.asarray([1.0], device=strict.Device("device1"))
        with pytest.raises(ValueError, match=r"^All arrays must lie on one device"):
            seen.update(other)

    def test_numbers_join(self, array: Any) -> None:
        seen = of_batches(array([1.0])).update(2.0)
        close(seen.value(), logsumexp([1.0, 2.0]))

    @pytest.mark.parametrize("shape", ["two", -1, (1, -2), 1.5, (None,)])
    def test_shapes(self, shape: Any) -> None:
        with pytest.raises(ValueError, match=r"^shape must be a tuple of lengths, but"):
            LogSumExpAccumulator(shape)

    @pytest.mark.parametrize(
        ("data", "error", "match"),
        [
            ([], TypeError, "^data is a list"),
            ({}, ValueError, "^data has the format None"),
            ({"format": FORMAT}, ValueError, r"^data has \['format'\] for keys"),
        ],
    )
    def test_no_checkpoint(self, data: Any, error: type[Exception], match: str) -> None:
        with pytest.raises(error, match=match):
            LogSumExpAccumulator.from_dict(data)

    @pytest.mark.parametrize("key", sorted(of_batches([1.0]).to_dict()))
    def test_incomplete_checkpoints(self, key: str) -> None:
        data = of_batches([1.0]).to_dict()
        del data[key]
        with pytest.raises(ValueError, match=r"^data has (the format None|\[.*for keys)"):
            LogSumExpAccumulator.from_dict(data)

    @pytest.mark.parametrize(
        ("key", "wrong"),
        [
            *(("format", f"agnostic_lse.LogSumExpAccumulator, version {n}") for n in (1, 3)),
            *(("shape", x) for x in (None, 2, [-2], [3, 1], [True], [1.0], "2")),
            *(("shape_was_given", x) for x in (None, "x", 1)),
            *(("count", x) for x in (-1, 1.5, "3", True, None, INF)),
            *(("count_without_weights", x) for x in (-1, 3, 2.0, None)),
            *(("dtype", x) for x in ("int64", "object", "bool", None, "complex64")),
            *(("namespace", x) for x in ("os", None)),
            *(("device", x) for x in ("nowhere", None)),
            ("total", None),
            ("total", []),
            ("total", {"peak": [1.0]}),
            ("mass", None),
        ],
    )
    def test_damaged_checkpoints(self, key: str, wrong: object) -> None:
        data = of_batches([[1.0, 2.0]] * 2, axis=0, b=[[1.0, -1.0]]).to_dict()
        with pytest.raises(ValueError, match=r"^data (has|comes from) "):
            LogSumExpAccumulator.from_dict(data | {key: wrong})

    @pytest.mark.parametrize("part", RunningSum._fields)
    @pytest.mark.parametrize(
        "wrong",
        [
            *(None, "12", 1.0, [1.0], [[1.0, 2.0]], [1.0, None], [1.0, True], [1.0, "two"]),
            *([1.0, 10**400], [1.0, -(10**400)]),
            {"real": [1.0, 2.0], "imag": [0.0, 0.0]},
        ],
        ids=lambda wrong: str(wrong)[:20],
    )
    def test_damaged_numbers(self, part: str, wrong: Any) -> None:
        data = of_batches([[1.0, 2.0]], axis=0, b=[[1.0, -1.0]]).to_dict()
        for name in ("total", "mass"):
            damaged = data | {name: data[name] | {part: wrong}}
            with pytest.raises(ValueError, match=f"^data has .* for {part} of {name}, which"):
                LogSumExpAccumulator.from_dict(damaged)

    def test_checkpoints_of_what_is_not_here(self) -> None:
        if Backend.CUPY.missing():
            data = of_batches([1.0]).to_dict() | {"namespace": "cupy"}
            with pytest.raises(ValueError, match=r"^data comes from cupy, which cannot be"):
                LogSumExpAccumulator.from_dict(data)
        data = of_batches([1.0]).to_dict()
        with pytest.raises(TypeError, match=r"^xp is a str, but an array namespace"):
            LogSumExpAccumulator.from_dict(data, xp="torch")
        strict = available_package("array_api_strict")
        halves = of_batches(np.asarray([1.0], np.float16)).to_dict()
        with pytest.raises(ValueError, match=r"^data has the dtype float16, but array_api_strict"):
            LogSumExpAccumulator.from_dict(halves, xp=strict)

    def test_digits_that_jax_has_not(self) -> None:
        jax = available_package("jax")
        data = of_batches([1e300]).to_dict()
        wide = jax.config.jax_enable_x64
        jax.config.update("jax_enable_x64", False)
        try:
            with pytest.raises(ValueError, match=r"^data has the dtype float64"):
                LogSumExpAccumulator.from_dict(data, xp=jax.numpy)
        finally:
            jax.config.update("jax_enable_x64", wide)

    def test_cannot_be_hashed(self) -> None:
        with pytest.raises(TypeError, match="unhashable"):
            hash(LogSumExpAccumulator())

    def test_unknown_lengths(self) -> None:
        da = available_package("dask.array")
        x = da.from_array(np.arange(6.0), chunks=2)
        with pytest.raises(ValueError, match=r"compute_chunk_sizes\(\) first\.$"):
            LogSumExpAccumulator().update(x[x > 1])


class TestCopies:
    def test_json(self, array: Any) -> None:
        x = np.asarray([[1.5, -INF, 0.1], [1e-300, -INF, 7.0], [INF, -INF, NAN]])
        for b in (None, array(np.tile([1.0, -2.0, 1e-9], (3, 1)))):
            for rows in (1, 3):
                batch = array(x[:rows])
                weights = None if b is None else b[:rows, ...]
                seen = LogSumExpAccumulator().update(batch, axis=0, b=weights)
                again = through_json(seen)
                assert again == seen
                assert again.count == seen.count
                assert type(again.value()) is type(seen.value())
                np.testing.assert_array_equal(to_numpy(again.value()), to_numpy(seen.value()))
                # They go on alike.
                for each in (seen, again):
                    each.update(batch + 1, axis=0)
                assert again == seen

    def test_json_of_other_kinds(self, array: Any) -> None:
        for seen in (
            LogSumExpAccumulator(),
            LogSumExpAccumulator((2, 0)),
            of_batches(array([1 + 2j, 3 - 1j])),
            of_batches(array([1.0, 2.0], "float32")),
        ):
            assert through_json(seen) == seen
            assert through_json(seen).shape == seen.shape

    def test_json_elsewhere(self, xp: Any, array: Any, device: Any) -> None:
        seen = of_batches([[1.0, 2.0]], axis=0)
        there = LogSumExpAccumulator.from_dict(seen.to_dict(), xp=xp, device=device)
        close(
            there.update(array([[0.0, 1.0]]), axis=0).value(), logsumexp([[1, 2], [0, 1]], axis=0)
        )

    def test_json_of_more_digits(self) -> None:
        third = np.longdouble(1) / 3
        seen = of_batches(np.asarray([third, 2 * third]))
        again = through_json(seen)
        assert again == seen
        assert again.value().dtype == np.longdouble
        assert again.value() == seen.value()

    @pytest.mark.parametrize("way", ["pickle", "copy", "deepcopy"])
    def test_of_python(self, array: Any, way: str) -> None:
        ways: dict[str, Any] = {"copy": copy.copy, "deepcopy": copy.deepcopy}
        ways["pickle"] = lambda x: pickle.loads(pickle.dumps(x))  # noqa: S301 (our own)
        copied = ways[way]
        seen = LogSumExpAccumulator(2).update(array([[1.0, 2.0]]), axis=0, b=array([[1.0, -1.0]]))
        again = copied(seen)
        assert again == seen
        again.update(array([[1.0, 2.0]]), axis=0)
        assert again != seen

    def test_equality(self) -> None:
        one = of_batches([1.0, 2.0])
        assert one == of_batches([1.0, 2.0])
        assert one != of_batches([1.0, 2.5])
        assert one != of_batches(np.asarray([1.0, 2.0], np.float32))
        assert one != of_batches([[1.0, 2.0]], axis=1)
        assert one != 3.0
        assert of_batches([NAN]) == of_batches([NAN])

    @pytest.mark.parametrize(
        "library", [Backend.NUMPY, Backend.TORCH, Backend.TORCH_ALONE], ids=str
    )
    @pytest.mark.parametrize("x", [[1.0, 2.0], [1.0, INF]])
    def test_batches_may_be_written_to(self, array: Any, x: list[float]) -> None:
        """A buffer for many batches is filled anew after each, also where every slot has a term."""
        batch = array(x)
        seen = LogSumExpAccumulator().update(batch, axis=())
        batch[...] = 100.0
        close(seen.value(), x)

    def test_the_other_is_left_alone(self, array: Any) -> None:
        one, other = of_batches(array([1.0])), of_batches(array([2.0]))
        before = copy.copy(other)
        one.merge(other)
        assert other == before
        doubled = of_batches(array([2.0]))
        doubled.merge(doubled)
        close(doubled.value(), 2.0 + math.log(2))
        assert doubled.count == 2


def test_laziness() -> None:
    dask = available_package("dask")
    batch = make_array(Backend.DASK, Backend.DASK.namespace(), [1.0, 2.0, 3.0])

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError

    with dask.config.set(scheduler=refuse):
        seen = of_batches(batch, batch)
        value = seen.value()
        repr(seen)
    close(value, logsumexp([1.0, 2.0, 3.0] * 2))


def test_derivatives_go_through() -> None:
    jax = available_package("jax")

    def value(x: Any) -> Any:
        return of_batches(x[:2], x[2:]).value()

    x = jax.numpy.asarray([0.5, 2.0, 1.0, -3.0])
    close(jax.grad(value)(x), jax.nn.softmax(x), 1e-6)
    close(jax.jit(value)(x), logsumexp(np.asarray(x)), 1e-6)


def test_derivatives_of_torch_go_through_copies() -> None:
    torch = available_package("torch")
    x = torch.asarray([0.5, 2.0, 1.0], requires_grad=True)
    seen = of_batches(x)
    copy.deepcopy(seen).value().backward()
    close(x.grad, torch.softmax(x.detach(), 0), 1e-6)


def test_threads_may_update_at_once() -> None:
    """Without a lock, an update is lost now and then when threads change places this often."""
    seen, x = LogSumExpAccumulator(), np.arange(5.0)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [
            threading.Thread(target=lambda: [seen.update(x) for _ in range(200)]) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert seen.count == 8 * 200 * 5
    close(seen.value(), logsumexp(x) + math.log(1600))
