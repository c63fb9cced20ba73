"""Functions of single numbers: elementary and special ones, and activations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow as tf
import torch

from common.function import Common, numbered, vector

F, S, M = torch.nn.functional, torch.special, tf.math
J = jax.scipy.special

ANY = vector(-2.3, -0.7, 0.4, 1.9)
ABOVE = vector(0.3, 0.9, 2.4, 7.5)
INSIDE = vector(-0.8, -0.2, 0.35, 0.9)
OVER_ONE = vector(1.2, 1.9, 3.4, 8.0)

Three = tuple[Callable[..., Any], Callable[..., Any], Callable[..., Any]]

ELEMENTARY: dict[str, tuple[Three, dict[str, Any]]] = {
    "exp": ((torch.exp, jnp.exp, tf.exp), {"ordinary": ANY, "tail": [vector(-700.0), vector(700.0)]}),
    "exp2": ((torch.exp2, jnp.exp2, lambda x: tf.pow(tf.constant(2.0, x.dtype), x)), {"ordinary": ANY}),
    "expm1": (
        (torch.expm1, jnp.expm1, M.expm1),
        {"ordinary": ANY, "tail": [vector(-40.0), vector(1e-12), vector(-9.0)]},
    ),
    "log": (
        (torch.log, jnp.log, M.log),
        {"ordinary": ABOVE, "tail": [vector(1e-300), vector(1e300)], "kink": vector(0.0)},
    ),
    "log1p": ((torch.log1p, jnp.log1p, M.log1p), {"ordinary": ABOVE, "tail": [vector(1e-15), vector(1e20)]}),
    "log2": ((torch.log2, jnp.log2, lambda x: M.log(x) / np.log(2.0)), {"ordinary": ABOVE}),
    "log10": ((torch.log10, jnp.log10, lambda x: M.log(x) / np.log(10.0)), {"ordinary": ABOVE}),
    "sqrt": (
        (torch.sqrt, jnp.sqrt, tf.sqrt),
        {"ordinary": ABOVE, "tail": [vector(1e-300), vector(1e200)], "kink": vector(0.0)},
    ),
    "rsqrt": ((torch.rsqrt, jax.lax.rsqrt, M.rsqrt), {"ordinary": ABOVE, "tail": vector(1e100)}),
    "cbrt": (
        (lambda x: torch.sign(x) * torch.abs(x) ** (1 / 3), jnp.cbrt, lambda x: tf.sign(x) * tf.abs(x) ** (1 / 3)),
        {"ordinary": ANY, "kink": vector(0.0)},
    ),
    "reciprocal": (
        (torch.reciprocal, jnp.reciprocal, M.reciprocal),
        {"ordinary": ANY, "tail": [vector(1e-150), vector(1e150)]},
    ),
    "square": ((torch.square, jnp.square, tf.square), {"ordinary": ANY, "kink": vector(0.0), "tail": vector(1e100)}),
    "sin": ((torch.sin, jnp.sin, tf.sin), {"ordinary": ANY, "tail": [vector(1e6), vector(1e10)]}),
    "cos": ((torch.cos, jnp.cos, tf.cos), {"ordinary": ANY, "tail": vector(1e6)}),
    "tan": ((torch.tan, jnp.tan, tf.tan), {"ordinary": ANY, "tail": vector(1.5707963)}),
    "asin": ((torch.asin, jnp.arcsin, tf.asin), {"ordinary": INSIDE, "kink": vector(1.0), "tail": vector(1 - 1e-12)}),
    "acos": ((torch.acos, jnp.arccos, tf.acos), {"ordinary": INSIDE, "kink": vector(-1.0), "tail": vector(1 - 1e-12)}),
    "atan": ((torch.atan, jnp.arctan, tf.atan), {"ordinary": ANY, "tail": vector(1e10)}),
    "sinh": ((torch.sinh, jnp.sinh, tf.sinh), {"ordinary": ANY, "tail": [vector(300.0), vector(1e-10)]}),
    "cosh": ((torch.cosh, jnp.cosh, tf.cosh), {"ordinary": ANY, "tail": vector(-300.0)}),
    "tanh": ((torch.tanh, jnp.tanh, tf.tanh), {"ordinary": ANY, "tail": [vector(8.0), vector(18.0), vector(25.0)]}),
    "asinh": (
        (torch.asinh, jnp.arcsinh, tf.asinh),
        {"ordinary": ANY, "tail": [vector(1e10), vector(-1e10), vector(1e-10)]},
    ),
    "acosh": ((torch.acosh, jnp.arccosh, tf.acosh), {"ordinary": OVER_ONE, "tail": [vector(1 + 1e-10), vector(1e10)]}),
    "atanh": ((torch.atanh, jnp.arctanh, tf.atanh), {"ordinary": INSIDE, "tail": [vector(1 - 1e-12), vector(1e-10)]}),
    "abs": ((torch.abs, jnp.abs, tf.abs), {"ordinary": ANY, "kink": vector(0.0), "tail": vector(1e-300)}),
    "sign": ((torch.sign, jnp.sign, tf.sign), {"ordinary": ANY, "kink": vector(0.0)}),
    "floor": ((torch.floor, jnp.floor, tf.floor), {"ordinary": ANY, "kink": vector(1.0)}),
    "ceil": ((torch.ceil, jnp.ceil, M.ceil), {"ordinary": ANY, "kink": vector(1.0)}),
    "round": ((torch.round, jnp.round, tf.round), {"ordinary": ANY, "kink": vector(0.5)}),
    "sigmoid": (
        (torch.sigmoid, jax.nn.sigmoid, tf.sigmoid),
        {"ordinary": ANY, "tail": [vector(-700.0), vector(30.0), vector(45.0)]},
    ),
    "log_sigmoid": (
        (F.logsigmoid, jax.nn.log_sigmoid, M.log_sigmoid),
        {"ordinary": ANY, "tail": [vector(40.0), vector(-40.0), vector(800.0)]},
    ),
    "softplus": (
        (F.softplus, jax.nn.softplus, M.softplus),
        {"ordinary": ANY, "tail": [vector(-40.0), vector(25.0), vector(800.0)]},
    ),
    "erf": ((torch.erf, J.erf, M.erf), {"ordinary": ANY, "tail": [vector(4.0), vector(1e-10)]}),
    "erfc": ((torch.erfc, J.erfc, M.erfc), {"ordinary": ANY, "tail": [vector(10.0), vector(25.0)]}),
    "erfinv": ((torch.erfinv, J.erfinv, M.erfinv), {"ordinary": INSIDE, "tail": vector(1 - 1e-10)}),
    "ndtr": ((S.ndtr, J.ndtr, lambda x: 0.5 * M.erfc(-x / np.sqrt(2.0))), {"ordinary": ANY, "tail": vector(-20.0)}),
    "ndtri": ((S.ndtri, J.ndtri, M.ndtri), {"ordinary": vector(0.1, 0.5, 0.8), "tail": vector(1e-10)}),
    "lgamma": (
        (torch.lgamma, J.gammaln, M.lgamma),
        {"ordinary": ABOVE, "tail": [vector(1e10), vector(1e-10), vector(-2.5)]},
    ),
    "digamma": ((torch.digamma, J.digamma, M.digamma), {"ordinary": ABOVE, "tail": [vector(1e8), vector(1e-5)]}),
    "trigamma": (
        (
            lambda x: torch.polygamma(1, x),
            lambda x: J.polygamma(1, x),
            lambda x: M.polygamma(tf.ones_like(x), x),
        ),
        {"ordinary": ABOVE},
    ),
    "i0e": ((S.i0e, J.i0e, M.special.bessel_i0e), {"ordinary": ANY, "kink": vector(0.0), "tail": vector(200.0)}),
    "i1e": ((S.i1e, J.i1e, M.special.bessel_i1e), {"ordinary": ANY, "kink": vector(0.0), "tail": vector(200.0)}),
    "sinc": (
        (torch.sinc, jnp.sinc, lambda x: tf.experimental.numpy.sinc(x)),
        {"ordinary": ANY, "kink": vector(0.0), "tail": vector(1e-6)},
    ),
    "xlogy": (
        (lambda x: torch.xlogy(x, x), lambda x: J.xlogy(x, x), lambda x: M.xlogy(x, x)),
        {"ordinary": ABOVE, "kink": vector(0.0)},
    ),
    "logit": (
        (torch.logit, J.logit, lambda x: M.log(x / (1 - x))),
        {"ordinary": vector(0.1, 0.5, 0.8), "tail": vector(1e-12)},
    ),
}

ACTIVATIONS: dict[str, tuple[Three, dict[str, Any]]] = {
    "relu": ((torch.relu, jax.nn.relu, tf.nn.relu), {"ordinary": ANY, "kink": vector(0.0)}),
    "relu6": ((F.relu6, jax.nn.relu6, tf.nn.relu6), {"ordinary": ANY, "kink": [vector(0.0), vector(6.0)]}),
    "leaky_relu": (
        (F.leaky_relu, jax.nn.leaky_relu, lambda x: tf.nn.leaky_relu(x, 0.01)),
        {"ordinary": ANY, "kink": vector(0.0)},
    ),
    "elu": ((F.elu, jax.nn.elu, tf.nn.elu), {"ordinary": ANY, "kink": vector(0.0), "tail": vector(-45.0)}),
    "selu": ((F.selu, jax.nn.selu, tf.nn.selu), {"ordinary": ANY, "kink": vector(0.0), "tail": vector(-20.0)}),
    "gelu": ((F.gelu, jax.nn.gelu, tf.nn.gelu), {"ordinary": ANY}),
    "gelu, exact": (
        (F.gelu, lambda x: jax.nn.gelu(x, approximate=False), tf.nn.gelu),
        {"ordinary": ANY, "tail": vector(-6.0)},
    ),
    "gelu, tanh": (
        (lambda x: F.gelu(x, approximate="tanh"), jax.nn.gelu, lambda x: tf.nn.gelu(x, approximate=True)),
        {"ordinary": ANY},
    ),
    "silu": ((F.silu, jax.nn.silu, tf.nn.silu), {"ordinary": ANY, "tail": [vector(-40.0), vector(40.0)]}),
    "softsign": (
        (F.softsign, jax.nn.soft_sign, tf.nn.softsign),
        {"ordinary": ANY, "kink": vector(0.0), "tail": vector(1e8)},
    ),
    "hardtanh": (
        (F.hardtanh, jax.nn.hard_tanh, lambda x: tf.clip_by_value(x, -tf.ones_like(x), tf.ones_like(x))),
        {"ordinary": ANY, "kink": [vector(1.0), vector(-1.0)]},
    ),
    "mish": ((F.mish, jax.nn.mish, lambda x: x * tf.tanh(M.softplus(x))), {"ordinary": ANY, "tail": vector(-30.0)}),
    "hard_sigmoid": (
        (F.hardsigmoid, jax.nn.hard_sigmoid, lambda x: tf.nn.relu6(x + 3.0) / 6.0),
        {"ordinary": ANY, "kink": vector(3.0)},
    ),
    "clip to [0, 1]": (
        (
            lambda x: torch.clamp(x, 0.0, 1.0),
            lambda x: jnp.clip(x, 0.0, 1.0),
            lambda x: tf.clip_by_value(x, tf.zeros_like(x), tf.ones_like(x)),
        ),
        {"ordinary": ANY, "kink": [vector(0.0), vector(1.0)]},
    ),
}


def pointwise() -> Iterator[Common]:
    """Yield them all."""
    for name, ((in_torch, in_jax, in_tensorflow), points) in (ELEMENTARY | ACTIVATIONS).items():
        functions = {"torch": in_torch, "jax": in_jax, "tensorflow": in_tensorflow}
        yield Common(name, functions, numbered(**points))
