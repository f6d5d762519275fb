"""What is in use, for a person to read."""

from __future__ import annotations

import sys

from . import choice, host, threads

_LIBRARIES = {
    "numpy": "NumPy",
    "cupy": "CuPy",
    "torch": "PyTorch",
    "jax": "JAX",
    "dask": "Dask",
    "array_api_strict": "array-api-strict",
}


def show_config() -> None:
    """Print which libraries, kernels and threads are in use.

    See Also
    --------
    kernels : Choose the kernels for a while.

    Notes
    -----
    A library counts as in use once the program has imported it: this one imports none on its own.
    Numba is imported here to see whether it works.

    Examples
    --------
    >>> import agnostic_lse
    >>> agnostic_lse.show_config()  # doctest: +ELLIPSIS
    agnostic_lse ...
    kernels: auto
    ...
    """
    kind = choice.chosen()
    number = threads.number_of_threads()
    print(f"agnostic_lse {sys.modules[__package__.partition('.')[0]].__version__}")
    print(f"kernels: {kind}")
    print(f"threads: {number}")
    print(f"Numba, for kernels in host memory: {_numba()}")
    for module, name in _LIBRARIES.items():
        if module in sys.modules:
            print(f"{name} {sys.modules[module].__version__}: {_devices(module)}")


def _numba() -> str:
    if host.kernels() is None:
        return "not to be imported (pip install 'agnostic-lse[fast]')"
    return str(sys.modules["numba"].__version__)


def _devices(module: str) -> str:
    """Name the devices of a library that is loaded."""
    if module == "jax":
        return ", ".join(str(device) for device in sys.modules[module].devices())
    if module == "cupy":
        count = sys.modules[module].cuda.runtime.getDeviceCount()
        return ", ".join(f"CUDA device {number}" for number in range(count)) or "no device"
    if module == "torch":
        count = sys.modules[module].cuda.device_count()
        return ", ".join(["cpu", *(f"cuda:{number}" for number in range(count))])
    return "cpu"
