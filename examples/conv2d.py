"""My conv2d in NumPy gives the right output, and its backward pass the wrong gradient.

"The forward pass is compared with torch. The gradient by the kernel is right too, but the one by the image is not, and
the network trains, only badly. The backward pass of a convolution is a convolution with the kernel, I read."
"""

import jax
import numpy as np
import tensorflow as tf
import torch

import xcheck

rng = np.random.default_rng(0)
x, w = rng.normal(size=(1, 2, 3, 4)), rng.normal(size=(2, 2, 2, 2))


def conv2d(x, w):
    """Convolve images, shape (N, C, H, W), with kernels, shape (F, C, K, M)."""
    k, m = w.shape[2:]
    out = np.zeros((len(x), len(w), x.shape[2] - k + 1, x.shape[3] - m + 1))
    for i in range(out.shape[2]):
        for j in range(out.shape[3]):
            out[:, :, i, j] = np.tensordot(x[:, :, i : i + k, j : j + m], w, axes=([1, 2, 3], [1, 2, 3]))
    return out


def backward(x, w, g):
    """Pull the cotangent g back to x and w."""
    k, m = w.shape[2:]
    padded = np.pad(g, ((0, 0), (0, 0), (k - 1, k - 1), (m - 1, m - 1)))
    dx = conv2d(padded, w.transpose(1, 0, 2, 3))
    dw = conv2d(x.transpose(1, 0, 2, 3), g.transpose(1, 0, 2, 3)).transpose(1, 0, 2, 3)
    return dx, dw


print(xcheck.check(conv2d, x, w, vjp=backward, raises=False))
# > conv2d, numpy float64: DISAGREE
# >   vjp= vs finite differences: DISAGREE, 96 of 480 entries of the Jacobian
# >     worst   d out[0, 1, 0, 0] / d x[0, 1, 0, 0]: 1.49343 claimed, -0.653829 ± 4e-11 measured (ratio -2.284)
# >             d out[0, 1, 0, 1] / d x[0, 1, 0, 1]: 1.49343 claimed, -0.653829 ± 1e-09 measured (ratio -2.284)
# >             d out[0, 1, 0, 2] / d x[0, 1, 0, 2]: 1.49343 claimed, -0.653829 ± 3e-10 measured (ratio -2.284)
# >     cause   x: the claim has inputs and outputs in reverse order: a kernel is turned around where it should not be, or the other way round (convolution and correlation)
# >     limit   an error of 2e-08 (1e-08 of the output's largest) in any of the 384 that agree would have been seen
# >   at        x in [-2.325, 1.366], w in [-1.01, 1.493]; other points may differ
# >   cost      11060 evaluations, 1.1 s

# What it means: only d out / d x is wrong, the first array that `backward` returns. To see what is wrong with it, take
# the smallest case, one image and one kernel of 3 by 3 numbers that can be told apart:

kernel = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
print(xcheck.check(conv2d, rng.normal(size=(1, 1, 3, 3)), kernel, vjp=backward, raises=False))
# > conv2d, numpy float64: DISAGREE
# >   vjp= vs finite differences: DISAGREE, 8 of 18 entries of the Jacobian
# >     worst   d out[0, 0, 0, 0] / d x[0, 0, 0, 0]: 9 claimed, 1 ± 4e-09 measured (ratio 9)
# >             d out[0, 0, 0, 0] / d x[0, 0, 2, 2]: 1 claimed, 9 ± 3e-09 measured (ratio 0.1111)
# >             d out[0, 0, 0, 0] / d x[0, 0, 0, 1]: 8 claimed, 2 ± 3e-09 measured (ratio 4)
# >     cause   x: the claim has inputs and outputs in reverse order: a kernel is turned around where it should not be, or the other way round (convolution and correlation)
# >     limit   an error of 3e-08 (3e-09 of the output's largest) in any of the 10 that agree would have been seen
# >   at        x in [-1.259, 1.96], w in [1, 9]; other points may differ
# >   cost      3901 evaluations, 152 ms

# It has 1 in place of 9, 9 in place of 1, 2 in place of 8: the kernel is in reverse order. What the libraries call
# convolution multiplies the image by the kernel as it stands; going back, the kernel has to be turned by 180 degrees.


def mended(x, w, g):
    """Pull the cotangent g back to x and w."""
    return backward(x, w[:, :, ::-1, ::-1], g)[0], backward(x, w, g)[1]


print(xcheck.check(conv2d, x, w, vjp=mended))
# > conv2d, numpy float64: AGREE
# >   vjp= vs finite differences: AGREE, all 480 entries of the Jacobian
# >     limit   an error of 2e-08 (1e-08 of the output's largest) in any of the 480 that agree would have been seen
# >   at        x in [-2.325, 1.366], w in [-1.01, 1.493]; other points may differ
# >   cost      175 evaluations, 34 ms


def in_jax(x, w):
    """Convolve in JAX."""
    return jax.lax.conv(x, w, (1, 1), "VALID")


def in_tensorflow(x, w):
    """Convolve in TensorFlow, which wants the channels last."""
    return tf.nn.conv2d(x, w, 1, "VALID")


orders = {"inputs": ["NCHW->NHWC", "FCHW->HWCF"], "outputs": "NHWF->NFHW"}
functions = {"torch": torch.nn.functional.conv2d, "jax": in_jax, "tensorflow": xcheck.layout(in_tensorflow, **orders)}
print(xcheck.crosscheck({"numpy": conv2d, **functions}, x, w))
# > crosscheck, float64: AGREE
# >   implementation  by itself    with numpy         with torch       with jax         with tensorflow
# >   numpy           values only  -                  agree            agree            agree
# >                                                   value 15 digits  value 15 digits  value 15 digits
# >                                                   slopes 9 digits  slopes 9 digits  slopes 9 digits
# >   torch           agree        agree              -                agree            agree
# >                                value 15 digits                     value 15 digits  value 15 digits
# >                                Jacobian 9 digits                   Jacobian same    Jacobian same
# >   jax             agree        agree              agree            -                agree
# >                                value 15 digits    value 15 digits                   value 16 digits
# >                                Jacobian 9 digits  Jacobian same                     Jacobian same
# >   tensorflow      agree        agree              agree            agree            -
# >                                value 15 digits    value 15 digits  value 16 digits
# >                                Jacobian 9 digits  Jacobian same    Jacobian same
# >   All agree, with each other and with finite differences of their own values.
# >   at        x0 in [-2.325, 1.366], x1 in [-1.01, 1.493]; other points may differ
# >   cost      697 evaluations, 0.79 s
