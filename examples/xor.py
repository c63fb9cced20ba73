"""My XOR network does not learn, and its gradient check fails.

"Two inputs, three hidden units, one output, in plain loops. I have read the backward pass ten times, and every formula
is right. The cost does not go down."
"""

import numpy as np

import xcheck

rng = np.random.default_rng(0)
V, w = rng.normal(size=(2, 3)), rng.normal(size=3)
inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
targets = np.array([0, 1, 1, 0])


def cost(V, w, inputs, targets):
    """Return half the squared error of the network."""
    hidden = np.tanh(inputs @ V)
    return 0.5 * np.sum((hidden @ w - targets) ** 2)


def backward(V, w, inputs, targets):
    """Return the gradients of both layers."""
    dV, dw = np.zeros_like(V), np.zeros_like(w)
    for x, target in zip(inputs, targets, strict=True):
        hidden = np.tanh(x @ V)
        error = hidden @ w - target
        dV = np.outer(x, error * w * (1 - hidden**2))
        dw = error * hidden
    return dV, dw


print(xcheck.check(cost, V, w, inputs, targets, gradient=backward, raises=False))
# > cost, numpy float64: DISAGREE
# >   gradient= vs finite differences: DISAGREE, 9 of 9 entries of the gradient
# >     worst   d out / d V[1, 0]: -0.981792 claimed, -3.00855 ± 4e-11 measured (ratio 0.3263)
# >             d out / d V[0, 0]: -0.981792 claimed, -2.72626 ± 2e-11 measured (ratio 0.3601)
# >             d out / d w[2]: -0.605126 claimed, -1.91792 ± 5e-10 measured (ratio 0.3155)
# >     cause   V, w: the claim is the gradient of the last of the 4 samples (inputs, targets) alone: gradients are assigned (=) where they have to be accumulated (+=)
# >   unchecked inputs, targets: held constant, its dtype is int64
# >   at        V in [-0.5357, 0.6404], w in [-0.7037, 1.304]; other points may differ
# >   cost      7814 evaluations, 530 ms

# What it means: the formulas are right, for one sample. But `=` throws away what the samples before have added, so that
# after the loop only the last one is left. XOR cannot be learnt from one sample. Nothing raises, as the zeros before
# the loop have the same shape as what replaces them.


def mended(V, w, inputs, targets):
    """Return the gradients of both layers."""
    dV, dw = np.zeros_like(V), np.zeros_like(w)
    for x, target in zip(inputs, targets, strict=True):
        hidden = np.tanh(x @ V)
        error = hidden @ w - target
        dV += np.outer(x, error * w * (1 - hidden**2))
        dw += error * hidden
    return dV, dw


print(xcheck.check(cost, V, w, inputs, targets, gradient=mended))
# > cost, numpy float64: AGREE
# >   gradient= vs finite differences: AGREE, all 9 entries of the gradient
# >     limit   an error of 8e-09 (3e-09 of the output's largest) in any of the 9 that agree would have been seen
# >   unchecked inputs, targets: held constant, its dtype is int64
# >   at        V in [-0.5357, 0.6404], w in [-0.7037, 1.304]; other points may differ
# >   cost      47 evaluations, 3 ms

for _ in range(1000):
    dV, dw = mended(V, w, inputs, targets)
    V, w = V - 0.2 * dV, w - 0.2 * dw
assert cost(V, w, inputs, targets) < 1e-6
