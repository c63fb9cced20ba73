"""Is the derivative of softmax a vector or a matrix?

"Some say it is s (1 - s), a vector. Some say it is a matrix. With the vector my network does not learn. And for a whole
batch I wrote `np.einsum("mnr,mrr->mr", ...)`, which runs and is wrong."
"""

import numpy as np

import xcheck

rng = np.random.default_rng(0)
z = rng.normal(size=4)


def softmax(z):
    """Return the softmax along the last axis."""
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def as_vector(z):
    """Return s (1 - s) as if every output depended on its own input alone."""
    s = softmax(z)
    return np.diag(s * (1 - s))


print(xcheck.check(softmax, z, jacobian=as_vector, raises=False))
