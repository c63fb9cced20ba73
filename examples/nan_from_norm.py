"""All my gradients are NaN, and the values are fine: a norm at zero.

"A Gaussian kernel of the distances between my points. Its values look right, and it is smooth everywhere. Its gradient
is NaN in every entry."
"""

import jax.numpy as jnp
import numpy as np

import xcheck

points = np.random.default_rng(0).normal(size=(3, 2))


def energy(points):
    """Return the kernel of all pairs of points, added up."""
    distance = jnp.linalg.norm(points[:, None] - points[None], axis=-1)
    return jnp.exp(-(distance**2)).sum()


print(xcheck.check(energy, points, backend="jax", raises=False))
# > energy, jax float64: DISAGREE
# >   jax/vjp vs finite differences: DISAGREE, 6 of 6 entries of the gradient
# >     worst   d out / d points[0, 0]: nan claimed, 0.154648 ± 5e-09 measured
# >             d out / d points[0, 1]: nan claimed, 1.68694 ± 5e-09 measured
# >             d out / d points[1, 0]: nan claimed, -2.59788 ± 1e-09 measured
# >     cause   the claim is not finite at points[0, 0], points[0, 1], points[1, 0] and 3 more, and the derivative is; on the way is a norm, square root, logarithm or quotient at zero, whose infinite slope times zero is NaN, or a value that overflows: select a safe argument first (where(x > 0, x, 1) inside as well as outside)
# >   jax/jvp vs finite differences: DISAGREE, 6 of 6 entries of the gradient
# >     worst   d out / d points[0, 0]: nan claimed, 0.154648 ± 5e-09 measured
# >             d out / d points[0, 1]: nan claimed, 1.68694 ± 5e-09 measured
# >             d out / d points[1, 0]: nan claimed, -2.59788 ± 1e-09 measured
# >     cause   as above
# >   jax/jvp vs jax/vjp: AGREE, all 3 products (inner products with 3 probes) with the gradient
# >   at        points in [-0.5357, 0.6404]; other points may differ
# >   cost      406 evaluations, 2.7 s

# What it means: the measured slopes are finite, so that there is a gradient to be had. Among the pairs is every point
# with itself, at distance zero. There a norm, as any square root, is not differentiable, and JAX returns NaN as its
# derivative. The square in the kernel would multiply that by zero, but zero times NaN is NaN, and the sum spreads it.
#
# The kernel needs no root: it takes the square of the distance.


def mended(points):
    """Return the kernel of all pairs of points, added up."""
    squares = ((points[:, None] - points[None]) ** 2).sum(-1)
    return jnp.exp(-squares).sum()


print(xcheck.check(mended, points, backend="jax"))
# > mended, jax float64: AGREE
# >   jax/vjp vs finite differences: AGREE, all 6 entries of the gradient
# >     limit   an error of 2e-08 (6e-09 of the output's largest) in any of the 6 that agree would have been seen
# >   jax/jvp vs finite differences: AGREE, all 6 entries of the gradient
# >     limit   an error of 2e-08 (6e-09 of the output's largest) in any of the 6 that agree would have been seen
# >   jax/jvp vs jax/vjp: AGREE, all 3 products (inner products with 3 probes) with the gradient
# >     limit   an error of 7e-09 in any of the products would have been seen
# >   at        points in [-0.5357, 0.6404]; other points may differ
# >   cost      34 evaluations, 587 ms

# Where the root itself is needed, give it a safe argument. One `where` around the root is not enough, as the NaN comes
# from the branch that is not taken; it takes one inside as well.


def safe(points):
    """Return the kernel of all pairs of points, added up."""
    squares = ((points[:, None] - points[None]) ** 2).sum(-1)
    apart = squares > 0
    distance = jnp.where(apart, jnp.sqrt(jnp.where(apart, squares, 1)), 0)
    return jnp.exp(-(distance**2)).sum()


print(xcheck.check(safe, points, backend="jax"))
# > safe, jax float64: AGREE
# >   jax/vjp vs finite differences: AGREE, all 6 entries of the gradient
# >     limit   an error of 2e-08 (7e-09 of the output's largest) in any of the 6 that agree would have been seen
# >   jax/jvp vs finite differences: AGREE, all 6 entries of the gradient
# >     limit   an error of 2e-08 (7e-09 of the output's largest) in any of the 6 that agree would have been seen
# >   jax/jvp vs jax/vjp: AGREE, all 3 products (inner products with 3 probes) with the gradient
# >     limit   an error of 7e-09 in any of the products would have been seen
# >   at        points in [-0.5357, 0.6404]; other points may differ
# >   cost      34 evaluations, 750 ms
