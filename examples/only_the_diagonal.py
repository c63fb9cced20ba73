"""Iterating grad over the outputs takes forever, and I only need the diagonal.

"y = f(x) has as many numbers as x, and I need d y[i] / d x[i]. I call grad once for each of my 10 000 outputs and keep
one number of each. Calling grad(y.sum()) once is so much faster. When may I do that?"
"""

import torch

import xcheck


def by_loop(f, x):
    """Differentiate every output by itself: as many passes as there are outputs."""
    x = x.clone().requires_grad_()
    y = f(x)
    return torch.stack([torch.autograd.grad(y[i], x, retain_graph=True)[0][i] for i in range(len(x))])


def by_sum(f, x):
    """Differentiate the sum of all outputs: one pass."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(f(x).sum(), x)[0]


# Of an activation function, every output depends on its own input alone. The sum is right, and here is the proof:


def swish(x):
    """Return x times its sigmoid."""
    return x * torch.sigmoid(x)


x = torch.tensor([0.5, -1.0, 2.0, 0.25, 1.5], dtype=torch.float64)
assert torch.allclose(by_loop(swish, x), by_sum(swish, x))
print(xcheck.check(swish, x, diagonal=lambda x: by_sum(swish, x)))
# > swish, torch float64: AGREE
# >   diagonal= vs finite differences: AGREE, all 5 entries of the Jacobian diagonal
# >     limit   an error of 2e-10 (1e-09 of the output's largest) in any of the 5 that agree would have been seen
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        x in [-1, 2]; other points may differ
# >   cost      33 evaluations, 13 ms

# Of a running sum, outputs depend on all inputs before them. The same line is wrong, and nothing raises:


def running(x):
    """Return the sum of the activations so far."""
    return torch.cumsum(swish(x), 0)


print(xcheck.check(running, x, diagonal=lambda x: by_sum(running, x), raises=False))
# > running, torch float64: DISAGREE
# >   diagonal= vs finite differences: DISAGREE, 4 of 5 entries of the Jacobian diagonal
# >     worst   d out[0] / d x[0]: 3.69981 claimed, 0.739961 ± 5e-11 measured (ratio 5)
# >             d out[2] / d x[2]: 3.27235 claimed, 1.09078 ± 9e-11 measured (ratio 3)
# >             d out[3] / d x[3]: 1.24742 claimed, 0.62371 ± 7e-10 measured (ratio 2)
# >     cause   the claim is the gradient of the sum of all outputs, d out[0] / d x[i] + d out[1] / d x[i] + ...; outputs depend on other inputs too (as behind a batch normalisation)
# >     limit   an error of 3e-10 (3e-10 of the output's largest) in the one that agrees would have been seen
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        x in [-1, 2]; other points may differ
# >   cost      2237 evaluations, 35 ms

# What it means: the gradient of the sum has d y[0] / d x[i] + d y[1] / d x[i] + ... at place i, whatever they are. It is
# the diagonal exactly where all the others are zero, and that is for you to know.
#
# `xcheck.jacobian_diagonal` takes the same product with ones, and proves that there is nothing beside the diagonal: for
# a random vector w, the diagonal times w has to be what one more plain pullback makes of w. If you ask for the short
# way where it is wrong, you are told which entry is in the way:

try:
    xcheck.jacobian_diagonal(running, x, strategy="ones: tape loop")
except xcheck.AssumptionError as error:
    print(error)
# > running: the strategy 'ones: tape loop' relies on this: outputs depend on their own input alone. But d out[2] / d x[0] is 0.739961 and not 0. strategy="auto" takes one that is valid.

# Left alone, it takes another way for the running sum, and the short one for activations: some passes for the proof,
# whether there are five of them or 100 000.

print(xcheck.check(running, x, diagonal=lambda x: xcheck.jacobian_diagonal(running, x)))
# > running, torch float64: AGREE
# >   diagonal= vs finite differences: AGREE, all 5 entries of the Jacobian diagonal
# >     limit   an error of 1e-09 (2e-09 of the output's largest) in any of the 5 that agree would have been seen
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        x in [-1, 2]; other points may differ
# >   cost      33 evaluations, 7 ms

passes = []


def counted(x):
    """Return the activations, and note every backward pass through them."""
    y = swish(x)
    if y.requires_grad:
        y.register_hook(lambda gradient: passes.append(len(gradient)))
    return y


large = torch.linspace(-3, 3, 100_000, dtype=torch.float64)
assert torch.allclose(xcheck.jacobian_diagonal(counted, large), by_sum(swish, large))
assert len(passes) < 50
