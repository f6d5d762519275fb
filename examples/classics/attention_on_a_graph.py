"""
Attention over the edges of a graph
===================================

Each node of a graph takes in what its neighbours say, weighted by a softmax over its edges. The
edges of all nodes lie in one array, and those of one node are a segment of it, of any length.

Run it from a checkout: ``python examples/classics/attention_on_a_graph.py``
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.metrics import pairwise_distances

from agnostic_lse import segment_logsumexp

GREEN, ORANGE, BLUE = "#009E73", "#D55E00", "#0072B2"  # Okabe and Ito's palette

# %%
# A graph of digits
# -----------------
#
# Images of handwritten digits are joined by edges where they lie less than 36 apart. The score of
# an edge is minus the squared distance over a temperature, and a node's attention is the softmax of
# the scores of its edges (P. Veličković and others, "Graph attention networks", 2018). What it says
# of its own digit is the attention that it gives to neighbours of the same digit (J. Goldberger, S.
# Roweis, G. Hinton and R. Salakhutdinov, "Neighbourhood components analysis", 2004).

X, y = load_digits(return_X_y=True)
squared = pairwise_distances(X, squared=True)
np.fill_diagonal(squared, np.inf)
node, neighbour = np.nonzero(squared < 36**2)
squared = squared[node, neighbour]
same = y[node] == y[neighbour]
degrees = np.bincount(node, minlength=len(X))
print(f"{len(node)} edges of {len(X)} images, {degrees.min()} to {degrees.max()} of each")

# %%
# As the formula is written
# -------------------------
#
# At temperature 1, exponentials of minus some hundreds are summed by node. Where all of a node's
# are 0 its attention is 0/0, and where only those to its own digit are, its loss is infinite. One
# such node makes the mean loss nan. To subtract the largest score of all edges first is of little
# use: it belongs to the closest pair, and hardly changes what the lonely ones see.


def by_the_formula(scores: Any) -> Any:
    """Return for each node the attention that it gives to neighbours of its own digit."""
    terms = np.exp(scores)
    with np.errstate(invalid="ignore"):
        return np.bincount(node, same * terms, len(X)) / np.bincount(node, terms, len(X))


scores = -squared / 1.0
for name, shift in (("as they are", 0.0), ("largest of all edges subtracted", scores.max())):
    attention = by_the_formula(scores - shift)
    print(f"{name}: 0/0 in {np.isnan(attention).sum()} nodes, 0 in {np.sum(attention == 0)}")

# %%
# Segment by segment
# ------------------
#
# ``segment_logsumexp`` takes for each edge the number of its node, in any order. The difference of
# two of them is the log-attention given to the own digit, and is finite for every node.


def log_attention(scores: Any) -> Any:
    """Return the logarithm of the same, exact."""
    of_same = segment_logsumexp(scores[same], node[same], len(X))
    return of_same - segment_logsumexp(scores, node, len(X))


exact = log_attention(scores)
print(f"exact: mean loss {-exact.mean():.6f}, the largest {-exact.min():.6f}")

# %%
# Which temperature
# -----------------
#
# The mean loss tells which temperature serves best. It is lowest far from 1, and whoever begins
# there must see the slope.

temperatures = np.geomspace(0.1, 1000, 41)
losses, naive, broken, broken_shifted = [], [], [], []
for temperature in temperatures:
    scores = -squared / temperature
    losses.append(-log_attention(scores).mean())
    attention = by_the_formula(scores)
    with np.errstate(divide="ignore"):
        naive.append(-np.log(attention).mean())
    broken.append(np.isnan(attention).sum())
    broken_shifted.append(np.isnan(by_the_formula(scores - scores.max())).sum())
best = int(np.argmin(losses))
first = int(np.argmax(np.isfinite(naive)))
print(f"by the formula the mean loss is finite from temperature {temperatures[first]:.2f} on")
print(f"lowest loss: {losses[best]:.4f} at temperature {temperatures[best]:.1f}")

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
left.loglog(temperatures, losses, color=GREEN, lw=4, alpha=0.6, label="segment_logsumexp")
left.plot(temperatures, naive, "--", color=ORANGE, label="formula")
left.plot(temperatures[first], naive[first], "o", color=ORANGE)
left.plot(temperatures[best], losses[best], "o", color=GREEN, markersize=9)
left.set(
    title=f"The loss is lowest at temperature {temperatures[best]:.0f}",
    xlabel="temperature",
    ylabel="mean loss",
)
left.legend()
right.semilogx(temperatures, broken, color=ORANGE, lw=2, label="as they are")
right.semilogx(temperatures, broken_shifted, "--", color=BLUE, label="largest subtracted")
right.set(
    title="One maximum for all helps little",
    xlabel="temperature",
    xlim=(0.1, 10),
    ylabel=f"nodes of {len(X)} with attention 0/0",
)
right.legend()
plt.show()
