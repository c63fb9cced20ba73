"""My hand-written gradient comes out as whole numbers, and gradient descent stops early.

"I fill the gradient in a loop, entry by entry, with the formula from the book. The formula is right when I compute an
entry by hand."
"""

import numpy as np

import xcheck

data = np.array([[1, 2, 0], [3, 4, 1], [5, 6, 2], [7, 9, 4]])
target = np.array([1.5, -0.5, 2.0, 0.5])
w = np.array([0.3, -0.2, 0.7])


def loss(w):
    """Return the mean squared error of a linear model."""
    return np.mean((data @ w - target) ** 2)


def gradient(w):
    """Return the gradient, shape (3,)."""
    g = np.zeros_like(data[0])
    for k in range(len(w)):
        g[k] = 2 * np.mean((data @ w - target) * data[:, k])
    return g


print(xcheck.check(loss, w, gradient=gradient, raises=False))
# > loss, numpy float64: DISAGREE
# >   gradient= vs finite differences: DISAGREE, 3 of 3 entries of the gradient
# >     worst   d out / d w[1]: 11 claimed, 11.8 ± 6e-12 measured (ratio 0.9322)
# >             d out / d w[2]: 5 claimed, 5.55 ± 2e-12 measured (ratio 0.9009)
# >             d out / d w[0]: 9 claimed, 9.5 ± 3e-12 measured (ratio 0.9474)
# >     cause   the claim is the derivative cut off at the decimal point: an array of integers holds it
# >     note    gradient= returned int64 numbers: an integer array truncates what is stored in it
# >   at        w in [-0.2, 0.7]; other points may differ
# >   cost      3397 evaluations, 148 ms

# What it means: `zeros_like` copies the dtype as well as the shape, and `data` holds integers, so that `g` can hold
# nothing else. NumPy cuts off what comes behind the point when it writes into `g`, and does not warn.


def mended(w):
    """Return the gradient, shape (3,), in the dtype of the weights."""
    g = np.zeros_like(w)
    for k in range(len(w)):
        g[k] = 2 * np.mean((data @ w - target) * data[:, k])
    return g


print(xcheck.check(loss, w, gradient=mended))
# > loss, numpy float64: AGREE
# >   gradient= vs finite differences: AGREE, all 3 entries of the gradient
# >     limit   an error of 6e-09 (5e-10 of the output's largest) in any of the 3 that agree would have been seen
# >   at        w in [-0.2, 0.7]; other points may differ
# >   cost      19 evaluations, 2 ms
