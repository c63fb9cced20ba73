"""eig and eigh, NumPy, torch and JAX give me different eigenvectors. Which one is right, and is its derivative?

"The matrix is symmetric, so that all of them should return the same. Some columns have the other sign, and `eig` has
them in another order."
"""

import jax.numpy as jnp
import numpy as np
import torch

import xcheck

a = np.random.default_rng(1).normal(size=(4, 4))


def in_numpy(a):
    """Return eigenvalues and eigenvectors of the symmetric part of a, shapes (4,) and (4, 4)."""
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
#>   These are not the same function: out[1][2, 1] is 0.952387881 by torch, -0.952387881 by jax, 0.108649547 by numpy. So at 18 more.
#>   note      jax: its outputs are those of torch but for signs or phases; xcheck.invariant(f, 'eigh') around each compares what is defined
#>   note      numpy: its outputs are those of torch but for order, signs or phases; xcheck.invariant(f, 'eig') around each compares what is defined
#>   note      numpy: 228 of 320 slopes could not be measured
#>   at        a in [-1.303, 0.9054]; other points may differ
#>   cost      96017 evaluations, 2.3 s

# What it means: all are right. If v is an eigenvector, so is -v, and for complex matrices v times any phase; no order
# is prescribed either. Each library has its own habits, and a small change of the matrix may change signs and order:
# that is why many slopes of `eig` could not be measured. A loss that is to be differentiated must not depend on either.
# What all must share are the eigenvalues and, for each eigenvector, the projector v vᵀ. Sort what comes in no order,
# and compare those:


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
#>                                                    Jacobian 15 digits  Jacobian 8 digits
#>   jax             agree        agree               -                   agree
#>                                value 15 digits                         value 15 digits
#>                                Jacobian 15 digits                      Jacobian 8 digits
#>   numpy           values only  agree               agree               -
#>                                value 15 digits     value 15 digits
#>                                slopes 8 digits     slopes 8 digits
#>   All agree, with each other and with finite differences of their own values.
#>   note      compared: eigenvalues, and projectors onto the eigenvectors instead of the eigenvectors, which are defined up to sign (phase)
#>   at        a in [-1.303, 0.9054]; other points may differ
#>   cost      226 evaluations, 0.88 s
