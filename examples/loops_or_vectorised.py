"""Is my vectorised version of a double loop the same function, and does it have the same derivative?

"Two loops over the rows of two matrices give all squared distances, slowly. I replaced them by |a|² - 2 a·b + |b|². It
is fast, and the shape is right."
"""

import torch

import xcheck

torch.manual_seed(0)
A, B = torch.randn(4, 3, dtype=torch.float64), torch.randn(4, 3, dtype=torch.float64)


def loops(A, B):
    """Return the squared distance of every row of A to every row of B, shape (4, 4)."""
    distances = torch.zeros(len(A), len(B), dtype=A.dtype)
    for i in range(len(A)):
        for j in range(len(B)):
            distances[i, j] = ((A[i] - B[j]) ** 2).sum()
    return distances


def vectorised(A, B):
    """Return the same without a loop."""
    return (A**2).sum(1) - 2 * A @ B.T + (B**2).sum(1)


print(xcheck.crosscheck({"torch, loops": loops, "torch, vectorised": vectorised}, A, B, raises=False))
# > crosscheck, float64: DISAGREE
# >   implementation     by itself  with torch, loops  with torch, vectorised
# >   torch, loops       agree      -                  another function
# >                                                    value differs
# >                                                    Jacobian differs
# >   torch, vectorised  agree      another function   -
# >                                 value differs
# >                                 Jacobian differs
# >   These are not the same function: out[0, 3] is 10.2519957 by torch, loops, 3.59590008 by torch, vectorised. So at 11 more.
# >   at        A in [-2.179, 1.541], B in [-1.509, 1.457]; other points may differ
# >   cost      216 evaluations, 0.057 s

# What it means: the two are different functions, so that their derivatives need no comparison; each has the right one
# for what it computes. A vector is broadcast along the last axis: `(B**2).sum(1)` stands at every column j, as it
# should, and `(A**2).sum(1)` as well, where it should stand at every row i. That goes unnoticed only while A and B have
# equally many rows.


def mended(A, B):
    """Return the same without a loop."""
    return (A**2).sum(1)[:, None] - 2 * A @ B.T + (B**2).sum(1)


print(xcheck.crosscheck({"torch, loops": loops, "torch, vectorised": mended}, A, B))
# > crosscheck, float64: AGREE
# >   implementation     by itself  with torch, loops  with torch, vectorised
# >   torch, loops       agree      -                  agree
# >                                                    value 15 digits
# >                                                    Jacobian same
# >   torch, vectorised  agree      agree              -
# >                                 value 15 digits
# >                                 Jacobian same
# >   All agree, with each other and with finite differences of their own values.
# >   at        A in [-2.179, 1.541], B in [-1.509, 1.457]; other points may differ
# >   cost      216 evaluations, 0.072 s
