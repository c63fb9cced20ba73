"""eig and eigh, NumPy, torch and JAX give me different eigenvectors. Which one is right, and is its derivative?

"The matrix is symmetric, so that all of them should return the same. Some columns have the other sign, and `eig` has
them in another order."
"""

import jax.numpy as jnp
import numpy as np
import torch

import xcheck

a = np.random.default_rng(14).normal(size=(3, 3))


def in_numpy(a):
    """Return eigenvalues and eigenvectors of the symmetric part of a, shapes (3,) and (3, 3)."""
    return tuple(np.linalg.eig((a + a.T) / 2))


def in_torch(a):
    """Return the same by the function for symmetric matrices."""
    return tuple(torch.linalg.eigh((a + a.T) / 2))


def in_jax(a):
    """Return the same in JAX."""
    return tuple(jnp.linalg.eigh((a + a.T) / 2))


print(xcheck.crosscheck({"torch": in_torch, "jax": in_jax, "numpy": in_numpy}, a, raises=False))
#> crosscheck, float64: DISAGREE
#>   implementation  by itself    with torch        with jax          with numpy
#>   torch           agree        -                 another function  another function
#>                                                  value differs     value differs
#>                                                  Jacobian differs  Jacobian differs
#>   jax             agree        another function  -                 another function
#>                                value differs                       value differs
#>                                Jacobian differs                    Jacobian differs
#>   numpy           values only  another function  another function  -
#>                                value differs     value differs
#>                                slopes differs    slopes differs
#>   These are not the same function: out[1][2, 1] is -0.847176913 by torch, 0.847176913 by jax, -0.0888665368 by numpy. So at 11 more.
#>   note      jax: its outputs are those of torch but for signs or phases; xcheck.invariant(f, 'eigh') around each compares what is defined
#>   note      numpy: its outputs are those of torch but for order, signs or phases; xcheck.invariant(f, 'eig') around each compares what is defined
#>   note      numpy: 53 of 108 slopes could not be measured
#>   at        a in [-2.925, 1.248]; other points may differ
#>   cost      35947 evaluations, 3.8 s

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
#> crosscheck, float64: AGREE
#>   implementation  by itself    with torch          with jax            with numpy
#>   torch           agree        -                   agree               agree
#>                                                    value 15 digits     value 15 digits
#>                                                    Jacobian 14 digits  Jacobian 8 digits
#>   jax             agree        agree               -                   agree
#>                                value 15 digits                         value 15 digits
#>                                Jacobian 14 digits                      Jacobian 8 digits
#>   numpy           values only  agree               agree               -
#>                                value 15 digits     value 15 digits
#>                                slopes 8 digits     slopes 8 digits
#>   All agree, with each other and with finite differences of their own values.
#>   note      compared: eigenvalues, and projectors onto the eigenvectors instead of the eigenvectors, which are defined up to sign (phase)
#>   at        a in [-2.925, 1.248]; other points may differ
#>   cost      141 evaluations, 1.1 s
