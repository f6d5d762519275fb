"""Arrays of other libraries in host memory, seen as NumPy's without a copy, and back.

Nothing is seen of an array that a program transforms, which is no data yet, or that carries
derivatives along.
"""

from __future__ import annotations

from typing import Any

import array_api_compat as compat
import numpy as np

from .._namespace import PLAIN, Array


def back(like: Array, x: Any) -> Array:
    """Return a new array of NumPy as one of the library, and on the device, of another."""
    if compat.is_torch_array(like):
        import torch  # loaded already, since the array is its own

        return torch.from_numpy(np.asarray(x))  # of one number NumPy makes none by itself
    if compat.is_jax_array(like):
        import jax  # loaded already, since the array is its own

        return jax.device_put(x, like.sharding) if like.committed else jax.numpy.asarray(x)
    return x


def of_torch(x: Array) -> Any:
    """Return a plain array of PyTorch that is not empty as NumPy sees it, or None of any other."""
    import torch  # loaded already, since the array is its own

    tracing = getattr(torch.jit, "is_tracing")  # noqa: B009 (which it does not export)
    if torch.compiler.is_compiling() or tracing():
        return None
    if type(x) not in (torch.Tensor, torch.nn.Parameter) or x.numel() == 0:
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


def of_jax(x: Array) -> Any:
    """Return a plain array of JAX as NumPy sees it, once it is calculated, or None of any other."""
    import jax  # loaded already, since the array is its own

    if isinstance(x, jax.core.Tracer) or x.dtype not in PLAIN:
        return None
    devices = x.devices()
    return np.asarray(x) if len(devices) == 1 and next(iter(devices)).platform == "cpu" else None
