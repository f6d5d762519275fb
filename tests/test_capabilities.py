"""What is declared of each function holds, and what is not declared does not."""

from __future__ import annotations

import contextlib
import itertools
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function, patch_lazy_xp_functions

import agnostic_lse
from agnostic_lse import _products
from tests.backends import Backend, available, make_array, to_numpy
from tests.capabilities import (
    CAPABILITIES,
    COLUMNS,
    README,
    ROWS,
    SETTINGS,
    Call,
    accumulated,
    table,
    written,
)

FUNCTIONS = {name: getattr(agnostic_lse, name) for name in CAPABILITIES}
FUNCTIONS["LogSumExpAccumulator"] = accumulated

for name, function in FUNCTIONS.items():
    # In this module they are patched: jitted on JAX, and lazy on Dask.
    globals()[name] = function
    lazy_xp_function(function)


def _each(calls: Callable[[Any], Any]) -> pytest.MarkDecorator:
    pairs = [(name, call) for name, can in CAPABILITIES.items() for call in calls(can)]
    ids = [f"{name}: {call.name}" for name, call in pairs]
    return pytest.mark.parametrize(("name", "call"), pairs, ids=ids)


each_call = _each(lambda can: can.every_call())
each_real_call = _each(lambda can: can.calls)
each_of_few_calls = _each(lambda can: can.few_calls())
on_dask = pytest.mark.parametrize("library", [Backend.DASK], indirect=True, ids=str)
on_torch = pytest.mark.parametrize("library", [Backend.TORCH], indirect=True, ids=str)
on_both_torch = pytest.mark.parametrize(
    "library", [Backend.TORCH, Backend.TORCH_CUDA], indirect=True, ids=str
)
on_jax = pytest.mark.parametrize("library", [Backend.JAX], indirect=True, ids=str)


@contextlib.contextmanager
def declared(name: str, call: Call, feature: str) -> Iterator[None]:
    """Expect what the block does to work if the feature is declared, and to fail if it is not."""
    if feature in CAPABILITIES[name].features - call.lacks:
        yield
        return
    with pytest.raises((TypeError, ValueError, AssertionError)):
        yield


def parts(out: Any) -> tuple[Any, ...]:
    return out if isinstance(out, tuple) else (out,)


def close(actual: Any, wanted: Any, rtol: float = 1e-13) -> None:
    assert len(parts(actual)) == len(parts(wanted))
    for ours, theirs in zip(parts(actual), parts(wanted), strict=True):
        np.testing.assert_allclose(to_numpy(ours), theirs, rtol=rtol, atol=rtol)


def made(array: Callable[..., Any], arrays: dict[str, Any]) -> dict[str, Any]:
    return {name: array(of) for name, of in arrays.items()}


def test_all_are_declared() -> None:
    others = SETTINGS - {"LogSumExpAccumulator"}
    assert set(CAPABILITIES) == set(agnostic_lse.__all__) - others


def test_readme_has_the_table() -> None:
    text = README.read_text()
    assert table() in text
    assert written(text) == text, "python -m tests.capabilities writes it again"


@each_call
def test_every_backend(array: Any, name: str, call: Call) -> None:
    wanted = call(FUNCTIONS[name], **call.arrays)
    assert all(np.all(~np.isnan(part)) for part in parts(wanted))
    close(call(FUNCTIONS[name], **made(array, call.arrays)), wanted)


@each_real_call
def test_complex(array: Any, name: str, call: Call) -> None:
    call = call.turned()
    with declared(name, call, "complex"):
        out = parts(call(FUNCTIONS[name], **made(array, call.arrays)))
        assert np.iscomplexobj(to_numpy(out[-1]))
        for part in out:
            host = to_numpy(part)
            # The empty sum, which a scan may begin with, is all that is -inf.
            initial = call.options.get("include_initial", False)
            empty = host.size // host.shape[call.options["axis"]] if initial else 0
            assert np.count_nonzero(np.real(host) == -np.inf) == empty
            assert np.count_nonzero(~np.isfinite(host)) == empty


