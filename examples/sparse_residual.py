"""My residual is tridiagonal, and its Jacobian takes most of the time.

"Every residual depends on its two neighbours, so that three products are enough: I move every third unknown at once and
sort the results. My Newton iteration converges, but slowly. The same trick works for everybody else."
"""

import torch
from scipy.sparse import diags_array

import xcheck


def residual(u):
    """Return the residual of u'' + 0.1 exp(u) = 0 on a ring."""
    return torch.roll(u, 1) - 2 * u + torch.roll(u, -1) + 0.1 * torch.exp(u)


def by_three_products(u):
    """Fill a tridiagonal matrix from three products, shape (n, n)."""
    n = len(u)
    matrix = torch.zeros(n, n, dtype=u.dtype)
    for colour in range(3):
        v = torch.zeros_like(u)
        v[colour::3] = 1
        product = torch.autograd.functional.jvp(residual, u, v)[1]
        for j in range(colour, n, 3):
            rows = slice(max(j - 1, 0), min(j + 2, n))
            matrix[rows, j] = product[rows]
    return matrix


u = torch.sin(torch.arange(9, dtype=torch.float64))
print(xcheck.check(residual, u, jacobian=by_three_products, raises=False))
# > residual, torch float64: DISAGREE
# >   jacobian= vs finite differences: DISAGREE, 2 of 81 entries of the Jacobian
# >     worst   d out[8] / d u[0]: 0 claimed, 1 ± 1e-10 measured
# >             d out[0] / d u[8]: 0 claimed, 1 ± 2e-10 measured
# >     cause   wrong only at both ends of u: the claim is zero there
# >     limit   an error of 2e-09 (8e-10 of the output's largest) in any of the 79 that agree would have been seen
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        u in [-0.9589, 0.9894]; other points may differ
# >   cost      1197 evaluations, 450 ms

# What it means: the unknowns lie on a ring. `roll` joins the last to the first, so that the matrix has an entry in two of
# its corners. The three products have those too, but nobody looks for them, and they are dropped. With ten unknowns they
# would even be added to entries that they do not belong to.
#
# `xcheck.sparse_jacobian` needs no pattern. It finds the entries by products, of which a hundred times more unknowns take
# hardly more, and returns a `scipy.sparse` array:

many = torch.sin(torch.arange(3000, dtype=torch.float64))
found = xcheck.sparse_jacobian(residual, many)
print(type(found).__name__, found.shape, found.nnz, found[[0], :].indices)
# > csr_array (3000, 3000) 9000 [   0    1 2999]

# A pattern that you give spares the search. The values are then held against plain products with random vectors: what
# lies outside of the pattern shows there, and is named.


def tridiagonal(n):
    """Return a matrix with entries next to the diagonal, shape (n, n)."""
    return diags_array([1.0, 1.0, 1.0], offsets=[-1, 0, 1], shape=(n, n))


def ring(n):
    """Return the same with the two corners, shape (n, n)."""
    return tridiagonal(n) + diags_array([1.0, 1.0], offsets=[n - 1, 1 - n], shape=(n, n))


try:
    xcheck.sparse_jacobian(residual, many, pattern=tridiagonal(3000))
except xcheck.AssumptionError as error:
    print(error)
# > residual: every strategy for it relies on this: no entry lies outside of the pattern. But d out[2999] / d u[0] is 1 and not 0.


def by_pattern(u):
    """Compute the entries of the right pattern, shape (n, n)."""
    return xcheck.sparse_jacobian(residual, u, pattern=ring(len(u))).toarray()


print(xcheck.check(residual, u, jacobian=by_pattern))
# > residual, torch float64: AGREE
# >   jacobian= vs finite differences: AGREE, all 81 entries of the Jacobian
# >     limit   an error of 2e-09 (8e-10 of the output's largest) in any of the 81 that agree would have been seen
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        u in [-0.9589, 0.9894]; other points may differ
# >   cost      49 evaluations, 28 ms
