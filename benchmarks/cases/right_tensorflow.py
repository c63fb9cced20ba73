"""Right derivatives in TensorFlow that some checker has called wrong, by their names in `cases.right`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from cases.case import Case, Truth
from cases.witnesses import expm1

RIGHT, CONVENTION = Truth.RIGHT, Truth.CONVENTION


def _normal(*shape: int, dtype: Any = tf.float64, seed: int = 0) -> Any:
    return tf.cast(tf.constant(np.random.default_rng(seed).normal(size=shape)), dtype)


def right() -> Iterator[Case]:
    """Yield the cases."""
    kinks: dict[str, tuple[Any, list[float]]] = {
        "A1/relu": (tf.nn.relu, [1.0, 0.0, -1.0]),
        "A1/abs": (tf.abs, [0.0, 2.0]),
        "A1/clip": (lambda x: tf.clip_by_value(x, 0, 1), [0.0, 1.0, 0.5]),
        "A1/maximum": (lambda x: tf.maximum(x, tf.zeros_like(x)), [0.0, 1.0]),
        "A1/leaky_relu": (tf.nn.leaky_relu, [0.0, 1.0]),
        "A1/reduce_max": (tf.reduce_max, [2.0, 2.0, 1.0]),
        "A14/floor": (tf.floor, [4.0]),
        "A27/norm": (tf.norm, [0.0, 0.0]),
        "A27/std": (tf.math.reduce_std, [1.0, 1.0, 1.0]),
        "E/power": (lambda x: x**x, [0.0, 1.5]),
        "E/atan2": (lambda x: tf.atan2(x, x), [0.0, 1.5]),
        "E/xlogy": (lambda x: tf.math.xlogy(x, x), [0.0, 1.5]),
    }
    for name, (f, x) in kinks.items():
        point = (tf.constant(x, tf.float64),)
        about = "no derivative exists at this point"
        yield Case(f"{name},tensorflow", "tensorflow", f, point, CONVENTION, about=about)
    ordinary: dict[str, tuple[Any, list[float]]] = {
        "A14/log": (tf.math.log, [0.002]),
        "A14/sqrt": (tf.sqrt, [5e-4]),
        "A14/floor inside": (tf.floor, [4.5]),
        "A2/sin": (tf.sin, [1e10]),
        "A2/square": (tf.square, [1e8]),
        "A2/exp": (tf.exp, [700.0]),
        "A16/constant": (lambda x: 0 * x + 3.0, [0.7, 0.0]),
        "A19/linear": (lambda x: 3 * x - 1, [0.7, 0.0]),
        "E/prod": (tf.reduce_prod, [0.0, 3.0, 4.0]),
    }
    for name, (f, x) in ordinary.items():
        about = "unusual sizes or zeros"
        yield Case(f"{name},tensorflow", "tensorflow", f, (tf.constant(x, tf.float64),), RIGHT, about=about)
    about = "exp(-40) is claimed, and right; in float64 the function is -1 all around"
    tail = (tf.constant([-40.0, -50.0], tf.float64),)
    yield Case("P37/tensorflow", "tensorflow", tf.math.expm1, tail, CONVENTION, about=about)
    options = {"witness": expm1}
    yield Case("P37/tensorflow,witness", "tensorflow", tf.math.expm1, tail, RIGHT, options=options, about=about)
    yield from precisions()


def precisions() -> Iterator[Case]:
    """Yield operators and a cell in low precision."""
    ops = {"sin": tf.sin, "exp": tf.exp, "tanh": tf.tanh, "softmax": tf.nn.softmax}
    for dtype in (tf.float32, tf.float16, tf.bfloat16):
        for name, f in ops.items():
            x = (_normal(5, dtype=dtype),)
            about = "low precision"
            yield Case(f"A12/{name},tf {dtype.name}", "tensorflow", f, x, RIGHT, smooth=True, about=about)

    weight, recurrent = (_normal(n, 32, dtype=tf.float32, seed=n) for n in (6, 8))

    def cell(x: Any, h: Any, c: Any) -> Any:
        i, j, f, o = tf.split(x @ weight + h @ recurrent, 4, axis=1)
        return tf.sigmoid(o) * tf.tanh(tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(j))

    state = (_normal(2, 6, dtype=tf.float32), _normal(2, 8, dtype=tf.float32), _normal(2, 8, dtype=tf.float32))
    yield Case("A14/LSTM", "tensorflow", cell, state, RIGHT, smooth=True, about="a float32 cell")
