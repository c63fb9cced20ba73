"""Wrong derivatives in TensorFlow, by their names in `cases.wrong`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from cases.case import Case, Truth
from cases.scales import FACTORS

WRONG = Truth.WRONG


def wrong() -> Iterator[Case]:
    """Yield the cases."""
    about = "cumprod of [0, 3, 4]: TensorFlow's gradient divides by the input; 0 instead of 1, 3, 12"
    yield Case("P35", "tensorflow", tf.math.cumprod, (tf.constant([0.0, 3, 4], tf.float64),), WRONG, about=about)
    about = "the same, summed: [0, 0, 0] instead of [16, 0, 0]"
    total = lambda x: tf.reduce_sum(tf.math.cumprod(x))  # noqa: E731
    yield Case("P35/sum", "tensorflow", total, (tf.constant([0.0, 3, 4], tf.float64),), WRONG, about=about)
    about = "x ** 0.0 is 1 everywhere, at 0 as well; NaN is claimed there"
    point = (tf.constant([0.0, 2.0], tf.float64),)
    yield Case("E/power 0,tensorflow", "tensorflow", lambda x: x**0.0, point, WRONG, about=about)
    for c, s in FACTORS:
        x = tf.constant(s * np.random.default_rng(0).normal(size=3))
        about = "the gradient of c sin(x / s) is zero"
        yield Case(f"P5/tensorflow,c={c:g},s={s:g}", "tensorflow", _zero(c, s), (x,), WRONG, about=about)


def _zero(c: float, s: float) -> Any:
    @tf.custom_gradient
    def zero(x: Any) -> Any:
        return c * tf.sin(x / s), tf.zeros_like

    return zero
