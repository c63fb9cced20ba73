"""My custom gradient passes its test, and the network still does not train.

"I wrote swish with its own derivative in torch, JAX and TensorFlow. Compared with the derivative of swish, and for
loss = swish(x).sum(), the gradient is right to the last digit."
"""

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch

import xcheck


class TorchSwish(torch.autograd.Function):
    """Swish in torch."""

    @staticmethod
    def forward(ctx, x):
        """Return x σ(x)."""
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, g):
        """Return the derivative."""
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return s + x * s * (1 - s)


@jax.custom_vjp
def jax_swish(x):
    """Swish in JAX."""
    return x * jax.nn.sigmoid(x)


def jax_backward(x, g):
    """Return the derivative times the cotangent."""
    s = jax.nn.sigmoid(x)
    return (g * (s + x * s * (1 - s)),)


jax_swish.defvjp(lambda x: (jax_swish(x), x), jax_backward)


@tf.custom_gradient
def tf_swish(x):
    """Swish in TensorFlow."""
    s = tf.sigmoid(x)
    return x * s, lambda g: g * (s + x * s * (1 - s))


x = np.array([-1.5, 0.3, 2.0])
print(xcheck.crosscheck({"torch": TorchSwish.apply, "jax": jax_swish, "tensorflow": tf_swish}, x, raises=False))
#> crosscheck, float64: DISAGREE
#>   implementation  by itself  with torch        with jax          with tensorflow
#>   torch           disagree   -                 wrong             wrong
#>                                                value same        value 15 digits
#>                                                Jacobian differs  Jacobian differs
#>   jax             agree      wrong             -                 agree
#>                              value same                          value 15 digits
#>                              Jacobian differs                    Jacobian same
#>   tensorflow      agree      wrong             agree             -
#>                              value 15 digits   value 15 digits
#>                              Jacobian differs  Jacobian same
#>   torch is wrong and stands alone: d out[0] / d x[2] is 0 by jax and tensorflow, 1.09078 by torch; finite differences of torch's own values give 0 ± 2e-15. So at 5 more.
#>   unchecked torch/jvp: no rule (You must implement the jvp function for custom autograd.Function to use it with forward mode AD.)
#>   unchecked jax/jvp: no rule (can't apply forward-mode autodiff (jvp) to a custom_vjp function.)
#>   at        x in [-1.5, 2]; other points may differ
#>   cost      1621 evaluations, 3.7 s
print(xcheck.check(TorchSwish.apply, torch.tensor(x), raises=False))
#> TorchSwish, torch float64: DISAGREE
#>   torch/vjp vs finite differences: DISAGREE, 6 of 9 entries of the Jacobian
#>     worst   d out[0] / d x[2]: 1.09078 claimed, 0 ± 2e-15 measured
#>             d out[1] / d x[2]: 1.09078 claimed, 0 ± 2e-15 measured
#>             d out[0] / d x[1]: 0.64778 claimed, 0 ± 1e-14 measured
#>     cause   every output gets the gradient of the sum of all outputs: the rule ignores its cotangent
#>     limit   an error of 2e-10 (2e-10 of the output's largest) in any of the 3 that agree would have been seen
#>   torch/vjp vs itself, scaled: DISAGREE, 3 of 3 entries of the pullback
#>     why     the rule is not linear in its cotangent, as derivatives are; clipping it, normalising it or taking its sign is not
#>     worst   x[2] pulled back from -1024 times a cotangent, and divided by that: -0.00106522 claimed, 1.09078 ± 0.001 measured (ratio -0.0009766)
#>             x[1] pulled back from -1024 times a cotangent, and divided by that: -0.000632598 claimed, 0.64778 ± 0.0006 measured (ratio -0.0009766)
#>             x[0] pulled back from -1024 times a cotangent, and divided by that: 4.03263e-05 claimed, -0.0412942 ± 4e-05 measured (ratio -0.0009766)
#>   unchecked torch/jvp: no rule (You must implement the jvp function for custom autograd.Function to use it with forward mode AD.)
#>   at        x in [-1.5, 2]; other points may differ
#>   cost      1585 evaluations, 272 ms
