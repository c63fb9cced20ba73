"""The Jacobian of every sample: which samples does my batch normalisation mix?

"I want d y[b] / d x[b] for every sample b of a batch, shape (B, outputs, inputs). I call grad on the sum over the batch,
once for each output. With one of my networks the numbers change with the batch that a sample is in."
"""

import warnings

import torch
from torch.nn import BatchNorm1d, Linear, Sequential, Tanh

import xcheck

torch.manual_seed(0)
x = torch.randn(4, 2, dtype=torch.float64)
net = Sequential(Linear(2, 3), BatchNorm1d(3), Tanh(), Linear(3, 2)).double()


def model(x):
    """Return the network's outputs, shape (4, 2)."""
    return net(x)


def by_sums(x):
    """Differentiate the sum over the batch, once for each output, shape (4, 2, 2)."""
    x = x.clone().requires_grad_()
    y = model(x)
    columns = [torch.autograd.grad(y[:, k].sum(), x, retain_graph=True)[0] for k in range(y.shape[1])]
    return torch.stack(columns, 1)


def whole(samples):
    """Put the Jacobians of single samples where they belong in that of the batch, shape (4, 2, 4, 2)."""
    batch = torch.zeros(4, 2, 4, 2, dtype=samples.dtype)
    batch[range(4), :, range(4), :] = samples
    return batch


print(xcheck.check(model, x, jacobian=lambda x: whole(by_sums(x)), raises=False))
# > model, torch float64: DISAGREE
# >   jacobian= vs finite differences: DISAGREE, 64 of 64 entries of the Jacobian
# >     worst   d out[3, 0] / d x[3, 1]: 0.136341 claimed, -0.12659 ± 2e-10 measured (ratio -1.077)
# >             d out[0, 0] / d x[0, 1]: -0.0483702 claimed, -0.266366 ± 2e-10 measured (ratio 0.1816)
# >             d out[1, 0] / d x[1, 1]: -0.205924 claimed, -0.386888 ± 1e-10 measured (ratio 0.5323)
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        x in [-2.179, 1.541]; other points may differ
# >   cost      7041 evaluations, 915 ms

# What it means: in training, batch normalisation divides by statistics of the batch, so that every output depends on
# every sample. There are entries between samples, and the sum over the batch adds them to those within.
#
# `xcheck.batch_jacobian` takes the same sums, and proves that samples do not mix before it returns them. If you ask for
# them where they are wrong, two samples that are coupled are named:

try:
    xcheck.batch_jacobian(model, x, strategy="batch sums: tape loop")
except xcheck.AssumptionError as error:
    print(error)
# > model: the strategy 'batch sums: tape loop' relies on this: samples do not mix. But d out[3, 0] / d x[0, 1], which couples sample 3 to sample 0, is 0.11565 and not 0. strategy="auto" takes one that is valid.

# Left alone, it says the same in a warning, and takes every sample's own Jacobian row by row:

with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    own = xcheck.batch_jacobian(model, x)
print(said[0].message)
# > model: d out[3, 1] / d x[0, 1], which couples sample 3 to sample 0, is 0.0613296 and not 0. So it is not true that samples do not mix, and what relies on that is not valid. unit vectors: tape batched was taken, 8 vjp.
assert torch.allclose(own, torch.stack([xcheck.jacobian(model, x)[b, :, b] for b in range(4)]))

# In evaluation the statistics are fixed and the samples apart. The sums are right, and nothing is said.

net.eval()
assert torch.allclose(xcheck.batch_jacobian(model, x), by_sums(x))
print(xcheck.check(model, x, jacobian=lambda x: whole(xcheck.batch_jacobian(model, x))))
# > model, torch float64: AGREE
# >   jacobian= vs finite differences: AGREE, all 64 entries of the Jacobian
# >     limit   an error of 6e-10 (5e-09 of the output's largest) in any of the 64 that agree would have been seen
# >   unchecked torch/vjp, torch/jvp: a derivative was given, so that one was checked
# >   at        x in [-2.179, 1.541]; other points may differ
# >   cost      45 evaluations, 12 ms