@each_real_call
def test_integers(xp: Any, array: Any, name: str, call: Call) -> None:
    with declared(name, call, "integers"):
        given = call.mapped(lambda x: np.rint(x).astype(np.int64))
        out = call(FUNCTIONS[name], **made(array, given))
        real = xp.__array_namespace_info__().default_dtypes()["real floating"]
        assert all(part.dtype == real for part in parts(out))
        close(out, call(FUNCTIONS[name], **call.mapped(np.rint)), 1e-6)


@each_real_call
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bits(library: Backend, array: Any, name: str, call: Call, dtype: str) -> None:
    if not library.knows(dtype):
        assert not library.has(dtype)
        return
    with declared(name, call, "16 bits"):
        given = {
            name: array(x, dtype) if x.dtype.kind == "f" else array(x)
            for name, x in call.arrays.items()
        }
        out = parts(call(FUNCTIONS[name], **given))
        assert all(str(part.dtype).endswith(dtype) for part in out)
        read = {name: to_numpy(x) for name, x in given.items()}
        read = {name: x.astype(float) if x.dtype.kind == "f" else x for name, x in read.items()}
        if library is Backend.DASK:
            out = tuple(part.astype(np.float64) for part in out)
        close(out, parts(call(FUNCTIONS[name], **read)), 2e-2)


@each_call
@pytest.mark.parametrize("library", [Backend.DASK, Backend.JAX], indirect=True, ids=str)
def test_lazy_and_jit(
    request: pytest.FixtureRequest, library: Backend, xp: Any, array: Any, name: str, call: Call
) -> None:
    with declared(name, call, "lazy" if library is Backend.DASK else "jit"):
        with patch_lazy_xp_functions(request, xp=xp):
            out = call(getattr(request.module, name), **made(array, call.arrays))
        close(out, call(FUNCTIONS[name], **call.arrays))


def cut(x: Any, rows: Any = slice(None), columns: Any = slice(None)) -> Any:
    """Return what is left of an array's rows and columns, which it tells by their lengths."""
    return x[tuple(rows if length == ROWS else columns for length in x.shape)]


@each_call
@on_dask
def test_unknown_chunks(array: Any, name: str, call: Call) -> None:
    kept = np.asarray([True, False, True, True])
    with declared(name, call, "unknown chunks"):
        given = {name: cut(x, rows=kept) for name, x in call.arrays.items()}
        unknown = {name: cut(array(x), rows=array(kept)) for name, x in call.arrays.items()}
        assert any(np.isnan(length) for x in unknown.values() for length in x.shape)
        close(call(FUNCTIONS[name], **unknown), call(FUNCTIONS[name], **given))


# Blocks of rows and of columns, whose last is cut where there are fewer
EMPTY_BLOCKS = {ROWS: ((0, 4), (1, 0, 3), (3, 0, 0, 1), (4, 0)), COLUMNS: ((5, 0, 1), (6,), (0, 6))}


def in_empty_blocks(x: Any, turn: int) -> Any:
    """Return a Dask array with empty blocks, of one kind for each turn."""
    import dask.array as da

    chunks = []
    for axis, length in enumerate(x.shape):
        kinds = EMPTY_BLOCKS.get(length, ((length, 0), (0, length, 0), (0, 0, length)))
        chunks.append(kinds[(turn + axis) % len(kinds)])
    return da.from_array(x, chunks=tuple(chunks))


@each_call
@on_dask
@pytest.mark.parametrize("lengths", [(4, 6), (1, 6), (0, 6), (4, 0), (0, 0)], ids=str)
def test_empty_blocks(library: Backend, name: str, call: Call, lengths: tuple[int, int]) -> None:
    """Of blocks in any place, and of axes without entries, come those announced."""
    import dask

    del library
    rows, columns = map(slice, lengths)
    given = {name: cut(x, rows, columns) for name, x in call.arrays.items()}
    wanted = parts(call(FUNCTIONS[name], **given))
    for turn in range(3):
        blocks = {name: in_empty_blocks(x, turn + at) for at, (name, x) in enumerate(given.items())}
        with dask.config.set(scheduler="synchronous"):
            out = parts(call(FUNCTIONS[name], **blocks))
            for ours, theirs in zip(out, wanted, strict=True):
                computed = np.asarray(ours.compute())
                assert ours.shape == computed.shape == theirs.shape
                np.testing.assert_allclose(computed, theirs, rtol=1e-13, atol=1e-13)
                found = [np.shape(block.compute()) for block in ours.to_delayed().ravel()]
                assert found == list(itertools.product(*ours.chunks))


