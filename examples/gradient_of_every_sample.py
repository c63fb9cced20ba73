"""My network's derivative at every sample: a loop over the outputs takes forever.

"I need dy/dx at each of my N samples. I loop over the outputs and call grad for each of them: N passes, for N * N
numbers of which I keep N. Somebody told me to call grad(y.sum(), x) once instead. Is that the same?"
"""

import torch
from torch.nn import BatchNorm1d, Linear, Sequential, Tanh

import xcheck

torch.manual_seed(0)
x = torch.randn(4, 1, dtype=torch.float64)


def by_loop(net, x):
    """Differentiate every output by itself: N passes."""
    x = x.clone().requires_grad_()
    y = net(x)
    return torch.stack([torch.autograd.grad(y[i, 0], x, retain_graph=True)[0][i] for i in range(len(x))])


def by_sum(net, x):
    """Differentiate the sum of all outputs: one pass."""
    x = x.clone().requires_grad_()
    return torch.autograd.grad(net(x).sum(), x)[0]


# In this network every output depends on its own sample alone. Then the sum has the same derivatives, and one pass is
# enough. (Given the network itself, `check` would differentiate by its parameters as well; `lambda` leaves them out.)

net = Sequential(Linear(1, 8), Tanh(), Linear(8, 1)).double()
assert torch.allclose(by_loop(net, x), by_sum(net, x))
print(xcheck.check(lambda x: net(x), x, diagonal=lambda x: by_sum(net, x)))
# > f, torch float64: AGREE
# >   diagonal= vs finite differences: AGREE, all 4 entries of the Jacobian diagonal
# >     limit   an error of 5e-10 (3e-09 of the output's largest) in any of the 4 that agree would have been seen
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        x in [-2.179, 1.541]; other points may differ
# >   cost      25 evaluations, 11 ms

# With batch normalisation the same line is wrong, and nothing raises.

mixing = Sequential(Linear(1, 8), BatchNorm1d(8), Tanh(), Linear(8, 1)).double()
print(xcheck.check(lambda x: mixing(x), x, diagonal=lambda x: by_sum(mixing, x), raises=False))
# > f, torch float64: DISAGREE
# >   diagonal= vs finite differences: DISAGREE, 4 of 4 entries of the Jacobian diagonal
# >     worst   d out[0, 0] / d x[0, 0]: 0.147445 claimed, -0.0501692 ± 6e-11 measured (ratio -2.939)
# >             d out[3, 0] / d x[3, 0]: -0.0794212 claimed, -0.227485 ± 1e-10 measured (ratio 0.3491)
# >             d out[1, 0] / d x[1, 0]: -0.175156 claimed, -0.299374 ± 9e-11 measured (ratio 0.5851)
# >     cause   the claim is the gradient of the sum of all outputs, d out[0] / d x[i] + d out[1] / d x[i] + ...; outputs depend on other inputs too (as behind a batch normalisation)
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        x in [-2.179, 1.541]; other points may differ
# >   cost      2559 evaluations, 296 ms

# What it means: in training, batch normalisation subtracts the mean of the batch, so that every output depends on every
# sample. The gradient of the sum holds d y[0] / d x[i] + d y[1] / d x[i] + ... at place i. Of those only d y[i] / d
# x[i] was asked for. In evaluation (`mixing.eval()`) the samples are apart again, and the sum is right.
#
# `xcheck.jacobian_diagonal` finds out by itself. It takes the sum, and proves by some more passes that there is nothing
# beside the diagonal; where there is, it takes the N passes that are needed, in batches. samples_that_mix.py does the
# same for samples of several numbers.


def diagonal(x):
    """Differentiate every output with respect to its own sample."""
    return xcheck.jacobian_diagonal(lambda x: mixing(x), x)


assert torch.allclose(diagonal(x), by_loop(mixing, x))
print(xcheck.check(lambda x: mixing(x), x, diagonal=diagonal))
# > f, torch float64: AGREE
# >   diagonal= vs finite differences: AGREE, all 4 entries of the Jacobian diagonal
# >     limit   an error of 2e-10 (4e-09 of the output's largest) in any of the 4 that agree would have been seen
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        x in [-2.179, 1.541]; other points may differ
# >   cost      27 evaluations, 10 ms
