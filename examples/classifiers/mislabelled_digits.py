"""
Mislabelled digits, found by their exact losses
===============================================

A wrong label costs a good classifier much. Where losses are clipped, all that cost much cost the
same, and nobody can tell which to look at first.

Run it from a checkout: ``python examples/classifiers/mislabelled_digits.py``
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from agnostic_lse.sklearn import LogProbabilityClassifier, log_loss

# %%
# Ten labels are made wrong
# -------------------------

N_WRONG = 10
X, truth = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
wrong = rng.choice(len(truth), N_WRONG, replace=False)
y = truth.copy()
y[wrong] = (truth[wrong] + rng.integers(1, 10, N_WRONG)) % 10

# %%
# Losses out of fold
# ------------------
#
# Each image is judged by a model that has not seen it. With hardly any penalty the regression is
# sure of itself, and many of its probabilities are exactly 0. ``LogProbabilityClassifier`` makes
# its log-probabilities exact; the clipped losses are those that scikit-learn's ``log_loss`` takes
# the mean of.

model = make_pipeline(StandardScaler(), LogisticRegression(C=1e6, max_iter=5000))
exact = LogProbabilityClassifier(model)
log_proba = cross_val_predict(exact, X, y, cv=5, method="predict_log_proba")
own = np.arange(len(y)), y
loss = -log_proba[own]
clipped = -np.log(np.clip(np.exp(log_proba[own]), 2.0**-52, 1))
order = np.argsort(-loss)

found = np.isin(wrong, order[:50]).sum()
print(f"{found} of the {N_WRONG} wrong labels are among the 50 largest losses;")
print(f"clipping makes {(clipped == clipped.max()).sum()} losses equal, the largest of them.")
print(f"mean: {log_loss(y, log_proba):.3f}, clipped: {clipped.mean():.3f}")

figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
rank = np.arange(1, 101)
axes.plot(rank, loss[order[:100]], color="#009E73", lw=2, label="exact")
axes.plot(rank, clipped[order[:100]], "--", color="#D55E00", lw=2, label="clipped")
places = np.flatnonzero(np.isin(order[:100], wrong))
axes.plot(places + 1, loss[order[places]], "o", color="#0072B2", label="wrong label")
axes.set(
    title="Clipping makes the largest losses equal",
    xlabel="images by falling loss",
    ylabel="loss",
)
axes.legend()
plt.show()

# %%
# The images to look at first
# ---------------------------
#
# Those with the largest losses. Where only one digit is named the label is right, and the image is
# one that the model takes for another.

figure, grid = plt.subplots(3, 5, figsize=(6.4, 5.4), layout="constrained")
figure.suptitle("The largest losses: wrong labels, and odd digits")
for axes, i in zip(grid.flat, order, strict=False):
    axes.imshow(X[i].reshape(8, 8), cmap="gray_r")
    axes.set(xticks=[], yticks=[])
    is_wrong = y[i] != truth[i]
    name = f"{y[i]}, in truth {truth[i]}" if is_wrong else f"{y[i]}"
    colour = "#D55E00" if is_wrong else "black"
    axes.set_title(f"{name}\nloss {loss[i]:.0f}", color=colour, fontsize=10)
plt.show()
