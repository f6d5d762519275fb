"""The array libraries that every test runs on."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from enum import Enum
from types import ModuleType
from typing import Any, NoReturn
from unittest import mock

import array_api_compat as compat
import numpy as np
import numpy.typing as npt
import pytest

import agnostic_lse
from agnostic_lse._engines import host, tiles

REQUIRED = "AGNOSTIC_LSE_REQUIRE_BACKENDS"


class Backend(Enum):
    """An array library on one of its devices, or one of the ways in which arrays are worked on."""

    NUMPY = "numpy"
    NUMPY_READONLY = "numpy-readonly"
    NUMPY_TILES = "numpy-tiles"
    NUMPY_KERNELS = "numpy-kernels"
    STRICT = "array-api-strict"
    STRICT_DEVICE1 = "array-api-strict-device1"
    STRICTEST = "array-api-strictest"
    TORCH = "torch"
    TORCH_ALONE = "torch-alone"
    TORCH_CUDA = "torch-cuda"
    CUPY = "cupy"
    JAX = "jax"
    DASK = "dask"

    def __str__(self) -> str:
        return self.value

    @property
    def module(self) -> str:
        """The name of the module to import."""
        return {
            Backend.NUMPY_READONLY: "numpy",
            Backend.NUMPY_TILES: "numpy",
            Backend.NUMPY_KERNELS: "numpy",
            Backend.STRICT: "array_api_strict",
            Backend.STRICT_DEVICE1: "array_api_strict",
            Backend.STRICTEST: "array_api_strict",
            Backend.TORCH_ALONE: "torch",
            Backend.TORCH_CUDA: "torch",
            Backend.JAX: "jax.numpy",
            Backend.DASK: "dask.array",
        }.get(self, self.value)

    @property
    def is_numpy(self) -> bool:
        return self.module == "numpy"

    @property
    def is_strict(self) -> bool:
        return self.module == "array_api_strict"

    @property
    def is_torch(self) -> bool:
        return self.module == "torch"

    def knows(self, dtype: str) -> bool:
        """Whether the library has this dtype of 16 bits, of which the standard has none."""
        if dtype == "bfloat16":
            return self.is_torch or self is Backend.JAX
        return not self.is_strict

    def has(self, dtype: str) -> bool:
        """Whether the library's module has a dtype of this name."""
        return hasattr(importlib.import_module(self.module), dtype)

    def missing(self) -> str | None:
        """Say why this backend cannot run here, or None if it can."""
        try:
            module = importlib.import_module(self.module)
        except ImportError as error:
            return f"{self} is not installed ({error})"
        if self is Backend.NUMPY_KERNELS and host.kernels() is None:
            return "Numba is not installed"
        if self is Backend.TORCH_CUDA and not module.cuda.is_available():
            return "PyTorch finds no CUDA device"
        if self is Backend.CUPY:
            try:
                module.cuda.runtime.getDeviceCount()
            except module.cuda.runtime.CUDARuntimeError as error:
                return f"CuPy finds no CUDA device ({error})"
        return None

    def namespace(self) -> Any:
        """Return the namespace that follows the standard."""
        module = importlib.import_module(self.module)
        if self is Backend.NUMPY_READONLY:
            return ReadOnlyNumPy()
        if self is Backend.JAX:
            # Without it JAX turns every float64 into a float32.
            importlib.import_module("jax").config.update("jax_enable_x64", True)
            return module
        return compat.array_namespace(module.asarray([0.0]))

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Let small arrays be worked on as large ones are: in tiles, or by kernels.

        Or let PyTorch be alone with its arrays, as it is on a GPU, and NumPy not see them.
        """
        with contextlib.ExitStack() as stack:
            if self is Backend.STRICTEST:
                flags = self.namespace().ArrayAPIStrictFlags
                stack.enter_context(flags(boolean_indexing=False, data_dependent_shapes=False))
            if self is Backend.NUMPY_KERNELS:
                stack.enter_context(agnostic_lse.kernels("host"))
            if self.is_torch:
                # What it warns of once for each process is to fail each test that it comes from.
                stack.enter_context(_torch_warns_always())
            if self is Backend.TORCH_ALONE:
                stack.enter_context(agnostic_lse.kernels("off"))
            if self is Backend.NUMPY_TILES:
                stack.enter_context(agnostic_lse.kernels("off"))
                for name, size in (("SIZE", 5), ("_LEAST_RUN", 1), ("_LEAST_TERMS", 1)):
                    stack.enter_context(mock.patch.object(tiles, name, size))
            yield

    def device(self, xp: Any) -> Any:
        """Return the device to put arrays on; None is the library's default."""
        if self is Backend.STRICT_DEVICE1:
            return xp.Device("device1")
        return "cuda" if self is Backend.TORCH_CUDA else None


