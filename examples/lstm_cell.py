"""My LSTM cell, written from scratch in TensorFlow, does not give what Keras gives. Which of my gates is wrong?

"The weights are Keras' own, and I followed a tutorial: split into four gates, forget bias 1. Loss and gradients come
out in the usual size, but they are other numbers. torch and JAX agree with Keras."
"""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import tensorflow as tf
import torch

import xcheck

rng = np.random.default_rng(0)
n = 3
x, h, c = rng.normal(size=(2, 2)), rng.normal(size=(2, n)), rng.normal(size=(2, n))
W, U, b = rng.normal(size=(2, 4 * n)), rng.normal(size=(n, 4 * n)), rng.normal(size=4 * n)


def mine(x, h, c, W, U, b):
    """Return the new h and c."""
    i, j, f, o = tf.split(x @ W + h @ U + b, 4, axis=1)
    c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
    return tf.tanh(c) * tf.sigmoid(o), c


cell = keras.layers.LSTMCell(n, dtype="float64")
cell.build((None, 2))


def in_keras(x, h, c, W, U, b):
    """Return the same by Keras' cell, with these weights."""
    return tuple(cell.stateless_call([W, U, b], cell.non_trainable_variables, x, states=[h, c])[0][1])


def in_torch(x, h, c, W, U, b):
    """Return the same in torch, which has the weights transposed, and two biases."""
    return torch.lstm_cell(x, (h, c), W.T, U.T, b, torch.zeros_like(b))


def in_jax(x, h, c, W, U, b):
    """Return the same in JAX."""
    i, f, g, o = jnp.split(x @ W + h @ U + b, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


others = {"tensorflow/Keras": in_keras, "torch": in_torch, "jax": in_jax}
print(xcheck.crosscheck({"tensorflow": mine, **others}, x, h, c, W, U, b, raises=False))
# > crosscheck, float64: DISAGREE
# >   implementation    by itself  with tensorflow   with tensorflow/Keras  with torch          with jax
# >   tensorflow        agree      -                 another function       another function    another function
# >                                                  value differs          value differs       value differs
# >                                                  Jacobian differs       Jacobian differs    Jacobian differs
# >   tensorflow/Keras  agree      another function  -                      agree               agree
# >                                value differs                            value 15 digits     value 16 digits
# >                                Jacobian differs                         Jacobian 15 digits  Jacobian 15 digits
# >   torch             agree      another function  agree                  -                   agree
# >                                value differs     value 15 digits                            value 15 digits
# >                                Jacobian differs  Jacobian 15 digits                         Jacobian 15 digits
# >   jax               agree      another function  agree                  agree               -
# >                                value differs     value 16 digits        value 15 digits
# >                                Jacobian differs  Jacobian 15 digits     Jacobian 15 digits
# >   tensorflow computes another function: out[0][0, 1] is -0.374258903 by tensorflow/Keras, torch and jax, 0.360595982 by tensorflow. So at 11 more.
# >   at        x in [-0.1321, 0.6404], h in [-1.265, 1.304], c in [-2.325, 0.04133]; other points may differ
# >   cost      1500 evaluations, 2.5 s

# What it means: the cell is differentiated rightly, but it is another function. The values do not say which gate is to
# blame; a derivative does. d(new c) / dc is the forget gate alone. With weights of zero it is the sigmoid of its own
# quarter of the bias, so give the quarters the numbers 0, 0.3, 0.6 and 0.9 and look which of them comes back:

quarters = np.repeat([0.0, 0.3, 0.6, 0.9], n)
for name, f in {"mine": mine, "Keras": in_keras}.items():
    forget = xcheck.jacobian_diagonal(lambda c, f=f: f(x, h, c, 0 * W, 0 * U, quarters)[1], tf.constant(c))[0, 0]
    print(f"{name}: {np.log(forget / (1 - forget)):.1f}")
# > mine: 1.6
# > Keras: 0.3

# Keras forgets by the second quarter as it is. Mine takes the third, and adds 1: tutorials for TensorFlow 1 have the
# gates in the order i, g, f, o, and add the forget bias when the cell runs; Keras puts it into b when it is made.


def mended(x, h, c, W, U, b):
    """Return the new h and c."""
    i, f, g, o = tf.split(x @ W + h @ U + b, 4, axis=1)
    c = c * tf.sigmoid(f) + tf.sigmoid(i) * tf.tanh(g)
    return tf.tanh(c) * tf.sigmoid(o), c


print(xcheck.crosscheck({"tensorflow": mended, **others}, x, h, c, W, U, b))
# > crosscheck, float64: AGREE
# >                                                    with
# >   implementation    by itself  with tensorflow     tensorflow/Keras     with torch          with jax
# >   tensorflow        agree      -                   agree                agree               agree
# >                                                    value same           value 15 digits     value 16 digits
# >                                                    Jacobian same        Jacobian 15 digits  Jacobian 15 digits
# >   tensorflow/Keras  agree      agree               -                    agree               agree
# >                                value same                               value 15 digits     value 16 digits
# >                                Jacobian same                            Jacobian 15 digits  Jacobian 15 digits
# >   torch             agree      agree               agree                -                   agree
# >                                value 15 digits     value 15 digits                          value 15 digits
# >                                Jacobian 15 digits  Jacobian 15 digits                       Jacobian 15 digits
# >   jax               agree      agree               agree                agree               -
# >                                value 16 digits     value 16 digits      value 15 digits
# >                                Jacobian 15 digits  Jacobian 15 digits   Jacobian 15 digits
# >   All agree, with each other and with finite differences of their own values.
# >   at        x in [-0.1321, 0.6404], h in [-1.265, 1.304], c in [-2.325, 0.04133]; other points may differ
# >   cost      1500 evaluations, 1 s
