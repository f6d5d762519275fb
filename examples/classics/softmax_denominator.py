"""
The softmax denominator and cross-entropy
=========================================

A classifier turns scores into probabilities by the softmax, and learns from the logarithm of the
probability of the right class. Between the two lies a sum of exponentials.

Run it from a checkout: ``python examples/classics/softmax_denominator.py``
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import scipy
from scipy import special
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from agnostic_lse import log_softmax

GREEN, ORANGE, BLUE = "#009E73", "#D55E00", "#0072B2"  # Okabe and Ito's palette
np.set_printoptions(precision=4, suppress=True)
SMALLEST = np.finfo(np.float64).eps  # what probabilities are clipped at, 2.2e-16

# %%
# As the formulas are written
# ---------------------------
#
# The probability of class :math:`k` is :math:`p_k = e^{z_k} / \sum_j e^{z_j}`, and the
# cross-entropy of a sample of that class is :math:`-\log p_k`. Of scores near 1000 the exponentials
# overflow, and of scores near -1000 they are all 0.


def by_the_formula(z: Any) -> Any:
    """Return the logarithm of the softmax, in the order in which the formula is written."""
    with np.errstate(all="ignore"):
        return np.log(np.exp(z) / np.sum(np.exp(z)))


for scores in ([1000.0, 999.0, 0.0], [-1000.0, -1001.0, -2000.0]):
    print(f"{scores}: {by_the_formula(scores)}, exact: {log_softmax(scores)}")

# %%
# Subtracting the largest score first changes nothing in the formula and no exponential overflows
# then. The probabilities are right, but a logarithm taken of them afterwards is not:
# :math:`e^{-1000}` is 0, and its logarithm :math:`-\infty`.
#
# Neither is there a gradient to learn from. The chain rule goes through the probability: the
# derivative of :math:`-\log p_k` by :math:`p_k` is :math:`-1/p_k`, which is :math:`-\infty`, times
# that of :math:`p_k` by a score, which is 0.


def of_the_softmax(z: Any) -> Any:
    """Return the logarithm of probabilities that have been rounded already."""
    with np.errstate(divide="ignore"):
        return np.log(special.softmax(z, axis=-1))


z, label = np.asarray([1000.0, 999.0, 0.0]), 2
print(f"loss: {-of_the_softmax(z)[label]}, exact: {-log_softmax(z)[label]:.4f}")

p, own = special.softmax(z), np.arange(len(z)) == label
with np.errstate(all="ignore"):
    print(f"gradient: {-1 / p[label] * p[label] * (own - p)}, exact: {p - own}")

# %%
# What is lost on both sides
# --------------------------
#
# So probabilities are often clipped at some smallest value before their logarithm is taken. Then
# the loss is finite, but the worst mistakes all cost the same, and their gradient is 0: nothing is
# learned from them. Here two classes have scores that lie a gap apart.
#
# On the other side, where the classifier is right, the loss is about :math:`e^{-\mathrm{gap}}`. If
# it is taken from a probability near 1, or from ``z - logsumexp(z)``, it is 0 from a gap of 37 on,
# and in float32 from one of 17 on.

for gap in (np.asarray(40.0), np.asarray(20.0, np.float32)):
    pair = np.stack([gap, np.zeros_like(gap)])
    theirs, ours = special.log_softmax(pair)[0], log_softmax(pair)[0]
    print(f"{gap.dtype}, gap {gap}: {theirs:.4e} by SciPy {scipy.__version__}, exact {ours:.4e}")

gaps = np.arange(1001.0)
pairs = np.stack([gaps, np.zeros_like(gaps)], axis=1)
right_loss, wrong_loss = -log_softmax(pairs, axis=1).T
right_rounded, wrong_rounded = -of_the_softmax(pairs).T
clipped = np.minimum(wrong_rounded, -np.log(SMALLEST))
infinite_from = gaps[np.isinf(wrong_rounded)][0]
zero_from = gaps[right_rounded == 0][0]
print(f"gap of {gaps[-1]:.0f}: loss {wrong_loss[-1]:.1f}, clipped {clipped[-1]:.4f}, ", end="")
print(f"of the softmax {wrong_rounded[-1]}, as from a gap of {infinite_from:.0f} on")

figure, (wrong, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
wrong.plot(gaps, wrong_loss, color=GREEN, lw=4, alpha=0.6, label="log_softmax")
before = gaps < infinite_from
wrong.plot(gaps[before], wrong_rounded[before], color=ORANGE, label="log of the softmax")
wrong.plot(gaps[before][-1], wrong_rounded[before][-1], "o", color=ORANGE)
wrong.plot(gaps, clipped, "--", color=BLUE, label="clipped at 2.2e-16")
wrong.set(
    title=f"Wrong: infinite from {infinite_from:.0f}, or clipped", xlabel="gap", ylabel="loss"
)
wrong.legend()
right.semilogy(gaps[:81], right_loss[:81], color=GREEN, lw=4, alpha=0.6)
before = gaps < zero_from
right.semilogy(gaps[before], right_rounded[before], color=ORANGE)
right.plot(gaps[before][-1], right_rounded[before][-1], "o", color=ORANGE)
right.set(title=f"Right: rounded to 0 from {zero_from:.0f}", xlabel="gap", ylabel="loss")
plt.show()

# %%
# What clipping does to learning
# ------------------------------
#
# Softmax regression on handwritten digits, from weights that are drawn at random and much too
# large. All three runs begin with the same weights and take the same 200 steps down the gradient of
# the mean loss, which for a sample is ``softmax(scores)`` minus 1 at its class. They differ in
# which samples have one: all of them, or those only whose probability has not been clipped.

images, digits = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(
    images, digits, test_size=0.3, random_state=0, stratify=digits
)
rows = np.arange(len(y))


def train(lowest: float) -> tuple[list[float], Any]:
    """Return the exact mean loss at each step, and the weights, without gradients below a log p."""
    weights = np.random.default_rng(0).normal(size=(64, 10))
    losses = []
    for _ in range(200):
        log_p = log_softmax(X @ weights, axis=1)
        losses.append(float(-log_p[rows, y].mean()))
        gradient = np.exp(log_p)
        gradient[rows, y] -= 1
        gradient[log_p[rows, y] < lowest] = 0
        weights -= 0.1 / len(y) * X.T @ gradient
    return losses, weights


figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for name, smallest, colour, style in (
    ("clipped at 1e-7", 1e-7, ORANGE, ":"),
    ("clipped at 2.2e-16", SMALLEST, BLUE, "--"),
    ("log_softmax", 0, GREEN, "-"),
):
    with np.errstate(divide="ignore"):
        losses, weights = train(np.log(smallest))
    accuracy = np.mean(np.argmax(X_test @ weights, axis=1) == y_test)
    print(f"{name:<20} loss {losses[0]:6.2f} -> {losses[-1]:6.2f}, accuracy {accuracy:.3f}")
    axes.plot(losses, ls=style, lw=2, color=colour, label=f"{name}: accuracy {accuracy:.2f}")
axes.set(
    title="Clipping hides the worst mistakes from the gradient",
    xlabel="step",
    ylabel="exact mean loss of training",
    yscale="log",
)
axes.legend()
plt.show()

# %%
# On accuracy, and why subtracting the largest score is stable: P. Blanchard, D. J. Higham and N. J.
# Higham, "Accurately computing the log-sum-exp and softmax functions", IMA Journal of Numerical
# Analysis, 2021.
