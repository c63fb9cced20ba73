"""I wrote a custom gradient in torch, JAX and TensorFlow. All three agree, and none of the networks trains.

"It is swish, x σ(x), with its own derivative. Compared with the formula, and for loss = swish(x).sum(), the gradients
are right to the last digit."
"""

import jax
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
        """Return the derivative of x σ(x)."""
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return s + x * s * (1 - s)


@jax.custom_vjp
def jax_swish(x):
    """Swish in JAX."""
    return x * jax.nn.sigmoid(x)


def jax_backward(x, g):
    """Return the derivative of x σ(x)."""
    s = jax.nn.sigmoid(x)
    return (s + x * s * (1 - s),)


jax_swish.defvjp(lambda x: (jax_swish(x), x), jax_backward)


@tf.custom_gradient
def tf_swish(x):
    """Swish in TensorFlow."""
    s = tf.sigmoid(x)
    return x * s, lambda g: s + x * s * (1 - s)


x = np.array([-1.5, 0.3, 2.0])
wrong = xcheck.crosscheck({"torch": TorchSwish.apply, "jax": jax_swish, "tensorflow": tf_swish}, x, raises=False)
print(wrong)
# > crosscheck, float64: DISAGREE
# >   implementation  by itself  with torch       with jax         with tensorflow
# >   torch           disagree   -                agree            agree
# >                                               value same       value 15 digits
# >                                               Jacobian same    Jacobian same
# >   jax             disagree   agree            -                agree
# >                              value same                        value 15 digits
# >                              Jacobian same                     Jacobian same
# >   tensorflow      disagree   agree            agree            -
# >                              value 15 digits  value 15 digits
# >                              Jacobian same    Jacobian same
# >   torch, jax and tensorflow are wrong: d out[0] / d x[2] is 1.09078 by torch, jax and tensorflow; finite differences of torch's own values give 0 ± 2e-15. So at 5 more. Cause in torch, jax and tensorflow: every output gets the gradient of the sum of all outputs: the rule ignores its cotangent.
# >   unchecked torch/jvp: no rule (You must implement the jvp function for custom autograd.Function to use it with forward mode AD.)
# >   unchecked jax/jvp: no rule (can't apply forward-mode autodiff (jvp) to a custom_vjp function.)
# >   at        x in [-1.5, 2]; other points may differ
# >   cost      4959 evaluations, 2.7 s

# What it means: what a backward pass is given, here g, is how the loss answers to the output. It has to be multiplied
# by the slope; a rule that leaves it out is right for the sum alone, where g is 1. That three frameworks agree proves
# nothing: it is the same mistake three times. Each is held against its own values, which tell.


class Mended(TorchSwish):
    """Swish in torch."""

    @staticmethod
    def backward(ctx, g):
        """Return the cotangent times the derivative of x σ(x)."""
        return g * TorchSwish.backward(ctx, g)


jax_swish.defvjp(lambda x: (jax_swish(x), x), lambda x, g: (g * jax_backward(x, g)[0],))


@tf.custom_gradient
def tf_mended(x):
    """Swish in TensorFlow."""
    s = tf.sigmoid(x)
    return x * s, lambda g: g * (s + x * s * (1 - s))


print(xcheck.crosscheck({"torch": Mended.apply, "jax": jax_swish, "tensorflow": tf_mended}, x))
# > crosscheck, float64: AGREE
# >   implementation  by itself  with torch       with jax         with tensorflow
# >   torch           agree      -                agree            agree
# >                                               value same       value 15 digits
# >                                               Jacobian same    Jacobian same
# >   jax             agree      agree            -                agree
# >                              value same                        value 15 digits
# >                              Jacobian same                     Jacobian same
# >   tensorflow      agree      agree            agree            -
# >                              value 15 digits  value 15 digits
# >                              Jacobian same    Jacobian same
# >   All agree, with each other and with finite differences of their own values.
# >   unchecked torch/jvp: no rule (You must implement the jvp function for custom autograd.Function to use it with forward mode AD.)
# >   unchecked jax/jvp: no rule (can't apply forward-mode autodiff (jvp) to a custom_vjp function.)
# >   at        x in [-1.5, 2]; other points may differ
# >   cost      54 evaluations, 0.23 s
