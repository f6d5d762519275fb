"""The array libraries that are installed, each on one device, for what compares them."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from ._namespace import Array

Function = Callable[[Array], Array]


def _same(anything: Any) -> Any:
    return anything


@dataclass(frozen=True)
class Library:
    """An array library on a device: what makes its arrays, compiles for it and waits for it."""

    module: Any
    device: str
    put: Callable[[Any], Array]
    compiled: Callable[[Function], Function] = _same
    # Returns its argument, once it is there.
    finished: Function = _same


class NoDeviceError(Exception):
    """A library is here, but not the device that it needs."""


@contextlib.contextmanager
def _plain(module: Any) -> Iterator[Library]:
    yield Library(module, "cpu", module.asarray)


@contextlib.contextmanager
def _cupy(module: Any) -> Iterator[Library]:
    try:
        name = module.cuda.runtime.getDeviceProperties(0)["name"].decode()
    except module.cuda.runtime.CUDARuntimeError as error:
        raise NoDeviceError("it finds no GPU") from error

    def finished(array: Array) -> Array:
        module.cuda.Device().synchronize()
        return array

    yield Library(module, name, module.asarray, finished=finished)


@contextlib.contextmanager
def _torch_cuda(module: Any) -> Iterator[Library]:
    if not module.cuda.is_available():
        raise NoDeviceError("it finds no GPU")

    def finished(array: Array) -> Array:
        module.cuda.synchronize()
        return array

    def put(x: Any) -> Array:
        return module.asarray(x, device="cuda")

    yield Library(module, module.cuda.get_device_name(), put, finished=finished)


@contextlib.contextmanager
def _jax(module: Any) -> Iterator[Library]:
    # JAX 0.8 moved it out of jax.experimental.
    home = module if hasattr(module, "enable_x64") else module.experimental
    with home.enable_x64(True):
        yield Library(
            module,
            module.devices()[0].device_kind,
            module.numpy.asarray,
            compiled=module.jit,
            finished=lambda array: array.block_until_ready(),
        )


@contextlib.contextmanager
def _dask(module: Any) -> Iterator[Library]:
    def put(x: Any) -> Array:
        return module.from_array(x, chunks=(-(-len(x) // 4), *x.shape[1:]))

    yield Library(module, "cpu, 4 blocks", put, finished=lambda array: array.compute())


_LIBRARIES: dict[str, tuple[str, Callable[[Any], AbstractContextManager[Library]]]] = {
    "CuPy": ("cupy", _cupy),
    "PyTorch CUDA": ("torch", _torch_cuda),
    "NumPy": ("numpy", _plain),
    "PyTorch": ("torch", _plain),
    "JAX, jitted": ("jax", _jax),
    "Dask": ("dask.array", _dask),
    "array-api-strict": ("array_api_strict", _plain),
}
NAMES = tuple(_LIBRARIES)


def missing(name: str) -> str | None:
    """Say what is not installed of a library, or None if all is there."""
    package = _LIBRARIES[name][0].partition(".")[0]
    return None if importlib.util.find_spec(package) else f"{package} is not installed"


def opened(name: str) -> AbstractContextManager[Library]:
    """Import a library, and set it up for a while."""
    module, prepare = _LIBRARIES[name]
    return prepare(importlib.import_module(module))


def version(name: str) -> str:
    """Return the version of a library that is loaded."""
    return str(importlib.import_module(_LIBRARIES[name][0].partition(".")[0]).__version__)
