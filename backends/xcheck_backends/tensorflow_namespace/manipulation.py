"""Arrays made, joined, split and rearranged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

tnp = tf.experimental.numpy


def broadcast_shapes(*shapes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape that arrays of these shapes broadcast to."""
    return np.broadcast_shapes(*map(tuple, shapes))


def concat(arrays: Sequence[Any], /, *, axis: int | None = 0) -> Any:
    """Join tensors along an axis, or as flat ones."""
    if axis is None:
        return tnp.concatenate([tf.reshape(x, [-1]) for x in arrays], 0)
    return tnp.concatenate(list(arrays), axis)


def flip(x: Any, /, *, axis: int | Sequence[int] | None = None) -> Any:
    """Reverse the order along an axis, several, or all."""
    axes = range(len(x.shape)) if axis is None else [axis] if isinstance(axis, int) else axis
    return tf.reverse(x, list(axes))


def linspace(start: Any, stop: Any, /, num: int, *, dtype: Any = None, endpoint: bool = True) -> Any:
    """Return evenly spaced numbers, in float64 if no dtype is given."""
    return tf.cast(tnp.linspace(start, stop, num, endpoint), dtype or tf.float64)


def permute_dims(x: Any, /, axes: Sequence[int]) -> Any:
    """Put axes into another order; a number has none."""
    return tf.transpose(x, tf.constant(axes, tf.int32))


def reshape(x: Any, /, shape: Sequence[int] | int, *, copy: bool | None = None) -> Any:
    """Reshape; there is nothing to copy, since tensors do not change."""
    return tnp.reshape(x, shape)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    """Split into tensors of one axis less."""
    return tuple(tf.unstack(x, axis=axis))
