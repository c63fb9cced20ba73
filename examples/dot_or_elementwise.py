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

# What it means: `*` multiplies entry by entry, and `@` adds up products of rows and columns. Of square matrices both
# have the same shape, so that nothing raises. Each entry of `W @ x` depends on a row of W and a column of x; pulled
# back, the cotangent meets the transposed other factor.


def mended(W, x, g):
    """Pull the cotangent g, shape (3, 3), back to W and x."""
    return g @ x.T, W.T @ g


print(xcheck.check(layer, W, x, vjp=mended))
