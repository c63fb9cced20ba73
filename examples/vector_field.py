"""Divergence and Jacobian of a vector field at many points: which of the sums is it?

"I have N points in the plane, shape (N, 2), and a field of N vectors. I want its divergence at every point. As grad
wants one number, I gave it the sum of the field. For a vortex, which has no divergence, I get numbers that are not
zero."
"""

import torch

import xcheck

axis = torch.linspace(0.5, 1.5, 3, dtype=torch.float64)
points = torch.cartesian_prod(axis, axis)


def vortex(points):
    """Return the velocities around the origin, shape (N, 2)."""
    x, y = points.T
    return torch.stack([-y, x], dim=1) / (x**2 + y**2)[:, None]


def from_sum(points):
    """Return what is to be added up to the divergence, shape (N, 2)."""
    points = points.clone().requires_grad_()
    return torch.autograd.grad(vortex(points).sum(), points)[0]


# The divergence is d u / d x + d v / d y: at every point, the derivative of either component by its own coordinate, and
# that is a diagonal.

print(xcheck.check(vortex, points, diagonal=from_sum, raises=False))
# > vortex, torch float64: DISAGREE
# >   diagonal= vs finite differences: DISAGREE, 12 of 18 entries of the Jacobian diagonal
# >     worst   d out[1, 0] / d points[1, 0]: 1.12 claimed, 0.64 ± 1e-10 measured (ratio 1.75)
# >             d out[1, 1] / d points[1, 1]: -0.16 claimed, -0.64 ± 3e-11 measured (ratio 0.25)
# >             d out[3, 0] / d points[3, 0]: 0.16 claimed, 0.64 ± 3e-11 measured (ratio 0.25)
# >     cause   the claim is the gradient of the sum of all outputs, d out[0] / d points[i] + d out[1] / d points[i] + ...; outputs depend on other inputs too (as behind a batch normalisation)
# >     note    6 entries were measured at once, with 3 probes
# >     limit   an error of 9e-10 (5e-10 of the output's largest) in any of the 6 that agree would have been seen
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        points in [0.5, 1.5]; other points may differ
# >   cost      6193 evaluations, 118 ms

# What it means: the sum of the field runs over points and over components. That over points is harmless, because no
# velocity depends on another point. That over components adds d v / d x to d u / d x, and d u / d y to d v / d y. So
# differentiate one component at a time, and keep its own coordinate.


def diagonal(points):
    """Return d u / d x and d v / d y at every point, shape (N, 2)."""
    points = points.clone().requires_grad_()
    u, v = vortex(points).T
    (du,) = torch.autograd.grad(u.sum(), points, retain_graph=True)
    (dv,) = torch.autograd.grad(v.sum(), points)
    return torch.stack([du[:, 0], dv[:, 1]], dim=1)


print(xcheck.check(vortex, points, diagonal=diagonal))
# > vortex, torch float64: AGREE
# >   diagonal= vs finite differences: AGREE, all 18 entries of the Jacobian diagonal
# >     note    6 entries were measured at once, with 3 probes
# >     limit   an error of 9e-10 (7e-10 of the output's largest) in any of the 18 that agree would have been seen
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        points in [0.5, 1.5]; other points may differ
# >   cost      151 evaluations, 13 ms
assert torch.allclose(diagonal(points).sum(1), torch.zeros(9, dtype=torch.float64), atol=1e-12)

# The whole Jacobian at every point, shape (N, 2, 2), is that of one point, mapped over all. (`torch.func.jacrev` of the
# field itself has the shape (N, 2, N, 2), nearly all zeros.) To check it, pull a cotangent back with it.


def jacobians(points):
    """Return the Jacobian at every point, shape (N, 2, 2)."""
    return torch.vmap(torch.func.jacrev(lambda point: vortex(point[None])[0]))(points)


def backward(points, g):
    """Multiply the cotangents, shape (N, 2), by the Jacobians."""
    return torch.einsum("ni,nij->nj", g, jacobians(points))


print(xcheck.check(vortex, points, vjp=backward))
# > vortex, torch float64: AGREE
# >   vjp= vs finite differences: AGREE, all 324 entries of the Jacobian
# >     limit   an error of 4e-10 (6e-10 of the output's largest) in any of the 324 that agree would have been seen
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        points in [0.5, 1.5]; other points may differ
# >   cost      85 evaluations, 27 ms
