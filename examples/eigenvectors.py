"""eig and eigh give me different eigenvectors. Which are right, and can I compare their derivatives?

"The matrix is symmetric, so that both should return the same. `eig` in NumPy has the columns in another order than
`eigh` in torch and JAX, and with other signs."
"""

import jax.numpy as jnp
import numpy as np
import torch

import xcheck

a = np.array([[3.0, 1.0], [0.5, 1.0]])


def in_numpy(a):
    """Return eigenvalues and eigenvectors of the symmetric part of a, shapes (2,) and (2, 2)."""
    return tuple(np.linalg.eig((a + a.T) / 2))


def in_torch(a):
    """Return the same by the function for symmetric matrices."""
    return tuple(torch.linalg.eigh((a + a.T) / 2))


def in_jax(a):
    """Return the same in JAX."""
    return tuple(jnp.linalg.eigh((a + a.T) / 2))


print(xcheck.crosscheck({"torch": in_torch, "jax": in_jax, "numpy": in_numpy}, a, raises=False))
# > crosscheck, float64: DISAGREE
# >   implementation  by itself    with torch          with jax            with numpy
# >   torch           agree        -                   agree               another function
# >                                                    value same          value differs
# >                                                    Jacobian 16 digits  Jacobian differs
# >   jax             agree        agree               -                   another function
# >                                value same                              value differs
# >                                Jacobian 16 digits                      Jacobian differs
# >   numpy           values only  another function    another function    -
# >                                value differs       value differs
# >                                slopes differs      slopes differs
# >   numpy computes another function: out[1][1, 0] is -0.948683298 by torch and jax, 0.316227766 by numpy. So at 5 more.
# >   note      numpy: its outputs are those of torch but for order, signs or phases; xcheck.invariant(f, 'eig') around each compares what is defined
# >   at        a in [0.5, 3]; other points may differ
# >   cost      2356 evaluations, 2.7 s

# What it means: all are right. If v is an eigenvector, so is -v, and for complex matrices v times any phase; no order
# is prescribed either. Each library has its own habits, and a small change of the matrix may change signs and order. A
# loss must not depend on them, or its derivative means nothing. What all must share are the eigenvalues and, for each
# eigenvector, the projector v vᵀ. Sort what comes in no order, and compare those:


def sorted_numpy(a):
    """Return eigenvalues, the smallest first, and their eigenvectors."""
    values, vectors = np.linalg.eig((a + a.T) / 2)
    order = np.argsort(values)
    return values[order], vectors[:, order]


functions = {"torch": in_torch, "jax": in_jax, "numpy": sorted_numpy}
print(xcheck.crosscheck({label: xcheck.invariant(f, "eigh") for label, f in functions.items()}, a))
# > crosscheck, float64: AGREE
# >   implementation  by itself    with torch          with jax            with numpy
# >   torch           agree        -                   agree               agree
# >                                                    value same          value 16 digits
# >                                                    Jacobian 16 digits  Jacobian 10 digits
# >   jax             agree        agree               -                   agree
# >                                value same                              value 16 digits
# >                                Jacobian 16 digits                      Jacobian 10 digits
# >   numpy           values only  agree               agree               -
# >                                value 16 digits     value 16 digits
# >                                slopes 10 digits    slopes 10 digits
# >   All agree, with each other and with finite differences of their own values.
# >   note      compared: eigenvalues, and projectors onto the eigenvectors instead of the eigenvectors, which are defined up to sign (phase)
# >   at        a in [0.5, 3]; other points may differ
# >   cost      69 evaluations, 0.79 s
