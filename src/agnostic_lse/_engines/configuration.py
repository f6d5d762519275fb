"""What is in use, for a person to read, or a program."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from typing import Any, Literal, overload

from . import choice, host, threads

# Of each module its name, and what the package may be called that brings it.
_LIBRARIES = {
    "numpy": ("NumPy", ("numpy",)),
    "cupy": ("CuPy", ("cupy", "cupy-cuda13x", "cupy-cuda12x", "cupy-cuda11x")),
    "torch": ("PyTorch", ("torch",)),
    "jax": ("JAX", ("jax",)),
    "dask": ("Dask", ("dask",)),
    "array_api_strict": ("array-api-strict", ("array-api-strict",)),
}
_PACKAGES = ("array-api-compat", "array-api-extra", "numba", "scikit-learn", "scipy")


@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...


@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...


def show_config(mode: Literal["stdout", "dicts"] = "stdout") -> dict[str, Any] | None:
    """Show which libraries, kernels and threads are in use.

    Parameters
    ----------
    mode : {'stdout', 'dicts'}
        'stdout': print it. 'dicts': return it as a dictionary, which can be written as JSON.

    Returns
    -------
    dict or None
        For 'dicts', these keys: ``agnostic_lse`` and ``python``, the versions; ``platform``, the
        system in words; ``processors``, how many there are; ``threads``, how many a call may use;
        ``kernels``, which may run; ``host_kernels``, whether those for host memory can;
        ``gpus``, the names of NVIDIA's GPUs, and ``gpu_driver``, its version or None;
        ``libraries``, of each array library its ``version``, None if it is not installed, and its
        ``devices``, None if the program has not imported it; ``packages``, the versions of others,
        None if not installed.

    Raises
    ------
    ValueError
        If `mode` is neither.

    See Also
    --------
    kernels : Choose the kernels for a while.

    Notes
    -----
    This imports no array library, since that may take seconds: the devices of one are known once
    the program has imported it. Numba is imported to see whether it works.

    Examples
    --------
    >>> import agnostic_lse
    >>> agnostic_lse.show_config()  # doctest: +ELLIPSIS
    agnostic_lse ...
    kernels: auto
    ...
    >>> agnostic_lse.show_config("dicts")["kernels"]
    'auto'
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"mode is {mode!r}, but 'stdout' or 'dicts' was expected.")
    config = _configuration()
    if mode == "dicts":
        return config
    print(_as_text(config))
    return None


def _configuration() -> dict[str, Any]:
    gpus, driver = _gpus()
    return {
        "agnostic_lse": sys.modules[__package__.rpartition(".")[0]].__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": os.cpu_count() or 1,
        "threads": threads.number_of_threads(),
        "kernels": choice.chosen(),
        "host_kernels": host.kernels() is not None,
        "gpus": gpus,
        "gpu_driver": driver,
        "libraries": {
            module: {"version": _version(module, packages), "devices": _devices(module)}
            for module, (_, packages) in _LIBRARIES.items()
        },
        "packages": {name: _version(name, (name,)) for name in _PACKAGES},
    }


def _as_text(config: dict[str, Any]) -> str:
    numba = config["packages"]["numba"]
    if not config["host_kernels"]:
        numba = "not there (pip install numba)"
    gpus = ", ".join(config["gpus"]) or "none found"
    if config["gpu_driver"]:
        gpus += f" (driver {config['gpu_driver']})"
    lines = [
        f"agnostic_lse {config['agnostic_lse']}",
        f"kernels: {config['kernels']}",
        f"threads: {config['threads']}, of {config['processors']} processors",
        f"Numba, for kernels in host memory: {numba}",
        f"GPUs of NVIDIA: {gpus}",
        f"Python {config['python']}: {config['platform']}",
    ]
    for module, (name, _) in _LIBRARIES.items():
        version, devices = config["libraries"][module].values()
        if version is None:
            lines.append(f"{name}: not installed")
        else:
            seen = "installed, not loaded" if devices is None else ", ".join(devices) or "no device"
            lines.append(f"{name} {version}: {seen}")
    for name, version in config["packages"].items():
        if name != "numba":
            lines.append(f"{name} {version}" if version else f"{name}: not installed")
    return "\n".join(lines)


def _version(module: str, packages: tuple[str, ...]) -> str | None:
    """Return the version of what is loaded, or else of what is installed."""
    # Not before it is asked for, since it takes as long to load as this whole library
    from importlib.metadata import PackageNotFoundError, version

    if sys.modules.get(module) is not None:
        return str(sys.modules[module].__version__)
    for name in packages:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def _devices(module: str) -> list[str] | None:
    """Name the devices of a library, if it is loaded."""
    library = sys.modules.get(module)
    if library is None:
        return None
    try:
        if module == "jax":
            return [str(device) for device in library.devices()]
        if module == "cupy":
            count = library.cuda.runtime.getDeviceCount()
            return [f"CUDA device {number}" for number in range(count)]
        if module == "torch":
            return ["cpu", *(f"cuda:{number}" for number in range(library.cuda.device_count()))]
    except RuntimeError:  # so CuPy says that there is none, and JAX that it cannot start its own
        return []
    return ["cpu"]


def _gpus() -> tuple[list[str], str | None]:
    """Return the names of NVIDIA's GPUs and the driver's version, as its library NVML has them.

    CUDA itself would not do: whoever has asked it cannot fork any more and use it there.
    """
    try:
        nvml = ctypes.CDLL("nvml.dll" if sys.platform == "win32" else "libnvidia-ml.so.1")
        if nvml.nvmlInit_v2() != 0:
            return [], None
    except (OSError, AttributeError):
        return [], None
    # The header asks for buffers of 96 and 80 characters.
    text, number, names = ctypes.create_string_buffer(96), ctypes.c_uint(), []
    nvml.nvmlDeviceGetCount_v2(ctypes.byref(number))
    for index in range(number.value):
        device = ctypes.c_void_p()
        if (
            nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)) == 0
            and nvml.nvmlDeviceGetName(device, text, len(text)) == 0
        ):
            names.append(text.value.decode())
    known = nvml.nvmlSystemGetDriverVersion(text, len(text)) == 0
    driver = text.value.decode() if known else None
    nvml.nvmlShutdown()
    return names, driver
