"""My autoencoder hardly learns: a sigmoid applied twice.

"I wrote the backward pass of my autoencoder by hand. The cost goes down for a while and then stays. The gradient check
fails in every weight, so that I cannot see where to look."
"""

import numpy as np

import xcheck

rng = np.random.default_rng(0)
x = rng.uniform(size=(5, 4))
encoder, decoder = rng.normal(size=(4, 2)), rng.normal(size=(2, 4))


def sigmoid(z):
    """Return 1 / (1 + e^-z)."""
    return 1 / (1 + np.exp(-z))


def slope(z):
    """Return the derivative of the sigmoid."""
    return sigmoid(z) * (1 - sigmoid(z))


def cost(encoder, decoder):
    """Return the reconstruction's error."""
    hidden = sigmoid(x @ encoder)
    return 0.5 * np.sum((sigmoid(hidden @ decoder) - x) ** 2)


def backward(encoder, decoder):
    """Return the gradients of both."""
    hidden = sigmoid(x @ encoder)
    out = sigmoid(hidden @ decoder)
    delta = (out - x) * slope(out)
    return x.T @ (delta @ decoder.T * slope(hidden)), hidden.T @ delta


print(xcheck.check(cost, encoder, decoder, gradient=backward, raises=False))
# > cost, numpy float64: DISAGREE
# >   gradient= vs finite differences: DISAGREE, 16 of 16 entries of the gradient
# >     worst   d out / d decoder[1, 3]: 0.236664 claimed, 0.252716 ± 1e-09 measured (ratio 0.9365)
# >             d out / d decoder[0, 3]: 0.164196 claimed, 0.175334 ± 2e-09 measured (ratio 0.9365)
# >             d out / d decoder[1, 0]: -0.281418 claimed, -0.286378 ± 3e-09 measured (ratio 0.9827)
# >   at        encoder in [-0.9217, 1.366], decoder in [-1.01, 0.5408]; other points may differ
# >   cost      16639 evaluations, 678 ms

# What it means: all entries are wrong, by different factors. No simple mistake makes such a gradient out of the right
# one. So check the pieces, each as it is called. `backward` gives `slope` what the sigmoid has returned:

z = x @ encoder
print(xcheck.check(sigmoid, z, diagonal=lambda z: slope(sigmoid(z)), raises=False))
# > sigmoid, numpy float64: DISAGREE
# >   diagonal= vs finite differences: DISAGREE, 10 of 10 entries of the Jacobian diagonal
# >     worst   d out[2, 1] / d z[2, 1]: 0.217211 claimed, 0.183061 ± 7e-11 measured (ratio 1.187)
# >             d out[3, 1] / d z[3, 1]: 0.21802 claimed, 0.188296 ± 4e-11 measured (ratio 1.158)
# >             d out[1, 0] / d z[1, 0]: 0.243296 claimed, 0.221264 ± 6e-11 measured (ratio 1.1)
# >     cause   the claim takes the derivative of the sigmoid at its output and not at its input: the sigmoid is applied twice
# >   at        z in [-0.706, 1.146]; other points may differ
# >   cost      6287 evaluations, 264 ms

# `slope` applies the sigmoid itself, and therefore wants what went into it. It looked right because `slope` is: checked
# at z it agrees. Either keep z for the backward pass, or write the slope with the sigmoid's result.


def slope_from_result(s):
    """Return the derivative of the sigmoid, from what the sigmoid returned."""
    return s * (1 - s)


def mended(encoder, decoder):
    """Return the gradients of both."""
    hidden = sigmoid(x @ encoder)
    out = sigmoid(hidden @ decoder)
    delta = (out - x) * slope_from_result(out)
    return x.T @ (delta @ decoder.T * slope_from_result(hidden)), hidden.T @ delta


print(xcheck.check(cost, encoder, decoder, gradient=mended))
# > cost, numpy float64: AGREE
# >   gradient= vs finite differences: AGREE, all 16 entries of the gradient
# >     limit   an error of 1e-08 (3e-08 of the output's largest) in any of the 16 that agree would have been seen
# >   at        encoder in [-0.9217, 1.366], decoder in [-1.01, 0.5408]; other points may differ
# >   cost      75 evaluations, 4 ms
