"""Is the gradient of my Lagrangian right? At the constrained minimum everything is zero.

"I minimise x² + 2 y² on the line x + y = 3, with L = f + λ (x + y - 3). At the solution my gradient is zero to the last
digit, and so is the numeric one, so I thought it was right. From any other start my Newton steps run away."
"""

import numpy as np

import xcheck


def lagrangian(p, lam):
    """Return the objective plus the multiplier times the constraint."""
    x, y = p
    return x**2 + 2 * y**2 + lam * (x + y - 3)


def gradient(p, lam):
    """Return the derivatives with respect to the point (x, y) and to the multiplier."""
    x, y = p
    return np.array([2 * x + lam, 4 * y + lam]), 3 - x - y


minimum, multiplier = np.array([2.0, 1.0]), np.array(-4.0)
print(xcheck.check(lagrangian, minimum, multiplier, gradient=gradient))
# > lagrangian, numpy float64: AGREE
# >   gradient= vs finite differences: AGREE, all 3 entries of the gradient
# >     limit   an error of 2e-09 in any of the 3 that agree would have been seen
# >   at        p in [1, 2], lam = -4; other points may differ
# >   cost      27 evaluations, 3 ms

# What it means: at this point the gradient is right, as 0 is the right value. But a wrong sign of 0 is 0 as well: no
# check can see a sign or a factor where the true derivative vanishes, and the note says that λ moves nothing here,
# since the constraint holds. Check such a gradient away from the solution:

somewhere, some_multiplier = np.array([0.7, -1.3]), np.array(0.4)
print(xcheck.check(lagrangian, somewhere, some_multiplier, gradient=gradient, raises=False))
# > lagrangian, numpy float64: DISAGREE
# >   gradient= vs finite differences: DISAGREE, 1 of 3 entries of the gradient
# >     worst   d out / d lam: 3.6 claimed, -3.6 ± 4e-12 measured (ratio -1)
# >     cause   lam: the claim is minus one times the derivative
# >     limit   an error of 1e-09 (2e-10 of the output's largest) in any of the 2 that agree would have been seen
# >   at        p in [-1.3, 0.7], lam = 0.4; other points may differ
# >   cost      950 evaluations, 80 ms

# The derivative with respect to λ is the constraint as it stands in L, x + y - 3; it was typed as 3 - x - y. Newton's
# method solves for all three derivatives at once, so that a wrong sign sends it away from the line.


def mended(p, lam):
    """Return the derivatives with respect to the point (x, y) and to the multiplier."""
    x, y = p
    return np.array([2 * x + lam, 4 * y + lam]), x + y - 3


print(xcheck.check(lagrangian, somewhere, some_multiplier, gradient=mended))
# > lagrangian, numpy float64: AGREE
# >   gradient= vs finite differences: AGREE, all 3 entries of the gradient
# >     limit   an error of 3e-09 (5e-10 of the output's largest) in any of the 3 that agree would have been seen
# >   at        p in [-1.3, 0.7], lam = 0.4; other points may differ
# >   cost      21 evaluations, 2 ms
