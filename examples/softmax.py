"""The derivative of softmax: s * (1 - s), zero, or a matrix?

"For the sigmoid I use s * (1 - s), and every tutorial writes the same for softmax. My gradient check fails. Automatic
differentiation tells me that the gradient is zero. And for a batch, which einsum do I need?"
"""

import numpy as np

import xcheck

rng = np.random.default_rng(0)
x = rng.normal(size=4)


def softmax(x):
    """Normalise along the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def like_sigmoid(x):
    """Return s * (1 - s) for every entry."""
    s = softmax(x)
    return np.diag(s * (1 - s))


print(xcheck.check(softmax, x, jacobian=like_sigmoid, raises=False))
# > softmax, numpy float64: DISAGREE
# >   jacobian= vs finite differences: DISAGREE, 12 of 16 entries of the Jacobian
# >     worst   d out[2] / d x[0]: 0 claimed, -0.085439 ± 2e-12 measured
# >             d out[0] / d x[2]: 0 claimed, -0.085439 ± 5e-13 measured
# >             d out[3] / d x[2]: 0 claimed, -0.0836777 ± 3e-13 measured
# >     cause   the claim has the diagonal of the Jacobian and zeros elsewhere, as of an elementwise function; here every output depends on other inputs too (as in a softmax)
# >     limit   an error of 4e-10 (3e-09 of the output's largest) in any of the 4 that agree would have been seen
# >   at        x in [-0.1321, 0.6404]; other points may differ
# >   cost      5089 evaluations, 202 ms

# What it means: s * (1 - s) is d s[i] / d x[i], and right. But the sum in the denominator ties all entries together:
# d s[i] / d x[j] is -s[i] * s[j]. A vector has a matrix as its derivative.


def jacobian(x):
    """Return the matrix for a vector, shape (n, n); for a batch, one for every row, shape (m, n, n)."""
    s = softmax(x)
    return s[..., None] * np.eye(s.shape[-1]) - s[..., None] * s[..., None, :]


print(xcheck.check(softmax, x, jacobian=jacobian))
# > softmax, numpy float64: AGREE
# >   jacobian= vs finite differences: AGREE, all 16 entries of the Jacobian
# >     limit   an error of 5e-09 (2e-08 of the output's largest) in any of the 16 that agree would have been seen
# >   at        x in [-0.1321, 0.6404]; other points may differ
# >   cost      23 evaluations, 3 ms

# The gradient that "is zero" is that of `softmax(x).sum()`: the rows of this matrix, added up. All entries of a softmax
# sum up to one, whatever x is.

assert np.allclose(jacobian(x).sum(axis=0), 0)

# A batch has one matrix for every row. A backward pass multiplies each by the cotangent of that row.

batch = rng.normal(size=(2, 3))


def backward(x, g):
    """Multiply the cotangents, shape (m, n), by the matrices."""
    return np.einsum("mnr,mrr->mr", g[:, None, :], jacobian(x))


print(xcheck.check(softmax, batch, vjp=backward, raises=False))
# > softmax, numpy float64: DISAGREE
# >   vjp= vs finite differences: DISAGREE, 12 of 36 entries of the Jacobian
# >     worst   d out[0, 2] / d x[0, 1]: 0 claimed, -0.162504 ± 1e-12 measured
# >             d out[0, 1] / d x[0, 2]: 0 claimed, -0.162504 ± 1e-13 measured
# >             d out[1, 1] / d x[1, 0]: 0 claimed, -0.113316 ± 1e-13 measured
# >     cause   the claim has the diagonal of the Jacobian and zeros elsewhere, as of an elementwise function; here every output depends on other inputs too (as in a softmax)
# >     limit   an error of 7e-10 (4e-09 of the output's largest) in any of the 24 that agree would have been seen
# >   at        x in [-1.265, 1.304]; other points may differ
# >   cost      5822 evaluations, 330 ms

# What it means: an index that is repeated within one operand, as r in `mrr`, takes the diagonal. So the mistake is the
# same again, s * (1 - s). The matrix needs an index of its own for its rows and its columns.


def mended(x, g):
    """Multiply the cotangents, shape (m, n), by the matrices."""
    return np.einsum("mn,mnr->mr", g, jacobian(x))


print(xcheck.check(softmax, batch, vjp=mended))
# > softmax, numpy float64: AGREE
# >   vjp= vs finite differences: AGREE, all 36 entries of the Jacobian
# >     limit   an error of 7e-10 (4e-09 of the output's largest) in any of the 36 that agree would have been seen
# >   at        x in [-1.265, 1.304]; other points may differ
# >   cost      35 evaluations, 7 ms
