"""f = (x + y) z, differentiated step by step: is my chain rule right?

"I am learning backpropagation with f(x, y, z) = (x + y) z at x = -2, y = 5, z = -4. I get 1 for x and for y, since the
derivative of a sum is 1."
"""

import numpy as np

import xcheck


def f(x, y, z):
    """Add, then multiply."""
    q = x + y
    return q * z


def backward(x, y, z):
    """Go back through the steps: first the product, then the sum."""
    q = x + y
    df_dz = q
    df_dx, df_dy = 1.0, 1.0
    return df_dx, df_dy, df_dz


print(xcheck.check(f, -2.0, 5.0, -4.0, gradient=backward, backend="numpy", raises=False))
# > f, numpy float64: DISAGREE
# >   gradient= vs finite differences: DISAGREE, 2 of 3 entries of the gradient
# >     worst   d out / d x: 1 claimed, -4 ± 2e-12 measured (ratio -0.25)
# >             d out / d y: 1 claimed, -4 ± 1e-12 measured (ratio -0.25)
# >     limit   an error of 2e-10 (6e-11 of the output's largest) in the one that agrees would have been seen
# >   at        x = -2, y = 5, z = -4; other points may differ
# >   cost      1837 evaluations, 101 ms

# What it means: 1 is the slope of the step q = x + y alone. A change of x reaches f through q, so it has to be
# multiplied by how f answers to q: df/dx = df/dq · dq/dx = z · 1. The missing factor is z = -4, and -1/4 is what is
# left without it.


def mended(x, y, z):
    """Multiply what comes from above by the slope of each step."""
    q = x + y
    df_dq, df_dz = z, q
    df_dx, df_dy = df_dq * 1.0, df_dq * 1.0
    return df_dx, df_dy, df_dz


# The same function in four frameworks, which differentiate it themselves:
point = np.array(-2.0), np.array(5.0), np.array(-4.0)
print(xcheck.crosscheck({"numpy": (f, mended), "torch": f, "jax": f, "tensorflow": f}, *point))
# > f, float64: AGREE
# >   implementation  by itself  with numpy     with torch     with jax       with tensorflow
# >   numpy           agree      -              agree          agree          agree
# >                                             value same     value same     value same
# >                                             gradient same  gradient same  gradient same
# >   torch           agree      agree          -              agree          agree
# >                              value same                    value same     value same
# >                              gradient same                 gradient same  gradient same
# >   jax             agree      agree          agree          -              agree
# >                              value same     value same                    value same
# >                              gradient same  gradient same                 gradient same
# >   tensorflow      agree      agree          agree          agree          -
# >                              value same     value same     value same
# >                              gradient same  gradient same  gradient same
# >   All agree, with each other and with finite differences of their own values.
# >   at        x = -2, y = 5, z = -4; other points may differ
# >   cost      109 evaluations, 9.6 s
