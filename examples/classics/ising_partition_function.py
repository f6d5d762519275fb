"""
The partition function of the Ising model
=========================================

An energy-based model gives a state the probability :math:`e^{-E/T} / Z`. Its partition function
:math:`Z` is a sum over all states; of a strip of 6 by 1000 spins, over :math:`2^{6000}` of them.

Run it from a checkout: ``python examples/classics/ising_partition_function.py``
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import ellipe, ellipk

from agnostic_lse import logmatmulexp, logsumexp

GREEN, ORANGE, BLUE, PINK = "#009E73", "#D55E00", "#0072B2", "#CC79A7"  # Okabe and Ito's palette
CRITICAL = 2 / np.log(1 + np.sqrt(2))

# %%
# The sum over all states
# -----------------------
#
# Spins of +1 and -1 stand on a square lattice whose opposite edges are joined. The energy is -1 for
# each pair of equal neighbours, and +1 for each other pair. A lattice of 4 by 4 has 65,536 states,
# few enough to go through them all. At low temperature :math:`e^{-E/T}` is more than float64 holds,
# although :math:`\log Z` itself is 801.


def spins(n: int) -> Any:
    """Return all states of n spins, one a row."""
    return 1.0 - 2 * (np.arange(2**n)[:, None] >> np.arange(n) & 1)


lattice = spins(16).reshape(-1, 4, 4)
energy = -sum(np.sum(lattice * np.roll(lattice, 1, axis), axis=(1, 2)) for axis in (1, 2))
for temperature in (0.04, 1.0, CRITICAL):
    with np.errstate(over="ignore"):
        naive = np.log(np.sum(np.exp(-energy / temperature)))
    log_z = logsumexp(-energy / temperature)
    print(f"4 x 4, T = {temperature:.4f}: log Z = {log_z:.12f}, by the formula {naive:.12f}")

# %%
# The transfer matrix
# -------------------
#
# A row of :math:`w` spins has :math:`2^w` states. If :math:`\log A_{ij}` is minus the energy over
# the temperature of the bonds between a row in state :math:`i` and the next in state :math:`j`, and
# of half of the bonds within both, then :math:`Z` of :math:`n` rows in a ring is the trace of
# :math:`A^n` (H. A. Kramers and G. H. Wannier, "Statistics of the two-dimensional ferromagnet",
# Physical Review, 1941). ``logmatmulexp`` multiplies matrices that are kept as logarithms, and
# :math:`n` rows take at most :math:`2 \log_2 n` products.


def log_transfer(width: int, coupling: Any) -> Any:
    """Return the logarithm of the transfer matrix for each coupling, which is 1/T."""
    row = spins(width)
    within = np.sum(row * np.roll(row, 1, axis=1), axis=1)
    bonds = row @ row.T + (within[:, None] + within) / 2
    return np.asarray(coupling)[..., None, None] * bonds


def log_partition(width: int, n_rows: int, coupling: Any) -> Any:
    """Return log Z of rows in a ring, by the binary digits of their number."""
    square = log_transfer(width, coupling)
    power: Any = None
    while True:
        if n_rows % 2:
            power = square if power is None else logmatmulexp(power, square)
        n_rows //= 2
        if not n_rows:
            return logsumexp(np.diagonal(power, axis1=-2, axis2=-1), axis=-1)
        square = logmatmulexp(square, square)


for temperature in (0.04, 1.0, CRITICAL):
    log_z = log_partition(4, 4, 1 / temperature)
    print(f"4 x 4, T = {temperature:.4f}: log Z = {log_z:.12f}, by the transfer matrix")

# %%
# The same power of the matrix itself overflows as soon as :math:`\log Z` exceeds 709, at any
# temperature.

matrix = np.exp(log_transfer(6, 1 / CRITICAL))
few = np.arange(1, 200)
with np.errstate(all="ignore"):
    naive = np.log([np.trace(np.linalg.matrix_power(matrix, n)) for n in few])
last = few[np.isfinite(naive)][-1]
print(f"6 x {last}: log Z = {naive[last - 1]:.6f}, and infinite for all longer strips")

lengths = np.unique(np.logspace(0, 6, 60).astype(int))
exact = np.asarray([log_partition(6, n, 1 / CRITICAL) for n in lengths])
print(f"6 x {lengths[-1]}: log Z = {exact[-1]:.4f}, {exact[-1] / 6 / lengths[-1]:.10f} a spin")
largest = np.log(np.linalg.eigvalsh(matrix)[-1]) / 6
print(f"the largest eigenvalue gives {largest:.10f} a spin for an endless strip")

# %%
# Heat capacity
# -------------
#
# Derivatives of :math:`\log Z` by :math:`K = 1/T` are moments of the energy. The second is its
# variance, and the heat capacity of one of :math:`N` spins is
#
# .. math:: C = \frac{K^2}{N} \frac{d^2 \log Z}{dK^2}.
#
# As the lattice grows, its peak grows and moves towards the critical temperature of the infinite
# one, :math:`2 / \log(1 + \sqrt 2)`, where the exact curve diverges (L. Onsager, "Crystal
# statistics I", Physical Review, 1944).


def heat_capacity(width: int, coupling: Any, step: float = 1e-3) -> Any:
    """Return that of a square lattice, by second differences of log Z."""
    before, here, after = (
        log_partition(width, width, coupling + shift) for shift in (-step, 0, step)
    )
    return coupling**2 * (before - 2 * here + after) / (step * width) ** 2


def onsager(coupling: Any) -> Any:
    """Return that of the infinite lattice."""
    modulus = 2 * np.sinh(2 * coupling) / np.cosh(2 * coupling) ** 2
    other = 2 * np.tanh(2 * coupling) ** 2 - 1
    first, second = ellipk(modulus**2), ellipe(modulus**2)
    bracket = 2 * (first - second) - (1 - other) * (np.pi / 2 + other * first)
    return 2 / np.pi * (coupling / np.tanh(2 * coupling)) ** 2 * bracket


temperatures = np.linspace(1, 4, 61)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
left.semilogx(lengths, exact / 6 / lengths, color=GREEN, lw=4, alpha=0.6, label="logmatmulexp")
left.semilogx(few, naive / 6 / few, "--", color=ORANGE, label="matrix_power")
left.plot(last, naive[last - 1] / 6 / last, "o", color=ORANGE)
left.set(
    title=f"Without logarithms: {last} rows at most",
    xlabel="rows of 6 spins, at the critical temperature",
    ylabel="log Z of a spin",
)
left.legend()
for width, colour, style in ((3, PINK, ":"), (4, BLUE, "-."), (6, GREEN, "--")):
    capacity = heat_capacity(width, 1 / temperatures)
    peak = np.argmax(capacity)
    print(f"{width} x {width}: peak of {capacity[peak]:.4f} at T = {temperatures[peak]:.2f}")
    right.plot(temperatures, capacity, style, color=colour, label=f"{width} x {width}")
fine = np.linspace(1, 4, 600)
right.plot(fine, onsager(1 / fine), color="black", label="Onsager, infinite")
right.axvline(CRITICAL, color="grey", lw=0.8)
right.set(
    title="The peak nears the critical temperature",
    xlabel="temperature",
    ylabel="heat capacity of a spin",
    ylim=(0, 2.5),
)
right.legend()
plt.show()
