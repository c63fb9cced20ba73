"""The gradient of Ackley's function is NaN at its minimum. What should it be?

"Everybody tests optimisers on it. At its minimum, zero, my gradient is NaN. A colleague returns zeros there, because it
is the minimum. Which of us is right?"
"""

import numpy as np

import xcheck


def ackley(x):
    """Return Ackley's function."""
    r, c = np.sqrt(np.mean(x**2)), np.mean(np.cos(2 * np.pi * x))
    return 20 - 20 * np.exp(-0.2 * r) + np.e - np.exp(c)


def gradient(x):
    """Return its derivatives."""
    r, c = np.sqrt(np.mean(x**2)), np.mean(np.cos(2 * np.pi * x))
    with np.errstate(invalid="ignore"):
        of_r = 4 * np.exp(-0.2 * r) * x / (len(x) * r)
    return of_r + np.exp(c) * 2 * np.pi * np.sin(2 * np.pi * x) / len(x)


def zero_there(x):
    """Return its derivatives, and zeros at the minimum."""
    return gradient(x) if np.any(x) else np.zeros_like(x)


minimum = np.zeros(2)
print(xcheck.check(ackley, minimum, gradient=gradient, raises=False))
# > ackley, numpy float64: INCONCLUSIVE
# >   gradient= vs finite differences: INCONCLUSIVE, 2 of 2 entries of the gradient
# >     why     a kink at the point: no derivative exists there, and the claim is not finite
# >     worst   d out / d x[0]: nan claimed, slopes -2.82843 ± 4e-08 on the left and 2.82843 ± 4e-08 on the right measured
# >             d out / d x[1]: nan claimed, slopes -2.82843 ± 4e-08 on the left and 2.82843 ± 4e-08 on the right measured
# >   at        x in [0, 0]; other points may differ
# >   cost      97 evaluations, 42 ms
print(xcheck.check(ackley, minimum, gradient=zero_there, raises=False))
# > ackley, numpy float64: INCONCLUSIVE
# >   gradient= vs finite differences: INCONCLUSIVE, 2 of 2 entries of the gradient
# >     why     a kink at the point; the claim lies between the slopes to its two sides, a valid generalised derivative
# >     worst   d out / d x[0]: 0 claimed, slopes -2.82843 ± 4e-08 on the left and 2.82843 ± 4e-08 on the right measured
# >             d out / d x[1]: 0 claimed, slopes -2.82843 ± 4e-08 on the left and 2.82843 ± 4e-08 on the right measured
# >   at        x in [0, 0]; other points may differ
# >   cost      97 evaluations, 54 ms

# What it means: neither is wrong, because there is nothing to be right about. `r` grows like the distance to zero, and
# gives the function a tip there, like that of the absolute value: its slope is -2.83 on the left and 2.83 on the right.
# Zeros lie between the two. That is a generalised derivative, and a descent stops there, as it should; with NaN it is
# lost. Away from the minimum there is a derivative, and both are right.

print(xcheck.check(ackley, np.array([0.3, -0.5]), gradient=gradient))
# > ackley, numpy float64: AGREE
# >   gradient= vs finite differences: AGREE, all 2 entries of the gradient
# >     limit   an error of 3e-08 (9e-09 of the output's largest) in any of the 2 that agree would have been seen
# >   at        x in [-0.5, 0.3]; other points may differ
# >   cost      15 evaluations, 3 ms

# `smooth_points=True` moves by itself to a point nearby that has a derivative, and says where that is.

print(xcheck.check(ackley, minimum, gradient=zero_there, smooth_points=True))
# > ackley, numpy float64: AGREE
# >   gradient= vs finite differences: AGREE, all 2 entries of the gradient
# >     limit   an error of 4e-06 (2e-06 of the output's largest) in any of the 2 that agree would have been seen
# >   note      the point was moved, every input by up to 0.00098 of its scale (farthest x[1] from 0 to -0.000789642), because of what was found at the point given: d out / d x[0]: a kink at the point; the claim lies between the slopes to its two sides, a valid generalised derivative
# >   at        x in [-0.0007896, -0.0005885]; other points may differ
# >   cost      112 evaluations, 61 ms
