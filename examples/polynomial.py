"""Three derivatives of a polynomial: np.diff is ten times too small, and 2**x is not 2*x.

"I want to plot a polynomial with its first three derivatives. np.diff has the right form and the wrong size. So I typed
the derivatives in, and now the curves cross the right ones in places and leave them again."
"""

import numpy as np

import xcheck

x = np.linspace(0, 3, 31)


def p(x):
    """Return the polynomial."""
    return x**3 - x**2 + 2 * x


def by_differences(x):
    """Return the differences of neighbours, the last one twice, to have as many as x."""
    return np.append(np.diff(p(x)), np.diff(p(x))[-1])


print(xcheck.check(p, x, diagonal=by_differences, raises=False))
# > p, numpy float64: DISAGREE
# >   diagonal= vs finite differences: DISAGREE, 31 of 31 entries of the Jacobian diagonal
# >     worst   d out[30] / d x[30]: 2.221 claimed, 23 ± 1e-09 measured (ratio 0.09657)
# >             d out[28] / d x[28]: 2.067 claimed, 19.92 ± 1e-09 measured (ratio 0.1038)
# >             d out[29] / d x[29]: 2.221 claimed, 21.43 ± 1e-09 measured (ratio 0.1036)
# >     cause   the claim is the difference of neighbouring outputs, out[i + 1] - out[i] (np.diff), not divided by a step
# >   at        x in [0, 3]; other points may differ
# >   cost      8312 evaluations, 225 ms

# What it means: `np.diff` subtracts neighbours and does not divide by their distance, 0.1 here. Divided, they would
# still be slopes of chords, near to the derivative (`np.gradient(p(x), x)` is nearer), and not the derivative.


def typed(x):
    """Return the first derivative."""
    return 3 * x**2 - 2**x + 2


print(xcheck.check(p, x, diagonal=typed, raises=False))
# > p, numpy float64: DISAGREE
# >   diagonal= vs finite differences: DISAGREE, 29 of 31 entries of the Jacobian diagonal
# >     worst   d out[30] / d x[30]: 21 claimed, 23 ± 1e-09 measured (ratio 0.913)
# >             d out[29] / d x[29]: 19.7657 claimed, 21.43 ± 1e-09 measured (ratio 0.9223)
# >             d out[28] / d x[28]: 18.5556 claimed, 19.92 ± 1e-09 measured (ratio 0.9315)
# >     note    2 entries were measured at once, with 3 probes
# >     limit   an error of 2e-09 (3e-10 of the output's largest) in any of the 2 that agree would have been seen
# >   at        x in [0, 3]; other points may differ
# >   cost      12456 evaluations, 645 ms

# What it means: `2**x` is two to the power of x. It is `2 * x` at x = 1 and x = 2, which is why the curves cross there
# and why a test at these two points passes.


def first(x):
    """Return the first derivative."""
    return 3 * x**2 - 2 * x + 2


def second(x):
    """Return the second derivative."""
    return 6 * x - 2


def third(x):
    """Return the third derivative."""
    return np.full_like(x, 6)


# Each is the derivative of the one before.

print(xcheck.check(p, x, diagonal=first))
# > p, numpy float64: AGREE
# >   diagonal= vs finite differences: AGREE, all 31 entries of the Jacobian diagonal
# >     note    31 entries were measured at once, with 3 probes
# >     limit   an error of 6e-09 (4e-10 of the output's largest) in any of the 31 that agree would have been seen
# >   at        x in [0, 3]; other points may differ
# >   cost      19 evaluations, 7 ms
print(xcheck.check(first, x, diagonal=second))
# > first, numpy float64: AGREE
# >   diagonal= vs finite differences: AGREE, all 31 entries of the Jacobian diagonal
# >     note    31 entries were measured at once, with 3 probes
# >     limit   an error of 4e-09 (2e-09 of the output's largest) in any of the 31 that agree would have been seen
# >   at        x in [0, 3]; other points may differ
# >   cost      19 evaluations, 3 ms
print(xcheck.check(second, x, diagonal=third))
# > second, numpy float64: AGREE
# >   diagonal= vs finite differences: AGREE, all 31 entries of the Jacobian diagonal
# >     note    31 entries were measured at once, with 3 probes
# >     limit   an error of 2e-09 (3e-10 of the output's largest) in any of the 31 that agree would have been seen
# >   at        x in [0, 3]; other points may differ
# >   cost      19 evaluations, 5 ms
