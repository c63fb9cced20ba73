"""My numeric gradient is always zero, and the descent does not move.

"I want the gradient of any loss, with the data as extra arguments. I move one weight up, then down, and divide."
"""

import numpy as np

import xcheck

rng = np.random.default_rng(0)
inputs, labels, w = rng.normal(size=(8, 3)), rng.normal(size=8), rng.normal(size=3)


def loss(w, inputs, labels):
    """Return the mean squared error of a model with one hidden unit per weight."""
    return np.mean((np.tanh(inputs * w).sum(axis=1) - labels) ** 2)


def numeric_gradient(w, *args, h=1e-5):
    """Return the gradient of the loss with respect to w."""
    g = np.zeros_like(w)
    for k in range(len(w)):
        up, down = w, w
        up[k] += h
        down[k] -= h
        g[k] = (loss(up, *args) - loss(down, *args)) / (2 * h)
    return g


print(xcheck.check(loss, w, inputs, labels, wrt="w", gradient=numeric_gradient, raises=False))
# > loss, numpy float64: DISAGREE
# >   gradient= vs finite differences: DISAGREE, 3 of 3 entries of the gradient
# >     worst   d out / d w[1]: 0 claimed, 0.462413 ± 9e-13 measured
# >             d out / d w[2]: 0 claimed, -0.46225 ± 3e-12 measured
# >             d out / d w[0]: 0 claimed, -0.0914977 ± 3e-12 measured
# >     cause   the claim is zero throughout, and the function depends on it; it is cut off (detach, stop_gradient, .numpy(), a constant copy), or the rule leaves it out
# >   unchecked inputs, labels: held constant, not named in wrt=
# >   at        w in [-0.1592, 0.5408]; other points may differ
# >   cost      3433 evaluations, 243 ms

# What it means: `up = w` makes no new array; `up`, `down` and `w` are three names of one. It goes up by h and down
# again before the loss is computed twice at the same place. Copies mend it:


def mended(w, *args, h=1e-5):
    """Return the gradient of the loss with respect to w."""
    g = np.zeros_like(w)
    for k in range(len(w)):
        up, down = w.copy(), w.copy()
        up[k] += h
        down[k] -= h
        g[k] = (loss(up, *args) - loss(down, *args)) / (2 * h)
    return g


print(xcheck.check(loss, w, inputs, labels, wrt="w", gradient=mended))
# > loss, numpy float64: AGREE
# >   gradient= vs finite differences: AGREE, all 3 entries of the gradient
# >     limit   an error of 4e-09 (8e-09 of the output's largest) in any of the 3 that agree would have been seen
# >   unchecked inputs, labels: held constant, not named in wrt=
# >   at        w in [-0.1592, 0.5408]; other points may differ
# >   cost      19 evaluations, 7 ms

# Nothing has to be written by hand: `finite_difference` chooses the steps, and says how far each slope can be trusted.
print(f"loss {loss(w, inputs, labels):.4f}")
# > loss 0.5917
for _ in range(50):
    slope, bar = xcheck.finite_difference(loss, w, inputs, labels, wrt="w")
    assert bar.max() < 1e-8
    w = w - 0.3 * slope
print(f"loss {loss(w, inputs, labels):.4f}")
# > loss 0.3000
