"""A stand-in for CuPy, whose arrays lie in host memory and whose kernels run there."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

COMPILER = shutil.which("g++")
_PAD = 64  # bytes before and behind an array, in which nothing may be written, nor read for good


class Device:
    """The only device, entered and left as often as anyone likes."""

    id = 0

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Array(np.ndarray[Any, Any]):
    """An array with CuPy's attributes, and what its memory began as around it."""

    @property
    def device(self) -> Any:
        return Device()

    @property
    def data(self) -> Any:
        return SimpleNamespace(ptr=self.ctypes.data)


class Emulator:
    """The names of CuPy that the package uses."""

    ndarray = generic = Array

    def __init__(self, processors: int) -> None:
        self.backwards = False
        self.launched: list[str] = []
        self.around: list[np.ndarray[Any, Any]] = []
        self.cuda = SimpleNamespace(
            runtime=SimpleNamespace(
                is_hip=False,
                cudaDevAttrMultiProcessorCount=16,
                deviceGetAttribute=lambda _attribute, _device: processors,
            )
        )

    def empty(self, shape: Any, dtype: Any) -> Any:
        """Return an array full of nan, amid more of it."""
        dtype = np.dtype(dtype)
        size = int(np.prod(shape)) * dtype.itemsize
        memory = np.full(size + 3 * _PAD, 0xFF, np.uint8)
        first = _PAD + -(memory.ctypes.data + _PAD) % _PAD
        self.around += [memory[:first], memory[first + size :]]
        return memory[first : first + size].view(dtype).reshape(shape).view(Array)

    def empty_like(self, x: Any) -> Any:
        """Return an array of the same memory layout."""
        order = sorted(range(x.ndim), key=lambda axis: -abs(x.strides[axis]))
        out = self.empty([x.shape[axis] for axis in order], x.dtype)
        return out.transpose(np.argsort(order))

    def array(self, x: Any) -> Any:
        """Return a copy."""
        out = self.empty(np.shape(x), np.asarray(x).dtype)
        out[...] = x
        return out

    ascontiguousarray = array

    def is_intact(self) -> bool:
        """Return whether nothing was written around any array so far."""
        return all(np.all(memory == 0xFF) for memory in self.around)

    def RawModule(self, code: str, options: tuple[str, ...], name_expressions: Any) -> Any:  # noqa: N802 (CuPy's)
        """Return a module of which a kernel can be got."""
        assert "--fmad=false" in options
        assert len(name_expressions) == 1
        return SimpleNamespace(get_function=functools.partial(self._function, code))

    def _function(self, code: str, name: str) -> Callable[..., None]:
        function = compiled(code)[symbol(name)]

        def launch(grid: tuple[int], block: tuple[int], arguments: tuple[Any, ...]) -> None:
            self.launched.append(name)
            numbers = [
                ctypes.c_int64(each.data.ptr if isinstance(each, Array) else each)
                for each in arguments
            ]
            addresses = (ctypes.c_void_p * len(numbers))(*map(ctypes.addressof, numbers))
            function(addresses, grid[0], block[0], self.backwards)

        return launch


def symbol(name: str) -> str:
    """Return what an emulated kernel is called in its library."""
    return "emulated_" + re.sub(r"\W+", "_", name)


@functools.cache
def compiled(code: str) -> Any:
    """Return the library of all kernels of a source, compiled once for all processes."""
    from agnostic_lse._engines import cuda

    shim = Path(__file__).with_name("cuda_emulator.h")
    names = [name for source, name, _ in cuda.variants() if source == code]
    main = '#include "cuda_emulator.h"\n' + "".join(
        f"EMULATED({symbol(name)}, {name})\n" for name in names
    )
    key = hashlib.sha256((code + shim.read_text() + main).encode()).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"agnostic_lse_emulated_{key}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "main.cpp").write_text(main)
            Path(folder, "kernels.cu").write_text(code)
            out = Path(folder, "kernels.so")
            assert COMPILER is not None
            flags = ["-std=c++17", "-O1", "-ffp-contract=off", "-fno-strict-aliasing", "-w"]
            command = [COMPILER, *flags, "-shared", "-fPIC", f"-I{shim.parent}", f"-I{folder}"]
            subprocess.run([*command, "main.cpp", "-o", str(out)], check=True, cwd=folder)
            out.replace(library)  # at once, whoever else is at it
    return ctypes.CDLL(str(library))
