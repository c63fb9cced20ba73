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
# >     worst   d out[1, 2] / d x[1, 2]: 0.361595 claimed, -0.535669 ± 4e-13 measured (ratio -0.675)
# >             d out[0, 2] / d W[0, 2]: 0.041326 claimed, -0.3163 ± 2e-13 measured (ratio -0.1307)
# >             d out[0, 0] / d x[2, 0]: 0 claimed, 0.640423 ± 4e-13 measured
# >     cause   W, x: the claim is the derivative of W * x, the product entry by entry; the function has W @ x, the matrix product
# >     note    48 of them settled in long double
# >     limit   an error of 1e-08 (1e-08 of the output's largest) in any of the 114 that agree would have been seen
# >   at        W in [-0.7037, 1.304], x in [-2.325, 0.04133]; other points may differ
# >   cost      10423 evaluations, 631 ms

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
# >   cost      87 evaluations, 8 ms
