"""My hand-written network fails its gradient check since I use np.matrix.

"With arrays the gradients were right. I made the matrices an np.matrix, to write x * W for the product as my book does,
and now they are nonsense. Nothing raises, and all shapes fit."
"""

import numpy as np

import xcheck

rng = np.random.default_rng(0)
data, target = rng.normal(size=(3, 3)), rng.uniform(-1, 1, size=(3, 3))


def cost(W):
    """Return half the squared error of a layer."""
    x, W = np.matrix(data), np.matrix(W)
    return 0.5 * np.sum(np.power(np.tanh(x * W) - target, 2))


def gradient(W):
    """Return its derivatives, with the formulas of the book."""
    x, W = np.matrix(data), np.matrix(W)
    out = np.tanh(x * W)
    delta = (out - target) * (1 - np.power(out, 2))
    return x.T * delta


W = rng.normal(size=(3, 3))
print(xcheck.check(cost, W, gradient=gradient, raises=False))
# > cost, numpy float64: DISAGREE
# >   gradient= vs finite differences: DISAGREE, 9 of 9 entries of the gradient
# >     worst   d out / d W[1, 1]: 1.81887 claimed, -0.635294 ± 6e-10 measured (ratio -2.863)
# >             d out / d W[0, 1]: 1.98652 claimed, -0.0528246 ± 2e-12 measured (ratio -37.61)
# >             d out / d W[2, 1]: -1.53187 claimed, 0.251533 ± 6e-09 measured (ratio -6.09)
# >   at        W in [-0.7435, 1.366]; other points may differ
# >   cost      7897 evaluations, 694 ms

# No simple mistake makes all of this. So check the pieces. The one that comes first on the way back is the slope of
# tanh:


def slope_of_tanh(z, g):
    """Multiply the cotangent by the slope."""
    z, g = np.matrix(z), np.matrix(g)
    return g * (1 - np.power(np.tanh(z), 2))


print(xcheck.check(np.tanh, data @ W, vjp=slope_of_tanh, raises=False))
# > tanh, numpy float64: DISAGREE
# >   vjp= vs finite differences: DISAGREE, 24 of 81 entries of the Jacobian
# >     worst   d out[0, 0] / d x[0, 1]: 0.925947 claimed, 0 ± 1e-17 measured
# >             d out[1, 0] / d x[1, 1]: 0.925947 claimed, 0 ± 1e-14 measured
# >             d out[2, 0] / d x[2, 1]: 0.925947 claimed, 0 ± 6e-15 measured
# >     cause   the claim multiplies the cotangent with the slopes as matrices, g @ slope; of an elementwise function it is g * slope, entry by entry (of np.matrix, `*` is the matrix product)
# >     limit   an error of 3e-10 (4e-10 of the output's largest) in any of the 57 that agree would have been seen
# >   at        x in [-0.5388, 1.195]; other points may differ
# >   cost      8315 evaluations, 209 ms

# What it means: each output of tanh depends on one input, and the claim has slopes between others as well. `*` is the
# matrix product of two matrices, in `x * W`, where you want it, and in `g * (...)`, where the book multiplies entry by
# entry. (`**` changes as well: it multiplies a matrix by itself.) As all matrices are square, all shapes fit.
#
# xcheck does not take an np.matrix as an input, and says what to do instead:

try:
    xcheck.check(np.tanh, np.matrix(W))
except TypeError as error:
    print(error)
# > x is an np.matrix: its * is the matrix product, its slices stay 2-d, and its derivatives are not those of the same code on arrays. Pass np.asarray(x), and write @ where a matrix product is meant.


def mended(W):
    """Return the derivatives of the cost, for arrays."""
    out = np.tanh(data @ W)
    delta = (out - target) * (1 - out**2)
    return data.T @ delta


print(xcheck.check(cost, W, gradient=mended))
# > cost, numpy float64: AGREE
# >   gradient= vs finite differences: AGREE, all 9 entries of the gradient
# >     limit   an error of 1e-08 (1e-08 of the output's largest) in any of the 9 that agree would have been seen
# >   at        W in [-0.7435, 1.366]; other points may differ
# >   cost      47 evaluations, 3 ms
