"""What is declared of each function holds, and what is not declared does not."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from array_api_extra.testing import lazy_xp_function, patch_lazy_xp_functions

import agnostic_lse
from agnostic_lse import _products
from tests.backends import Backend, available, make_array, to_numpy
from tests.capabilities import CAPABILITIES, README, SETTINGS, Capabilities, table, written

FUNCTIONS = {name: getattr(agnostic_lse, name) for name in CAPABILITIES}

for name, function in FUNCTIONS.items():
    # In this module they are patched: jitted on JAX, and lazy on Dask.
    globals()[name] = function
    lazy_xp_function(function)

each = pytest.mark.parametrize("name", CAPABILITIES)
on_dask = pytest.mark.parametrize("library", [Backend.DASK], indirect=True, ids=str)
on_torch = pytest.mark.parametrize("library", [Backend.TORCH], indirect=True, ids=str)
with_derivatives = pytest.mark.parametrize(
    "library", [Backend.TORCH, Backend.TORCH_CUDA, Backend.JAX], indirect=True, ids=str
)


@contextlib.contextmanager
def declared(name: str, feature: str) -> Iterator[Capabilities]:
    """Expect what the block does to work if the feature is declared, and to fail if it is not."""
    can = CAPABILITIES[name]
    if feature in can.features:
        yield can
        return
    with pytest.raises((TypeError, AssertionError)):
        yield can


def expected(can: Capabilities, name: str) -> Any:
    return can(FUNCTIONS[name], *can.arguments)


def close(actual: Any, wanted: Any, rtol: float = 1e-13) -> None:
    np.testing.assert_allclose(to_numpy(actual), wanted, rtol=rtol, atol=rtol)


def is_float(argument: Any) -> bool:
    return bool(argument.dtype.kind == "f")


def test_all_are_declared() -> None:
    assert set(CAPABILITIES) == set(agnostic_lse.__all__) - SETTINGS


def test_readme_has_the_table() -> None:
    text = README.read_text()
    assert table() in text
    assert written(text) == text, "python -m tests.capabilities writes it anew"


@each
def test_every_backend(array: Any, name: str) -> None:
    can = CAPABILITIES[name]
    close(can(FUNCTIONS[name], *map(array, can.arguments)), expected(can, name))


@each
def test_complex(array: Any, name: str) -> None:
    with declared(name, "complex") as can:
        given = [x * (1 + 0.5j) if is_float(x) else x for x in can.arguments]
        out = to_numpy(can(FUNCTIONS[name], *map(array, given)))
        assert np.iscomplexobj(out)
        assert np.all(np.isfinite(out))


@each
def test_integers(xp: Any, array: Any, name: str) -> None:
    with declared(name, "integers") as can:
        given = [np.rint(x).astype(np.int64) for x in can.arguments]
        out = can(FUNCTIONS[name], *map(array, given))
        assert out.dtype == xp.__array_namespace_info__().default_dtypes()["real floating"]
        given = [
            x.astype(float) if is_float(y) else x for x, y in zip(given, can.arguments, strict=True)
        ]
        close(out, can(FUNCTIONS[name], *given), 1e-6)


@each
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bits(library: Backend, array: Any, name: str, dtype: str) -> None:
    if not library.knows(dtype):
        assert not library.has(dtype)
        return
    with declared(name, "16 bits") as can:
        given = [array(x, dtype) if is_float(x) else array(x) for x in can.arguments]
        out = can(FUNCTIONS[name], *given)
        assert str(out.dtype).endswith(dtype)
        read = [
            np.asarray(to_numpy(x), float if is_float(y) else None)
            for x, y in zip(given, can.arguments, strict=True)
        ]
        close(
            out.astype(np.float64) if library is Backend.DASK else out,
            can(FUNCTIONS[name], *read),
            2e-2,
        )


@each
@pytest.mark.parametrize("library", [Backend.DASK, Backend.JAX], indirect=True, ids=str)
def test_lazy_and_jit(
    request: pytest.FixtureRequest, library: Backend, xp: Any, array: Any, name: str
) -> None:
    with declared(name, "lazy" if library is Backend.DASK else "jit") as can:
        with patch_lazy_xp_functions(request, xp=xp):
            out = can(getattr(request.module, name), *map(array, can.arguments))
        close(out, expected(can, name))


@each
@on_dask
def test_unknown_chunks(array: Any, name: str) -> None:
    with declared(name, "unknown chunks") as can:
        kept = np.asarray([True, False, True, True])
        first = can.arguments[0].shape[0]
        given = [x[kept] if x.shape[0] == first and x.ndim > 1 else x for x in can.arguments]
        unknown = [
            array(x)[array(kept)] if x.shape[0] == first and x.ndim > 1 else array(x)
            for x in can.arguments
        ]
        close(can(FUNCTIONS[name], *unknown), can(FUNCTIONS[name], *given))


@each
@with_derivatives
def test_vmap(library: Backend, name: str) -> None:
    xp = library.namespace()
    with declared(name, "vmap") as can:
        given = [np.stack([x, x[::-1]]) if is_float(x) else x for x in can.arguments]
        axes = tuple(0 if is_float(x) else None for x in can.arguments)
        arrays = [make_array(library, xp, x) for x in given]
        if library is Backend.JAX:
            import jax

            out = jax.vmap(lambda *x: can(FUNCTIONS[name], *x), in_axes=axes)(*arrays)
        else:
            import torch

            out = torch.func.vmap(lambda *x: can(FUNCTIONS[name], *x), in_dims=axes)(*arrays)
        singles = [
            can(
                FUNCTIONS[name],
                *(x[i] if axis == 0 else x for x, axis in zip(given, axes, strict=True)),
            )
            for i in range(2)
        ]
        close(out, np.stack(singles))


@each
@with_derivatives
def test_derivatives(library: Backend, name: str) -> None:
    """The first and second by the first argument, beside differences."""
    xp = library.namespace()
    with declared(name, "derivatives") as can:
        first, *others = can.arguments
        weights = np.random.default_rng(1).normal(size=np.shape(expected(can, name)))

        def on_host(x: Any) -> Any:
            return np.sum(can(FUNCTIONS[name], x, *others) * weights)

        def on_library(x: Any) -> Any:
            beside = [make_array(library, xp, y) for y in others]
            return xp.sum(can(FUNCTIONS[name], x, *beside) * make_array(library, xp, weights))

        x = make_array(library, xp, first)
        gradient_of: Any
        if library is Backend.JAX:
            import jax

            gradient, hessian = jax.grad(on_library)(x), jax.hessian(on_library)(x)
            gradient_of = jax.jit(jax.grad(on_library))
        else:
            import torch

            gradient, hessian = torch.func.grad(on_library)(x), torch.func.hessian(on_library)(x)
            gradient_of = torch.func.grad(on_library)
        close(gradient, differences(on_host, first), 1e-7)
        at = (1, 2)  # one row of the second derivative
        along = differences(lambda y: to_numpy(gradient_of(make_array(library, xp, y)))[at], first)
        close(to_numpy(hessian)[at], along, 1e-7)


@each
def test_jax_without_64_bits(name: str) -> None:
    """As JAX is unless told otherwise, nothing asks it for what it would warn not to have."""
    available(Backend.JAX)
    import jax

    config: Any = jax.config
    can, wide = CAPABILITIES[name], config.jax_enable_x64
    jax.config.update("jax_enable_x64", False)
    try:
        out = can(FUNCTIONS[name], *map(jax.numpy.asarray, can.arguments))
    finally:
        jax.config.update("jax_enable_x64", wide)
    assert out.dtype == "float32"
    close(out, expected(can, name), 1e-5)


def differences(function: Callable[[Any], Any], x: Any, step: float = 1e-5) -> Any:
    """Return central differences by each entry."""
    out = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        above, below = x.copy(), x.copy()
        above[at] += step
        below[at] -= step
        out[at] = (function(above) - function(below)) / (2 * step)
    return out


@each
@on_torch
def test_compile(library: Backend, xp: Any, name: str) -> None:
    import torch

    with declared(name, "compile") as can, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells which functions it looks into
        torch._dynamo.reset()
        compiled = torch.compile(lambda *x: can(FUNCTIONS[name], *x), backend="eager")
        close(compiled(*(make_array(library, xp, x) for x in can.arguments)), expected(can, name))


@each
def test_no_wait(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
    with declared(name, "no wait") as can:
        given = [torch.asarray(x, device="meta") for x in can.arguments]
        with watching():
            out = can(FUNCTIONS[name], *given)
        assert tuple(out.shape) == expected(can, name).shape
        assert not read
