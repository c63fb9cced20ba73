"""Elementwise functions that TensorFlow lacks, or that it calls with other arguments."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

tnp = tf.experimental.numpy


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """Clip to an interval that may be open at either end."""
    if min is not None:
        x = tnp.maximum(x, min)
    return x if max is None else tnp.minimum(x, max)


def copysign(x1: Any, x2: Any, /) -> Any:
    """Give the magnitudes of `x1` the signs of `x2`."""
    same = tf.equal(tnp.signbit(x1), tnp.signbit(x2))
    return tnp.where(same, x1, tnp.negative(x1))


def trunc(x: Any, /) -> Any:
    """Round towards zero."""
    return x if x.dtype.is_integer else tnp.where(x < 0, tf.math.ceil(x), tf.math.floor(x))
