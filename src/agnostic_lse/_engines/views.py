"""Arrays of other libraries in host memory, seen as NumPy's without a copy, and back.

Nothing is seen of an array that a program transforms, which is no data yet, or that carries
derivatives along.
"""

from __future__ import annotations

from typing import Any

import array_api_compat as compat
import numpy as np

from .._namespace import PLAIN, Array, Namespace


def seen(xp: Namespace, x: Array, least: int) -> Any:
    """Return a plain array of so many entries at least as NumPy sees it, or None of any other."""
    if compat.is_numpy_namespace(xp):
        return x if x.size >= least and x.dtype in PLAIN else None
    if compat.is_torch_namespace(xp):
        return _of_torch(x, least)
    return _of_jax(x, least) if compat.is_jax_namespace(xp) else None


def back(like: Array, x: Any) -> Array:
    """Return a new array of NumPy as one of the library, and on the device, of another."""
    if compat.is_torch_array(like):
        import torch  # loaded already, since the array is its own

        return torch.from_numpy(np.asarray(x))  # of one number NumPy makes none by itself
    if compat.is_jax_array(like):
        import jax  # loaded already, since the array is its own

        return jax.device_put(x, like.sharding) if like.committed else jax.numpy.asarray(x)
    return x


def _of_torch(x: Array, least: int) -> Any:
    import torch  # loaded already, since the array is its own

    tracing = getattr(torch.jit, "is_tracing")  # noqa: B009 (which it does not export)
    if torch.compiler.is_compiling() or tracing():
        return None
    if type(x) not in (torch.Tensor, torch.nn.Parameter) or x.numel() < least:
        return None
    # While functorch is at work, what it makes even of a plain array has no memory of its own.
    transformed = (
        torch._C._functorch.peek_interpreter_stack() is not None
        or torch._C._functorch.is_functorch_wrapped_tensor(x)
        or torch._C._len_torch_dispatch_stack() > 0
        or torch.autograd.forward_ad._current_level >= 0
        or (x.requires_grad and torch.is_grad_enabled())
    )
    on_host = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
    in_memory = on_host and not (x.is_neg() or x._is_zerotensor())
    return x.detach().numpy() if in_memory and not transformed else None


def _of_jax(x: Array, least: int) -> Any:
    import jax  # loaded already, since the array is its own

    # NumPy waits for what is not calculated yet, so that an array too small must not come to it.
    if isinstance(x, jax.core.Tracer) or x.size < least or x.dtype not in PLAIN:
        return None
    devices = x.devices()
    return np.asarray(x) if len(devices) == 1 and next(iter(devices)).platform == "cpu" else None
