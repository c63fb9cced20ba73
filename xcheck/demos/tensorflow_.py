"""TensorFlow: operations with a `tf.custom_gradient`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from xcheck.demos import Case


@tf.custom_gradient
def swish(x: Any, beta: Any) -> Any:
    """Compute x * sigmoid(beta * x), keeping only the inputs for the way back."""
    s = tf.sigmoid(beta * x)

    def grad(upstream: Any) -> Any:
        slope = s * (1 - s)
        return upstream * (s + beta * x * slope), tf.reduce_sum(upstream * x * x * slope)

    return x * s, grad


@tf.custom_gradient
def differences(x: Any) -> Any:
    """Return x[i + 1] - x[i], with a gradient that leaves out what reaches the last entry."""

    def grad(upstream: Any) -> Any:
        inner = tf.concat([[0.0], upstream[:-1]], 0) - upstream
        return tf.concat([inner, tf.zeros_like(x[:1])], 0)

    return x[1:] - x[:-1], grad


@tf.custom_gradient
def absolute(x: Any) -> Any:
    """Return the absolute value."""
    return tf.abs(x), lambda upstream: upstream * tf.sign(x)


def cases() -> list[Case]:
    """List the checks."""
    x = tf.constant([-1.4, 0.2, 0.9, 3.1])
    return [
        Case(
            "swish in float32 with a gradient that is right",
            "float32 is checked against a reference in float64; the limit is what float32 allows",
            "agree",
            swish,
            (x, tf.constant(1.3)),
        ),
        Case(
            "differences with a gradient that is wrong at the boundary",
            "one entry of twelve is wrong, and it is named",
            "disagree",
            differences,
            (x,),
        ),
        Case(
            "the absolute value at 0",
            "the slopes on the two sides are -1 and 1",
            "inconclusive",
            absolute,
            (tf.constant([-2.0, 0.0, 0.5]),),
        ),
    ]