@contextlib.contextmanager
def _torch_warns_always() -> Iterator[None]:
    torch = importlib.import_module("torch")
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        yield
    finally:
        torch.set_warn_always(before)


def required() -> set[str]:
    """Return the backends that must not be missing, by the environment's word."""
    names = {name.strip() for name in os.environ.get(REQUIRED, "").split(",")} - {""}
    unknown = names - {backend.value for backend in Backend}
    if unknown:
        raise ValueError(f"{REQUIRED} names {sorted(unknown)}, which are no backends")
    return names


def available(backend: Backend) -> Backend:
    """Return the backend; skip the test if it is missing, or fail if it is required."""
    reason = backend.missing()
    if reason and backend.value in required():
        pytest.fail(f"a required backend is missing: {reason}")
    if reason:
        pytest.skip(reason)
    return backend


def lacking(reason: str) -> NoReturn:
    """Skip a test for what is not installed, or fail it where backends must not be missing."""
    if required():
        pytest.fail(reason)
    pytest.skip(reason, allow_module_level=True)


def needed(*packages: str) -> None:
    """Skip the test if a package is missing, without importing any here."""
    for package in packages:
        if importlib.util.find_spec(package) is None:
            lacking(f"{package} is not installed: the extra test or engines has it")


class ReadOnlyNumPy(ModuleType):
    """NumPy, making arrays that cannot be written to."""

    def __init__(self) -> None:
        super().__init__("numpy")

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(compat.array_namespace(np.empty(0)), name)
        if isinstance(attribute, type) or not callable(attribute):
            return attribute

        def read_only(*args: Any, **kwargs: Any) -> Any:
            out = attribute(*args, **kwargs)
            if isinstance(out, np.ndarray):
                out = out.view()
                out.flags.writeable = False
            return out

        return read_only


def available_package(name: str) -> Any:
    """Return a package that only some tests need, or skip the test, as for a backend."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        lacking(f"{name} is not installed ({error})")


def make_array(library: Backend, xp: Any, values: npt.ArrayLike, dtype: str | None = None) -> Any:
    """Return values as an array of the backend: float64 for Python floats, Dask in small chunks."""
    on_host = np.asarray(values) if dtype in (None, "bfloat16") else np.asarray(values, dtype=dtype)
    if library is Backend.DASK:  # two entries a block, but no more than a thousand blocks
        return xp.from_array(on_host, chunks=max(2, on_host.size // 1000))
    if library is Backend.CUPY:
        return xp.asarray(on_host)
    if library.is_torch:
        on_host = on_host.copy()  # negative strides and foreign byte orders are not PyTorch's
    if library.is_strict:
        array = xp.asarray(on_host, dtype=getattr(xp, on_host.dtype.name))
        return xp.asarray(array, device=library.device(xp))
    device = library.device(xp)
    array = xp.asarray(on_host, device=device) if device else xp.asarray(on_host)
    return xp.astype(array, xp.bfloat16) if dtype == "bfloat16" else array


def to_numpy(array: Any) -> Any:
    """Copy an array of any backend to a NumPy array, float64 for bfloat16."""
    if compat.is_torch_array(array):
        array = array.detach().cpu()
        return array.double().numpy() if "bfloat16" in str(array.dtype) else array.numpy()
    if compat.is_cupy_array(array):
        return array.get()
    if hasattr(array, "to_device") and type(array).__module__.startswith("array_api_strict"):
        import array_api_strict

        return np.asarray(array.to_device(array_api_strict.Device("CPU_DEVICE")))
    out = np.asarray(array)
    return out.astype(np.float64) if out.dtype.name == "bfloat16" else out
