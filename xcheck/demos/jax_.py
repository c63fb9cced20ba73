"""JAX: operations with a `jax.custom_vjp` or `jax.custom_jvp` rule."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from xcheck.demos import Case


@jax.custom_jvp
def log1pexp(x: Any) -> Any:
    """Compute log(1 + exp(x)) without overflow."""
    return jnp.logaddexp(x, 0.0)


@log1pexp.defjvp
def _log1pexp_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    return log1pexp(x), jax.nn.sigmoid(x) * t


@jax.custom_vjp
def softmax(x: Any) -> Any:
    """Turn every row into probabilities."""
    e = jnp.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def _softmax_forward(x: Any) -> Any:
    s = softmax(x)
    return s, s


def _softmax_backward(s: Any, grad: Any) -> Any:
    return (s * (1 - s) * grad,)  # the diagonal of the Jacobian, and nothing else


softmax.defvjp(_softmax_forward, _softmax_backward)


@jax.custom_jvp
def distance(x: Any) -> Any:
    """Return the Euclidean norm, with a rule that returns zero instead of NaN at the origin."""
    return jnp.sqrt((x * x).sum())


@distance.defjvp
def _distance_jvp(primals: Any, tangents: Any) -> Any:
    (x,), (t,) = primals, tangents
    norm = jnp.sqrt((x * x).sum())
    return norm, (x * t).sum() / jnp.where(norm > 0, norm, 1.0)


def cases() -> list[Case]:
    """List the checks."""
    options = {"backend": "jax"}
    return [
        Case(
            "log(1 + exp(x)) with a custom rule that is right",
            "NumPy inputs and backend='jax': everything ran in 64 bits, and your own precision setting is untouched",
            "agree",
            log1pexp,
            (np.array([-800.0, -2.5, 0.3, 4.0, 40.0]),),
            options,
        ),
        Case(
            "softmax with a rule that is only the diagonal of its Jacobian",
            "entries off the diagonal are 0 in the claim and not in the function; between rows 0 is right",
            "disagree",
            softmax,
            (np.array([[0.1, 1.2, -0.4], [2.0, 0.3, 0.5]]),),
            options,
        ),
        Case(
            "the length of a vector, at the origin",
            "the rule says 0 there; the function has a cone, and no derivative",
            "inconclusive",
            distance,
            (np.zeros(3),),
            options,
        ),
    ]
