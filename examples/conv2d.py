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
x, w = rng.normal(size=(1, 2, 4, 4)), rng.normal(size=(3, 2, 3, 3))


def conv2d(x, w):
    """Convolve images, shape (N, C, H, W), with kernels, shape (F, C, K, K)."""
    k = w.shape[-1]
    height, width = x.shape[2] - k + 1, x.shape[3] - k + 1
    out = np.zeros((len(x), len(w), height, width))
    for i in range(height):
        for j in range(width):
            out[:, :, i, j] = np.tensordot(x[:, :, i : i + k, j : j + k], w, axes=([1, 2, 3], [1, 2, 3]))
    return out


def backward(x, w, g):
    """Pull the cotangent g back to x and w."""
    dw = conv2d(x.transpose(1, 0, 2, 3), g.transpose(1, 0, 2, 3)).transpose(1, 0, 2, 3)
    padded = np.pad(g, ((0, 0), (0, 0), (2, 2), (2, 2)))
    return conv2d(padded, w.transpose(1, 0, 2, 3)), dw


print(xcheck.check(conv2d, x, w, vjp=backward, raises=False))
#> conv2d, numpy float64: DISAGREE
#>   vjp= vs finite differences: DISAGREE, 192 of 1032 entries of the Jacobian
#>     worst   d out[0, 2, 0, 1] / d x[0, 1, 0, 3]: -1.09115 claimed, 2.00239 ± 3e-10 measured (ratio -0.5449)
#>             d out[0, 2, 1, 0] / d x[0, 0, 3, 0]: 0.052029 claimed, 1.82201 ± 2e-10 measured (ratio 0.02856)
#>             d out[0, 2, 0, 0] / d x[0, 1, 2, 0]: 2.00239 claimed, -1.09115 ± 4e-10 measured (ratio -1.835)
#>     limit   an error of 5e-07 (3e-07 of the output's largest) in any of the 840 that agree would have been seen
#>   at        x in [-2.325, 1.366], w in [-2.204, 2.002]; other points may differ
#>   cost      10358 evaluations, 626 ms

# What it means: only d out / d x is wrong, the first array that `backward` returns. To see what is wrong with it, take the
# smallest case, one image and one kernel of 3 by 3 numbers that can be told apart:

kernel = np.arange(1.0, 10.0).reshape(1, 1, 3, 3)
print(xcheck.check(conv2d, x[:, :1, :3, :3], kernel, vjp=backward, raises=False))
#> conv2d, numpy float64: DISAGREE
#>   vjp= vs finite differences: DISAGREE, 8 of 18 entries of the Jacobian
#>     worst   d out[0, 0, 0, 0] / d x[0, 0, 2, 1]: 2 claimed, 8 ± 7e-10 measured (ratio 0.25)
#>             d out[0, 0, 0, 0] / d x[0, 0, 2, 2]: 1 claimed, 9 ± 1e-09 measured (ratio 0.1111)
#>             d out[0, 0, 0, 0] / d x[0, 0, 1, 2]: 4 claimed, 6 ± 7e-10 measured (ratio 0.6667)
#>     limit   an error of 6e-09 (6e-10 of the output's largest) in any of the 10 that agree would have been seen
#>   at        x in [-1.265, 1.304], w in [1, 9]; other points may differ
#>   cost      4953 evaluations, 234 ms

# It has 2 in place of 8, 1 in place of 9, 4 in place of 6: the kernel is in reverse order. What the libraries call
# convolution multiplies the image by the kernel as it stands; going back, the kernel has to be turned by 180 degrees.


def mended(x, w, g):
    """Pull the cotangent g back to x and w."""
    return backward(x, w[:, :, ::-1, ::-1], g)[0], backward(x, w, g)[1]


print(xcheck.check(conv2d, x, w, vjp=mended))
#> conv2d, numpy float64: AGREE
#>   vjp= vs finite differences: AGREE, all 1032 entries of the Jacobian
#>     limit   an error of 5e-07 (3e-07 of the output's largest) in any of the 1032 that agree would have been seen
#>   at        x in [-2.325, 1.366], w in [-2.204, 2.002]; other points may differ
#>   cost      359 evaluations, 32 ms


def in_jax(x, w):
    """Convolve in JAX."""
    return jax.lax.conv(x, w, (1, 1), "VALID")


def in_tensorflow(x, w):
    """Convolve in TensorFlow, which wants the channels last."""
    return tf.nn.conv2d(x, w, 1, "VALID")


orders = {"inputs": ["NCHW->NHWC", "FCHW->HWCF"], "outputs": "NHWF->NFHW"}
functions = {"torch": torch.nn.functional.conv2d, "jax": in_jax, "tensorflow": xcheck.layout(in_tensorflow, **orders)}
print(xcheck.crosscheck({"numpy": conv2d, **functions}, x, w))
#> crosscheck, float64: AGREE
#>   implementation  by itself    with numpy         with torch          with jax            with tensorflow
#>   numpy           values only  -                  agree               agree               agree
#>                                                   value 15 digits     value 15 digits     value 15 digits
#>                                                                       slopes 8 digits     slopes 8 digits
#>   torch           agree        agree              -                   agree               agree
#>                                value 15 digits                        value 15 digits     value 15 digits
#>                                                                       Jacobian 15 digits  Jacobian 15 digits
#>   jax             agree        agree              agree               -                   agree
#>                                value 15 digits    value 15 digits                         value 15 digits
#>                                Jacobian 8 digits  Jacobian 15 digits                      Jacobian same
#>   tensorflow      agree        agree              agree               agree               -
#>                                value 15 digits    value 15 digits     value 15 digits
#>                                Jacobian 8 digits  Jacobian 15 digits  Jacobian same
#>   All agree, with each other and with finite differences of their own values.
#>   at        x0 in [-2.325, 1.366], x1 in [-2.204, 2.002]; other points may differ
#>   cost      1160 evaluations, 6 s
