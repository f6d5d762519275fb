"""
A hidden Markov model as a scan of matrices
===========================================

The forward algorithm multiplies a vector by one matrix for each observation, and underflows after
a few hundred. Kept as logarithms the product goes on for ever, and need not go in order.

Run it from a checkout: ``python examples/classics/hidden_markov_scan.py``
"""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from agnostic_lse import logmatmulexp, logsumexp

GREEN, ORANGE, BLUE = "#009E73", "#D55E00", "#0072B2"  # Okabe and Ito's palette

# %%
# The dishonest casino
# --------------------
#
# A casino rolls a fair die most of the time, and a loaded one that shows a six every second time
# now and then (R. Durbin, S. R. Eddy, A. Krogh and G. Mitchison, "Biological sequence analysis",
# 1998). Only the rolls are seen.

N_ROLLS = 10_000
START = np.asarray([0.5, 0.5])
CHANGE = np.asarray([[0.95, 0.05], [0.1, 0.9]])
FACES = np.asarray([[1 / 6] * 6, [0.1] * 5 + [0.5]])

rng = np.random.default_rng(0)
loaded = np.empty(N_ROLLS, dtype=int)
state = rng.choice(2, p=START)
for i in range(N_ROLLS):
    loaded[i] = state
    state = rng.choice(2, p=CHANGE[state])
rolls = np.asarray([rng.choice(6, p=FACES[state]) for state in loaded])

# %%
# As the formula is written
# -------------------------
#
# The forward algorithm keeps the joint probability of all rolls so far and of each die. Every roll
# multiplies it by about 1/6.

forward = START * FACES[:, rolls[0]]
likelihood = [forward.sum()]
for roll in rolls[1:]:
    forward = forward @ CHANGE * FACES[:, roll]
    likelihood.append(forward.sum())
with np.errstate(divide="ignore"):
    naive = np.log(likelihood)
last = int(np.flatnonzero(np.isfinite(naive))[-1]) + 1
print(f"likelihood of {last} rolls: {likelihood[last - 1]:.2g}, of {last + 1}: {likelihood[last]}")

# %%
# In log space, in any order
# --------------------------
#
# Roll :math:`t` is a matrix, :math:`M_t = A \, \mathrm{diag}(b_t)`, of the changes between dice and
# the probabilities of the face, and the likelihood a product of all. A product is associative: in
# round :math:`k` of a scan each takes in the one :math:`2^k` places before it, all at once (W. D.
# Hillis and G. L. Steele, "Data parallel algorithms", Communications of the ACM, 1986), so that 14
# rounds of ``logmatmulexp`` make the products of all 10,000 beginnings. S. S. Hassan, S. Särkkä and
# Á. F. García-Fernández have more on such models ("Temporal parallelization of inference in hidden
# Markov models", IEEE Transactions on Signal Processing, 2021).


def scan(matrices: Any) -> Any:
    """Return the products of the first, of the first two, and so on, all as logarithms."""
    distance = 1
    while distance < len(matrices):
        longer = logmatmulexp(matrices[:-distance], matrices[distance:])
        matrices = np.concatenate([matrices[:distance], longer])
        distance *= 2
    return matrices


log_faces = np.log(FACES[:, rolls]).T
steps = np.log(CHANGE) + log_faces[1:, None, :]
first = np.log(START) + log_faces[0]
log_forward = np.concatenate([first[None], logmatmulexp(first, scan(steps))])
log_likelihood = logsumexp(log_forward, axis=1)
print(
    f"log-likelihood of {last} rolls: {log_likelihood[last - 1]:.6f}, naive {naive[last - 1]:.6f}"
)
print(f"log-likelihood of {N_ROLLS} rolls: {log_likelihood[-1]:.6f}, naive {naive[-1]}")

# %%
# Rabiner's way to avoid the underflow is to scale the vector to the sum 1 at each roll, and to add
# up the logarithms of the scales (L. R. Rabiner, "A tutorial on hidden Markov models and selected
# applications in speech recognition", Proceedings of the IEEE, 1989). It gives the same number, but
# must go roll by roll.

forward = START * FACES[:, rolls[0]]
scaled = np.log(forward.sum())
for roll in rolls[1:]:
    forward = forward / forward.sum() @ CHANGE * FACES[:, roll]
    scaled += np.log(forward.sum())
print(f"by scaling: {scaled:.6f}, relative difference {abs(scaled / log_likelihood[-1] - 1):.0e}")

# %%
# Which die it was
# ----------------
#
# The products of all endings come from the same scan, of the transposed matrices in reverse. Both
# together give the probability of each die at each roll.

endings = scan(steps[::-1].transpose(0, 2, 1))[::-1].transpose(0, 2, 1)
log_backward = np.concatenate([logsumexp(endings, axis=2), np.zeros((1, 2))])
log_joint = log_forward + log_backward
assert np.allclose(logsumexp(log_joint, axis=1), log_likelihood[-1], rtol=1e-12)
posterior = np.exp(log_joint[:, 1] - log_likelihood[-1])
right = np.mean((posterior > 0.5) == loaded)
print(f"the die is named rightly at {right:.1%} of all rolls")

figure, (above, below) = plt.subplots(2, 1, figsize=(6.4, 5), layout="constrained")
counts = np.arange(1, N_ROLLS + 1)
above.plot(counts[:1000], log_likelihood[:1000], color=GREEN, lw=4, alpha=0.6, label="scan")
above.plot(counts[:last], naive[:last], "--", color=ORANGE, label="forward algorithm")
above.plot(last, naive[last - 1], "o", color=ORANGE)
above.set(
    title=f"The forward algorithm ends at {last} rolls, a scan does not",
    xlabel="rolls",
    ylabel="log-likelihood",
)
above.legend()
shown = slice(9_600, 10_000)
below.fill_between(
    counts[shown], loaded[shown], step="mid", color=ORANGE, alpha=0.3, lw=0, label="loaded in truth"
)
below.plot(counts[shown], posterior[shown], color=BLUE, label="probability of the loaded die")
below.set(
    title="The last 400 of 10,000 rolls",
    xlabel="roll",
    ylabel="probability",
    ylim=(0, 1.4),
    yticks=[0, 0.5, 1],
)
below.legend(ncols=2, loc="upper center")
plt.show()
