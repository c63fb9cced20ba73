"""The derivative of a matrix exponential: the chain rule gives me the wrong dU/dt.

"My Hamiltonian H(t) depends on a real parameter, and the evolution is the complex matrix U(t) = exp(-i H(t)). I take
-i H'(t) U(t) as its derivative. It passed with the first Hamiltonian that I tried, and fails with the next."
"""

import numpy as np
from scipy.linalg import expm, expm_frechet

import xcheck

along_z, across = np.array([[1, 0], [0, -1]]), np.array([[0, 1 - 1j], [1 + 1j, 0]])


def first(t):
    """Return exp(-i t Z), shape (2, 2)."""
    return expm(-1j * t * along_z)


def first_slope(t):
    """Multiply the derivative of the exponent by the exponential."""
    return -1j * along_z @ first(t)


def second(t):
    """Return the evolution in a field that has a constant part as well."""
    return expm(-1j * (t * along_z + across))


def second_slope(t):
    """Multiply the derivative of the exponent by the exponential."""
    return -1j * along_z @ second(t)


t = np.array(0.7)
print(xcheck.check(first, t, jacobian=first_slope))
# > first, numpy float64: AGREE
# >   jacobian= vs finite differences: AGREE, all 8 entries of the Jacobian
# >     limit   an error of 3e-10 (2e-10 of the output's largest) in any of the 8 that agree would have been seen
# >   note      complex: derivatives by real and imaginary parts; a hand-written gradient is read as dL/dRe + i dL/dIm, and a hand-written Jacobian of a complex output by a complex input as the complex derivative
# >   at        t = 0.7; other points may differ
# >   cost      39 evaluations, 9 ms
print(xcheck.check(second, t, jacobian=second_slope, raises=False))
# > second, numpy float64: DISAGREE
# >   jacobian= vs finite differences: DISAGREE, 6 of 8 entries of the Jacobian
# >     worst   d out[0, 1].real / d t: -0.633708 claimed, 0.180168 ± 4e-10 measured (ratio -3.517)
# >             d out[1, 0].real / d t: 0.633708 claimed, -0.180168 ± 2e-10 measured (ratio -3.517)
# >             d out[0, 0].imag / d t: 0.007177 claimed, -0.50759 ± 1e-10 measured (ratio -0.01414)
# >     limit   an error of 8e-10 (2e-09 of the output's largest) in any of the 2 that agree would have been seen
# >   note      complex: derivatives by real and imaginary parts; a hand-written gradient is read as dL/dRe + i dL/dIm, and a hand-written Jacobian of a complex output by a complex input as the complex derivative
# >   at        t = 0.7; other points may differ
# >   cost      497 evaluations, 93 ms

# What it means: exp(A) = 1 + A + A A / 2 + ..., and the derivative of A A is A' A + A A'. It is 2 A' A only if A and A'
# commute. The first Hamiltonian has nothing but its derivative, times t. The second has another term, which does not
# commute with the derivative, and then neither A' exp(A) nor exp(A) A' is right.
#
# What is right is the Fréchet derivative of the exponential at A, in the direction A'.


def mended(t):
    """Return the derivative of the evolution."""
    return expm_frechet(-1j * (t * along_z + across), -1j * along_z, compute_expm=False)


print(xcheck.check(second, t, jacobian=mended))
# > second, numpy float64: AGREE
# >   jacobian= vs finite differences: AGREE, all 8 entries of the Jacobian
# >     limit   an error of 1e-09 (5e-09 of the output's largest) in any of the 8 that agree would have been seen
# >   note      complex: derivatives by real and imaginary parts; a hand-written gradient is read as dL/dRe + i dL/dIm, and a hand-written Jacobian of a complex output by a complex input as the complex derivative
# >   at        t = 0.7; other points may differ
# >   cost      11 evaluations, 9 ms
