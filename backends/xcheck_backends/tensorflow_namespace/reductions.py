"""Reductions, and what runs along an axis, with the standard's arguments."""

from __future__ import annotations

from collections.abc import Callable
from math import prod as product
from typing import Any

import tensorflow as tf

Axis = int | tuple[int, ...] | None


def sum(x: Any, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Sum; integers in 64 bits."""
    return tf.reduce_sum(_wide(x, dtype), axis=_axes(axis), keepdims=keepdims)


def prod(x: Any, /, *, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """Multiply; integers in 64 bits."""
    return tf.reduce_prod(_wide(x, dtype), axis=_axes(axis), keepdims=keepdims)


def max(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the largest entries."""
    return tf.reduce_max(x, axis=_axes(axis), keepdims=keepdims)


def min(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Return the smallest entries."""
    return tf.reduce_min(x, axis=_axes(axis), keepdims=keepdims)


def mean(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Average."""
    return tf.reduce_mean(x, axis=_axes(axis), keepdims=keepdims)


def var(x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Return the variance, the sum of squares divided by `N - correction`."""
    variance = tf.math.reduce_variance(x, axis=_axes(axis), keepdims=keepdims)
    if not correction:
        return variance
    count = _count(x, axis)
    return variance * (count / (count - correction))


def std(x: Any, /, *, axis: Axis = None, correction: float = 0.0, keepdims: bool = False) -> Any:
    """Return the standard deviation, the root of the variance."""
    return tf.sqrt(var(x, axis=axis, correction=correction, keepdims=keepdims))


def all(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Tell whether all entries are true, or not zero."""
    return tf.reduce_all(tf.cast(x, tf.bool), axis=_axes(axis), keepdims=keepdims)


def any(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Tell whether an entry is true, or not zero."""
    return tf.reduce_any(tf.cast(x, tf.bool), axis=_axes(axis), keepdims=keepdims)


def count_nonzero(x: Any, /, *, axis: Axis = None, keepdims: bool = False) -> Any:
    """Count the entries that are not zero."""
    return tf.math.count_nonzero(x, axis=_axes(axis), keepdims=keepdims)


def argmax(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the index of the first largest entry."""
    return _index(tf.argmax, x, axis, keepdims)


def argmin(x: Any, /, *, axis: int | None = None, keepdims: bool = False) -> Any:
    """Return the index of the first smallest entry."""
    return _index(tf.argmin, x, axis, keepdims)


def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Sort along an axis. Equal entries are gathered in their own order: a stable sort, `stable` or not."""
    order = argsort(x, axis=axis, descending=descending, stable=stable)
    return tf.experimental.numpy.take_along_axis(x, order, axis)


def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
    """Return the indices that sort along an axis, equal entries in their own order."""
    return tf.cast(tf.argsort(x, axis, "DESCENDING" if descending else "ASCENDING", stable), tf.int64)


def cumulative_sum(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Sum up along an axis, which has to be named where there are several."""
    return _cumulative(tf.math.cumsum, tf.zeros_like, x, axis, dtype, include_initial)


def cumulative_prod(x: Any, /, *, axis: int | None = None, dtype: Any = None, include_initial: bool = False) -> Any:
    """Multiply up along an axis, which has to be named where there are several."""
    return _cumulative(tf.math.cumprod, tf.ones_like, x, axis, dtype, include_initial)


def _cumulative(
    operation: Callable[..., Any], start: Callable[..., Any], x: Any, axis: int | None, dtype: Any, initial: bool
) -> Any:
    if axis is None and len(x.shape) != 1:
        raise ValueError(f"axis= must be given for an array of {len(x.shape)} axes.")
    along = -1 if axis is None else axis
    result = operation(_wide(x, dtype), along)
    first = start(tf.experimental.numpy.take(result, [0], axis=along)) if initial else None
    return result if first is None else tf.concat([first, result], along)


def _wide(x: Any, dtype: Any) -> Any:
    if dtype is None and x.dtype.is_integer:
        dtype = tf.uint64 if x.dtype.is_unsigned else tf.int64
    return x if dtype is None else tf.cast(x, dtype)


def _axes(axis: Axis) -> Any:
    return list(axis) if isinstance(axis, tuple) else axis


def _count(x: Any, axis: Axis) -> int:
    axes = range(len(x.shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    return product(x.shape[k] for k in axes)


def _index(operation: Callable[..., Any], x: Any, axis: int | None, keepdims: bool) -> Any:
    if axis is None:
        index = operation(tf.reshape(x, [-1]), 0)
        return tf.reshape(index, [1] * len(x.shape)) if keepdims else index
    return tf.expand_dims(operation(x, axis), axis) if keepdims else operation(x, axis)
