"""Elementwise functions that TensorFlow lacks, or whose NumPy version needs its global behaviour or equal dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

tnp = tf.experimental.numpy
bitwise_left_shift, bitwise_right_shift = tf.bitwise.left_shift, tf.bitwise.right_shift


def ceil(x: Any, /) -> Any:
    """Round up."""
    return _rounded(tf.math.ceil, x)


def floor(x: Any, /) -> Any:
    """Round down."""
    return _rounded(tf.math.floor, x)


def round(x: Any, /) -> Any:
    """Round to the nearest integer, halves to the even one."""
    return _rounded(tf.math.round, x)


def trunc(x: Any, /) -> Any:
    """Round towards zero."""
    return _rounded(lambda x: tnp.where(x < 0, tf.math.ceil(x), tf.math.floor(x)), x)


def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
    """Clip to an interval that may be open at either end."""
    if min is not None:
        x = tnp.maximum(x, min)
    return x if max is None else tnp.minimum(x, max)


def copysign(x1: Any, x2: Any, /) -> Any:
    """Give the magnitudes of `x1` the signs of `x2`."""
    x1, x2 = _promoted(x1, x2)
    return tf.where(tf.equal(tnp.signbit(x1), tnp.signbit(x2)), x1, -x1)


def hypot(x1: Any, x2: Any, /) -> Any:
    """Return the root of the sum of squares."""
    return tnp.hypot(*_promoted(x1, x2))


def logaddexp(x1: Any, x2: Any, /) -> Any:
    """Return the logarithm of the sum of exponentials."""
    return tnp.logaddexp(*_promoted(x1, x2))


def isfinite(x: Any, /) -> Any:
    """Tell which numbers are finite, in both parts."""
    return _tested(tf.math.is_finite, tf.logical_and, x)


def isinf(x: Any, /) -> Any:
    """Tell which numbers are infinite, in either part."""
    return _tested(tf.math.is_inf, tf.logical_or, x)


def isnan(x: Any, /) -> Any:
    """Tell which numbers are NaN, in either part."""
    return _tested(tf.math.is_nan, tf.logical_or, x)


def _tested(test: Callable[[Any], Any], join: Callable[..., Any], x: Any) -> Any:
    """Test real numbers, or both parts of complex ones; integers as the real numbers that they are."""
    if x.dtype.is_complex:
        return join(test(tf.math.real(x)), test(tf.math.imag(x)))
    return test(x if x.dtype.is_floating else tf.cast(x, tf.float64))


def _rounded(operation: Callable[[Any], Any], x: Any) -> Any:
    return x if x.dtype.is_integer else operation(x)


def _promoted(*xs: Any) -> list[Any]:
    dtype = tnp.result_type(*xs)
    return [tf.cast(x, dtype) if tf.is_tensor(x) else tf.constant(x, dtype) for x in xs]