def transforms(library: Backend) -> tuple[Any, Any, Any]:
    """Return the library's vmap, grad and hessian: on JAX compiled, which takes less time."""
    if library is Backend.JAX:
        import jax

        return (
            lambda function, axes: jax.vmap(function, in_axes=axes),
            lambda function: jax.jit(jax.grad(function)),
            lambda function: jax.jit(jax.hessian(function)),
        )
    import torch

    return (
        lambda function, axes: torch.func.vmap(function, in_dims=axes),
        torch.func.grad,
        torch.func.hessian,
    )


def over_pairs(call: Call, function: Any, batched: Sequence[str]) -> tuple[Any, ...]:
    """Return what a function makes of the arrays, and of those that are batched from the end."""
    other = {name: x[::-1] if name in batched else x for name, x in call.arrays.items()}
    pairs = parts(call(function, **call.arrays)), parts(call(function, **other))
    return tuple(map(np.stack, zip(*pairs, strict=True)))


def vmapped(library: Backend, name: str, call: Call) -> None:
    """Map over all arguments, over each alone, along another axis, and in another vmap."""
    vmap, _, _ = transforms(library)
    xp, names = library.namespace(), list(call.arrays)

    def function(*arrays: Any) -> Any:
        return call(FUNCTIONS[name], **dict(zip(names, arrays, strict=True)))

    def array(x: Any) -> Any:
        return make_array(library, xp, x)

    with declared(name, call, "vmap"):
        for batched in dict.fromkeys([tuple(names), *((name,) for name in names)]):
            axes = tuple(0 if name in batched else None for name in names)
            given = {
                name: np.stack([x, x[::-1]]) if name in batched else x
                for name, x in call.arrays.items()
            }
            wanted = over_pairs(call, FUNCTIONS[name], batched)
            close(parts(vmap(function, axes)(*map(array, given.values()))), wanted)
        turned = [np.moveaxis(x, 0, 1) for x in over_all(call).values()]
        wanted = over_pairs(call, FUNCTIONS[name], names)
        close(parts(vmap(function, 1)(*map(array, turned))), wanted)
        twice = [np.stack([x, x[::-1]], axis=1) for x in over_all(call).values()]
        out = parts(vmap(vmap(function, 0), 1)(*map(array, twice)))
        close(out, tuple(np.stack([part, part[::-1]]) for part in wanted))


@each_call
@on_both_torch
def test_vmap(library: Backend, name: str, call: Call) -> None:
    vmapped(library, name, call)


@each_of_few_calls
@on_jax
def test_vmap_on_jax(library: Backend, name: str, call: Call) -> None:
    vmapped(library, name, call)


def over_all(call: Call) -> dict[str, Any]:
    return {name: np.stack([x, x[::-1]]) for name, x in call.arrays.items()}


def weighed(xp: Any, array: Callable[..., Any], out: Any) -> Any:
    """Return a real number that depends on all finite parts of a result."""
    whole = 0.0
    for part in parts(out):
        weights = np.random.default_rng(1).normal(size=(2, *part.shape))
        finite = xp.where(xp.isfinite(part), part, xp.zeros_like(part))
        if xp.isdtype(part.dtype, "complex floating"):
            whole = whole + xp.sum(xp.imag(finite) * array(weights[1]))
            finite = xp.real(finite)
        whole = whole + xp.sum(finite * array(weights[0]))
    return whole


