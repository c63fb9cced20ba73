"""My gradient check fails as soon as there are matrices.

"For numbers my layer's backward pass was right. With matrices, nearly half of the entries differ from the numeric
gradient. The shapes fit, and nothing raises."
"""

import numpy as np

import xcheck

rng = np.random.default_rng(0)
W, x = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))


def layer(W, x):
    """Return the layer's output, shape (3, 3)."""
    return W @ x


def backward(W, x, g):
    """Multiply the cotangent by the other factor, as for numbers."""
    return g * x, g * W


print(xcheck.check(layer, W, x, vjp=backward, raises=False))
# > layer, numpy float64: DISAGREE
# >   vjp= vs finite differences: DISAGREE, 48 of 162 entries of the Jacobian
# >     worst   d out[0, 0] / d W[0, 1]: 0 claimed, -2.32503 ± 2e-12 measured
# >             d out[1, 0] / d W[1, 1]: 0 claimed, -2.32503 ± 2e-10 measured
# >             d out[2, 0] / d W[2, 1]: 0 claimed, -2.32503 ± 5e-10 measured
# >     cause   W, x: the claim is the derivative of W * x, the product entry by entry; the function has W @ x, the matrix product
# >     limit   an error of 1e-08 (1e-08 of the output's largest) in any of the 114 that agree would have been seen
# >   at        W in [-0.7037, 1.304], x in [-2.325, 0.04133]; other points may differ
# >   cost      13724 evaluations, 324 ms

# What it means: `*` multiplies entry by entry, and `@` adds up products of rows and columns. Of square matrices both
# have the same shape, so that nothing raises. Each entry of `W @ x` depends on a row of W and a column of x; pulled
# back, the cotangent meets the transposed other factor.


def mended(W, x, g):
    """Pull the cotangent g, shape (3, 3), back to W and x."""
    return g @ x.T, W.T @ g


print(xcheck.check(layer, W, x, vjp=mended))
# > layer, numpy float64: AGREE
# >   vjp= vs finite differences: AGREE, all 162 entries of the Jacobian
# >     limit   an error of 1e-08 (6e-09 of the output's largest) in any of the 162 that agree would have been seen
# >   at        W in [-0.7037, 1.304], x in [-2.325, 0.04133]; other points may differ
# >   cost      87 evaluations, 4 ms
