"""SciPy's minimize returns the point that I started from, and says that it succeeded.

"`minimize` stops at once. There is no error, only zero iterations, and the fit is no better than my first guess."
"""

import numpy as np
from scipy.optimize import minimize

import xcheck

rng = np.random.default_rng(0)
t = np.linspace(0, 2, 20)
y = 3 * np.exp(-1.5 * t) + 0.01 * rng.normal(size=20)
p = np.array([1.0, 1.0])


def cost(params):
    """Return the sum of the squared residuals."""
    return np.sum((p[0] * np.exp(-p[1] * t) - y) ** 2)


def gradient(params):
    """Return its derivatives."""
    a, b = params
    e = np.exp(-b * t)
    r = a * e - y
    return np.array([2 * np.sum(r * e), -2 * np.sum(r * a * t * e)])


stuck = minimize(cost, p)
assert stuck.success
assert stuck.nit == 0
print(xcheck.check(cost, p, gradient=gradient, raises=False))
# > cost, numpy float64: DISAGREE
# >   gradient= vs finite differences: DISAGREE, 2 of 2 entries of the gradient
# >     worst   d out / d params[0]: -15.4086 claimed, 0 ± 4e-14 measured
# >             d out / d params[1]: 4.37454 claimed, 0 ± 4e-14 measured
# >     cause   the function ignores this input: its values do not change with it, while the claim is not zero; it uses another variable in its place, such as a global or captured one, or a stale copy
# >   note      cost does not depend on params: its value is the same at every point evaluated
# >   at        params in [1, 1]; other points may differ
# >   cost      1117 evaluations, 70 ms

# What it means: `cost` takes `params` and computes with `p`, the starting point, which it finds outside. Whatever
# `minimize` tries, the cost is the same. So every slope that it measures is zero, as it is at a minimum. (A linter
# finds it too: "unused function argument".)
#
# Without a gradient at hand, `xcheck.finite_difference(cost, p)` shows the same: zeros.

assert not xcheck.finite_difference(cost, p).value.any()


def mended(params):
    """Return the sum of the squared residuals."""
    a, b = params
    return np.sum((a * np.exp(-b * t) - y) ** 2)


print(xcheck.check(mended, p, gradient=gradient))
# > mended, numpy float64: AGREE
# >   gradient= vs finite differences: AGREE, all 2 entries of the gradient
# >     limit   an error of 1e-08 (9e-10 of the output's largest) in any of the 2 that agree would have been seen
# >   at        params in [1, 1]; other points may differ
# >   cost      15 evaluations, 10 ms
fit = minimize(mended, p, jac=gradient)
assert fit.success
assert np.allclose(fit.x, [3, 1.5], rtol=0.05)
