"""Time the sums and normalisations on a GPU, beside other libraries: ``python -m benchmarks.gpu``.

All libraries look at the same array in the GPU's memory, in turn and several times over.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import agnostic_lse
from agnostic_lse._timing import Clock, Effort, Way, fastest
from benchmarks import report
from benchmarks.contenders import FUNCTIONS, OFF, OURS, WITHIN, agrees
from benchmarks.measure import RESULTS, Progress, environment, nanoseconds_each
from benchmarks.speed import DTYPES, QUICK_SHAPES, SHAPES

# Ten times as many numbers as on the host, so that they leave the GPU's cache too.
LARGER = 10
NEWLINE = "\n"
Call = Callable[[], Any]


def cupy_seconds(way: Way, times: int) -> float:
    """Return the seconds of a call on CuPy's stream, by CUDA's own events."""
    cuda = importlib.import_module("cupy").cuda
    start, end = cuda.Event(), cuda.Event()
    with way.within():
        start.record()
        for _ in range(times):
            way.call()
        end.record()
    end.synchronize()
    return float(cuda.get_elapsed_time(start, end)) * 1e-3 / times


def torch_seconds(way: Way, times: int) -> float:
    """Return the seconds of a call on PyTorch's stream, by CUDA's own events."""
    cuda = importlib.import_module("torch").cuda
    start, end = (cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    for _ in range(times):
        way.call()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e-3 / times


def jax_seconds(way: Way, times: int) -> float:
    """Return the seconds of a call by the host's clock: JAX lends nobody its stream.

    The calls queue up, and the last is waited for, so that the wait counts once.
    """
    start = time.perf_counter()
    for _ in range(times):
        out = way.call()
    out.block_until_ready()
    return (time.perf_counter() - start) / times


def _ours(function: str, x: Any, axis: int) -> Call:
    return lambda: getattr(agnostic_lse, function)(x, axis=axis)


def _cupyx(function: str, x: Any, axis: int) -> Call:
    found = getattr(importlib.import_module("cupyx.scipy.special"), function)
    return lambda: found(x, axis=axis)


def _tensor(torch: Any, x: Any) -> Any:
    if not torch.cuda.is_available():
        raise RuntimeError("PyTorch finds no GPU")
    return torch.from_dlpack(x)


def _torch(function: str, x: Any, axis: int) -> Call:
    torch = importlib.import_module("torch")
    tensor, found = _tensor(torch, x), getattr(torch, function)
    return lambda: found(tensor, axis)


def _compiled(function: str, x: Any, axis: int) -> Call:
    torch = importlib.import_module("torch")
    tensor, found = _tensor(torch, x), getattr(torch, function)
    torch.compiler.reset()  # or, after eight compilations, the program would run as it is
    compiled = torch.compile(lambda y: found(y, axis), dynamic=False)
    return lambda: compiled(tensor)


def _jax(function: str, x: Any, axis: int) -> Call:
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    jax.devices("gpu")  # fails where JAX knows no GPU
    array, found = jax.dlpack.from_dlpack(x), getattr(jax.nn, function)
    jitted = jax.jit(lambda y: found(y, axis=axis))
    return lambda: jitted(array)


CONTENDERS: dict[str, tuple[Callable[[str, Any, int], Call], Clock]] = {
    OURS: (_ours, cupy_seconds),
    OFF: (_ours, cupy_seconds),
    "cupyx": (_cupyx, cupy_seconds),
    "torch": (_torch, torch_seconds),
    "torch, compiled": (_compiled, torch_seconds),
    "jax": (_jax, jax_seconds),
}


def ways(
    cupy: Any, function: str, x: Any, axis: int, left_out: dict[str, str]
) -> tuple[dict[str, Way], dict[str, Clock]]:
    """Return all that can be timed, and by which clock; note in `left_out` what cannot."""
    with WITHIN[OFF]():
        true = _ours(function, x, axis)()
    found: dict[str, Way] = {}
    for name, (maker, _) in CONTENDERS.items():
        try:
            way = Way(maker(function, x, axis), WITHIN.get(name, WITHIN[OFF]))
            with way.within():
                out = cupy.from_dlpack(way.call())
            same = agrees(function, out, true)
        # Any of these may lack its GPU, its compiler or its memory, each with errors of its own.
        except Exception as error:
            left_out[name] = f"{type(error).__name__}: {str(error).strip().partition(NEWLINE)[0]}"
            continue
        if same:
            found[name] = way
        else:
            left_out[f"{name}, {function} of {x.dtype} {x.shape}, axis {axis}"] = "another answer"
    target = cupy.empty_like(x)
    found["copy"] = Way(lambda: cupy.copyto(target, x))
    clocks = {name: CONTENDERS[name][1] if name in CONTENDERS else cupy_seconds for name in found}
    return found, clocks


def measure(cupy: Any, options: argparse.Namespace) -> dict[str, Any]:
    shapes = QUICK_SHAPES if options.quick else SHAPES
    progress = Progress(len(shapes) * len(DTYPES) * len(FUNCTIONS), "GPU")
    effort = Effort(options.repeats, 0.3 if options.quick else 1.0)
    left_out: dict[str, str] = {}
    cases = []
    for dtype in DTYPES:
        for (first, *others), axis in shapes:
            shape = (LARGER * first, *others)
            x = cupy.random.default_rng(0).standard_normal(shape, dtype=cupy.dtype(dtype))
            cupy.cuda.Device().synchronize()  # other libraries read it on streams of their own
            for function in FUNCTIONS:
                found, clocks = ways(cupy, function, x, axis, left_out)
                seconds, repeats = fastest(found, effort, clocks)
                cases.append(
                    {
                        "threads": None,
                        "function": function,
                        "dtype": dtype,
                        "shape": list(shape),
                        "axis": axis,
                        "elements": x.size,
                        "bytes": x.nbytes,
                        "repeats": repeats,
                        "nanoseconds_each": nanoseconds_each(seconds, x.size),
                    }
                )
                progress.step(f"{function} {dtype} {shape}")
                del found
                release(cupy)
    return environment(
        unit="nanoseconds per element, the least of the repeats",
        numbers="standard normal",
        device=cupy.cuda.runtime.getDeviceProperties(0)["name"].decode(),
        repeats=options.repeats,
        quick=options.quick,
        cases=cases,
        sizes=[],
        left_out=left_out,
    )


def release(cupy: Any) -> None:
    """Give memory that libraries keep for themselves back to the others."""
    gc.collect()
    cupy.get_default_memory_pool().free_all_blocks()
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        sys.modules["torch"].cuda.empty_cache()


def cupy_with_a_gpu() -> Any:
    """Return CuPy, or leave with a sentence where it finds no GPU."""
    try:
        cupy = importlib.import_module("cupy")
        found = cupy.cuda.runtime.getDeviceCount() > 0
    except (ImportError, RuntimeError):  # CUDA's own errors are of the latter kind
        found = False
    if not found:
        sys.exit("No GPU was found: this benchmark needs CuPy, its CUDA libraries and a GPU.")
    return cupy


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small arrays, few repeats, no file")
    parser.add_argument("--out", type=Path, help=f"default: {RESULTS}/gpu.json, none of --quick")
    parser.add_argument("--repeats", type=int, default=7, help="at least")
    options = parser.parse_args()
    # Read when JAX starts, which would otherwise take three quarters of the GPU's memory at once.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    os.environ.pop("AGNOSTIC_LSE_KERNELS", None)
    results = measure(cupy_with_a_gpu(), options)
    print("\n".join(report.gpu_section(results)))
    for name, why in results["left_out"].items():
        print(f"left out: {name}: {why}")
    report.keep(results, "gpu", options)


if __name__ == "__main__":
    main()
