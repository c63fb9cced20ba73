"""The derivative of a matrix polynomial: why is it not 2 A, and what do I do with the bias that is broadcast?

"My layer is A @ A + 3 A + b, with a matrix A and a vector b that NumPy adds to every row. For numbers the derivative of
a² is 2 a. The shapes fit."
"""

import numpy as np

import xcheck

rng = np.random.default_rng(0)
A, b = rng.normal(size=(3, 3)), rng.normal(size=3)


def polynomial(A, b):
    """Return A² + 3 A + b, shape (3, 3); b, shape (3,), is added to every row."""
    return A @ A + 3 * A + b


def backward(A, b, g):
    """Pull the cotangent g, shape (3, 3), back to A and b."""
    return 2 * A.T @ g + 3 * g, g.sum(axis=1)


print(xcheck.check(polynomial, A, b, vjp=backward, raises=False))
# > polynomial, numpy float64: DISAGREE
# >   vjp= vs finite differences: DISAGREE, 54 of 108 entries of the Jacobian
# >     worst   d out[2, 0] / d A[0, 0]: 2.608 claimed, 1.304 ± 1e-11 measured (ratio 2)
# >             d out[2, 1] / d A[0, 1]: 2.608 claimed, 1.304 ± 7e-12 measured (ratio 2)
# >             d out[0, 0] / d A[0, 2]: 0 claimed, 1.304 ± 1e-12 measured
# >     cause   b: the claim holds the transpose of what belongs to out
# >     cause   42 more wrong entries have another one, that was not recognised
# >     limit   an error of 6e-09 (2e-09 of the output's largest) in any of the 54 that agree would have been seen
# >   at        A in [-0.7037, 1.304], b in [-1.265, 0.04133]; other points may differ
# >   cost      11647 evaluations, 491 ms

# What it means: b stands in every row, so that its gradient is the sum of g over the rows, axis 0. The sum over axis 1
# is that of the transposed output; it has the same length only because the matrix is square, so try other sizes as
# well. Of A no cause is named, so look at the piece that is in doubt. As a product of two matrices, A @ A has two
# gradients:

print(xcheck.check(lambda left, right: left @ right, A, A, vjp=lambda left, right, g: (g @ right.T, left.T @ g)))
# > f, numpy float64: AGREE
# >   vjp= vs finite differences: AGREE, all 162 entries of the Jacobian
# >     limit   an error of 3e-09 (2e-09 of the output's largest) in any of the 162 that agree would have been seen
# >   at        left in [-0.7037, 1.304], right in [-0.7037, 1.304]; other points may differ
# >   cost      87 evaluations, 4 ms

# A is both, and gets the sum of the two. For numbers they are equal, which gives 2 a; matrices do not commute.


def mended(A, b, g):
    """Pull the cotangent g, shape (3, 3), back to A and b."""
    return A.T @ g + g @ A.T + 3 * g, g.sum(axis=0)


print(xcheck.check(polynomial, A, b, vjp=mended))
# > polynomial, numpy float64: AGREE
# >   vjp= vs finite differences: AGREE, all 108 entries of the Jacobian
# >     limit   an error of 1e-08 (7e-09 of the output's largest) in any of the 108 that agree would have been seen
# >   at        A in [-0.7037, 1.304], b in [-1.265, 0.04133]; other points may differ
# >   cost      87 evaluations, 5 ms
