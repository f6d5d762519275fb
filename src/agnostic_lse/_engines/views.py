"""Arrays of other libraries in host memory, seen as NumPy's without a copy, and back.

Nothing is seen of an array that a program transforms, which is no data yet, or that carries
derivatives along.
"""

from __future__ import annotations

from typing import Any

import array_api_compat as compat
import numpy as np

from .._namespace import Array, Namespace


def seen(xp: Namespace, x: Array) -> Any:
    """Return an array as NumPy sees it, or None where it cannot."""
    if compat.is_numpy_namespace(xp):
        return x
    if compat.is_torch_namespace(xp):
        return _of_torch(x)
    return _of_jax(x) if compat.is_jax_namespace(xp) else None


def back(like: Array, x: Any) -> Array:
    """Return an array of NumPy as one of the library, and on the device, of another."""
    if compat.is_torch_array(like):
        import torch  # loaded already, since the array is its own

        return torch.from_numpy(x)
    if compat.is_jax_array(like):
        import jax  # loaded already, since the array is its own

        return jax.device_put(x, like.sharding) if like.committed else jax.numpy.asarray(x)
    return x


def _of_torch(x: Array) -> Any:
    import torch  # loaded already, since the array is its own

    tracing = getattr(torch.jit, "is_tracing")  # noqa: B009 (which it does not export)
    if torch.compiler.is_compiling() or tracing():
        return None
    if type(x) not in (torch.Tensor, torch.nn.Parameter) or x._is_zerotensor():
        return None
    transformed = (
        torch._C._functorch.is_functorch_wrapped_tensor(x)
        or torch._C._len_torch_dispatch_stack() > 0
        or torch.autograd.forward_ad._current_level >= 0
        or (x.requires_grad and torch.is_grad_enabled())
    )
    on_host = x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
    return None if transformed or not on_host or x.is_neg() else x.detach().numpy()


def _of_jax(x: Array) -> Any:
    import jax  # loaded already, since the array is its own

    if isinstance(x, jax.core.Tracer) or x.dtype not in (np.float32, np.float64):
        return None
    devices = x.devices()
    return np.asarray(x) if len(devices) == 1 and next(iter(devices)).platform == "cpu" else None