def along_a_line(library: Backend, name: str, call: Call) -> None:
    """Compare the first and second derivative along a line through all arguments to differences."""
    xp, rng, step = library.namespace(), np.random.default_rng(2), 1e-5
    direction = call.mapped(lambda x: rng.normal(size=x.shape))
    _, grad, hessian = transforms(library)

    def along(xp: Any, array: Callable[..., Any], t: Any) -> Any:
        moved = {
            name: array(x) + t * array(direction[name]) if x.dtype.kind in "fc" else array(x)
            for name, x in call.arrays.items()
        }
        return weighed(xp, array, call(FUNCTIONS[name], **moved))

    def on_host(t: float) -> Any:
        return along(np, np.asarray, t)

    def on_library(t: Any) -> Any:
        return along(xp, lambda x: make_array(library, xp, x), t)

    with declared(name, call, "derivatives"):
        gradient = grad(on_library)
        at = [make_array(library, xp, t) for t in (0.0, step, -step)]
        close(gradient(at[0]), (on_host(step) - on_host(-step)) / (2 * step), 1e-7)
        second = (gradient(at[1]) - gradient(at[2])) / (2 * step)
        close(hessian(on_library)(at[0]), to_numpy(second), 1e-7)


@each_call
@on_both_torch
def test_derivatives(library: Backend, name: str, call: Call) -> None:
    along_a_line(library, name, call)


@each_of_few_calls
@on_jax
def test_derivatives_on_jax(library: Backend, name: str, call: Call) -> None:
    along_a_line(library, name, call)


@each_of_few_calls
@on_both_torch
def test_derivatives_under_vmap(library: Backend, name: str, call: Call) -> None:
    """The gradient for each of a batch, as that of each alone."""
    xp, (vmap, grad, _) = library.namespace(), transforms(library)

    def objective(*arrays: Any) -> Any:
        out = call(FUNCTIONS[name], **dict(zip(call.arrays, arrays, strict=True)))
        return weighed(xp, lambda x: make_array(library, xp, x), out)

    with declared(name, call, "derivatives"):
        batch = [make_array(library, xp, x) for x in over_all(call).values()]
        out = to_numpy(vmap(grad(objective), 0)(*batch))
        singles = [to_numpy(grad(objective)(*(x[i] for x in batch))) for i in range(2)]
        close(out, np.stack(singles), 1e-12)


@each_of_few_calls
def test_jax_without_64_bits(name: str, call: Call) -> None:
    """As JAX is unless told otherwise, nothing asks it for what it would warn not to have."""
    available(Backend.JAX)
    import jax

    config: Any = jax.config
    wide = config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    try:
        out = parts(call(FUNCTIONS[name], **made(jax.numpy.asarray, call.arrays)))
    finally:
        jax.config.update("jax_enable_x64", wide)
    assert all(part.dtype in ("float32", "complex64") for part in out)
    close(out, parts(call(FUNCTIONS[name], **call.arrays)), 1e-5)


@each_of_few_calls
@on_torch
def test_compile(library: Backend, xp: Any, name: str, call: Call) -> None:
    import torch

    with declared(name, call, "compile"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells which functions it looks into
        torch._dynamo.reset()
        compiled = torch.compile(lambda **x: call(FUNCTIONS[name], **x), backend="eager")
        out = compiled(**made(lambda x: make_array(library, xp, x), call.arrays))
        close(out, call(FUNCTIONS[name], **call.arrays))


@each_call
def test_no_wait(name: str, call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """No number is read from a device: shown on PyTorch's, which has shapes but no numbers."""
    available(Backend.TORCH)
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    read = []

    # Where PyTorch is missing mypy knows no such class, and where it is there no types of it.
    class Watching(TorchDispatchMode):  # type: ignore[no-untyped-call,unused-ignore]
        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if function is torch.ops.aten._local_scalar_dense.default:
                read.append(function)
            return function(*args, **(kwargs or {}))

    monkeypatch.setattr(_products, "_FEW_TERMS", 0)  # lest small products be summed term by term
    watching: Any = Watching
    with declared(name, call, "no wait"):
        given = made(lambda x: torch.asarray(x, device="meta"), call.arrays)
        with watching():
            out = call(FUNCTIONS[name], **given)
        wanted = call(FUNCTIONS[name], **call.arrays)
        assert [tuple(x.shape) for x in parts(out)] == [x.shape for x in parts(wanted)]
        assert not read
